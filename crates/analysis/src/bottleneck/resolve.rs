//! Configured and shipped bottlenecks to PromQL over exported names.

use std::fmt::Write;

use bellwether_core::{Kind, MetricDef};
use bellwether_promql as promql;
use bellwether_schema::{Diagnostics, did_you_mean, format_duration};

use super::Bottleneck;
use super::settings::BottleneckSettings;
use super::shipped::{SHIPPED, Shipped};

/// Quantile for durations.
const QUANTILE: f64 = 0.95;

/// Resolves the shipped bottlenecks whose metrics are configured, and the configured bottlenecks;
/// reports their problems.
#[must_use]
pub fn resolve(
    declared: &[BottleneckSettings],
    metrics: &[MetricDef],
    problems: &mut Diagnostics,
) -> Vec<Bottleneck> {
    let shipped = SHIPPED
        .iter()
        .filter(|shipped| declared.iter().all(|own| *own.name.value != *shipped.name));
    let mut resolved: Vec<Bottleneck> = shipped
        .filter_map(|shipped| from_shipped(shipped, metrics))
        .collect();
    for (index, own) in declared.iter().enumerate() {
        if declared[..index]
            .iter()
            .any(|other| other.name.value == own.name.value)
        {
            let name = &own.name.value;
            problems
                .error(&own.name.at, format!("two bottlenecks are called {name:?}"))
                .hint("give each a name of its own");
        }
        if let Some(bottleneck) = from_settings(own, metrics, problems) {
            resolved.push(bottleneck);
        }
    }
    resolved
}

fn from_settings(
    own: &BottleneckSettings,
    metrics: &[MetricDef],
    problems: &mut Diagnostics,
) -> Option<Bottleneck> {
    let (warning, critical) = (own.warning.value, own.critical.value);
    if !warning.is_finite() || !critical.is_finite() || warning == critical {
        problems
            .error(
                &own.critical.at,
                format!("no way from warning {warning} to critical {critical}"),
            )
            .hint("two different numbers; critical is the smaller one where little is bad");
    }
    let promql = match (&own.metric, &own.promql) {
        (Some(metric), None) => {
            let found = metrics.iter().find(|def| *def.name == *metric.value);
            if found.is_none() {
                let names = metrics.iter().map(|def| &*def.name);
                let hint = did_you_mean(metric, names)
                    .unwrap_or_else(|| "declare it, or ask by promql".to_owned());
                problems
                    .error(
                        &metric.at,
                        format!("no metric is called {:?}", metric.value),
                    )
                    .hint(hint);
            }
            usual(found?, own)
        }
        (None, Some(promql)) => {
            if let Err(error) = promql::parse(promql) {
                problems
                    .error(&promql.at, error.to_string())
                    .hint("PromQL with the names of /metrics, such as rate(requests[5m])");
            }
            promql.value.0.clone()
        }
        (both, _) => {
            let what = if both.is_some() {
                "both metric and promql"
            } else {
                "no metric"
            };
            problems
                .error(&own.name.at, format!("{what}: {}", own.name.value))
                .hint("either metric or promql says what to look at");
            return None;
        }
    };
    own.enabled.then(|| Bottleneck {
        name: own.name.value.clone(),
        resource: own.resource,
        promql,
        warning,
        critical,
        unit: "",
        component: own
            .component
            .clone()
            .unwrap_or_else(|| own.resource.component().into()),
        advice: own
            .advice
            .clone()
            .unwrap_or_else(|| own.resource.advice().into()),
    })
}

/// Returns the usual expression for a metric over its window.
fn usual(def: &MetricDef, own: &BottleneckSettings) -> String {
    let labels: Vec<(&str, &str)> = own
        .labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let (name, window) = (&*def.exported, format_duration(own.window.0));
    match def.kind {
        Kind::Gauge => format!("avg_over_time({}[{window}])", selector(name, &labels)),
        Kind::Counter => format!("rate({}[{window}])", selector(name, &labels)),
        Kind::Histogram => {
            let buckets = selector(&format!("{name}_bucket"), &labels);
            format!("histogram_quantile({QUANTILE}, rate({buckets}[{window}]))")
        }
        Kind::Summary => {
            let nearest =
                |a: &&f64, b: &&f64| (*a - QUANTILE).abs().total_cmp(&(*b - QUANTILE).abs());
            let quantile = def
                .quantiles
                .iter()
                .min_by(nearest)
                .map(ToString::to_string)
                .unwrap_or_default();
            let labels = [labels.as_slice(), &[("quantile", &quantile)]].concat();
            format!("avg_over_time({}[{window}])", selector(name, &labels))
        }
    }
}

fn selector(name: &str, labels: &[(&str, &str)]) -> String {
    let mut text = name.to_owned();
    for (index, (label, value)) in labels.iter().enumerate() {
        let _ = write!(
            text,
            "{}{label}={value:?}",
            if index == 0 { "{" } else { "," }
        );
    }
    text + if labels.is_empty() { "" } else { "}" }
}

/// Resolves a template; `None` if one of its metrics is not configured.
fn from_shipped(shipped: &Shipped, metrics: &[MetricDef]) -> Option<Bottleneck> {
    Some(Bottleneck {
        name: shipped.name.into(),
        resource: shipped.resource,
        promql: filled(shipped.promql, metrics)?,
        warning: shipped.warning,
        critical: shipped.critical,
        unit: shipped.unit,
        component: shipped.component.into(),
        advice: shipped.advice.into(),
    })
}

/// Fills the metrics into the template.
fn filled(template: &str, metrics: &[MetricDef]) -> Option<String> {
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (inner, after) = after.split_once('}')?;
        text += before;
        let (how, metric) = inner.split_once(':').unwrap_or(("", inner));
        let (name, labels) = metric.split_once('|').unwrap_or((metric, ""));
        let def = metrics.iter().find(|def| *def.name == *name)?;
        let labels: Vec<(&str, &str)> = labels
            .split(',')
            .filter_map(|label| label.split_once('='))
            .collect();
        let series = selector(&def.exported, &labels);
        text += &match (how, def.kind) {
            ("rate", Kind::Counter) => format!("rate({series}[5m])"),
            ("rate" | "mean", _) => format!("avg_over_time({series}[5m])"),
            _ => series,
        };
        rest = after;
    }
    Some(text + rest)
}
