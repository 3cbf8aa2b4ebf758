//! Rules over data that come, go and stay away: the engine and the store are the live ones.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Batch, Kind, MetricDef, MetricId, Now, Origin, Severity};
use bellwether_rules::{
    CompileInput, Engine, RestoredRule, RuleSet, RuleSettings, Tick, compile, roundtrip,
};
use bellwether_tsdb::store::{Options, Store};

use super::configuration::{ALERTS, decode};

/// One metric and one rule of each name: one waits before it fires, one before it ends, and each
/// has a policy of its own for series that go missing.
const RULES: [(&str, &str); 3] = [
    ("down", ""),
    ("disk", "duration: 2s, on_no_data: ok"),
    ("load", "keep_firing_for: 3s, resolve_missing_after: 20s"),
];

/// Value of each alert's series; `None`: there is no sample.
pub type Values = [Option<f64>; ALERTS.len()];

/// A value that holds at `level`.
pub fn value(level: Option<Severity>) -> f64 {
    match level {
        None => 50.0,
        Some(Severity::Warning) => 90.0,
        Some(_) => 97.0,
    }
}

/// The rules of one process.
pub struct Rules {
    pub engine: Engine,
    store: Store,
}

/// The state of the alerts as it was saved, and when.
#[derive(Clone, Debug, Default)]
pub struct Saved {
    alerts: Vec<RestoredRule>,
    at: Now,
}

impl Rules {
    /// Nothing was collected yet.
    pub fn new(now: Now) -> Self {
        let metrics = metrics();
        let set = rules(&metrics);
        let store = Store::new(
            metrics,
            Options {
                windows: set.windows(),
                ..Options::default()
            },
        );
        Self {
            engine: Engine::new(set, now),
            store,
        }
    }

    /// A process that goes on from what another one saved.
    pub fn restored(saved: &Saved, now: Now) -> Self {
        let mut new = Self::new(now);
        let carried = roundtrip(saved.alerts.clone(), saved.at).expect("what was saved");
        assert_eq!(
            new.engine.restore(carried, now),
            [],
            "the rules are the same"
        );
        new
    }

    pub fn save(&self, now: Now) -> Saved {
        Saved {
            alerts: self.engine.snapshot(),
            at: now,
        }
    }

    /// Collects `values`, and evaluates the rules.
    pub fn evaluate(&mut self, values: &Values, now: Now) -> Tick {
        let mut batch = Batch::default();
        for ((rule, host), value) in ALERTS.iter().zip(values) {
            let metric = RULES
                .iter()
                .position(|(name, _)| name == rule)
                .expect("its metric");
            if let Some(value) = value {
                batch.push_values(MetricId(metric as u32), &[host], &[*value]);
            }
        }
        self.store.commit(&batch, now);
        self.store.expire(now);
        self.engine
            .evaluate(&self.store, now, Some(&[Origin::APPLICATION]))
    }
}

fn metrics() -> Arc<[MetricDef]> {
    let metric = |(name, _): (&str, &str)| MetricDef {
        name: name.into(),
        exported: name.into(),
        help: "".into(),
        kind: Kind::Gauge,
        labels: ["host".into()].into(),
        buckets: [].into(),
        quantiles: [].into(),
        origin: Origin::APPLICATION,
        interval: Duration::from_secs(1),
    };
    RULES.map(metric).into()
}

fn rules(metrics: &[MetricDef]) -> RuleSet {
    let levels = "condition: '>', thresholds: {warning: 80, critical: 95}";
    let line = |(name, more): (&str, &str)| {
        format!("- {{name: {name}, metric: {name}, {levels}, {more}}}\n")
    };
    let settings: Vec<RuleSettings> = decode(&RULES.map(line).concat());
    let mut problems = bellwether_schema::Diagnostics::default();
    let set = compile(&CompileInput::new(&settings, metrics), &mut problems);
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    set
}
