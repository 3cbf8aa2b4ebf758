//! The views of the API, from typed data to JSON. Pure.
//!
//! Where Prometheus has the same endpoint (`alerts`, `rules`) the shape is its own, with fields
//! added; so its users and tools feel at home.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bellwether_core::{
    Alert, AlertState, Fingerprint, Labels, Now, Recorded, Severity, UnixMillis,
};
use bellwether_routing::Suppression;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::backend::{Health, RemoteHealth};

/// Data of `/api/v1/alerts`. An alert whose notifications are held has `silencedBy`, `inhibitedBy` or `acknowledgedBy`.
pub(super) fn alerts(
    alerts: &[Arc<Alert>],
    suppressions: &HashMap<Fingerprint, Suppression>,
) -> Value {
    let view = |alert: &Arc<Alert>| {
        let mut view = view_alert(alert);
        if let Some(suppression) = suppressions.get(&alert.fingerprint) {
            let inhibited_by = suppression.inhibited_by.map(|by| by.to_string());
            for (key, by) in [
                ("silencedBy", &suppression.silenced_by),
                ("inhibitedBy", &inhibited_by),
                ("acknowledgedBy", &suppression.acknowledged_by),
            ] {
                if let Some(by) = by {
                    view[key] = json!(by);
                }
            }
        }
        view
    };
    json!({ "alerts": alerts.iter().map(view).collect::<Vec<_>>() })
}

/// One alert: Prometheus' fields, then ours.
pub(super) fn view_alert(alert: &Alert) -> Value {
    json!({
        "labels": alert.all_labels(),
        "annotations": alert.annotations,
        "state": alert.state.as_str(),
        "activeAt": time(alert.active_at),
        "value": alert.value.map_or_else(|| "NaN".into(), exponent),
        "fingerprint": alert.fingerprint.to_string(),
        "rule": &*alert.rule,
        "severity": alert.severity.as_str(),
        "message": alert.message,
        "threshold": alert.threshold.map(number),
        "firedAt": alert.fired_at.map(time),
        "valueAtFire": alert.fired_value.map(number),
        "peak": alert.peak.map(number),
    })
}

/// Data of `/api/v1/health`.
pub(super) fn health(health: &Health, ready: bool, version: &str, now: Now) -> Value {
    let collectors: BTreeMap<&str, Value> = health
        .collectors
        .iter()
        .map(|(origin, collector)| {
            let view = json!({
                "success": collector.success,
                "lastDurationSeconds": collector.duration.as_secs_f64(),
                "lastSuccess": collector.last_success.map(|last| time(last.wall)),
                "ageSeconds": collector.last_success.map(|last| now.mono.since(last.mono).as_secs_f64()),
                "reason": collector.failure.as_ref().map(|failure| failure.reason),
                "error": collector.failure.as_ref().map(|failure| failure.detail.as_str()),
                "notes": collector.notes,
            });
            (origin.as_str(), view)
        })
        .collect();
    let channels = health.channels.iter().map(|channel| {
        json!({
            "name": channel.name,
            "type": channel.kind,
            "queued": channel.queued,
            "deadLetters": channel.dead_letters,
            "sent": channel.sent,
            "failed": channel.failed,
            "dropped": channel.dropped,
            "lastError": channel.last_error,
        })
    });
    json!({
        "status": status(health, ready),
        "ready": ready,
        "version": version,
        "startedAt": time(health.started.wall),
        "uptimeSeconds": now.mono.since(health.started.mono).as_secs_f64(),
        "collectors": collectors,
        "channels": channels.collect::<Vec<_>>(),
        "remoteWrite": health.remote.iter().map(view_remote).collect::<Vec<_>>(),
        "history": health.history.as_ref().map(|history| {
            json!({
                "folder": history.folder,
                "series": history.series,
                "bytes": history.bytes,
                "oldest": history.oldest.map(time),
                "damaged": history.damaged,
                "problem": history.problem,
            })
        }),
        "alertHistory": health.alert_history.as_ref().map(|history| {
            json!({
                "folder": history.folder,
                "bytes": history.bytes,
                "oldest": history.oldest.map(time),
                "damaged": history.damaged,
                "problem": history.problem,
            })
        }),
        "state": {
            "folder": health.state.folder,
            "problem": health.state.problem,
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
            "checksum": format!("{:08x}", health.configuration.checksum),
            "loadedAt": time(health.configuration.loaded_at),
        },
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

/// `starting`, `healthy`, or `degraded` where a collector, a channel, remote write, history, that of
/// alerts, the state or the last reload failed.
fn status(health: &Health, ready: bool) -> &'static str {
    let failing = failing_collectors(health).next().is_some()
        || health
            .channels
            .iter()
            .any(|channel| channel.last_error.is_some())
        || health
            .remote
            .iter()
            .any(|remote| remote.last_error.is_some())
        || health
            .history
            .as_ref()
            .is_some_and(|history| history.problem.is_some())
        || health
            .alert_history
            .as_ref()
            .is_some_and(|history| history.problem.is_some())
        || health.state.problem.is_some()
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

/// What the summary is made of beside health and alerts.
pub(super) struct Counts {
    pub(super) metrics: usize,
    pub(super) series: usize,
    pub(super) rules: usize,
    pub(super) connections: u64,
    pub(super) requests: u64,
}

/// Data of `/api/v1/summary`.
pub(super) fn summary(
    health: &Health,
    ready: bool,
    alerts: &[Arc<Alert>],
    counts: &Counts,
    version: &str,
    now: Now,
) -> Value {
    let in_state = |state| alerts.iter().filter(move |alert| alert.state == state);
    let by_severity: BTreeMap<&str, usize> = Severity::ALL
        .iter()
        .map(|severity| {
            let count = in_state(AlertState::Firing).filter(|alert| alert.severity == *severity);
            (severity.as_str(), count.count())
        })
        .collect();
    let sum = |of: fn(&super::ChannelHealth) -> u64| health.channels.iter().map(of).sum::<u64>();
    json!({
        "status": status(health, ready),
        "version": version,
        "uptimeSeconds": now.mono.since(health.started.mono).as_secs_f64(),
        "metrics": counts.metrics,
        "series": counts.series,
        "rules": counts.rules,
        "alerts": {
            "firing": in_state(AlertState::Firing).count(),
            "pending": in_state(AlertState::Pending).count(),
            "firingBySeverity": by_severity,
            "active": alerts.iter().map(|alert| view_alert(alert)).collect::<Vec<_>>(),
        },
        "collectors": {
            "enabled": health.collectors.len(),
            "failing": failing_collectors(health).collect::<Vec<_>>(),
        },
        "notifications": {
            "channels": health.channels.len(),
            "queued": health.channels.iter().map(|channel| channel.queued).sum::<usize>(),
            "sent": sum(|channel| channel.sent),
            "failed": sum(|channel| channel.failed),
            "dropped": sum(|channel| channel.dropped),
        },
        "http": { "connections": counts.connections, "requests": counts.requests },
    })
}

/// Data of `/api/v1/record`.
pub(super) fn recorded(recorded: &Recorded) -> Value {
    let refused = recorded.refused.iter().map(
        |record| json!({ "index": record.index, "reason": record.reason, "error": record.message }),
    );
    json!({
        "accepted": recorded.accepted,
        "refusedTotal": recorded.refused_total,
        "refused": refused.collect::<Vec<_>>(),
    })
}

/// A number, or what JSON has no number for as text.
pub(super) fn number(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else if value.is_nan() {
        json!("NaN")
    } else {
        json!(if value > 0.0 { "+Inf" } else { "-Inf" })
    }
}

/// Labels as a JSON object.
pub(super) fn labels<'a>(names: &'a [Arc<str>], values: impl Iterator<Item = &'a str>) -> Labels {
    names
        .iter()
        .map(ToString::to_string)
        .zip(values.map(str::to_owned))
        .collect()
}

/// As Prometheus writes an alert's value: `9.1e+01`.
fn exponent(value: f64) -> String {
    if let Value::String(text) = number(value) {
        return text;
    }
    let text = format!("{value:e}");
    let (digits, power) = text.split_once('e').unwrap_or((&text, "0"));
    match power.strip_prefix('-') {
        Some(power) => format!("{digits}e-{power:0>2}"),
        None => format!("{digits}e+{power:0>2}"),
    }
}

/// RFC 3339 in UTC.
pub(super) fn time(at: UnixMillis) -> String {
    Timestamp::from_millisecond(at.0)
        .map(|at| at.to_string())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Failure, Fingerprint, MonoMillis, Origin};

    use super::super::backend::{
        AlertHistoryHealth, ChannelHealth, CollectorHealth, HistoryHealth, StateHealth,
    };
    use super::*;

    fn alert(state: AlertState, value: Option<f64>) -> Arc<Alert> {
        let labels = Labels::from([("mount_point".to_owned(), "/".to_owned())]);
        Arc::new(Alert {
            fingerprint: Fingerprint::of("disk_full", &labels),
            rule: "disk_full".into(),
            severity: Severity::Critical,
            labels,
            annotations: Labels::from([("runbook".to_owned(), "clean up".to_owned())]),
            message: "disk / is full".into(),
            value,
            fired_value: value,
            peak: value,
            threshold: Some(90.0),
            state,
            active_at: UnixMillis(1_700_000_000_123),
            fired_at: None,
            resolved_at: None,
        })
    }

    #[test]
    fn an_alert_has_prometheus_fields() {
        let alert = alert(AlertState::Firing, Some(91.0));
        let suppression = Suppression {
            silenced_by: Some("7".into()),
            ..Suppression::default()
        };
        let suppressions = HashMap::from([(alert.fingerprint, suppression)]);
        let view = &alerts(&[alert], &suppressions)["alerts"][0];
        assert_eq!(
            (&view["silencedBy"], &view["acknowledgedBy"]),
            (&json!("7"), &Value::Null)
        );
        let expected =
            json!({"alertname": "disk_full", "severity": "critical", "mount_point": "/"});
        assert_eq!(view["labels"], expected);
        assert_eq!(view["activeAt"], "2023-11-14T22:13:20.123Z");
        assert_eq!(view["value"], "9.1e+01");
        assert_eq!(view["state"], "firing");
        assert_eq!(view["threshold"], 90.0);
        assert_eq!(
            (&view["valueAtFire"], &view["peak"]),
            (&json!(91.0), &json!(91.0))
        );
    }

    #[test]
    fn values_are_written_as_go_does() {
        for (value, expected) in [
            (0.0, "0e+00"),
            (1.0, "1e+00"),
            (-0.00012, "-1.2e-04"),
            (1.5e300, "1.5e+300"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
        ] {
            assert_eq!(exponent(value), expected);
        }
    }

    #[test]
    fn health_and_summary_tell_what_fails() {
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
        all.collectors.insert(Origin::System, good.clone());
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
            problem: Some("full".into()),
            ..past
        });
        assert_eq!(health(&all, true, "1", now)["status"], "degraded");
        all.history = None;
        let lost = AlertHistoryHealth {
            problem: Some("full".into()),
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
            (&view["status"], &view["alertHistory"]["problem"]),
            (&json!("degraded"), &json!("full"))
        );
        let state = StateHealth {
            folder: Some("/s".into()),
            problem: Some("full".into()),
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
            (&view["status"], &view["state"]["problem"]),
            (&json!("degraded"), &json!("full"))
        );
        let failure = Failure::new("connect", "refused");
        let bad = CollectorHealth {
            success: Some(false),
            failure: Some(failure),
            ..good
        };
        all.collectors.insert(Origin::Neo4j, bad);
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
        let view = summary(&all, true, &active, &counts, "1", now);
        assert_eq!(view["alerts"]["firing"], 1);
        assert_eq!(view["alerts"]["firingBySeverity"]["critical"], 1);
        assert_eq!(view["collectors"]["failing"], json!(["neo4j"]));
        assert_eq!(view["notifications"]["sent"], 6);
    }
}
