//! Figures that each are one number of one small file.

use bellwether_core::MetricId;

use super::super::catalogue::Figure;
use super::super::file::HostFile;
use super::super::parse::{BadLines, descriptors, load, memory, paging, uptime};
use super::super::resolve::Declared;
use super::{Group, Metric, Roots, Run};

/// `None` where the line that says it is bad.
type Pick<T> = fn(&T) -> Option<f64>;

/// `None` where nothing in the file is of use.
type Parse<T> = fn(&[u8], &mut BadLines) -> Option<T>;

struct OneFile<T> {
    file: HostFile,
    /// Set where there are kernels and containers without it.
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
        run.account(path, &bad, parsed.is_some());
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
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Memory(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("meminfo"), false, memory, metrics)
}

pub(super) fn paging_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Paging(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("vmstat"), true, paging, metrics)
}

pub(super) fn load_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Load(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("loadavg"), false, load, metrics)
}

pub(super) fn descriptors_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Descriptors(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("sys/fs/file-nr"), true, descriptors, metrics)
}

pub(super) fn uptime_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Uptime(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("uptime"), false, uptime, metrics)
}
