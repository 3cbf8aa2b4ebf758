//! A report with everything, for tests.

use bellwether_core::{Labels, UnixMillis};

use super::*;

/// 2026-01-08 00:00 UTC.
pub(super) const TO: UnixMillis = UnixMillis(1_767_830_400_000);
const HOUR: i64 = 3_600_000;

/// Text that each format must escape.
pub(super) const HOSTILE: &str =
    "<script>alert(1)</script> | [x](javascript:y) \"q\" 'a' & `b`\n=1+1";

fn labels(name: &str, value: &str) -> Labels {
    Labels::from([(name.to_owned(), value.to_owned())])
}

fn alert(name: &str, severity: &str, hours_ago: i64, hours: Option<i64>) -> AlertEpisode {
    let fired_at = UnixMillis(TO.0 - hours_ago * HOUR);
    let resolved_at = hours.map(|hours| UnixMillis(fired_at.0 + hours * HOUR));
    AlertEpisode {
        alertname: name.into(),
        labels: labels("mount_point", "/data"),
        severity: severity.into(),
        fired_at,
        resolved_at,
        seconds: resolved_at.unwrap_or(TO).since(fired_at).as_secs_f64(),
        peak: Some(97.5),
        message: "/data is 91 % full".into(),
        delivered: 2,
        failed: 1,
    }
}

/// A week with two alerts that overlap and one that fires.
pub(super) fn report() -> Report {
    Report {
        host: "shop-1".into(),
        version: "0.2.0".into(),
        from: UnixMillis(TO.0 - 168 * HOUR),
        to: TO,
        health: Some(Health {
            score: 64.2,
            rating: "fair".into(),
            parts: vec![HealthPart {
                points: 18.5,
                name: "disk_full".into(),
                reason: "impact 74".into(),
            }],
        }),
        alerts: vec![
            alert("disk_full", "critical", 2, None),
            alert("slow", "warning", 50, Some(3)),
            alert("slow", "warning", 49, Some(1)),
        ],
        trends: vec![
            Trend {
                metric: "latency".into(),
                verdict: Some("degrading".into()),
                movement: "increasing".into(),
                mean: 0.4,
                p95: Some(1.0),
                change: 0.2,
                ..Trend::default()
            },
            Trend {
                metric: "steady".into(),
                movement: "stable".into(),
                ..Trend::default()
            },
        ],
        anomalies: vec![Anomaly {
            metric: "cpu_percent".into(),
            from: UnixMillis(TO.0 - 30 * HOUR),
            seconds: 1500.0,
            value: 61.0,
            expected: Some((4.0, 22.0)),
            score: 14.0,
            ..Anomaly::default()
        }],
        bottlenecks: vec![Bottleneck {
            name: "disk_full".into(),
            resource: "io".into(),
            labels: labels("mount_point", "/data"),
            impact: 74.0,
            value: 91.0,
            unit: "% full".into(),
            advice: "grow it".into(),
        }],
        forecasts: vec![Forecast {
            metric: "disk_usage_percent".into(),
            labels: labels("mount_point", "/data"),
            latest: 91.0,
            reaches: 95.0,
            seconds: 7200.0,
            text: "in 2 h".into(),
        }],
        capacity: vec![Capacity {
            resource: "/data".into(),
            before: Some(66.0),
            now: 91.0,
            per_week: Some(25.0),
            days_left: Some(1.5),
        }],
        metrics: vec![Series {
            title: "CPU".into(),
            metric: "cpu_percent".into(),
            unit: Unit::Percent,
            step: 50_400.0,
            values: vec![Some(20.0), None, Some(40.0), Some(90.0)],
        }],
        missing: vec!["anomalies of x: no history".into()],
    }
}

/// The same with a hostile text wherever text is.
pub(super) fn hostile() -> Report {
    let mut report = report();
    let text = || HOSTILE.to_owned();
    let labels = labels("mount_point", HOSTILE);
    (report.host, report.version) = (text(), text());
    for alert in &mut report.alerts {
        (alert.alertname, alert.message, alert.severity) = (text(), text(), text());
        alert.labels.clone_from(&labels);
    }
    for trend in &mut report.trends {
        (trend.metric, trend.movement, trend.verdict) = (text(), text(), Some(text()));
    }
    report.anomalies[0].metric = text();
    report.bottlenecks[0].advice = text();
    report.bottlenecks[0].unit = text();
    report.forecasts[0].text = text();
    report.capacity[0].resource = text();
    report.metrics[0].title = text();
    report.missing = vec![text()];
    if let Some(health) = &mut report.health {
        (health.rating, health.parts[0].reason, health.parts[0].name) = (text(), text(), text());
    }
    report
}
