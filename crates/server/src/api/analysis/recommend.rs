//! Recommended threshold from history, as a rule to paste.

use std::time::Duration;

use bellwether_analysis::recommend::{
    Candidate, Recommendation, Side, recommend as try_thresholds,
};
use bellwether_core::METRIC_NAME;
use bellwether_schema::format_duration;
use serde_json::{Value, json};

use super::AnalysisContext;
use super::params::{METRIC, TIME, unprocessable};
use super::select::Selection;
use crate::api::endpoints::parameter::{Parameter, duration, number as number_parameter, text};
use crate::api::json::number;
use crate::api::query::Parameters;
use crate::api::response::ApiError;

/// Default of `window`, the history that is tried.
const DEFAULT_WINDOW: Duration = Duration::from_secs(15 * 24 * 3600);

pub(crate) const PARAMETERS: &[Parameter] = &[
    METRIC,
    duration("window", "history that is tried; 15 days by default"),
    TIME,
    text(
        "side",
        "`above` or `below`; by default the one that fits the metric",
    ),
    number_parameter("per_week", "largest number of alerts a week; 1 by default"),
];

/// Returns the threshold and duration that would have fired at most `per_week` times a week, 1 by
/// default.
pub(crate) fn recommend_threshold(
    params: &Parameters,
    context: &AnalysisContext<'_>,
) -> Result<Value, ApiError> {
    params.reject_unknown(PARAMETERS)?;
    let selected = Selection::read(params, context)?;
    let window = params
        .positive_duration("window")?
        .unwrap_or(DEFAULT_WINDOW);
    let side = params.one_of("side", &[("above", Side::Above), ("below", Side::Below)])?;
    let target = params.number("per_week")?.unwrap_or(1.0).max(0.0);
    let series = selected.series(context, window)?;
    let advice = try_thresholds(&series, side, target)
        .map_err(|reason| unprocessable(reason.to_string()).hint("let it collect for longer"))?;
    let [min, median, max] = advice.range.map(number);
    Ok(json!({
        "metric": selected.selector,
        "measure": selected.measure(),
        "condition": advice.side.condition(),
        "threshold": number(advice.best.threshold),
        "duration": format_duration(advice.best.hold),
        "alertsPerWeek": number(advice.best.per_week),
        "alertsPerWeekAtMost": number(advice.best.at_most),
        "alerts": advice.best.alerts,
        "historySeconds": advice.span.as_secs_f64(),
        "series": advice.series,
        "samples": advice.samples,
        "range": { "min": min, "median": median, "max": max },
        "tried": advice.others.iter().map(view).collect::<Vec<_>>(),
        "rule": rule(&selected, &advice),
    }))
}

fn view(candidate: &Candidate) -> Value {
    json!({
        "threshold": number(candidate.threshold),
        "duration": format_duration(candidate.hold),
        "alertsPerWeek": number(candidate.per_week),
        "alertsPerWeekAtMost": number(candidate.at_most),
    })
}

/// Formats the recommendation as a rule of the configuration: on the metric if that is configured,
/// else in PromQL.
fn rule(selected: &Selection<'_>, advice: &Recommendation) -> String {
    let (best, condition) = (&advice.best, advice.side.condition());
    let (side, words) = match advice.side {
        Side::Above => ("high", "above"),
        Side::Below => ("low", "below"),
    };
    let exported = selected
        .matchers
        .iter()
        .find(|matcher| *matcher.name == *METRIC_NAME);
    let exported = exported
        .and_then(|matcher| matcher.test.exact())
        .unwrap_or("metric");
    let name = selected.def.map_or(exported, |def| &*def.name);
    let (threshold, hold) = (best.threshold, format_duration(best.hold));
    let rate = if selected.is_counter {
        "  aggregation: rate\n  window: 5m\n"
    } else {
        ""
    };
    let source = match selected.def {
        Some(_) => format!(
            "  metric: {name}\n{rate}{}  condition: \"{condition}\"\n  threshold: {threshold}\n",
            filters(selected)
        ),
        None if selected.is_counter => {
            format!(
                "  promql: {:?}\n",
                format!("rate({}[5m]) {condition} {threshold}", selected.selector)
            )
        }
        None => format!(
            "  promql: {:?}\n",
            format!("{} {condition} {threshold}", selected.selector)
        ),
    };
    format!(
        "- name: {side}_{name}\n{source}  duration: {hold}\n  severity: warning\n  message: \"{name} is \
         {{{{ value | humanize }}}}, {words} {threshold} for {hold}\"\n"
    )
}

/// Formats the labels of the selector as those of the rule.
fn filters(selected: &Selection<'_>) -> String {
    let others = selected
        .matchers
        .iter()
        .filter(|matcher| *matcher.name != *METRIC_NAME);
    let pairs: Vec<String> = others
        .map(|matcher| {
            let operator = matcher.test.operator();
            let operator = if operator == "=" { "" } else { operator };
            format!(
                "{}: {:?}",
                matcher.name,
                format!("{operator}{}", matcher.test.operand())
            )
        })
        .collect();
    if pairs.is_empty() {
        String::new()
    } else {
        format!("  labels: {{{}}}\n", pairs.join(", "))
    }
}
