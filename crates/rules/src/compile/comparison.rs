//! Checks of the comparison of a rule: condition, thresholds and hysteresis.

use bellwether_core::Severity;
use bellwether_schema::{Diagnostics, SourceLocation};

use crate::eval::condition::{Comparison, Condition, Level};
use crate::expr::Outcome;
use crate::query::history_query::QueryKind;
use crate::rule::Source;
use crate::settings::RuleSettings;

/// Compiles the comparison of `rule`, whose values come from `source`; `None` if it has an error.
pub(crate) fn check(
    rule: &RuleSettings,
    source: &Source,
    problems: &mut Diagnostics,
) -> Option<Comparison> {
    let before = problems.len();
    let (condition, levels) = condition_and_levels(rule, source, problems)?;
    check_band(rule, condition, &levels, problems);
    let resolve = rule.resolve_threshold.as_ref().map(|resolve| resolve.value);
    (problems.len() == before).then_some(Comparison {
        condition,
        levels,
        resolve,
    })
}

fn condition_and_levels(
    rule: &RuleSettings,
    source: &Source,
    problems: &mut Diagnostics,
) -> Option<(Condition, Vec<Level>)> {
    let severity = rule.severity.as_ref();
    let severity = severity.map_or(Severity::Warning, |severity| severity.value);
    let single = |threshold| {
        vec![Level {
            severity,
            threshold,
        }]
    };
    let outcome = match source {
        Source::Series(formula) => &formula.outcome,
        Source::History(query) if matches!(query.kind, QueryKind::Compared) => {
            return configured_levels(rule, severity, problems);
        }
        Source::History(query) => {
            condition_itself(rule, &query.kind, problems);
            return Some((Condition::NotEquals, single(None)));
        }
    };
    match outcome {
        Outcome::Number(_) => configured_levels(rule, severity, problems),
        Outcome::Compared(_, condition, threshold) => {
            compared_already(rule, EXPRESSION, problems);
            Some((*condition, single(Some(*threshold))))
        }
        Outcome::Test(_) => {
            compared_already(rule, EXPRESSION, problems);
            if let Some(resolve) = &rule.resolve_threshold {
                let message = "the expression is true or false and has no threshold";
                problems
                    .error(&resolve.at, message)
                    .hint("compare with a number: `expr: \"a / b > 0.5\"`");
            }
            Some((Condition::NotEquals, single(None)))
        }
    }
}

/// Reports a comparison and a hysteresis of a rule whose query is a condition itself.
fn condition_itself(rule: &RuleSettings, kind: &QueryKind, problems: &mut Diagnostics) {
    let key = match kind {
        QueryKind::Forecast(_) => "forecast",
        _ => "anomaly",
    };
    compared_already(rule, key, problems);
    if let Some(resolve) = &rule.resolve_threshold {
        problems
            .error(&resolve.at, format!("`resolve_threshold` beside `{key}`"))
            .hint("for an alert that comes and goes use `keep_firing_for`");
    }
}

const EXPRESSION: &str = "expr";

/// Reports a comparison beside `key`, which is a condition itself.
fn compared_already(rule: &RuleSettings, key: &str, problems: &mut Diagnostics) {
    let places = [
        ("condition", rule.condition.as_ref().map(|c| &c.at)),
        ("threshold", rule.threshold.as_ref().map(|t| &t.at)),
        ("thresholds", rule.thresholds.as_ref().map(|t| &t.at)),
    ];
    for (name, at) in places {
        let Some(at) = at else { continue };
        if key == EXPRESSION {
            problems
                .error(at, "the expression compares already")
                .hint(format!("leave out `{name}`, or the comparison in `expr`"));
        } else {
            problems
                .error(at, format!("`{name}` beside `{key}`"))
                .hint(format!("`{key}` is a condition itself: leave it out"));
        }
    }
}

fn configured_levels(
    rule: &RuleSettings,
    severity: Severity,
    problems: &mut Diagnostics,
) -> Option<(Condition, Vec<Level>)> {
    if rule.condition.is_none() && !rule.is_broken("condition", problems) {
        problems
            .error(&rule.location(), "missing key \"condition\"")
            .hint("one of >, <, >=, <=, ==, !=");
    }
    let levels = match (&rule.threshold, &rule.thresholds) {
        (Some(threshold), None) => Some(vec![Level {
            severity,
            threshold: Some(threshold.value),
        }]),
        (None, Some(_)) => multiple_levels(rule, problems),
        (Some(_), Some(thresholds)) => {
            problems
                .error(&thresholds.at, "both `threshold` and `thresholds`")
                .hint("keep one of them");
            None
        }
        (None, None)
            if ["threshold", "thresholds"]
                .iter()
                .any(|key| rule.is_broken(key, problems)) =>
        {
            None
        }
        (None, None) => {
            problems
                .error(&rule.location(), "missing key \"threshold\"")
                .hint("`threshold: 85`, or `thresholds: {warning: 80, critical: 95}`");
            None
        }
    };
    Some((rule.condition.as_ref()?.value, levels?))
}

fn multiple_levels(rule: &RuleSettings, problems: &mut Diagnostics) -> Option<Vec<Level>> {
    let thresholds = rule.thresholds.as_ref()?;
    let before = problems.len();
    if let Some(severity) = &rule.severity {
        problems
            .error(&severity.at, "`severity` beside `thresholds`")
            .hint("each threshold is a severity of its own: leave `severity` out");
    }
    let all = [
        (Severity::Warning, thresholds.warning),
        (Severity::Critical, thresholds.critical),
        (Severity::Emergency, thresholds.emergency),
    ];
    let present = all.into_iter().filter(|(_, threshold)| threshold.is_some());
    let levels: Vec<Level> = present
        .map(|(severity, threshold)| Level {
            severity,
            threshold,
        })
        .collect();
    if levels.is_empty() {
        problems
            .error(&thresholds.at, "no threshold")
            .hint("give one or more of warning, critical, emergency");
    }
    let condition = rule.condition.as_ref()?.value;
    for pair in levels.windows(2) {
        let [mild, bad] = pair else { continue };
        if !check_order(condition, mild, bad, &thresholds.at, problems) {
            break;
        }
    }
    (problems.len() == before).then_some(levels)
}

/// Checks that `bad` is beyond `mild`; returns false if the condition has no order.
fn check_order(
    condition: Condition,
    mild: &Level,
    bad: &Level,
    at: &SourceLocation,
    problems: &mut Diagnostics,
) -> bool {
    let threshold = |level: &Level| level.threshold.unwrap_or_default();
    let (a, b) = (threshold(mild), threshold(bad));
    let condition_text = condition.as_str();
    match condition.is_beyond(b, a) {
        Some(true) => true,
        Some(false) => {
            let order = match condition.holds(1.0, 0.0) {
                true => "rise",
                false => "fall",
            };
            let (mild, bad) = (mild.severity.as_str(), bad.severity.as_str());
            problems
                .error(at, format!("{bad} {b} is not beyond {mild} {a}"))
                .hint(format!("with `{condition_text}` thresholds must {order}"));
            true
        }
        None => {
            problems
                .error(at, format!("several thresholds for `{condition_text}`"))
                .hint("use >, >=, < or <=");
            false
        }
    }
}

fn check_band(
    rule: &RuleSettings,
    condition: Condition,
    levels: &[Level],
    problems: &mut Diagnostics,
) {
    let (Some(resolve), Some(threshold)) = (
        &rule.resolve_threshold,
        levels.first().and_then(|level| level.threshold),
    ) else {
        return;
    };
    match condition.is_beyond(resolve.value, threshold) {
        Some(false) => {}
        Some(true) => {
            let side = if condition.holds(1.0, 0.0) {
                "at most"
            } else {
                "at least"
            };
            problems
                .error(
                    &resolve.at,
                    format!(
                        "an alert that fires at {} {threshold} could never resolve at {}",
                        condition.as_str(),
                        resolve.value
                    ),
                )
                .hint(format!("resolve_threshold must be {side} {threshold}"));
        }
        None => {
            problems
                .error(
                    &resolve.at,
                    format!(
                        "`resolve_threshold` has no effect with `{}`",
                        condition.as_str()
                    ),
                )
                .hint("use >, >=, < or <=");
        }
    }
}
