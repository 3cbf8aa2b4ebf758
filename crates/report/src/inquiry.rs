//! The questions of a report to the API of an agent.
//!
//! The agent may be this process, or another one over HTTP: [`Agent`] hides which.

mod answers;
mod episodes;

use std::collections::HashMap;
use std::time::Duration;

use answers::{
    anomaly, bottleneck, configured, forecast, health, is_number, labels, plain, trend, usage,
    vector,
};
use bellwether_core::{Labels, UnixMillis};
use episodes::Episodes;
use serde_json::Value;

use super::{AlertEpisode, Anomaly, Bottleneck, Capacity, Forecast, Health, Report, Series, Trend};
use crate::api_data::{at_steps, list};
use crate::vitals::{VITALS, Vital, exported};

/// Values of a series.
const POINTS: f64 = 240.0;
/// Records of the alert history in one page, and most pages.
const PAGE: usize = 10_000;
const MAX_PAGES: usize = 50;
/// Most series of one metric whose trend is asked for.
const MAX_TRENDS: usize = 200;
/// Begin of the answer about a metric without samples.
const NO_SAMPLES: &str = "no samples in the window";
/// Percentage at which a resource counts as full.
const FULL: f64 = 95.0;

/// Metrics whose anomalies are looked for.
const UNUSUAL: &[&str] = &[
    "cpu_percent",
    "memory_percent",
    "load_average_1m",
    "queue_length",
    "neo4j_query_duration_p95",
];
/// Metrics with a limit, in percent.
const LIMITED: &[&str] = &["disk_usage_percent", "memory_percent", "swap_percent"];

/// An agent that answers the questions of a report.
pub trait Agent {
    /// Returns the data of `path` with `parameters`. Blocks.
    ///
    /// # Errors
    /// It does not answer, or its error.
    fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Value>;
}

/// One report to make.
pub struct Inquiry<'a> {
    pub agent: &'a dyn Agent,
    pub from: UnixMillis,
    pub to: UnixMillis,
    /// Current time: what is known for now alone is in a report that ends now.
    pub now: UnixMillis,
}

impl Inquiry<'_> {
    /// Asks for everything. What fails later than the first question is named in the report.
    ///
    /// # Errors
    /// The agent does not answer.
    pub fn report(&self) -> anyhow::Result<Report> {
        let summary = self.get("/api/v1/summary", &[])?;
        let metrics = self.get("/api/v1/metrics", &[("limit", "0".into())])?;
        let metrics = list(&metrics["metrics"]);
        let mut missing = Vec::new();
        let mut report = Report {
            host: self.host(),
            version: plain(&summary["version"]),
            from: self.from,
            to: self.to,
            health: None,
            alerts: self.part(&mut missing, "alerts", self.alerts(&summary)),
            trends: self.trends(metrics, &mut missing),
            anomalies: self.anomalies(metrics, &mut missing),
            bottlenecks: self.part(&mut missing, "bottlenecks", self.bottlenecks()),
            forecasts: self.forecasts(metrics, &mut missing),
            capacity: self.capacity(metrics, &mut missing),
            metrics: VITALS
                .iter()
                .filter_map(|vital| self.chart(vital, metrics))
                .collect(),
            missing: Vec::new(),
        };
        // The score is of now alone.
        if self.is_now() {
            report.health = self.part(&mut missing, "health", self.health().map(Some));
        }
        report.missing = missing;
        Ok(report)
    }

    fn get(&self, path: &str, parameters: &[(&str, String)]) -> anyhow::Result<Value> {
        self.agent.get(path, parameters)
    }

    /// Returns the answer, or nothing and a line about the failure. A metric without samples is none.
    fn part<T: Default>(
        &self,
        missing: &mut Vec<String>,
        what: &str,
        answer: anyhow::Result<T>,
    ) -> T {
        answer.unwrap_or_else(|error| {
            if !error.to_string().starts_with(NO_SAMPLES) {
                missing.push(format!("{what}: {error:#}"));
            }
            T::default()
        })
    }

    fn seconds(&self) -> f64 {
        self.to.since(self.from).as_secs_f64()
    }

    fn end(&self) -> String {
        (self.to.0 as f64 / 1000.0).to_string()
    }

    /// Returns whether the range ends now, up to a minute.
    fn is_now(&self) -> bool {
        self.now.since(self.to) < Duration::from_secs(60)
    }

    /// Returns the name of the agent: its label `instance`, else a word.
    fn host(&self) -> String {
        let names = self
            .get("/api/v1/label/instance/values", &[])
            .unwrap_or_default();
        let names: Vec<String> = list(&names).iter().map(plain).collect();
        match &names[..] {
            [] => "this host".to_owned(),
            names => names.join(", "),
        }
    }

    fn health(&self) -> anyhow::Result<Health> {
        Ok(health(&self.get("/api/v1/score", &[])?))
    }

    fn alerts(&self, summary: &Value) -> anyhow::Result<Vec<AlertEpisode>> {
        let mut episodes = Episodes::new(self.from, self.to);
        let mut cursor = None;
        for _ in 0..MAX_PAGES {
            let mut parameters = vec![
                ("start", (self.from.0 as f64 / 1000.0).to_string()),
                ("end", self.end()),
                ("order", "oldest".to_owned()),
                ("limit", PAGE.to_string()),
            ];
            parameters.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page = self.get("/api/v1/alerts/history", &parameters)?;
            for record in list(&page["records"]) {
                episodes.record(record);
            }
            match page["nextCursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => break,
            }
        }
        if self.is_now() {
            for alert in list(&summary["alerts"]["active"]) {
                episodes.active(alert);
            }
        }
        Ok(episodes.finish())
    }

    fn trends(&self, metrics: &[Value], missing: &mut Vec<String>) -> Vec<Trend> {
        let mut trends = Vec::new();
        for metric in metrics
            .iter()
            .filter(|metric| metric["collector"] != "self" && is_number(metric))
        {
            let name = plain(&metric["name"]);
            let parameters = [
                ("metric", name.clone()),
                ("window", self.seconds().to_string()),
                ("time", self.end()),
            ];
            let answer = self.get("/api/v1/trends", &parameters);
            let answer = self.part(missing, &format!("trends of {name}"), answer);
            let series = list(&answer["windows"])
                .iter()
                .flat_map(|window| list(&window["series"]));
            let known = series.filter(|series| series["movement"].is_string());
            trends.extend(known.take(MAX_TRENDS).map(|series| trend(&name, series)));
        }
        let rank = |trend: &Trend| match trend.verdict.as_deref() {
            Some("degrading") => 0,
            Some(_) => 1,
            None => 2,
        };
        // The change that is largest beside its own mean comes first.
        let relative =
            |trend: &Trend| (trend.change / trend.mean.abs().max(f64::MIN_POSITIVE)).abs();
        trends.sort_by(|a, b| {
            rank(a)
                .cmp(&rank(b))
                .then(relative(b).total_cmp(&relative(a)))
        });
        trends
    }

    fn anomalies(&self, metrics: &[Value], missing: &mut Vec<String>) -> Vec<Anomaly> {
        let mut anomalies = Vec::new();
        for name in configured(UNUSUAL, metrics) {
            let parameters = [
                ("metric", name.to_owned()),
                ("window", self.seconds().to_string()),
                ("time", self.end()),
            ];
            let answer = self.get("/api/v1/anomalies", &parameters);
            let answer = self.part(missing, &format!("anomalies of {name}"), answer);
            for series in list(&answer["series"]) {
                let labels = labels(&series["labels"]);
                let reported = list(&series["anomalies"])
                    .iter()
                    .filter(|one| one["reported"] != false);
                anomalies.extend(reported.map(|one| anomaly(name, &labels, one)));
            }
        }
        anomalies.sort_by(|a, b| b.score.total_cmp(&a.score));
        anomalies
    }

    fn bottlenecks(&self) -> anyhow::Result<Vec<Bottleneck>> {
        let answer = self.get("/api/v1/bottlenecks", &[("time", self.end())])?;
        Ok(list(&answer["bottlenecks"])
            .iter()
            .map(bottleneck)
            .collect())
    }

    fn forecasts(&self, metrics: &[Value], missing: &mut Vec<String>) -> Vec<Forecast> {
        let mut forecasts = Vec::new();
        for name in configured(LIMITED, metrics) {
            let parameters = [
                ("metric", name.to_owned()),
                ("time", self.end()),
                ("reaches", FULL.to_string()),
                ("hours", "1".to_owned()),
            ];
            let answer = self.get("/api/v1/forecast", &parameters);
            let answer = self.part(missing, &format!("forecast of {name}"), answer);
            let reached = list(&answer["series"])
                .iter()
                .filter(|series| series["linear"]["seconds"].is_number());
            forecasts.extend(reached.map(|series| forecast(name, series, FULL)));
        }
        forecasts.retain(|forecast| forecast.latest < FULL);
        forecasts.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
        forecasts
    }

    /// Returns usage and growth of each resource with a limit: from the hour after the start to the hour before the
    /// end, so that a peak says nothing.
    fn capacity(&self, metrics: &[Value], missing: &mut Vec<String>) -> Vec<Capacity> {
        let mut capacity = Vec::new();
        for name in configured(LIMITED, metrics) {
            let exported = exported(name, metrics).unwrap_or_default();
            let at = |time: UnixMillis| {
                let parameters = [
                    ("query", format!("avg_over_time({exported}[1h])")),
                    ("time", (time.0 as f64 / 1000.0).to_string()),
                ];
                self.get("/api/v1/query", &parameters)
            };
            let before = at(self.from.after(Duration::from_secs(3600))).unwrap_or_default();
            let before: HashMap<Labels, f64> = vector(&before).collect();
            let end = self.part(missing, &format!("capacity of {name}"), at(self.to));
            capacity.extend(vector(&end).map(|(labels, now)| {
                let resource = labels.get("mount_point").cloned();
                let resource =
                    resource.unwrap_or_else(|| name.trim_end_matches("_percent").to_owned());
                usage(resource, before.get(&labels).copied(), now, self.seconds())
            }));
        }
        capacity.sort_by(|a, b| b.now.total_cmp(&a.now));
        capacity
    }

    fn chart(&self, vital: &Vital, metrics: &[Value]) -> Option<Series> {
        let step = (self.seconds() / POINTS).max(1.0);
        let rate = (step * 2.0).max(300.0).round();
        let query = vital.promql(metrics, &format!("{rate}s"))?;
        let parameters = [
            ("query", query),
            ("start", (self.from.0 as f64 / 1000.0).to_string()),
            ("end", self.end()),
            ("step", step.to_string()),
        ];
        let answer = self.get("/api/v1/query_range", &parameters).ok()?;
        let series = list(&answer["result"]).first()?;
        let (start, count) = (self.from.0 as f64 / 1000.0, self.seconds() / step);
        let values = at_steps(series, start, step, count as usize + 1);
        Some(Series {
            title: vital.title.to_owned(),
            metric: vital.metric.to_owned(),
            unit: vital.unit,
            step,
            values,
        })
    }
}
