use std::collections::BTreeSet;

use bellwether_config::{self as config, Source};
use bellwether_core::{LabelValues, MetricId};

use super::*;

/// 2026-01-01 00:00 UTC.
const START: UnixMillis = UnixMillis(1_767_225_600_000);

fn staged(seed: u64) -> (Demo, Plan) {
    let demo = Demo::new(seed, START).unwrap();
    let loaded = config::load(&Source::Demo, &|name| demo.environment(name)).unwrap();
    let mut plan = config::plan(loaded).unwrap();
    demo.stage(&mut plan);
    (demo, plan)
}

/// Values of all series at some times.
fn values(demo: &Demo) -> Vec<(MetricId, LabelValues, Vec<u64>)> {
    let mut values = Vec::new();
    let mut batch = Batch::default();
    for minutes in [-20_000, -9_000, -60, 0, 5] {
        demo.collect(
            UnixMillis(START.0 + minutes * 60_000),
            &mut batch,
            |_, batch, _| {
                values.extend(batch.iter().map(|sample| {
                    let bits = sample.values.iter().map(|value| value.to_bits());
                    (
                        sample.metric,
                        LabelValues::from_packed(sample.labels),
                        bits.collect(),
                    )
                }));
            },
        );
    }
    values
}

#[test]
fn a_seed_makes_the_same_data_again() {
    let first = values(&staged(7).0);
    assert_eq!(first, values(&staged(7).0));
    assert_ne!(first, values(&staged(8).0));
}

#[test]
fn every_configured_metric_has_samples() {
    let (demo, plan) = staged(1);
    let sampled: BTreeSet<MetricId> = values(&demo)
        .into_iter()
        .map(|(metric, ..)| metric)
        .collect();
    let all = (0..).map(MetricId).zip(plan.metrics.iter());
    let missing = all.filter(|(id, def)| {
        let is_made = ["system", "application", "neo4j"].contains(&def.origin.as_str());
        is_made && !sampled.contains(id)
    });
    let missing: Vec<&str> = missing.map(|(_, def)| &*def.name).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(
        plan.collectors
            .iter()
            .all(|plan| matches!(plan.input, Input::Pull(_)))
    );
}

#[test]
fn the_past_is_two_weeks_and_ends_before_the_present() {
    let (demo, _) = staged(1);
    let times: Vec<UnixMillis> = demo.times().collect();
    assert_eq!(times[0], START.before(PAST));
    assert!(times.windows(2).all(|two| two[0] < two[1]));
    let last = times[times.len() - 1];
    assert!(last < START && START.since(last) <= Duration::from_secs(5));
}

#[test]
fn the_environment_names_no_directory_of_the_user() {
    let (demo, plan) = staged(1);
    for name in [
        "HOME",
        "STATE_DIRECTORY",
        "XDG_STATE_HOME",
        "RUNTIME_DIRECTORY",
    ] {
        assert_eq!(demo.environment(name), None);
    }
    assert_eq!(
        config::state_directory(&plan.root, &|name| demo.environment(name)),
        None
    );
}
