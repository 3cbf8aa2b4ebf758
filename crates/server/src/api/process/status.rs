//! `/api/v1/status/*`, `/api/v1/targets` and the other views of Prometheus about itself, in its
//! form.

use std::collections::BTreeMap;

use bellwether_core::Now;
use serde_json::{Value, json};

use crate::api::VERSION;
use crate::api::endpoints::parameter::{Parameter, text};
use crate::api::json::time;
use crate::api::query::{Parameters, invalid};
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;
use crate::backend::{CollectorHealth, Health, StatusBackend};

/// Version of Prometheus whose HTTP API this one is compatible with. Clients such as Grafana choose
/// their requests by it.
const COMPATIBLE_VERSION: &str = "3.0.0";

pub(crate) const TARGETS: &[Parameter] = &[
    text("state", "`active`, `dropped` or `any`, the default"),
    text("scrapePool", "name of one collector"),
];

/// Time that Prometheus writes for none.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// Returns the data of `/api/v1/status/buildinfo`.
pub(crate) fn view_build_info(_: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(build_info(VERSION))
}

/// Returns the data of `/api/v1/status/config`.
///
/// # Errors
/// The configuration cannot be serialized.
pub(crate) fn view_config(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "yaml": request.backend.configuration()? }))
}

/// Returns the data of `/api/v1/config/schema`.
pub(crate) fn view_config_schema(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(request.backend.configuration_schema())
}

/// Returns the data of `/api/v1/status/flags`.
pub(crate) fn view_flags(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(flags(request.backend.flags()))
}

/// Returns the data of `/api/v1/status/runtimeinfo`.
pub(crate) fn view_runtime_info(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(runtime_info(request.backend, request.now))
}

/// Returns the data of `/api/v1/status/walreplay`.
pub(crate) fn view_wal_replay(_: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(json!({ "min": 0, "max": 0, "current": 0, "state": "done" }))
}

/// Returns the data of `/api/v1/targets`: each collector is a target.
///
/// # Errors
/// A parameter is invalid.
pub(crate) fn view_targets(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    targets(&request.backend.health(), request.parameters)
}

/// Returns the data of `/api/v1/scrape_pools`.
pub(crate) fn view_scrape_pools(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(scrape_pools(&request.backend.health()))
}

/// Returns the data of `/api/v1/alertmanagers`.
pub(crate) fn view_alertmanagers(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(alertmanagers(&request.backend.alertmanagers()))
}

/// `version` is that of Bellwether. Without `features` Grafana takes it for a Prometheus.
fn build_info(version: &str) -> Value {
    json!({
        "version": COMPATIBLE_VERSION,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Bellwether",
        "applicationVersion": version,
    })
}

fn flags(flags: BTreeMap<&'static str, String>) -> Value {
    flags
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::String(value)))
        .collect()
}

fn runtime_info(backend: &dyn StatusBackend, now: Now) -> Value {
    let health = backend.health();
    let flags = backend.flags();
    let flag = |name: &str| flags.get(name).cloned().unwrap_or_default();
    let directory = std::env::current_dir().map(|path| path.display().to_string());
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    json!({
        "startTime": time(health.started.wall),
        "CWD": directory.unwrap_or_default(),
        "hostname": rustix::system::uname().nodename().to_string_lossy(),
        "serverTime": time(now.wall),
        "reloadConfigSuccess": health.reload.as_ref().is_none_or(|reload| reload.error.is_none()),
        "lastConfigTime": time(health.configuration.loaded_at),
        "corruptionCount": 0,
        // Words of Go's runtime, which clients expect to be there.
        "goroutineCount": 0,
        "GOMAXPROCS": threads,
        "GOMEMLIMIT": 0,
        "GOGC": "",
        "GODEBUG": "",
        "storageRetention": flag("storage.tsdb.retention.time"),
    })
}

fn targets(health: &Health, parameters: &Parameters) -> Result<Value, ApiError> {
    let active = match parameters.text("state").to_ascii_lowercase().as_str() {
        "" | "any" | "active" => true,
        "dropped" => false,
        other => return Err(invalid("state", &format!("unknown state {other:?}"))),
    };
    let pool = parameters.text("scrapePool");
    let active: Vec<Value> = health
        .collectors
        .iter()
        .filter(|(origin, _)| active && (pool.is_empty() || pool == origin.as_str()))
        .map(|(origin, collector)| target(origin.as_str(), collector))
        .collect();
    Ok(json!({
        "activeTargets": active,
        "droppedTargets": [],
        "droppedTargetCounts": {},
    }))
}

fn target(name: &str, collector: &CollectorHealth) -> Value {
    json!({
        "discoveredLabels": {},
        "labels": { "collector": name },
        "scrapePool": name,
        "scrapeUrl": "",
        "globalUrl": "",
        "lastError": collector.failure.as_ref().map_or("", |failure| failure.detail.as_str()),
        "lastScrape": collector.last_run.map_or_else(|| NEVER.to_owned(), time),
        "lastScrapeDuration": collector.duration.as_secs_f64(),
        "health": match collector.success {
            Some(true) => "up",
            Some(false) => "down",
            None => "unknown",
        },
        "scrapeInterval": seconds(collector.interval),
        "scrapeTimeout": seconds(collector.deadline),
    })
}

fn scrape_pools(health: &Health) -> Value {
    let names: Vec<&str> = health
        .collectors
        .keys()
        .map(|origin| origin.as_str())
        .collect();
    json!({ "scrapePools": names })
}

fn alertmanagers(urls: &[String]) -> Value {
    let active: Vec<Value> = urls.iter().map(|url| json!({ "url": url })).collect();
    json!({ "activeAlertmanagers": active, "droppedAlertmanagers": [] })
}

fn seconds(duration: std::time::Duration) -> String {
    format!("{}s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::{Failure, Origin, UnixMillis};

    use super::*;

    #[test]
    fn collectors_are_targets() {
        let up = CollectorHealth {
            success: Some(true),
            last_run: Some(UnixMillis(1_700_000_000_000)),
            interval: Duration::from_secs(30),
            ..CollectorHealth::default()
        };
        let down = CollectorHealth {
            success: Some(false),
            failure: Some(Failure {
                reason: "refused",
                detail: "no route".into(),
            }),
            ..CollectorHealth::default()
        };
        let collectors =
            BTreeMap::from([(Origin::new("system"), up), (Origin::new("neo4j"), down)]);
        let health = Health {
            collectors,
            ..Health::default()
        };
        let ask = |query: &str| targets(&health, &Parameters::new(query, b""));
        let data = ask("state=active").unwrap();
        let all = data["activeTargets"].as_array().unwrap();
        let of = |name: &str| {
            all.iter()
                .find(|target| target["labels"]["collector"] == name)
                .unwrap()
        };
        assert_eq!(
            (&of("system")["health"], &of("system")["scrapeInterval"]),
            (&json!("up"), &json!("30s"))
        );
        assert_eq!(of("system")["lastScrape"], "2023-11-14T22:13:20Z");
        assert_eq!(
            (&of("neo4j")["health"], &of("neo4j")["lastError"]),
            (&json!("down"), &json!("no route"))
        );
        assert_eq!(
            ask("scrapePool=neo4j").unwrap()["activeTargets"]
                .as_array()
                .unwrap()
                .len(),
            1
        );
        assert_eq!(ask("state=dropped").unwrap()["activeTargets"], json!([]));
        assert!(ask("state=lost").is_err());
        assert_eq!(
            scrape_pools(&health)["scrapePools"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
}
