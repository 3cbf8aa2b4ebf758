//! The thresholds of rules as lines in the panels of their metrics.

use bellwether_core::{MetricDef, Severity};
use bellwether_rules::{Aggregate, Rule, RuleSet, RuleSettings};
use serde_json::{Value, json};

use super::panels::Query;

/// Threshold of a rule.
#[derive(Clone, Debug)]
pub(super) struct Limit {
    rule: String,
    /// Metric of the rule or, for an expression, its text without blanks.
    subject: String,
    aggregate: Aggregate,
    /// True if values above the threshold are bad, false if those below.
    above: bool,
    value: f64,
    severity: Severity,
}

/// Returns the thresholds of the enabled rules. A rule with `==` or `!=` has none.
pub(super) fn limits(rules: &RuleSet) -> Vec<Limit> {
    let enabled = rules.with_settings().filter(|(rule, _)| rule.enabled);
    enabled
        .flat_map(|(rule, settings)| limits_of(rule, settings))
        .collect()
}

fn limits_of(rule: &Rule, settings: &RuleSettings) -> Vec<Limit> {
    let Some(above) = rule.comparison.condition.is_beyond(1.0, 0.0) else {
        return Vec::new();
    };
    let subject = match (&settings.metric, &settings.expr) {
        (Some(metric), _) => metric.value.clone(),
        (None, Some(expr)) => compared_side(&expr.value),
        (None, None) => return Vec::new(),
    };
    let declared = settings
        .aggregation
        .as_ref()
        .map(|aggregation| aggregation.value.aggregate);
    let levels = rule.comparison.levels.iter();
    levels
        .filter_map(|level| {
            Some(Limit {
                rule: rule.name.to_string(),
                subject: subject.clone(),
                aggregate: declared.unwrap_or(Aggregate::Last),
                above,
                value: level.threshold?,
                severity: level.severity,
            })
        })
        .collect()
}

/// Returns `a / b` of `a / b > 0.5`, without blanks.
fn compared_side(expr: &str) -> String {
    let side = expr.split(['<', '>', '=', '!']).next().unwrap_or_default();
    side.split_whitespace().collect()
}

/// Returns those of `limits` that are on the scale of a panel that shows `query` of `def`, and for
/// a share of `other`, multiplied by `factor`.
pub(super) fn matching(
    query: Query,
    def: &MetricDef,
    other: Option<&MetricDef>,
    factor: f64,
    limits: &[Limit],
) -> Vec<Limit> {
    let name = &*def.name;
    let subject = match other {
        Some(other) => format!("{name}/({name}+{})", other.name),
        None => name.to_owned(),
    };
    let on_scale = limits
        .iter()
        .filter(|limit| limit.subject == subject && fits(query, limit.aggregate));
    on_scale
        .map(|limit| Limit {
            value: limit.value * factor,
            ..limit.clone()
        })
        .collect()
}

/// Returns whether an aggregation has the scale of a panel's query.
fn fits(query: Query, aggregate: Aggregate) -> bool {
    match (query, aggregate) {
        (
            Query::Value,
            Aggregate::Last | Aggregate::Max | Aggregate::Min | Aggregate::Quantile(_),
        )
        | (Query::Value | Query::Mean, Aggregate::Mean)
        | (Query::Rate, Aggregate::Rate)
        | (Query::ShareWith(_), Aggregate::Last) => true,
        (Query::Quantile(shown), Aggregate::Quantile(compared)) => (shown - compared).abs() < 1e-9,
        _ => false,
    }
}

/// Returns Grafana's threshold steps. Each applies from its value up to the next; the first has
/// none.
pub(super) fn steps(limits: &[Limit]) -> Value {
    let mut edges: Vec<f64> = limits.iter().map(|limit| limit.value).collect();
    edges.sort_by(f64::total_cmp);
    edges.dedup();
    let mut steps = vec![json!({"color": worst(limits, f64::NEG_INFINITY), "value": null})];
    steps.extend(
        edges
            .iter()
            .map(|edge| json!({"color": worst(limits, *edge), "value": edge})),
    );
    Value::Array(steps)
}

/// Returns the color just above `value`: that of the most severe threshold exceeded there.
fn worst(limits: &[Limit], value: f64) -> &'static str {
    let severity = limits
        .iter()
        .filter(|limit| {
            if limit.above {
                value >= limit.value
            } else {
                value < limit.value
            }
        })
        .map(|limit| limit.severity)
        .max();
    match severity {
        None => "green",
        Some(Severity::Info) => "blue",
        Some(Severity::Warning) => "orange",
        Some(Severity::Critical) => "red",
        Some(Severity::Emergency) => "purple",
    }
}

/// Returns the thresholds as text, since color alone is not accessible.
pub(super) fn in_words(limits: &[Limit]) -> String {
    let words = limits.iter().map(|limit| {
        let side = if limit.above { "above" } else { "below" };
        format!(
            " Rule {}: {} {side} {}.",
            limit.rule,
            limit.severity.as_str(),
            limit.value
        )
    });
    words.collect()
}
