//! Series that correlate with a metric or with an alert.

use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::correlation::{Grid, Related, correlate};
use bellwether_analysis::report::interval;
use bellwether_core::{Alert, AlertState, METRIC_NAME, Origin, UnixMillis};
use bellwether_matcher::{LabelMatcher, ValueTest};
use bellwether_promql::{SampledSeries, selector_within};
use serde_json::{Value, json};

use super::AnalysisContext;
use super::params::{METRIC, TIME, unprocessable};
use super::select::{MAX_SERIES, Selection, rates, storage_error};
use super::trends::labels;
use crate::api::endpoints::parameter::{Necessity, Parameter, boolean, count, duration, text};
use crate::api::json::{number, time};
use crate::api::query::{Parameters, bad_data, query_error};
use crate::api::response::ApiError;

/// Default of `window`.
const DEFAULT_WINDOW: Duration = Duration::from_secs(3600);
/// Default of `lag`: the most steps that one series may be behind the other.
const DEFAULT_LAG: usize = 10;
/// Prefix of the self-metrics.
const SELF_METRICS_PREFIX: &str = "bellwether_";
/// Series that Prometheus and rules create themselves.
const SYNTHETIC: [&str; 3] = ["up", "ALERTS", "ALERTS_FOR_STATE"];
/// Default of `top`: the number of series in the response.
const DEFAULT_TOP: usize = 10;

pub(crate) const PARAMETERS: &[Parameter] = &[
    METRIC.with(Necessity::Alternative),
    text("alert", "name of a rule that fires, in place of `metric`").with(Necessity::Alternative),
    text(
        "match",
        "selector of the series to compare with; all by default",
    ),
    boolean("own", "`true` compares with self-metrics too"),
    duration("window", "length of the window; an hour by default"),
    TIME,
    count(
        "lag",
        "largest number of steps between two series, 1 to 100; 10 by default",
    ),
    count("top", "largest number of results, 1 to 1000; 10 by default"),
];

/// Correlates one series with the others over a window: the series of `metric`, or that of `alert`
/// around the time when it began to fire.
pub(crate) fn correlations(
    params: &Parameters,
    context: &AnalysisContext<'_>,
) -> Result<Value, ApiError> {
    params.reject_unknown(PARAMETERS)?;
    let window = params
        .positive_duration("window")?
        .unwrap_or(DEFAULT_WINDOW);
    let alert = params
        .non_empty("alert")
        .map(|name| latest_firing(name, context))
        .transpose()?;
    let (selected, to) = match (&alert, params.non_empty("metric")) {
        (Some(_), Some(_)) => return Err(bad_data("either \"metric\" or \"alert\", not both")),
        (Some(alert), None) => (
            alert_metric(alert, context)?,
            window_end(alert, window, context.now),
        ),
        (None, _) => {
            let selected = Selection::read(params, context)?;
            let end = selected.at;
            (selected, end)
        }
    };
    let from = to.before(window);
    let selected = Selection { at: to, ..selected };
    let target = only_one(selected.series(context, window)?)?;
    let mut others = others(params, context, from, to)?;
    // Self-metrics move with everything that Bellwether watches, and explain nothing.
    let own = params.one_of("own", &[("true", true), ("false", false)])?;
    let own =
        own.unwrap_or(params.non_empty("match").is_some() || is_self_metric(&target, context));
    if !own {
        others.retain(|other| !is_self_metric(other, context));
    }
    let grid = Grid::over(from, to, interval(&target.times));
    let lag = params.count("lag", 100)?.unwrap_or(DEFAULT_LAG);
    let top = params.count("top", MAX_SERIES)?.unwrap_or(DEFAULT_TOP);
    let answer = correlate(&target, &others, grid, lag, top)
        .map_err(|reason| unprocessable(reason.to_string()).hint("use another window or metric"))?;
    Ok(json!({
        "metric": target.labels.to_string(),
        "measure": selected.measure(),
        "alert": alert.map(|alert| alert.rule.to_string()),
        "from": time(from),
        "to": time(to),
        "stepSeconds": grid.step as f64 / 1000.0,
        "compared": answer.compared,
        "skipped": answer.left_out,
        "related": answer.related.iter().map(|related| view(related, grid)).collect::<Vec<_>>(),
    }))
}

/// Returns the one series that was selected.
fn only_one(mut series: Vec<SampledSeries>) -> Result<SampledSeries, ApiError> {
    if series.len() > 1 {
        let examples: Vec<String> = series
            .iter()
            .take(3)
            .map(|series| series.labels.to_string())
            .collect();
        let message = format!(
            "{} series; select one, such as {}",
            series.len(),
            examples.join(" or ")
        );
        return Err(
            unprocessable(message).hint("a selector with labels: cpu_percent{instance=\"a\"}")
        );
    }
    series.pop().ok_or_else(|| unprocessable("no samples"))
}

fn view(related: &Related, grid: Grid) -> Value {
    json!({
        "series": related.labels.to_string(),
        "metric": related.labels.name(),
        "labels": labels(&related.labels),
        "coefficient": number(related.coefficient),
        "lagSeconds": related.lag as f64 * grid.step as f64 / 1000.0,
        "kind": related.kind.as_str(),
        "pValue": number(related.p_value),
        "significant": related.significant,
    })
}

/// Returns true for a self-metric.
fn is_self_metric(series: &SampledSeries, context: &AnalysisContext<'_>) -> bool {
    let name = series.labels.name();
    let def = context.metrics.iter().find(|def| *def.exported == *name);
    def.map_or(name.starts_with(SELF_METRICS_PREFIX), |def| {
        def.origin == Origin::SELF_METRICS
    })
}

/// Reads all series, or those of `match`, without the buckets of histograms: their sum and count
/// move alike.
fn others(
    params: &Parameters,
    context: &AnalysisContext<'_>,
    from: UnixMillis,
    to: UnixMillis,
) -> Result<Vec<SampledSeries>, ApiError> {
    let mut alternatives = match params.non_empty("match") {
        Some(selector) => selector_within(selector, context.guard).map_err(query_error)?,
        None => {
            vec![vec![LabelMatcher {
                name: METRIC_NAME.into(),
                test: ValueTest::equal("", true),
            }]]
        }
    };
    let mut all: Vec<SampledSeries> = Vec::new();
    for matchers in &mut alternatives {
        matchers.push(LabelMatcher {
            name: "le".into(),
            test: ValueTest::equal("", false),
        });
        all.extend(
            context
                .source
                .select(matchers, from, to, context.guard)
                .map_err(storage_error)?,
        );
    }
    // The series that follow from an alert do not explain it.
    if params.non_empty("match").is_none() {
        all.retain(|series| !SYNTHETIC.contains(&series.labels.name()));
    }
    all.sort_by(|a, b| a.labels.cmp(&b.labels));
    all.dedup_by(|a, b| a.labels == b.labels);
    Ok(all
        .into_iter()
        .map(|series| {
            let is_counter = Selection::is_counter_name(series.labels.name(), context.metrics);
            if is_counter { rates(series) } else { series }
        })
        .collect())
}

/// Finds the alert of rule `name` that began to fire last.
fn latest_firing(name: &str, context: &AnalysisContext<'_>) -> Result<Arc<Alert>, ApiError> {
    let of_rule = context.alerts.iter().filter(|alert| *alert.rule == *name);
    let firing = of_rule.filter(|alert| alert.state == AlertState::Firing);
    firing
        .max_by_key(|alert| alert.fired_at)
        .cloned()
        .ok_or_else(|| {
            unprocessable(format!("no firing alert of rule {name:?}"))
                .hint(
                    "`bellwether alerts` and /api/v1/alerts list those that fire; for one that has ended give metric \
                     and time",
                )
        })
}

/// Returns the end of a window with the start of the alert in its middle, at most now.
fn window_end(alert: &Alert, window: Duration, now: UnixMillis) -> UnixMillis {
    let fired = alert.fired_at.unwrap_or(now);
    let half = i64::try_from(window.as_millis() / 2).unwrap_or(i64::MAX);
    UnixMillis(fired.0.saturating_add(half)).min(now)
}

/// Selects the series of the alert.
fn alert_metric<'a>(
    alert: &Alert,
    context: &AnalysisContext<'a>,
) -> Result<Selection<'a>, ApiError> {
    let rule = context.rules.iter().find(|rule| rule.name == *alert.rule);
    let metric = rule
        .and_then(|rule| rule.metric.as_deref())
        .ok_or_else(|| {
            unprocessable(format!("rule {:?} has no single metric", &*alert.rule))
                .hint("give the metric of interest and the time in place of the alert")
        })?;
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("metric", metric)
        .finish();
    let mut selected = Selection::read(&Parameters::new(&query, b""), context)?;
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
