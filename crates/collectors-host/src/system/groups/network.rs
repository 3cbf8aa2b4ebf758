//! Traffic of the interfaces, and TCP sockets by state.

use bellwether_core::MetricId;

use super::super::catalogue::Measurement;
use super::super::file::HostFile;
use super::super::parse::{BadLines, Interface, STATES, TcpStates, interfaces};
use super::super::resolve::ResolvedMetric;
use super::{Group, Metric, Roots, Run, is_absent};

type Pick = fn(&Interface<'_>) -> u64;

struct Interfaces {
    file: HostFile,
    metrics: Vec<Metric<Pick>>,
    /// Interfaces of the last reading in their order, so that globs are matched once.
    known: Vec<Known>,
}

struct Known {
    name: Box<[u8]>,
    label: String,
    /// For each metric, set if it has a series for this interface.
    admitted: Box<[bool]>,
}

pub(super) fn interfaces_group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Interface(pick) => Some(pick),
        _ => None,
    });
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(Interfaces {
        file: roots.net("dev"),
        metrics,
        known: Vec::new(),
    }))
}

impl Group for Interfaces {
    fn collect(&mut self, run: &mut Run<'_>) {
        let Some((bytes, path)) = run.optional(&mut self.file) else {
            return;
        };
        let (mut place, mut bad) = (0, BadLines::default());
        for interface in interfaces(bytes) {
            let interface = match interface {
                Ok(interface) => interface,
                Err(malformed) => {
                    bad.add(malformed);
                    continue;
                }
            };
            if self
                .known
                .get(place)
                .is_none_or(|known| *known.name != *interface.name)
            {
                self.known.truncate(place);
                self.known.push(Known::new(interface.name, &self.metrics));
            }
            let known = &self.known[place];
            place += 1;
            for (metric, admitted) in self.metrics.iter_mut().zip(&known.admitted) {
                if *admitted {
                    metric.push(&[&known.label], (metric.pick)(&interface) as f64, run);
                }
            }
        }
        self.known.truncate(place);
        run.record_bad_lines(path, &bad, place > 0);
        for metric in &mut self.metrics {
            metric.finish(run, bad.is_empty());
        }
    }
}

impl Known {
    fn new(name: &[u8], metrics: &[Metric<Pick>]) -> Self {
        let label = String::from_utf8_lossy(name).into_owned();
        let admitted = metrics
            .iter()
            .map(|metric| metric.filter.admits(&[&label]))
            .collect();
        Self {
            name: name.into(),
            label,
            admitted,
        }
    }
}

/// Costs milliseconds however few sockets there are: the kernel walks its whole table.
struct Sockets {
    files: [HostFile; 2],
    metrics: Vec<Metric<()>>,
}

pub(super) fn sockets_group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| {
        matches!(measurement, Measurement::Sockets).then_some(())
    });
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(Sockets {
        files: [roots.net("tcp"), roots.net("tcp6")],
        metrics,
    }))
}

impl Group for Sockets {
    fn collect(&mut self, run: &mut Run<'_>) {
        let mut states = TcpStates::default();
        let mut found = false;
        for file in &mut self.files {
            let (mut bad, mut good) = (BadLines::default(), false);
            let read = file.read_lines(|at, line| match states.add_line(at, line) {
                Ok(()) => good = true,
                Err(_) if line.is_empty() => {}
                Err(malformed) => bad.add(malformed),
            });
            match read {
                // An empty file, without a heading, counts as a missing one.
                Ok(()) => found |= good,
                // A kernel without IPv6 has no tcp6.
                Err(error) if is_absent(&error) => {}
                Err(error) => return run.fail("io", file.path(), &error),
            }
            run.record_bad_lines(file.path(), &bad, good);
            if !good && !bad.is_empty() {
                return;
            }
        }
        if !found {
            return;
        }
        for metric in &mut self.metrics {
            for (state, count) in STATES.iter().zip(states.counts) {
                metric.push_if_admitted(&[state], count as f64, run);
            }
        }
    }
}
