//! Trends, baselines and anomalies.

use std::time::Duration;

use bellwether_analysis::report::{self, Anomaly, SeriesAnomalies, SeriesQuery, SeriesTrend};
use bellwether_analysis::trend::{Departure, Options, Slot, Trend, more_is_worse};
use bellwether_analysis::{Algorithm, Direction};
use bellwether_core::LabelSet;
use bellwether_schema::format_duration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::AnalysisContext;
use super::params::{METRIC, TIME};
use super::select::{Selection, storage_error};
use crate::api::endpoints::parameter::{Parameter, duration, number as number_parameter, text};
use crate::api::json::{number, time};
use crate::api::query::Parameters;
use crate::api::response::ApiError;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

/// Returns labels as JSON, without the name of the metric.
pub(super) fn labels(labels: &LabelSet) -> Value {
    labels
        .iter()
        .filter(|(name, _)| *name != bellwether_core::METRIC_NAME)
        .collect()
}

pub(crate) const TRENDS: &[Parameter] = &[
    METRIC,
    duration("window", "length of the window; 1h, 24h and 7d by default").repeated(),
    TIME,
];

pub(crate) const BASELINE: &[Parameter] = &[
    METRIC,
    duration("window", "length of the window; four weeks by default"),
    TIME,
];

pub(crate) const ANOMALIES: &[Parameter] = &[
    METRIC,
    duration("window", "length of the window; a day by default"),
    TIME,
    text(
        "algorithm",
        "`auto`, `zscore`, `iqr`, `mad` or `seasonal`; that of the settings by default",
    ),
    number_parameter(
        "sensitivity",
        "smallest score of an anomaly; that of the settings by default",
    ),
    text(
        "direction",
        "`above`, `below` or `both`; that of the settings by default",
    ),
];

/// Returns the trends over each `window`; the default is an hour, a day and a week.
pub(crate) fn trends(
    params: &Parameters,
    context: &AnalysisContext<'_>,
) -> Result<Value, ApiError> {
    params.reject_unknown(TRENDS)?;
    let selected = Selection::read(params, context)?;
    let windows = match params.positive_durations("window")? {
        windows if windows.is_empty() => vec![HOUR, DAY, WEEK],
        windows => windows,
    };
    let worse = is_more_worse(&selected, context);
    let mut views = Vec::new();
    let mut max_series = 0;
    for window in windows {
        let series = series_trends(&selected, context, window, Duration::ZERO)?;
        max_series = max_series.max(series.len());
        views.push(json!({
            "window": format_duration(window),
            "series": series.iter().map(|series| view_trend(series, worse)).collect::<Vec<_>>(),
        }));
    }
    selected.check(max_series, context)?;
    Ok(json!({ "metric": selected.selector, "measure": selected.measure(), "windows": views }))
}

fn series_trends(
    selected: &Selection<'_>,
    context: &AnalysisContext<'_>,
    window: Duration,
    baseline: Duration,
) -> Result<Vec<SeriesTrend>, ApiError> {
    let question = question(selected, context, window);
    let source = selected.source(context);
    let zone = TimeZone::system();
    report::trend(&source, &question, &Options::default(), baseline, &zone).map_err(storage_error)
}

fn question<'q>(
    selected: &'q Selection<'_>,
    context: &AnalysisContext<'q>,
    window: Duration,
) -> SeriesQuery<'q> {
    SeriesQuery {
        matchers: &selected.matchers,
        window,
        now: selected.at,
        guard: context.guard,
    }
}

/// Returns true if larger values are worse: by the conditions of the metric's rules, else by its
/// name. None if that is not known.
fn is_more_worse(selected: &Selection<'_>, context: &AnalysisContext<'_>) -> Option<bool> {
    let name = selected.def.map(|def| &*def.name);
    let metric_rules = context
        .rules
        .iter()
        .filter(|rule| name.is_some_and(|name| rule.metric.as_deref() == Some(name)));
    let mut sides = metric_rules.filter_map(|rule| match &rule.query {
        query if query.contains(" > ") || query.contains(" >= ") => Some(true),
        query if query.contains(" < ") || query.contains(" <= ") => Some(false),
        _ => None,
    });
    match sides.next() {
        Some(side) if sides.all(|other| other == side) => Some(side),
        // Its rules watch both sides.
        Some(_) => None,
        None => more_is_worse(name.unwrap_or_else(|| selected.name())),
    }
}

fn view_trend(series: &SeriesTrend, worse: Option<bool>) -> Value {
    let mut view = match &series.trend {
        Err(reason) => json!({ "reason": reason.to_string() }),
        Ok(trend) => {
            let mut view = view_statistics(trend);
            view["verdict"] = json!(trend.movement.verdict(worse));
            view
        }
    };
    view["labels"] = labels(&series.labels);
    view["latest"] = series
        .latest
        .map_or(Value::Null, |(_, value)| number(value));
    view
}

fn view_statistics(trend: &Trend) -> Value {
    let statistics = &trend.statistics;
    let quantiles = statistics.quantiles.iter().map(|(part, value)| {
        (
            format!("p{}", (part * 100_000.0).round() / 1000.0),
            number(*value),
        )
    });
    json!({
        "movement": trend.movement.as_str(),
        "slight": trend.slight,
        "from": time(trend.from),
        "to": time(trend.to),
        "count": statistics.count,
        "mean": number(statistics.mean),
        "min": number(statistics.min),
        "max": number(statistics.max),
        "stddev": number(statistics.deviation),
        "quantiles": quantiles.collect::<serde_json::Map<_, _>>(),
        "slopePerSecond": number(trend.slope),
        "slopeError": number(trend.slope_error),
        "change": number(trend.change),
        "pValue": number(trend.p_value),
        "volatility": number(trend.volatility),
    })
}

/// Returns the baseline by hour of the day and day of the week over `window`, four weeks by
/// default.
pub(crate) fn baseline(
    params: &Parameters,
    context: &AnalysisContext<'_>,
) -> Result<Value, ApiError> {
    params.reject_unknown(BASELINE)?;
    let selected = Selection::read(params, context)?;
    let window = params.positive_duration("window")?.unwrap_or(4 * WEEK);
    let trends = series_trends(&selected, context, window, Duration::ZERO)?;
    selected.check(trends.len(), context)?;
    let zone = TimeZone::system();
    let series = trends.iter().map(|series| {
        json!({
            "labels": labels(&series.labels),
            "latest": series.latest.map(|(at, value)| {
                json!({ "time": time(at), "value": number(value) })
            }),
            "fromHour": series.from_hour.as_ref().map(view_departure),
            "fromWeekday": series.from_weekday.as_ref().map(view_departure),
            "hours": series.baselines.hours.iter().map(view_slot).collect::<Vec<_>>(),
            "weekdays": series.baselines.weekdays.iter().map(view_slot).collect::<Vec<_>>(),
        })
    });
    Ok(json!({
        "metric": selected.selector,
        "measure": selected.measure(),
        "window": format_duration(window),
        "timeZone": zone.iana_name().unwrap_or("UTC"),
        "series": series.collect::<Vec<_>>(),
    }))
}

fn view_slot(slot: &Option<Slot>) -> Value {
    slot.map_or(Value::Null, |slot| {
        json!({ "count": slot.count, "median": number(slot.median), "spread": number(slot.spread) })
    })
}

fn view_departure(from: &Departure) -> Value {
    json!({
        "usual": number(from.usual.median),
        "difference": number(from.difference),
        "percent": from.percent.map(number),
        "score": from.score.map(number),
    })
}

/// Returns the anomalies in `window` of the configured detector, or of one with `algorithm` and
/// `sensitivity`.
pub(crate) fn anomalies(
    params: &Parameters,
    context: &AnalysisContext<'_>,
) -> Result<Value, ApiError> {
    params.reject_unknown(ANOMALIES)?;
    let selected = Selection::read(params, context)?;
    let window = params.positive_duration("window")?.unwrap_or(DAY);
    let mut settings = context.analysis_settings.anomalies.clone();
    if let Some(algorithm) = params.one_of("algorithm", Algorithm::WORDS)? {
        (settings.algorithm, settings.sensitivity) = (algorithm, None);
    }
    settings.sensitivity = params.number("sensitivity")?.or(settings.sensitivity);
    settings.direction = params
        .one_of("direction", Direction::WORDS)?
        .unwrap_or(settings.direction);
    let question = question(&selected, context, window);
    let anomalies = report::anomalies(&selected.source(context), &question, &settings)
        .map_err(storage_error)?;
    selected.check(anomalies.len(), context)?;
    Ok(json!({
        "metric": selected.selector,
        "measure": selected.measure(),
        "window": format_duration(window),
        "algorithm": settings.algorithm.as_str(),
        "sensitivity": settings.sensitivity
            .unwrap_or_else(|| settings.algorithm.usual_sensitivity()),
        "minSamples": settings.min_samples,
        "series": anomalies.iter().map(view_anomalies).collect::<Vec<_>>(),
    }))
}

fn view_anomalies(series: &SeriesAnomalies) -> Value {
    json!({
        "labels": labels(&series.labels),
        "evaluated": series.evaluated,
        "warming": series.warming,
        "anomalies": series.anomalies.iter().map(view_anomaly).collect::<Vec<_>>(),
    })
}

fn view_anomaly(anomaly: &Anomaly) -> Value {
    json!({
        "from": time(anomaly.from),
        "to": time(anomaly.to),
        "samples": anomaly.samples,
        "worstAt": time(anomaly.at),
        "value": number(anomaly.value),
        "score": number(anomaly.score),
        "expected": anomaly.expected.map(|(low, high)| [number(low), number(high)]),
        "reported": anomaly.reported,
    })
}
