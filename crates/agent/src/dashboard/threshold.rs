//! The thresholds of rules as lines in the widgets of their metrics.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{MetricDef, Severity};
use bellwether_dashboards::Threshold;
use bellwether_rules::{Aggregate, Rule, RuleSet, RuleSettings};

use super::panels::Query;

/// Threshold of a rule.
#[derive(Clone, Debug)]
struct Limit {
    rule: String,
    /// Metric of the rule or, for an expression, its text without blanks.
    subject: String,
    aggregate: Aggregate,
    /// True if values above the threshold are bad, false if those below.
    above: bool,
    value: f64,
    severity: Severity,
}

/// Thresholds of the enabled rules. A rule with `==` or `!=` has none.
#[derive(Debug, Default)]
pub(super) struct Limits {
    all: Vec<Limit>,
    /// Configured names of metrics by exported name.
    names: HashMap<Arc<str>, Arc<str>>,
}

impl Limits {
    pub(super) fn new(rules: &RuleSet, metrics: &[MetricDef]) -> Self {
        let enabled = rules.with_settings().filter(|(rule, _)| rule.enabled);
        let names = metrics.iter();
        Self {
            all: enabled
                .flat_map(|(rule, settings)| limits_of(rule, settings))
                .collect(),
            names: names
                .map(|def| (def.exported.clone(), def.name.clone()))
                .collect(),
        }
    }

    /// Returns those on the scale of a widget that shows `query` of `def`, and for a share of
    /// `other`, multiplied by `factor`.
    pub(super) fn on_scale(
        &self,
        query: Query,
        def: &MetricDef,
        other: Option<&MetricDef>,
        factor: f64,
    ) -> Vec<Threshold> {
        let name = &*def.name;
        let subject = match other {
            Some(other) => format!("{name}/({name}+{})", other.name),
            None => name.to_owned(),
        };
        let fitting = self
            .all
            .iter()
            .filter(|limit| limit.subject == subject && fits(query, limit.aggregate));
        fitting.map(|limit| limit.threshold(factor)).collect()
    }

    /// Returns those on the scale of a `PromQL` query: a metric, its rate, or the expression of a
    /// rule.
    pub(super) fn on_query(&self, query: &str) -> Vec<Threshold> {
        let text: String = query.split_whitespace().collect();
        let (metric, shown) = match rate_of(&text) {
            Some(metric) => (metric, Query::Rate),
            None => (text.as_str(), Query::Value),
        };
        let metric = metric.split('{').next().unwrap_or_default();
        let name = self.names.get(metric).map_or(metric, |name| &**name);
        let fitting = self.all.iter().filter(|limit| {
            limit.subject == text || (limit.subject == name && fits(shown, limit.aggregate))
        });
        fitting.map(|limit| limit.threshold(1.0)).collect()
    }
}

/// Returns the metric of `rate(metric[5m])` or a sum of it, without blanks.
fn rate_of(text: &str) -> Option<&str> {
    let inner = text.split_once("rate(")?.1;
    Some(inner.split_once('[')?.0)
}

impl Limit {
    fn threshold(&self, factor: f64) -> Threshold {
        Threshold {
            value: self.value * factor,
            above: self.above,
            severity: self.severity,
            rule: Some(self.rule.clone()),
        }
    }
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
