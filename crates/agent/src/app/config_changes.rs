//! Differences of two configurations, by name. Pure.

use std::collections::BTreeMap;

use bellwether_config::Plan;
use bellwether_core::MetricDef;
use bellwether_server::{ConfigChanges, Difference};
use serde::Serialize;
use serde_yaml::Value;

/// Returns the changes from one configuration to another. A secret that changed is none: settings
/// do not show it.
pub(super) fn changes(before: &Plan, after: &Plan) -> ConfigChanges {
    ConfigChanges {
        metrics: difference(&metrics(before), &metrics(after)),
        rules: difference(&rules(before), &rules(after)),
        channels: difference(&channels(before), &channels(after)),
    }
}

fn metrics(plan: &Plan) -> BTreeMap<&str, &MetricDef> {
    let metrics = plan.metrics.iter();
    metrics.map(|metric| (&*metric.name, metric)).collect()
}

fn rules(plan: &Plan) -> BTreeMap<String, Option<Value>> {
    let alerting = plan.rules.with_settings();
    let alerting = alerting.map(|(rule, settings)| (rule.name.to_string(), value(settings)));
    let recordings = &plan.root.performance_monitor.alerting.recording_rules;
    let recordings = recordings
        .iter()
        .map(|rule| (rule.record.value.clone(), value(rule)));
    alerting.chain(recordings).collect()
}

fn channels(plan: &Plan) -> BTreeMap<String, Option<Value>> {
    let alerting = &plan.root.performance_monitor.alerting;
    let channels = bellwether_notify::named(&alerting.notifications.channels);
    let channels = channels
        .into_iter()
        .map(|(name, channel)| (name, value(channel)));
    channels.collect()
}

fn value(settings: &impl Serialize) -> Option<Value> {
    serde_yaml::to_value(settings).ok()
}

fn difference<K: Ord + ToString, V: PartialEq>(
    before: &BTreeMap<K, V>,
    after: &BTreeMap<K, V>,
) -> Difference {
    let names = |map: &BTreeMap<K, V>, wanted: &dyn Fn(&K, &V) -> bool| {
        let entries = map.iter().filter(|(name, value)| wanted(name, value));
        entries.map(|(name, _)| name.to_string()).collect()
    };
    Difference {
        added: names(after, &|name, _| !before.contains_key(name)),
        removed: names(before, &|name, _| !after.contains_key(name)),
        altered: names(after, &|name, value| {
            before.get(name).is_some_and(|old| old != value)
        }),
    }
}
