use bellwether_core::{MonoMillis, Origin};

use super::*;

const INTERVAL: Duration = Duration::from_secs(15);

fn def(name: &str, kind: Kind, labels: &[&str]) -> MetricDef {
    MetricDef {
        name: name.into(),
        exported: format!("app_{name}").into(),
        help: "".into(),
        kind,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        buckets: [].into(),
        quantiles: [].into(),
        origin: Origin::new("system"),
        interval: INTERVAL,
    }
}

/// Watches `cpu{core}`, with `host="h"` on every series; `count` is a counter, `none` undeclared.
fn monitor() -> AnomalyMonitor {
    let metrics = [
        def("other", Kind::Gauge, &[]),
        def("cpu", Kind::Gauge, &["core"]),
        def("count", Kind::Counter, &[]),
    ];
    let constant = Labels::from([("host".into(), "h".into())]);
    let settings = Settings {
        min_samples: 20,
        ..Settings::default()
    };
    AnomalyMonitor::new(&metrics, ["cpu", "count", "none"], &constant, settings)
}

fn now(step: u64) -> Now {
    let start = Now {
        mono: MonoMillis(0),
        wall: UnixMillis(1_700_000_000_000),
    };
    start.after(INTERVAL * step as u32)
}

fn usual(step: u64) -> f64 {
    50.0 + (step * 7 % 41) as f64 / 10.0
}

fn collect(monitor: &AnomalyMonitor, step: u64, core: &str, value: f64) {
    let mut batch = Batch::default();
    batch.push(MetricId(0), &[], 1.0);
    batch.push(MetricId(1), &[core], value);
    batch.push(MetricId(2), &[], step as f64);
    monitor.observe(&batch, now(step));
}

#[test]
fn the_named_gauges_are_watched_series_by_series() {
    let monitor = monitor();
    for step in 0..100 {
        collect(&monitor, step, "0", usual(step));
    }
    collect(&monitor, 100, "0", 99.0);
    collect(&monitor, 100, "1", 99.0);
    let mut all = monitor.all(now(100));
    all.sort_by(|a, b| a.series.cmp(&b.series));
    let reported: Vec<_> = all
        .iter()
        .map(|one| {
            (
                &*one.metric,
                &*one.series,
                one.observation.anomalous,
                one.observation.warming,
            )
        })
        .collect();
    assert_eq!(
        reported,
        [
            ("cpu", "core=0", true, false),
            ("cpu", "core=1", false, true)
        ]
    );
}

#[test]
fn a_series_that_is_no_longer_collected_is_not_reported_and_then_forgotten() {
    let monitor = monitor();
    collect(&monitor, 0, "0", 1.0);
    for (step, left) in [(3, 2), (4, 1), (5, 1)] {
        collect(&monitor, step, "1", 1.0);
        assert_eq!(monitor.all(now(step)).len(), left, "after {step} intervals");
    }
    assert_eq!(monitor.series.lock().len(), 2);
    collect(&monitor, 241, "1", 1.0);
    assert_eq!(
        monitor.series.lock().len(),
        1,
        "after an hour and an interval"
    );
}

/// History of the series, and of one of another configuration.
struct Past;

impl Past {
    fn all() -> [SampledSeries; 2] {
        let steps = 0..100_u64;
        let of = |labels: &[(&str, &str)]| SampledSeries {
            labels: LabelSet::new(labels.iter().copied()),
            times: steps.clone().map(|step| now(step).wall.0).collect(),
            values: steps.clone().map(usual).collect(),
        };
        let own = [(METRIC_NAME, "app_cpu"), ("core", "0"), ("host", "h")];
        let older = [
            (METRIC_NAME, "app_cpu"),
            ("core", "0"),
            ("host", "h"),
            ("mode", "idle"),
        ];
        [of(&older), of(&own)]
    }
}

impl Queryable for Past {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        _: UnixMillis,
        _: UnixMillis,
        _: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        Ok(Self::all()
            .into_iter()
            .filter(|series| matchers.iter().all(|m| m.matches(&series.labels)))
            .collect())
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        let found = self.select(matchers, from, to, guard)?;
        Ok(found.into_iter().map(|series| series.labels).collect())
    }
}

#[test]
fn what_history_has_is_known_from_the_start() {
    let monitor = monitor();
    monitor.warm_up(&Past, now(100)).unwrap();
    assert_eq!(monitor.all(now(100)), [], "nothing was collected yet");
    collect(&monitor, 101, "0", 99.0);
    let [only] = &monitor.all(now(101))[..] else {
        panic!("not one")
    };
    assert!(
        only.observation.anomalous && !only.observation.warming,
        "{only:?}"
    );
}
