//! Probes of each target added up, under the names of the agent of Grafana's Synthetic Monitoring.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Kind, SeriesBatch};
use parking_lot::Mutex;

/// Totals of the targets of a collector. They outlive a reload.
#[derive(Debug, Default)]
pub(super) struct Totals(Mutex<BTreeMap<String, Total>>);

#[derive(Debug)]
struct Total {
    /// Upper bounds of the buckets.
    bounds: Arc<[f64]>,
    /// Probes by bucket; the last one is that of `+Inf`.
    buckets: Box<[u64]>,
    seconds: f64,
    successes: u64,
}

impl Totals {
    /// Counts a probe. Other bounds than before begin anew, as a histogram has those of all its observations.
    pub(super) fn observe(&self, target: &str, bounds: &Arc<[f64]>, took: Duration, success: bool) {
        let mut totals = self.0.lock();
        let total = totals
            .entry(target.to_owned())
            .or_insert_with(|| Total::new(bounds));
        if total.bounds != *bounds {
            *total = Total::new(bounds);
        }
        let took = took.as_secs_f64();
        let bucket = bounds.partition_point(|bound| *bound < took);
        total.buckets[bucket] += 1;
        total.seconds += took;
        total.successes += u64::from(success);
    }

    /// Forgets all other targets.
    pub(super) fn keep(&self, targets: &[String]) {
        let targets: BTreeSet<_> = targets.iter().collect();
        self.0.lock().retain(|target, _| targets.contains(target));
    }

    /// Appends the series of `targets`, with the label `job`.
    pub(super) fn fill(&self, targets: &[String], job: &str, out: &mut SeriesBatch) {
        let totals = self.0.lock();
        let totals: Vec<(&String, &Total)> = targets
            .iter()
            .filter_map(|target| totals.get_key_value(target))
            .collect();
        out.begin(
            "probe_all_success",
            Some(Kind::Summary),
            "Probes since the start, and how many of them succeeded.",
        );
        for (target, total) in &totals {
            let labels = [("instance", target.as_str()), ("job", job)];
            out.push_suffixed("_sum", &labels, total.successes as f64);
            out.push_suffixed("_count", &labels, total.count() as f64);
        }
        out.begin(
            "probe_all_duration_seconds",
            Some(Kind::Histogram),
            "Durations of the probes since the start.",
        );
        for (target, total) in &totals {
            let labels = [("instance", target.as_str()), ("job", job)];
            let count = total.count() as f64;
            out.push_histogram(&labels, total.cumulative(), count, Some(total.seconds));
        }
    }
}

impl Total {
    fn new(bounds: &Arc<[f64]>) -> Self {
        Self {
            bounds: bounds.clone(),
            buckets: vec![0; bounds.len() + 1].into(),
            seconds: 0.0,
            successes: 0,
        }
    }

    fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// Returns, for each bound, the probes that took no longer.
    fn cumulative(&self) -> impl Iterator<Item = (f64, f64)> {
        let bounds = self.bounds.iter().zip(&self.buckets);
        bounds.scan(0, |count, (bound, probes)| {
            *count += probes;
            Some((*bound, *count as f64))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(totals: &Totals) -> Vec<String> {
        let mut out = SeriesBatch::default();
        totals.fill(&["a:1".to_owned()], "x", &mut out);
        out.lines().collect()
    }

    #[test]
    fn probes_are_counted_by_result_and_duration() {
        let (totals, bounds) = (Totals::default(), Arc::from([0.25, 1.0]));
        for (millis, success) in [(250, true), (750, true), (4000, false)] {
            totals.observe("a:1", &bounds, Duration::from_millis(millis), success);
        }
        let series = |name: &str, labels: &str, value: &str| {
            format!("{name}{{instance=\"a:1\", job=\"x\"{labels}}} {value}")
        };
        let bucket = "probe_all_duration_seconds_bucket";
        assert_eq!(
            lines(&totals),
            [
                series("probe_all_success_sum", "", "2"),
                series("probe_all_success_count", "", "3"),
                series(bucket, ", le=\"0.25\"", "1"),
                series(bucket, ", le=\"1\"", "2"),
                series(bucket, ", le=\"+Inf\"", "3"),
                series("probe_all_duration_seconds_sum", "", "5"),
                series("probe_all_duration_seconds_count", "", "3"),
            ]
        );
    }

    #[test]
    fn other_bounds_begin_anew_and_other_targets_are_forgotten() {
        let totals = Totals::default();
        for bounds in [Arc::from([1.0]), Arc::from([2.0])] {
            totals.observe("a:1", &bounds, Duration::from_secs(1), true);
        }
        assert_eq!(
            lines(&totals)[1],
            "probe_all_success_count{instance=\"a:1\", job=\"x\"} 1"
        );
        totals.keep(&["b:1".to_owned()]);
        assert_eq!(lines(&totals), [""; 0]);
    }
}
