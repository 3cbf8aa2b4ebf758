use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::bottleneck::{Bottleneck, Resource};
use bellwether_core::{
    Alert, AlertState, Failure, Kind, LabelSet, Labels, MetricDef, Origin, Severity, UnixMillis,
    exported_name,
};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Options, Queryable, SampledSeries, StorageError};
use serde_json::Value;

use super::bottlenecks::{bottlenecks, score};
use super::correlations::correlations;
use super::forecast::forecast;
use super::recommend::recommend_threshold;
use super::trends::{anomalies, baseline, trends};
use super::{AnalysisContext, AnalysisSettings};
use crate::api::query::Parameters;
use crate::api::response::ApiError;
use crate::backend::{CollectorHealth, Health, RuleView};

const MINUTE: i64 = 60_000;
/// Midnight of a Monday.
const START: i64 = 1_700_438_400_000;
const DAYS: i64 = 14;
const NOW: UnixMillis = UnixMillis(START + DAYS * 1440 * MINUTE);

struct Memory(Vec<SampledSeries>);

impl Queryable for Memory {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let mut selected = Vec::new();
        for series in &self.0 {
            let range = series.times.partition_point(|time| *time < from.0)
                ..series.times.partition_point(|time| *time <= to.0);
            if range.is_empty()
                || !matchers
                    .iter()
                    .all(|matcher| matcher.matches(&series.labels))
            {
                continue;
            }
            guard.charge(range.len())?;
            selected.push(SampledSeries {
                labels: series.labels.clone(),
                times: series.times[range.clone()].to_vec(),
                values: series.values[range].to_vec(),
            });
        }
        Ok(selected)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        _: UnixMillis,
        _: UnixMillis,
        _: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        let accepted = self
            .0
            .iter()
            .filter(|series| matchers.iter().all(|m| m.matches(&series.labels)));
        Ok(accepted.map(|series| series.labels.clone()).collect())
    }
}

/// Two weeks, a sample each five minutes.
fn series(name: &str, label: (&str, &str), of: impl Fn(i64) -> f64) -> SampledSeries {
    let minutes = (0..=DAYS * 288).map(|index| index * 5);
    let (times, values) = minutes
        .map(|minute| (START + minute * MINUTE, of(minute)))
        .unzip();
    SampledSeries {
        labels: LabelSet::new([("__name__", name), label]),
        times,
        values,
    }
}

fn noise(minute: i64) -> f64 {
    (minute * 7919 % 1009) as f64 / 1009.0
}

fn office(minute: i64) -> f64 {
    let busy = (8 * 60..18 * 60).contains(&(minute % 1440));
    10.0 + noise(minute) * 5.0 + if busy { 40.0 } else { 0.0 }
}

fn memory() -> Memory {
    let with_spike = |minute: i64| {
        if (19_000..19_030).contains(&minute) {
            95.0
        } else {
            office(minute)
        }
    };
    let day = (DAYS - 1) * 1440;
    Memory(vec![
        series("app_cpu_percent", ("", ""), with_spike),
        series("app_load", ("", ""), |minute| {
            with_spike(minute - 5) / 10.0 + noise(minute * 3)
        }),
        series("app_disk_percent", ("mount", "/"), |minute| {
            50.0 + (minute - day).max(0) as f64 * 0.02 + noise(minute)
        }),
        series("app_disk_percent", ("mount", "/b"), |minute| {
            20.0 + noise(minute)
        }),
        series("app_requests", ("", ""), |minute| minute as f64 * 120.0),
        series("bellwether_scrape_size_bytes", ("", ""), |minute| {
            with_spike(minute) * 1000.0
        }),
    ])
}

fn metric(name: &str, kind: Kind, labels: &[&str]) -> MetricDef {
    MetricDef {
        name: name.into(),
        exported: exported_name("app", name),
        help: "".into(),
        kind,
        labels: labels.iter().map(|label| (*label).into()).collect(),
        buckets: Arc::default(),
        quantiles: Arc::default(),
        origin: Origin::new("system"),
        interval: Duration::from_secs(300),
    }
}

fn alert() -> Arc<Alert> {
    Arc::new(Alert {
        message: "high".into(),
        value: Some(95.0),
        fired_value: Some(95.0),
        peak: Some(95.0),
        threshold: Some(90.0),
        active_at: UnixMillis(START + 19_000 * MINUTE),
        fired_at: Some(UnixMillis(START + 19_005 * MINUTE)),
        ..Alert::firing("cpu_high", Severity::Warning, Labels::new())
    })
}

fn rule() -> RuleView {
    RuleView {
        name: "cpu_high".into(),
        query: "cpu_percent > 90".into(),
        metric: Some("cpu_percent".into()),
        state: AlertState::Firing,
        ..RuleView::default()
    }
}

fn bottleneck(name: &str, promql: &str, warning: f64) -> Bottleneck {
    Bottleneck {
        name: name.into(),
        resource: Resource::Io,
        promql: promql.into(),
        warning,
        critical: warning + 10.0,
        unit: "% full",
        component: "disk".into(),
        advice: "delete".into(),
    }
}

/// Analysis of the table of endpoints.
type Analysis = fn(&Parameters, &AnalysisContext<'_>) -> Result<Value, ApiError>;

fn ask(analysis: Analysis, query: &str) -> Result<Value, (u16, String)> {
    let mut health = Health::default();
    let failure = Some(Failure::new("connect", "refused"));
    let failed = CollectorHealth {
        success: Some(false),
        failure,
        ..CollectorHealth::default()
    };
    health.collectors.insert(Origin::new("neo4j"), failed);
    let analysis_settings = AnalysisSettings {
        bottlenecks: [
            bottleneck("full", "app_disk_percent", 60.0),
            bottleneck("nothing", "app_unknown", 60.0),
            bottleneck("broken", "app_disk_percent / on() app_disk_percent", 60.0),
        ]
        .into(),
        ..AnalysisSettings::default()
    };
    let context = AnalysisContext {
        source: &memory(),
        now: NOW,
        guard: &Guard::default(),
        options: Options::default(),
        metrics: &[
            metric("cpu_percent", Kind::Gauge, &[]),
            metric("disk_percent", Kind::Gauge, &["mount"]),
            metric("requests", Kind::Counter, &[]),
            metric("duration", Kind::Histogram, &[]),
        ],
        analysis_settings: &analysis_settings,
        alerts: &[alert()],
        rules: &[rule()],
        health: &health,
    };
    let answer = analysis(&Parameters::new(query, b""), &context);
    answer.map_err(|error| {
        let hint = error
            .hint
            .map(|hint| format!("; {hint}"))
            .unwrap_or_default();
        (error.status.as_u16(), error.message + &hint)
    })
}

fn number(value: &Value) -> f64 {
    value
        .as_f64()
        .unwrap_or_else(|| panic!("no number: {value}"))
}

#[test]
fn trends_of_several_windows_and_of_a_counter_as_rate() {
    let data = ask(
        trends,
        "metric=disk_percent{mount=%22/%22}&window=6h&window=7d",
    )
    .unwrap();
    assert_eq!(data["windows"][0]["window"], "6h");
    let series = &data["windows"][0]["series"][0];
    assert_eq!(
        (&series["movement"], &series["labels"]["mount"]),
        (&"increasing".into(), &"/".into())
    );
    assert_eq!(series["verdict"], "degrading", "of a disk more is worse");
    assert!(
        (number(&series["slopePerSecond"]) - 0.02 / 60.0).abs() < 1e-5,
        "{series}"
    );
    assert!(number(&series["quantiles"]["p95"]) > number(&series["mean"]));
    let data = ask(trends, "metric=requests").unwrap();
    assert_eq!(data["measure"], "change per second");
    assert_eq!(data["windows"].as_array().unwrap().len(), 3);
    assert!((number(&data["windows"][1]["series"][0]["mean"]) - 2.0).abs() < 1e-9);
    assert_eq!(data["windows"][1]["series"][0]["movement"], "stable");
}

#[test]
fn baselines_and_anomalies() {
    let data = ask(baseline, "metric=cpu_percent").unwrap();
    let hours = data["series"][0]["hours"].as_array().unwrap();
    assert_eq!(
        (
            hours.len(),
            data["series"][0]["weekdays"].as_array().unwrap().len()
        ),
        (24, 7)
    );
    let query = "metric=cpu_percent&window=24h&time=1701597600";
    let data = ask(anomalies, &format!("{query}&algorithm=mad")).unwrap();
    assert_eq!(
        (&data["algorithm"], &data["sensitivity"]),
        (&"mad".into(), &6.0.into())
    );
    for word in ["auto", "zscore", "seasonal"] {
        let data = ask(anomalies, &format!("{query}&algorithm={word}")).unwrap();
        assert_eq!(data["algorithm"], word);
    }
    let data = ask(
        anomalies,
        "metric=cpu_percent&window=2d&algorithm=iqr&sensitivity=1",
    )
    .unwrap();
    let anomalies = data["series"][0]["anomalies"].as_array().unwrap();
    assert_eq!(anomalies.len(), 1, "{data}");
    assert_eq!(
        (&anomalies[0]["value"], &anomalies[0]["samples"]),
        (&95.0.into(), &6.into())
    );
    assert_eq!(anomalies[0]["from"], "2023-12-03T04:40:00Z");
}

#[test]
fn linear_and_seasonal_forecasts() {
    let query = "metric=disk_percent{mount=%22/%22}&reaches=95&within=24h&hours=3";
    let data = ask(forecast, query).unwrap();
    let linear = &data["series"][0]["linear"];
    // 50 and 0.02 a minute for a day are 78.8; the noise adds a half. 95 is 785 minutes off.
    assert!(
        (number(&linear["seconds"]) / 60.0 - 785.0).abs() < 40.0,
        "{linear}"
    );
    assert_eq!(linear["within"], true);
    // Seen for a day, with two weeks before it.
    assert_eq!(
        (&linear["fires"], &linear["suppressedReason"]),
        (&true.into(), &Value::Null),
        "{linear}"
    );
    assert!(
        linear["text"].as_str().unwrap().starts_with("in 1"),
        "{linear}"
    );
    let flat = ask(forecast, "metric=disk_percent{mount=%22/b%22}&reaches=95").unwrap();
    assert_eq!(
        flat["series"][0]["linear"]["reason"],
        "no significant trend"
    );
    let day = ask(forecast, "metric=cpu_percent&hours=12").unwrap();
    let hours = day["series"][0]["seasonal"]["hours"].as_array().unwrap();
    assert_eq!(hours.len(), 12);
    assert!((number(&hours[3]["value"]) - 12.5).abs() < 5.0, "{day}");
    assert!((number(&hours[10]["value"]) - 52.5).abs() < 8.0, "{day}");
    assert!(number(&hours[3]["low"]) <= number(&hours[3]["value"]));
    assert!(day["series"][0]["linear"].is_null());
}

#[test]
fn correlations_of_a_metric_and_of_an_alert() {
    let data = ask(correlations, "metric=cpu_percent&window=2d").unwrap();
    let first = &data["related"][0];
    assert_eq!(
        (&first["series"], &first["significant"]),
        (&"app_load".into(), &true.into())
    );
    assert_eq!(first["lagSeconds"], 300.0);
    let names = |query: &str| -> Vec<String> {
        let data = ask(correlations, query).unwrap();
        let related = data["related"].as_array().unwrap().clone();
        related
            .iter()
            .map(|related| related["series"].as_str().unwrap().to_owned())
            .collect()
    };
    let own = "bellwether_scrape_size_bytes".to_owned();
    assert!(!names("metric=cpu_percent&window=2d").contains(&own));
    assert!(names("metric=cpu_percent&window=2d&own=true").contains(&own));
    assert!(names("metric=cpu_percent&window=2d&match={__name__=~%22b.*%22}").contains(&own));
    assert!(!names("metric=bellwether_scrape_size_bytes&window=2d").is_empty());
    let data = ask(correlations, "alert=cpu_high&window=8h").unwrap();
    assert_eq!(data["alert"], "cpu_high");
    // The beginning of the alert in the middle of the window.
    assert_eq!(data["to"], "2023-12-03T08:45:00Z");
    assert_eq!(data["related"][0]["series"], "app_load");
    let data = ask(correlations, "metric=cpu_percent&match=app_disk_percent").unwrap_err();
    assert_eq!(data.0, 422, "{data:?}");
}

#[test]
fn bottlenecks_and_the_score_they_cost() {
    let data = ask(bottlenecks, "").unwrap();
    let first = &data["bottlenecks"][0];
    assert_eq!(
        (&first["name"], &first["labels"]["mount"]),
        (&"full".into(), &"/".into())
    );
    assert_eq!(first["impact"], 100.0, "about 79 of 60 to 70");
    assert_eq!(data["clear"][0]["labels"]["mount"], "/b");
    assert_eq!(data["withoutData"][0], "nothing");
    assert_eq!(data["failed"].as_array().map(Vec::len), Some(1), "{data}");
    let data = ask(score, "").unwrap();
    let parts: Vec<(&str, f64)> = (data["parts"].as_array().unwrap().iter())
        .map(|part| (part["name"].as_str().unwrap(), number(&part["points"])))
        .collect();
    assert_eq!(parts, [("full", 25.0), ("neo4j", 15.0), ("cpu_high", 10.0)]);
    assert_eq!(
        (&data["score"], &data["rating"]),
        (&50.0.into(), &"poor".into())
    );
}

#[test]
fn a_recommendation_is_a_rule_to_paste() {
    let data = ask(recommend_threshold, "metric=cpu_percent&per_week=1").unwrap();
    assert!(number(&data["alertsPerWeek"]) <= 1.0, "{data}");
    let rule = data["rule"].as_str().unwrap();
    let expected = format!(
        "- name: high_cpu_percent\n  metric: cpu_percent\n  condition: \">\"\n  threshold: {}\n  duration: {}\n",
        number(&data["threshold"]),
        data["duration"].as_str().unwrap()
    );
    assert!(rule.starts_with(&expected), "{rule}");
    let data = ask(recommend_threshold, "metric=disk_percent{mount!=%22/%22}").unwrap();
    assert!(
        data["rule"]
            .as_str()
            .unwrap()
            .contains("  labels: {mount: \"!=/\"}\n"),
        "{data}"
    );
    let data = ask(recommend_threshold, "metric=app_load").unwrap();
    assert!(
        data["rule"]
            .as_str()
            .unwrap()
            .contains("  promql: \"app_load > "),
        "{data}"
    );
}

#[test]
fn errors_have_hints() {
    let cases: &[(Analysis, &str, u16, &str)] = &[
        (trends, "", 400, "parameter \"metric\" is missing"),
        (
            trends,
            "metric=cpu_percent&windw=1h",
            400,
            "unknown parameter \"windw\"; there are metric, window, time",
        ),
        (
            trends,
            "metric=cpu_percent&window=soon",
            400,
            "parameter \"window\" must be a duration such as 30m, 24h or 7d, not \"soon\"",
        ),
        (
            trends,
            "metric=rate(x[5m])",
            400,
            "not a series selector: rate(x[5m])",
        ),
        (
            trends,
            "metric=cpu",
            422,
            "no samples in the window: cpu; no such metric; names near it: cpu_percent, app_cpu_percent",
        ),
        (
            forecast,
            "metric=nothing",
            422,
            "no samples in the window: nothing; no such metric; the query count by (__name__) ({__name__!=\"\"}) lists all names",
        ),
        (
            trends,
            "metric={instance=\"gone\"}",
            422,
            "no samples in the window: {instance=\"gone\"}; use a longer window, an earlier time, or other labels",
        ),
        (
            trends,
            "metric=duration",
            422,
            "duration is a histogram; ask for app_duration_count (how many) or app_duration_sum (how much)",
        ),
        (
            anomalies,
            "metric=cpu_percent&time=1",
            422,
            "no samples in the window: cpu_percent; the metric exists; use a longer window, an earlier time, or other labels",
        ),
        (
            anomalies,
            "metric=cpu_percent&algorithm=magic",
            400,
            "parameter \"algorithm\" must be one of auto, zscore, iqr, mad, seasonal, not \"magic\"",
        ),
        (
            forecast,
            "metric=cpu_percent&within=4h",
            400,
            "parameter \"reaches\" is missing",
        ),
        (
            forecast,
            "metric=cpu_percent&reaches=much",
            400,
            "parameter \"reaches\" must be a number, not \"much\"",
        ),
        (
            forecast,
            "metric=cpu_percent&hours=99",
            400,
            "parameter \"hours\" must be a whole number from 1 to 48, not \"99\"",
        ),
        (
            correlations,
            "metric=disk_percent",
            422,
            "2 series; select one, such as app_disk_percent{mount=\"/\"} or",
        ),
        (
            correlations,
            "alert=nobody",
            422,
            "no firing alert of rule \"nobody\"",
        ),
        (
            correlations,
            "alert=cpu_high&metric=cpu_percent",
            400,
            "either \"metric\" or \"alert\", not both",
        ),
        (score, "time=1", 400, "unknown parameter \"time\""),
        (
            recommend_threshold,
            "metric=cpu_percent&window=10m",
            422,
            "too little history",
        ),
    ];
    for (analysis, query, status, message) in cases {
        let data = ask(*analysis, query).unwrap_err();
        assert!(
            data.0 == *status && data.1.starts_with(message),
            "{query}: {data:?}"
        );
    }
}
