//! `/api/v1/health` and `/api/v1/summary`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bellwether_core::{Alert, AlertState, Fingerprint, Now, Severity};
use bellwether_routing::Suppression;
use serde_json::{Value, json};

use crate::api::VERSION;
use crate::api::alerts::view_alerts;
use crate::api::json::time;
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;
use crate::backend::{
    AlertHistoryHealth, ChannelHealth, CollectorHealth, Health, HistoryHealth, RemoteHealth,
    ReportHealth,
};

/// Returns the data of `/api/v1/health`.
pub(crate) fn view(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    let (backend, now) = (request.backend, request.now);
    Ok(health(&backend.health(), backend.is_ready(), VERSION, now))
}

/// Returns the data of `/api/v1/summary`, with that of `/api/v1/health` and of `/api/v1/alerts`.
pub(crate) fn view_summary(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    let ViewRequest {
        backend,
        stats,
        now,
        ..
    } = request;
    let store = backend.store();
    let requests = stats.requests();
    let counts = Counts {
        metrics: store.metrics().len(),
        series: store.series(),
        rules: backend.rules().len(),
        connections: stats.connections(),
        requests: requests.values().map(|requests| requests.count).sum(),
    };
    let (status, alerts) = (backend.health(), backend.alerts());
    let ready = backend.is_ready();
    let suppressions = backend.suppressions();
    Ok(summary(
        &status,
        ready,
        &alerts,
        &suppressions,
        &counts,
        VERSION,
        *now,
    ))
}

fn health(health: &Health, ready: bool, version: &str, now: Now) -> Value {
    let collectors: BTreeMap<&str, Value> = health
        .collectors
        .iter()
        .map(|(origin, collector)| (origin.as_str(), view_collector(collector, now)))
        .collect();
    json!({
        "status": status(health, ready),
        "ready": ready,
        "version": version,
        "startedAt": time(health.started.wall),
        "uptimeSeconds": now.mono.since(health.started.mono).as_secs_f64(),
        "collectors": collectors,
        "channels": health.channels.iter().map(view_channel).collect::<Vec<_>>(),
        "reports": health.reports.iter().map(view_report).collect::<Vec<_>>(),
        "remoteWrite": health.remote.iter().map(view_remote).collect::<Vec<_>>(),
        "history": health.history.as_ref().map(view_history),
        "alertHistory": health.alert_history.as_ref().map(view_alert_history),
        "state": {
            "directory": health.state.directory,
            "error": health.state.error,
        },
        "lastReload": health.reload.as_ref().map(|reload| {
            json!({
                "at": time(reload.at),
                "success": reload.error.is_none(),
                "error": reload.error,
            })
        }),
        "configuration": {
            "source": health.configuration.source,
            "includedFiles": health.configuration.included_files,
            "checksum": format!("{:08x}", health.configuration.checksum),
            "loadedAt": time(health.configuration.loaded_at),
        },
    })
}

fn view_collector(collector: &CollectorHealth, now: Now) -> Value {
    let failure = collector.failure.as_ref();
    json!({
        "success": collector.success,
        "lastDurationSeconds": collector.duration.as_secs_f64(),
        "lastSuccess": collector.last_success.map(|last| time(last.wall)),
        "ageSeconds": collector.last_success.map(|last| now.mono.since(last.mono).as_secs_f64()),
        "reason": failure.map(|failure| failure.reason),
        "error": failure.map(|failure| failure.detail.as_str()),
        "notes": collector.notes,
    })
}

fn view_channel(channel: &ChannelHealth) -> Value {
    json!({
        "name": channel.name,
        "type": channel.kind,
        "queued": channel.queued,
        "deadLetters": channel.dead_letters,
        "sent": channel.sent,
        "failed": channel.failed,
        "rejected": channel.rejected,
        "dropped": channel.dropped,
        "lastError": channel.last_error,
    })
}

fn view_history(history: &HistoryHealth) -> Value {
    json!({
        "directory": history.directory,
        "series": history.series,
        "bytes": history.bytes,
        "oldest": history.oldest.map(time),
        "damaged": history.damaged,
        "error": history.error,
    })
}

fn view_alert_history(history: &AlertHistoryHealth) -> Value {
    json!({
        "directory": history.directory,
        "bytes": history.bytes,
        "oldest": history.oldest.map(time),
        "damaged": history.damaged,
        "error": history.error,
    })
}

fn view_report(report: &ReportHealth) -> Value {
    json!({
        "name": report.name,
        "schedule": report.schedule,
        "next": report.next.map(time),
        "channels": report.channels,
        "queued": report.queued,
        "lastSent": report.last_sent.map(time),
        "lastError": report.last_error,
    })
}

fn view_remote(remote: &RemoteHealth) -> Value {
    json!({
        "name": remote.name,
        "sent": remote.sent,
        "lost": remote.lost,
        "pendingBytes": remote.pending_bytes,
        "newestSent": remote.newest_sent.map(time),
        "lastError": remote.last_error,
    })
}

/// Returns `starting`, `healthy`, or `degraded` if a collector, a channel, a report, remote write, history,
/// the alert history, the state directory or the last reload failed.
fn status(health: &Health, ready: bool) -> &'static str {
    let failing = failing_collectors(health).next().is_some()
        || health
            .channels
            .iter()
            .any(|channel| channel.last_error.is_some())
        || health
            .reports
            .iter()
            .any(|report| report.last_error.is_some())
        || health
            .remote
            .iter()
            .any(|remote| remote.last_error.is_some())
        || health
            .history
            .as_ref()
            .is_some_and(|history| history.error.is_some())
        || health
            .alert_history
            .as_ref()
            .is_some_and(|history| history.error.is_some())
        || health.state.error.is_some()
        || health
            .reload
            .as_ref()
            .is_some_and(|reload| reload.error.is_some());
    match (ready, failing) {
        (false, _) => "starting",
        (true, false) => "healthy",
        (true, true) => "degraded",
    }
}

fn failing_collectors(health: &Health) -> impl Iterator<Item = &'static str> {
    health
        .collectors
        .iter()
        .filter(|(_, collector)| collector.success == Some(false))
        .map(|(origin, _)| origin.as_str())
}

/// Numbers of the summary beside health and alerts.
struct Counts {
    metrics: usize,
    series: usize,
    rules: usize,
    connections: u64,
    requests: u64,
}

fn summary(
    health: &Health,
    ready: bool,
    alerts: &[Arc<Alert>],
    suppressions: &HashMap<Fingerprint, Suppression>,
    counts: &Counts,
    version: &str,
    now: Now,
) -> Value {
    let firing: Vec<_> = in_state(alerts, AlertState::Firing).collect();
    let by_severity: BTreeMap<&str, usize> = Severity::ALL
        .iter()
        .map(|severity| {
            let alerts = firing.iter().filter(|alert| alert.severity == *severity);
            (severity.as_str(), alerts.count())
        })
        .collect();
    json!({
        "status": status(health, ready),
        "version": version,
        "uptimeSeconds": now.mono.since(health.started.mono).as_secs_f64(),
        "metrics": counts.metrics,
        "series": counts.series,
        "rules": counts.rules,
        "alerts": {
            "firing": firing.len(),
            "pending": in_state(alerts, AlertState::Pending).count(),
            "firingBySeverity": by_severity,
            "active": view_alerts(alerts, suppressions),
        },
        "collectors": {
            "enabled": health.collectors.len(),
            "failing": failing_collectors(health).collect::<Vec<_>>(),
        },
        "notifications": view_notifications(&health.channels),
        "health": self::health(health, ready, version, now),
        "http": { "connections": counts.connections, "requests": counts.requests },
    })
}

fn in_state(alerts: &[Arc<Alert>], state: AlertState) -> impl Iterator<Item = &Arc<Alert>> {
    alerts.iter().filter(move |alert| alert.state == state)
}

fn view_notifications(channels: &[ChannelHealth]) -> Value {
    let (mut queued, mut sent, mut failed, mut dropped) = (0, 0, 0, 0);
    for channel in channels {
        queued += channel.queued;
        sent += channel.sent;
        failed += channel.failed;
        dropped += channel.dropped;
    }
    json!({
        "channels": channels.len(),
        "queued": queued,
        "sent": sent,
        "failed": failed,
        "dropped": dropped,
    })
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Failure, MonoMillis, Origin, UnixMillis};

    use super::*;
    use crate::api::testing::alert;
    use crate::backend::StateHealth;

    #[test]
    fn health_and_summary_name_failing_components() {
        // The wall clock was set back by an hour since the start.
        let at = |mono: u64, wall: i64| Now {
            mono: MonoMillis(mono),
            wall: UnixMillis(wall),
        };
        let now = at(100_000, 3_600_000);
        let good = CollectorHealth {
            success: Some(true),
            last_success: Some(at(99_000, 7_199_000)),
            notes: vec!["no rows since the start: q".into()],
            ..CollectorHealth::default()
        };
        let mut all = Health {
            started: at(40_000, 7_140_000),
            ..Health::default()
        };
        all.collectors.insert(Origin::new("system"), good.clone());
        let view = health(&all, true, "1", now);
        assert_eq!(view["status"], "healthy");
        assert_eq!(
            view["collectors"]["system"]["notes"][0],
            "no rows since the start: q"
        );
        let away = RemoteHealth {
            last_error: Some("refused".into()),
            ..RemoteHealth::default()
        };
        let view = health(
            &Health {
                remote: vec![away],
                ..all.clone()
            },
            true,
            "1",
            now,
        );
        assert_eq!(
            (&view["status"], &view["remoteWrite"][0]["lastError"]),
            (&json!("degraded"), &json!("refused"))
        );
        assert_eq!(health(&all, false, "1", now)["status"], "starting");
        assert_eq!(health(&all, true, "1", now)["history"], Value::Null);
        let past = HistoryHealth {
            bytes: 7,
            oldest: Some(UnixMillis(0)),
            ..HistoryHealth::default()
        };
        all.history = Some(past.clone());
        let view = health(&all, true, "1", now);
        assert_eq!(
            (&view["status"], &view["history"]["bytes"]),
            (&json!("healthy"), &json!(7))
        );
        assert_eq!(view["history"]["oldest"], "1970-01-01T00:00:00Z");
        all.history = Some(HistoryHealth {
            error: Some("full".into()),
            ..past
        });
        assert_eq!(health(&all, true, "1", now)["status"], "degraded");
        all.history = None;
        let lost = AlertHistoryHealth {
            error: Some("full".into()),
            ..Default::default()
        };
        let view = health(
            &Health {
                alert_history: Some(lost),
                ..all.clone()
            },
            true,
            "1",
            now,
        );
        assert_eq!(
            (&view["status"], &view["alertHistory"]["error"]),
            (&json!("degraded"), &json!("full"))
        );
        let state = StateHealth {
            directory: Some("/s".into()),
            error: Some("full".into()),
        };
        let view = health(
            &Health {
                state,
                ..all.clone()
            },
            true,
            "1",
            now,
        );
        assert_eq!(
            (&view["status"], &view["state"]["error"]),
            (&json!("degraded"), &json!("full"))
        );
        let failure = Failure::new("connect", "refused");
        let bad = CollectorHealth {
            success: Some(false),
            failure: Some(failure),
            ..good
        };
        all.collectors.insert(Origin::new("neo4j"), bad);
        let channel = ChannelHealth {
            name: "hook".into(),
            sent: 3,
            ..ChannelHealth::default()
        };
        all.channels = vec![channel.clone(), channel];
        let view = health(&all, true, "1", now);
        assert_eq!(view["status"], "degraded");
        assert_eq!(view["uptimeSeconds"], 60.0);
        assert_eq!(view["collectors"]["system"]["ageSeconds"], 1.0);
        assert_eq!(view["collectors"]["neo4j"]["reason"], "connect");
        let active = [
            alert(AlertState::Firing, Some(1.0)),
            alert(AlertState::Pending, None),
        ];
        let counts = Counts {
            metrics: 5,
            series: 9,
            rules: 2,
            connections: 1,
            requests: 7,
        };
        let suppression = Suppression {
            silenced_by: Some("7".into()),
            ..Suppression::default()
        };
        let suppressions = HashMap::from([(active[0].fingerprint, suppression)]);
        let view = summary(&all, true, &active, &suppressions, &counts, "1", now);
        assert_eq!(view["alerts"]["active"][0]["silencedBy"], "7");
        assert_eq!(view["health"], health(&all, true, "1", now));
        assert_eq!(view["alerts"]["firing"], 1);
        assert_eq!(view["alerts"]["firingBySeverity"]["critical"], 1);
        assert_eq!(view["collectors"]["failing"], json!(["neo4j"]));
        assert_eq!(view["notifications"]["sent"], 6);
    }
}
