//! Settings under the names that Prometheus' flags have, for clients that ask a Prometheus for them.

use std::collections::BTreeMap;

use bellwether_collectors::{CollectorType, receiver};
use bellwether_config::{Plan, Source};
use bellwether_notify::KindSettings;
use bellwether_schema::HumanDuration;

use super::history::HistoryHandle;

/// Returns the flags of `/api/v1/status/flags`.
pub(super) fn flags(
    source: &Source,
    plan: &Plan,
    history_handle: Option<&HistoryHandle>,
) -> BTreeMap<&'static str, String> {
    let web = &plan.root.performance_monitor.prometheus;
    let trends = &plan.root.trend_analysis;
    let days = if trends.enabled {
        *trends.storage.retention_days
    } else {
        0
    };
    let folder = history_handle.and_then(|history_handle| history_handle.health().directory);
    let path = |path: Option<&std::path::Path>| {
        path.map(|path| path.display().to_string())
            .unwrap_or_default()
    };
    BTreeMap::from([
        (
            "config.file",
            match source {
                Source::File(file) => file.display().to_string(),
                Source::Embedded | Source::Demo => String::new(),
            },
        ),
        ("log.level", plan.root.logging.level.as_str().to_owned()),
        ("query.lookback-delta", web.query.lookback.value.to_string()),
        (
            "query.max-concurrency",
            web.query.max_concurrency.value.to_string(),
        ),
        ("query.max-samples", web.query.max_samples.value.to_string()),
        ("query.timeout", web.query.timeout.value.to_string()),
        (
            "storage.tsdb.max-block-duration",
            HumanDuration::minutes(120).to_string(),
        ),
        (
            "storage.tsdb.min-block-duration",
            HumanDuration::minutes(120).to_string(),
        ),
        ("storage.tsdb.path", path(folder.as_deref())),
        (
            "storage.tsdb.retention.size",
            trends.storage.max_bytes.value.to_string(),
        ),
        ("storage.tsdb.retention.time", format!("{days}d")),
        (
            "web.config.file",
            path(web.web_config_file.as_ref().map(|file| file.as_path())),
        ),
        ("web.cors.origin", web.cors_origin.value.clone()),
        ("web.enable-admin-api", "false".to_owned()),
        ("web.enable-lifecycle", "true".to_owned()),
        (
            "web.enable-remote-write-receiver",
            receiver(&plan.collectors, CollectorType::RemoteWrite)
                .is_some()
                .to_string(),
        ),
        ("web.external-url", String::new()),
        ("web.listen-address", web.address()),
        (
            "web.max-connections",
            web.limits.max_connections.value.to_string(),
        ),
    ])
}

/// Addresses of the Alertmanagers that are notified, without user, password and query.
pub(super) fn alertmanagers(plan: &Plan) -> Vec<String> {
    let channels = &plan
        .root
        .performance_monitor
        .alerting
        .notifications
        .channels;
    let settings = channels
        .iter()
        .filter(|channel| channel.common.enabled)
        .filter_map(|channel| match &channel.kind {
            KindSettings::Alertmanager(settings) => Some(settings),
            _ => None,
        });
    settings
        .flat_map(|settings| settings.shown_urls())
        .collect()
}
