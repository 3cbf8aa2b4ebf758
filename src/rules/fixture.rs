//! What the tests of this room share: a few metrics, rules from YAML, virtual time.

use std::sync::Arc;
use std::time::Duration;

use crate::declare::{Cx, Decode, Problems, parse};
use crate::model::{Kind, MetricDef, MetricId, Origin};

use super::compile::compile;
use super::rule::RuleSet;
use super::settings::RuleSettings;

/// Index of each metric in [`metrics`].
pub(super) const CPU: MetricId = MetricId(0);
pub(super) const LATENCY: MetricId = MetricId(3);

/// How often all of them are collected.
pub(super) const INTERVAL: Duration = Duration::from_secs(30);

pub(super) fn metrics() -> Arc<[MetricDef]> {
    let metric = |name: &str, kind, labels: &[&str], origin| MetricDef {
        name: name.into(),
        exported: name.into(),
        help: "".into(),
        kind,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        buckets: if kind == Kind::Histogram { [0.1, 1.0].into() } else { [].into() },
        quantiles: if kind == Kind::Summary { [0.5, 0.95].into() } else { [].into() },
        origin,
        interval: INTERVAL,
    };
    [
        metric("cpu_percent", Kind::Gauge, &[], Origin::System),
        metric("disk_usage_percent", Kind::Gauge, &["mount_point"], Origin::System),
        metric("api_errors", Kind::Counter, &["endpoint", "kind"], Origin::Application),
        metric("api_duration", Kind::Histogram, &["endpoint"], Origin::Application),
        metric("cache_misses", Kind::Counter, &["cache"], Origin::Application),
        metric("cache_hits", Kind::Counter, &["cache"], Origin::Application),
        metric("query_duration", Kind::Summary, &[], Origin::Neo4j),
    ]
    .into()
}

/// Compiles a YAML list of rules; on failure the problems as printed.
pub(super) fn rules(yaml: &str) -> Result<RuleSet, Vec<String>> {
    let mut problems = Problems::default();
    let node = parse(yaml).expect("YAML");
    let settings = Vec::<RuleSettings>::decode(&node, &mut Cx::new(&mut problems, &|_| None))
        .unwrap_or_default();
    let set = compile(&settings, &metrics(), &mut problems);
    match problems.is_empty() {
        true => Ok(set),
        false => Err(problems.into_sorted().iter().map(ToString::to_string).collect()),
    }
}
