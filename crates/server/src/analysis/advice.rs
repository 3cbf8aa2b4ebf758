//! A threshold from history, as a rule to paste.

use std::time::Duration;

use bellwether_analysis::advise::{Advice, Candidate, Side, advise as try_thresholds};
use bellwether_core::METRIC_NAME;
use bellwether_schema::format_duration;
use serde_json::{Value, json};

use super::super::api::number;
use super::Desk;
use super::params::no_answer;
use super::select::Selected;
use crate::answer::Trouble;
use crate::query::Parameters;

/// How much history is tried, where nothing else is said.
const WINDOW: Duration = Duration::from_secs(15 * 24 * 3600);

/// The threshold and duration that would have fired at most `per_week` times a week, 1 by default.
pub(super) fn advise(params: &Parameters, desk: &Desk<'_>) -> Result<Value, Trouble> {
    params.only(&["metric", "window", "time", "side", "per_week"])?;
    let selected = Selected::read(params, desk)?;
    let window = params.span("window")?.unwrap_or(WINDOW);
    let side = params.word("side", &[("above", Side::Above), ("below", Side::Below)])?;
    let target = params.number("per_week")?.unwrap_or(1.0).max(0.0);
    let series = selected.series(desk, window)?;
    let advice = try_thresholds(&series, side, target)
        .map_err(|reason| no_answer(reason.to_string()).hint("let it collect for longer"))?;
    let [min, median, max] = advice.range.map(number);
    Ok(json!({
        "metric": selected.asked,
        "of": selected.judged_by(),
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

/// A rule of the declaration. What is not declared there is judged by PromQL.
fn rule(selected: &Selected<'_>, advice: &Advice) -> String {
    let (best, condition) = (&advice.best, advice.side.condition());
    let (side, words) = match advice.side {
        Side::Above => ("high", "above"),
        Side::Below => ("low", "below"),
    };
    let page = selected
        .matchers
        .iter()
        .find(|matcher| *matcher.name == *METRIC_NAME);
    let page = page
        .and_then(|matcher| matcher.test.exact())
        .unwrap_or("metric");
    let name = selected.def.map_or(page, |def| &*def.name);
    let (threshold, hold) = (best.threshold, format_duration(best.hold));
    let rate = if selected.total {
        "  aggregation: rate\n  window: 5m\n"
    } else {
        ""
    };
    let judged = match selected.def {
        Some(_) => format!(
            "  metric: {name}\n{rate}{}  condition: \"{condition}\"\n  threshold: {threshold}\n",
            filters(selected)
        ),
        None if selected.total => {
            format!(
                "  promql: {:?}\n",
                format!("rate({}[5m]) {condition} {threshold}", selected.asked)
            )
        }
        None => format!(
            "  promql: {:?}\n",
            format!("{} {condition} {threshold}", selected.asked)
        ),
    };
    format!(
        "- name: {side}_{name}\n{judged}  duration: {hold}\n  severity: warning\n  message: \"{name} is \
         {{{{ value | humanize }}}}, {words} {threshold} for {hold}\"\n"
    )
}

/// The labels asked for, as the rule's own.
fn filters(selected: &Selected<'_>) -> String {
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
