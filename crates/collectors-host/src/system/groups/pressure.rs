//! Pressure stall information: how long tasks waited for processor, memory and disk.

use bellwether_core::MetricId;

use super::super::catalogue::{Measurement, PressureMeasurement};
use super::super::file::HostFile;
use super::super::parse::{BadLines, SCOPES, Stall, WINDOWS, pressure};
use super::super::resolve::ResolvedMetric;
use super::{Group, Metric, Roots, Run};

const RESOURCES: [&str; 3] = ["cpu", "memory", "io"];

struct Pressures {
    files: [HostFile; RESOURCES.len()],
    metrics: Vec<Metric<PressureMeasurement>>,
}

pub(super) fn group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Pressure(measurement) => Some(measurement),
        _ => None,
    });
    if metrics.is_empty() {
        return None;
    }
    let files = RESOURCES.map(|resource| roots.proc(&format!("pressure/{resource}")));
    Some(Box::new(Pressures { files, metrics }))
}

impl Group for Pressures {
    fn collect(&mut self, run: &mut Run<'_>) {
        let mut complete = true;
        for (resource, file) in RESOURCES.iter().zip(&mut self.files) {
            let Some((bytes, path)) = run.optional(file) else {
                continue;
            };
            let mut bad = BadLines::default();
            let found = pressure(bytes, &mut bad);
            run.record_bad_lines(path, &bad, found.iter().any(Option::is_some));
            complete &= bad.is_empty();
            for (scope, stall) in SCOPES.iter().zip(found) {
                for metric in &mut self.metrics {
                    if let Some(stall) = stall {
                        push(metric, resource, scope, &stall, run);
                    }
                }
            }
        }
        for metric in &mut self.metrics {
            metric.finish(run, complete);
        }
    }
}

fn push(
    metric: &mut Metric<PressureMeasurement>,
    resource: &str,
    scope: &str,
    stall: &Stall,
    run: &mut Run<'_>,
) {
    match metric.pick {
        PressureMeasurement::StalledSeconds => {
            metric.push_if_admitted(&[resource, scope], stall.total as f64 / 1e6, run);
        }
        PressureMeasurement::Percent => {
            for (window, percent) in WINDOWS.iter().zip(stall.percent) {
                metric.push_if_admitted(&[resource, scope, window], percent, run);
            }
        }
    }
}
