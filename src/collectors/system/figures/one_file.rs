//! Figures that each are one number of one small file.

use crate::model::MetricId;

use super::super::catalogue::Figure;
use super::super::file::HostFile;
use super::super::parse::{Malformed, descriptors, load, memory, paging, uptime};
use super::super::resolve::Declared;
use super::{Group, Metric, Roots, Run};

type Pick<T> = fn(&T) -> f64;

struct OneFile<T> {
    file: HostFile,
    parse: fn(&[u8]) -> Result<T, Malformed>,
    metrics: Vec<Metric<Pick<T>>>,
}

impl<T> Group for OneFile<T> {
    fn collect(&mut self, run: &mut Run<'_>) {
        let Some((bytes, path)) = run.required(&mut self.file) else { return };
        match (self.parse)(bytes) {
            Err(malformed) => run.malformed(path, &malformed),
            Ok(parsed) => {
                for metric in &mut self.metrics {
                    let value = (metric.pick)(&parsed);
                    metric.push(&[], value, run);
                }
            }
        }
    }
}

fn group<T: 'static>(
    file: HostFile,
    parse: fn(&[u8]) -> Result<T, Malformed>,
    metrics: Vec<Metric<Pick<T>>>,
) -> Option<Box<dyn Group>> {
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(OneFile { file, parse, metrics }))
}

pub(super) fn memory_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Memory(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("meminfo"), memory, metrics)
}

pub(super) fn paging_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Paging(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("vmstat"), paging, metrics)
}

pub(super) fn load_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Load(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("loadavg"), load, metrics)
}

pub(super) fn descriptors_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Descriptors(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("sys/fs/file-nr"), descriptors, metrics)
}

pub(super) fn uptime_group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Uptime(pick) => Some(pick),
        _ => None,
    });
    group(roots.proc("uptime"), uptime, metrics)
}
