//! Fixtures of the tests of this crate: metrics, rules from YAML, virtual time.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Batch, Kind, LabelSet, METRIC_NAME, MetricDef, MetricId, Now, Origin, UnixMillis,
};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::{Options, Store};

use crate::compile::{CompileInput, compile};
use crate::rule::RuleSet;
use crate::settings::{RecordingSettings, RuleSettings};

/// Index of each metric in [`metrics`].
pub(crate) const CPU: MetricId = MetricId(0);
pub(crate) const DISK: MetricId = MetricId(1);
pub(crate) const ERRORS: MetricId = MetricId(2);
pub(crate) const LATENCY: MetricId = MetricId(3);
pub(crate) const MISSES: MetricId = MetricId(4);
pub(crate) const HITS: MetricId = MetricId(5);
pub(crate) const DURATIONS: MetricId = MetricId(6);

/// Collection interval of all metrics.
pub(crate) const INTERVAL: Duration = Duration::from_secs(30);

pub(crate) fn metrics() -> Arc<[MetricDef]> {
    let metric = |name: &str, kind, labels: &[&str], origin| MetricDef {
        name: name.into(),
        exported: name.into(),
        help: "".into(),
        kind,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        buckets: if kind == Kind::Histogram {
            [0.1, 1.0].into()
        } else {
            [].into()
        },
        quantiles: if kind == Kind::Summary {
            [0.5, 0.95].into()
        } else {
            [].into()
        },
        origin,
        interval: INTERVAL,
    };
    [
        metric("cpu_percent", Kind::Gauge, &[], Origin::new("system")),
        metric(
            "disk_usage_percent",
            Kind::Gauge,
            &["mount_point"],
            Origin::new("system"),
        ),
        metric(
            "api_errors",
            Kind::Counter,
            &["endpoint", "kind"],
            Origin::APPLICATION,
        ),
        metric(
            "api_duration",
            Kind::Histogram,
            &["endpoint"],
            Origin::APPLICATION,
        ),
        metric(
            "cache_misses",
            Kind::Counter,
            &["cache"],
            Origin::APPLICATION,
        ),
        metric("cache_hits", Kind::Counter, &["cache"], Origin::APPLICATION),
        metric("query_duration", Kind::Summary, &[], Origin::new("neo4j")),
    ]
    .into()
}

/// Compiles a YAML list of rules; the error has the diagnostics as printed.
pub(crate) fn rules(yaml: &str) -> Result<RuleSet, Vec<String>> {
    rules_over(&metrics(), yaml)
}

/// Like [`rules`], over other metrics.
pub(crate) fn rules_over(metrics: &[MetricDef], yaml: &str) -> Result<RuleSet, Vec<String>> {
    let mut problems = Diagnostics::default();
    let node = parse(yaml).expect("YAML");
    let settings =
        Vec::<RuleSettings>::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None))
            .unwrap_or_default();
    let set = compile(&CompileInput::new(&settings, metrics), &mut problems);
    match problems.is_empty() {
        true => Ok(set),
        false => Err(problems
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect()),
    }
}

/// Compiles a YAML mapping of `rules` and `recording_rules`.
pub(crate) fn both(yaml: &str) -> Result<RuleSet, Vec<String>> {
    bellwether_schema::section! {
        /// Rules of both kinds.
        pub struct Both {
            /// Alerting rules.
            pub rules: Vec<RuleSettings> = Vec::new(),
            /// Recording rules.
            pub recording_rules: Vec<RecordingSettings> = Vec::new(),
        }
    }
    let mut problems = Diagnostics::default();
    let node = parse(yaml).expect("YAML");
    let both =
        Both::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap_or_default();
    let metrics = metrics();
    let input = CompileInput {
        recordings: &both.recording_rules,
        ..CompileInput::new(&both.rules, &metrics)
    };
    let set = compile(&input, &mut problems);
    match problems.is_empty() {
        true => Ok(set),
        false => Err(problems
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect()),
    }
}

/// Appends one sample for each series, written as in PromQL.
pub(crate) fn remember(history: &History, now: Now, samples: &[(&str, f64)]) {
    for (series, value) in samples {
        let (name, rest) = series.split_once('{').unwrap_or((series, "}"));
        let pairs = rest
            .trim_end_matches('}')
            .split(',')
            .filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.trim(), value.trim_matches('"')));
        let labels = LabelSet::new(pairs.chain([(METRIC_NAME, name)]));
        let series = history.series_id(&labels).expect("room");
        history.append(now.wall, &[(series, *value)]);
    }
}

/// Creates a store with the windows of `set`.
pub(crate) fn store(set: &RuleSet) -> Store {
    Store::new(
        metrics(),
        Options {
            windows: set.windows(),
            ..Options::default()
        },
    )
}

/// Returns the time `seconds` after an arbitrary start.
pub(crate) fn at(seconds: u64) -> Now {
    Now {
        wall: UnixMillis(1_700_000_000_000),
        ..Now::default()
    }
    .after(Duration::from_secs(3_600 + seconds))
}

/// Commits one value per series.
pub(crate) fn commit(store: &Store, now: Now, points: &[(MetricId, &[&str], &[f64])]) {
    let mut batch = Batch::default();
    for (metric, labels, values) in points {
        batch.push_values(*metric, labels, values);
    }
    store.commit(&batch, now);
}
