//! Self-metrics of the process as a whole, and the list of those of all crates.

use std::time::Duration;

use bellwether_collectors::{application, self_process};
use bellwether_core::{MetricDef, SelfMetric, self_metrics};
use bellwether_tsdb::{history, store};

self_metrics! {
    BUILD_INFO = "bellwether_build_info" Gauge ["version", "revision", "date", "rustversion", "features"]
        "Version, commit and its date, compiler and cargo features of the running binary; always 1.";
    RULE_TICK_DURATION = "bellwether_rule_evaluation_last_duration_seconds" Gauge []
        "Duration of the last evaluation of all due rules.";
    RULE_TICKS_MISSED = "bellwether_rule_evaluations_missed_total" Counter []
        "Evaluations skipped because the previous one was still running.";
    RULE_FILES_LEFT_OUT = "bellwether_rule_files_skipped" Gauge []
        "Rule files with errors, which were left out at the start.";
    STATE_SAVE_FAILURES = "bellwether_state_save_failures_total" Counter []
        "Failed attempts to save the state of alerts.";
    STATE_ON_DISK = "bellwether_state_on_disk" Gauge []
        "Whether alerts, silences and queues are on disk; 0 while they are in memory only.";
    RELOADS = "bellwether_reloads_total" Counter ["result"]
        "Reloads of the configuration by result: success, failure.";
    LAST_RELOAD_SUCCESSFUL = "bellwether_config_last_reload_successful" Gauge []
        "Whether the last reload took effect.";
    LOADED_AT = "bellwether_config_last_reload_success_timestamp_seconds" Gauge []
        "Time at which the active configuration was loaded.";
    AUDIT_LINES_LOST = "bellwether_audit_lines_lost_total" Counter []
        "Audit lines that are not in the audit file, since it could not be written, or in no message to their channel.";
    CONFIG_HASH = "bellwether_config_hash" Gauge []
        "Hash of the files of the active configuration (CRC-32): equal on hosts with equal files.";
}

/// Lists of all crates but those of the kinds of collectors, in the order of the reference. The agent
/// has their sources.
static LISTS: &[&[&SelfMetric]] = &[
    SELF_METRICS,
    bellwether_collector::SELF_METRICS,
    bellwether_recorder::SELF_METRICS,
    application::SELF_METRICS,
    store::SELF_METRICS,
    history::SELF_METRICS,
    bellwether_rules::SELF_METRICS,
    bellwether_analysis::monitor::SELF_METRICS,
    bellwether_notify::SELF_METRICS,
    bellwether_alert_history::SELF_METRICS,
    bellwether_remote_write::SELF_METRICS,
    bellwether_server::SELF_METRICS,
    bellwether_report::SELF_METRICS,
    self_process::SELF_METRICS,
];

/// Returns the definitions of all self-metrics, for a collection every `interval`.
pub fn definitions(interval: Duration) -> impl Iterator<Item = MetricDef> {
    let metrics = LISTS.iter().copied().flatten().copied();
    let metrics = metrics.chain(bellwether_collectors::self_metrics());
    metrics.map(move |metric| metric.definition(interval))
}
