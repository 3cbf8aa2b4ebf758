//! What moved with a metric, or with an alert.

use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::correlation::{Grid, Related, correlate};
use bellwether_analysis::report::interval;
use bellwether_core::{Alert, AlertState, METRIC_NAME, Origin, UnixMillis};
use bellwether_matcher::{LabelMatcher, ValueTest};
use bellwether_promql::{SampledSeries, selector_within};
use serde_json::{Value, json};

use super::super::api::{number, time};
use super::Desk;
use super::course::labels;
use super::params::no_answer;
use super::select::{MOST, Selected, rates, storage};
use crate::answer::Trouble;
use crate::query::{Parameters, bad_data, trouble};

/// The time looked at, where nothing else is said.
const WINDOW: Duration = Duration::from_secs(3600);
/// How far one may be behind the other, in steps.
const LAG: usize = 10;
/// How series of Bellwether itself begin.
const OWN: &str = "bellwether_";
/// Series that Prometheus makes of its own working.
const MADE: [&str; 3] = ["up", "ALERTS", "ALERTS_FOR_STATE"];
/// Series told of.
const TOP: usize = 10;

/// One series against the others over a window: that of `metric`, or that of `alert` around the
/// time when it began to fire.
pub(super) fn correlations(params: &Parameters, desk: &Desk<'_>) -> Result<Value, Trouble> {
    params.only(&[
        "metric", "alert", "match", "own", "window", "time", "lag", "top",
    ])?;
    let window = params.span("window")?.unwrap_or(WINDOW);
    let alert = params
        .given("alert")
        .map(|name| fired(name, desk))
        .transpose()?;
    let (asked, to) = match (&alert, params.given("metric")) {
        (Some(_), Some(_)) => return Err(bad_data("either \"metric\" or \"alert\", not both")),
        (Some(alert), None) => (metric_of(alert, desk)?, around(alert, window, desk.now)),
        (None, _) => {
            let selected = Selected::read(params, desk)?;
            let end = selected.at;
            (selected, end)
        }
    };
    let from = to.before(window);
    let asked = Selected { at: to, ..asked };
    let mut found = asked.series(desk, window)?;
    if found.len() > 1 {
        let some: Vec<String> = found
            .iter()
            .take(3)
            .map(|one| one.labels.to_string())
            .collect();
        let message = format!(
            "{} series; take one, such as {}",
            found.len(),
            some.join(" or ")
        );
        return Err(no_answer(message).hint("a selector with labels: cpu_percent{instance=\"a\"}"));
    }
    let Some(target) = found.pop() else {
        return Err(no_answer("no samples"));
    };
    let mut others = others(params, desk, from, to)?;
    // What Bellwether does moves with what it watches, and explains nothing of it.
    let own = params.word("own", &[("true", true), ("false", false)])?;
    let own = own.unwrap_or(params.given("match").is_some() || is_own(&target, desk));
    if !own {
        others.retain(|other| !is_own(other, desk));
    }
    let grid = Grid::over(from, to, interval(&target.times));
    let lag = params.count("lag", 100)?.unwrap_or(LAG);
    let top = params.count("top", MOST)?.unwrap_or(TOP);
    let answer = correlate(&target, &others, grid, lag, top)
        .map_err(|reason| no_answer(reason.to_string()).hint("take another window or metric"))?;
    Ok(json!({
        "metric": target.labels.to_string(),
        "of": asked.judged_by(),
        "alert": alert.map(|alert| alert.rule.to_string()),
        "from": time(from),
        "to": time(to),
        "stepSeconds": grid.step as f64 / 1000.0,
        "compared": answer.compared,
        "leftOut": answer.left_out,
        "related": answer.related.iter().map(|one| view(one, grid)).collect::<Vec<_>>(),
    }))
}

fn view(related: &Related, grid: Grid) -> Value {
    json!({
        "series": related.labels.to_string(),
        "metric": related.labels.name(),
        "labels": labels(&related.labels),
        "coefficient": number(related.coefficient),
        "lagSeconds": related.lag as f64 * grid.step as f64 / 1000.0,
        "share": related.kind.as_str(),
        "chance": number(related.chance),
        "significant": related.significant,
    })
}

/// Whether a series is of Bellwether itself.
fn is_own(series: &SampledSeries, desk: &Desk<'_>) -> bool {
    let name = series.labels.name();
    let declared = desk.metrics.iter().find(|def| *def.exported == *name);
    declared.map_or(name.starts_with(OWN), |def| def.origin == Origin::Own)
}

/// All series, or those of `match`, but for single buckets: their sum and count move alike.
fn others(
    params: &Parameters,
    desk: &Desk<'_>,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Vec<SampledSeries>, Trouble> {
    let mut alternatives = match params.given("match") {
        Some(selector) => selector_within(selector, desk.guard).map_err(trouble)?,
        None => {
            vec![vec![LabelMatcher {
                name: METRIC_NAME.into(),
                test: ValueTest::equal("", true),
            }]]
        }
    };
    let mut found: Vec<SampledSeries> = Vec::new();
    for matchers in &mut alternatives {
        matchers.push(LabelMatcher {
            name: "le".into(),
            test: ValueTest::equal("", false),
        });
        found.extend(
            desk.source
                .select(matchers, from, to, desk.guard)
                .map_err(storage)?,
        );
    }
    // What follows from an alert explains nothing of it.
    if params.given("match").is_none() {
        found.retain(|series| !MADE.contains(&series.labels.name()));
    }
    found.sort_by(|a, b| a.labels.cmp(&b.labels));
    found.dedup_by(|a, b| a.labels == b.labels);
    let totals = |series: SampledSeries| {
        let total = Selected::is_total(series.labels.name(), desk.metrics);
        if total { rates(series) } else { series }
    };
    Ok(found.into_iter().map(totals).collect())
}

/// The alert of rule `name` that began to fire last.
fn fired(name: &str, desk: &Desk<'_>) -> Result<Arc<Alert>, Trouble> {
    let of_rule = desk.alerts.iter().filter(|alert| *alert.rule == *name);
    let firing = of_rule.filter(|alert| alert.state == AlertState::Firing);
    firing
        .max_by_key(|alert| alert.fired_at)
        .cloned()
        .ok_or_else(|| {
            no_answer(format!("no firing alert of rule {name:?}"))
                .hint("/api/v1/alerts lists them; for one that has ended give metric and time")
        })
}

/// The end of the window with the beginning of the alert in its middle, or now.
fn around(alert: &Alert, window: Duration, now: UnixMillis) -> UnixMillis {
    let fired = alert.fired_at.unwrap_or(now);
    let half = i64::try_from(window.as_millis() / 2).unwrap_or(i64::MAX);
    UnixMillis(fired.0.saturating_add(half)).min(now)
}

/// The series that the alert judged.
fn metric_of<'a>(alert: &Alert, desk: &Desk<'a>) -> Result<Selected<'a>, Trouble> {
    let rule = desk.rules.iter().find(|rule| rule.name == *alert.rule);
    let metric = rule
        .and_then(|rule| rule.metric.as_deref())
        .ok_or_else(|| {
            no_answer(format!("rule {:?} judges no single metric", &*alert.rule))
                .hint("give the metric of interest and the time: metric=...&time=...")
        })?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("metric", metric)
        .finish();
    let mut selected = Selected::read(&Parameters::new(&query, b""), desk)?;
    let own = selected
        .def
        .map(|def| def.labels.clone())
        .unwrap_or_default();
    for (name, value) in alert
        .labels
        .iter()
        .filter(|(name, _)| own.iter().any(|own| **own == ***name))
    {
        let test = ValueTest::equal(value, false);
        selected.matchers.push(LabelMatcher {
            name: name.as_str().into(),
            test,
        });
    }
    Ok(selected)
}
