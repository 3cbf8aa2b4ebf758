//! Metrics that are one number of one small file.

use bellwether_core::MetricId;

use super::super::catalogue::Measurement;
use super::super::file::HostFile;
use super::super::parse::{BadLines, descriptors, load, memory, paging, uptime};
use super::super::resolve::ResolvedMetric;
use super::{Group, Metric, Roots, Run};

/// `None` if its line is bad.
type Pick<T> = fn(&T) -> Option<f64>;

/// `None` if the file has no usable line.
type Parse<T> = fn(&[u8], &mut BadLines) -> Option<T>;

struct OneFile<T> {
    file: HostFile,
    /// Set if some kernels and containers do not have the file.
    may_lack: bool,
    parse: Parse<T>,
    metrics: Vec<Metric<Pick<T>>>,
}

impl<T> Group for OneFile<T> {
    fn collect(&mut self, run: &mut Run<'_>) {
        let Some((bytes, path)) = run.read(&mut self.file, self.may_lack) else {
            return;
        };
        let mut bad = BadLines::default();
        let parsed = (self.parse)(bytes, &mut bad);
        run.record_bad_lines(path, &bad, parsed.is_some());
        for metric in &mut self.metrics {
            if let Some(value) = parsed.as_ref().and_then(metric.pick) {
                metric.push(&[], value, run);
            }
            metric.finish(run, bad.is_empty());
        }
    }
}

fn group<T: 'static>(
    file: HostFile,
    may_lack: bool,
    parse: Parse<T>,
    metrics: Vec<Metric<Pick<T>>>,
) -> Option<Box<dyn Group>> {
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(OneFile {
        file,
        may_lack,
        parse,
        metrics,
    }))
}

pub(super) fn memory_group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Memory(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("meminfo"), false, memory, metrics)
}

pub(super) fn paging_group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Paging(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("vmstat"), true, paging, metrics)
}

pub(super) fn load_group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Load(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("loadavg"), false, load, metrics)
}

pub(super) fn descriptors_group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Descriptors(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("sys/fs/file-nr"), true, descriptors, metrics)
}

pub(super) fn uptime_group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Uptime(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("uptime"), false, uptime, metrics)
}
