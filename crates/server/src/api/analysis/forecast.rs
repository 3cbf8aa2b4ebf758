//! Forecasts: linear, until a threshold is reached, and seasonal, hour by hour.

use std::time::Duration;

use bellwether_analysis::forecast::{Days, Direction, Horizon, Outlook, Target, linear, seasonal};
use bellwether_core::UnixMillis;
use bellwether_promql::SampledSeries;
use bellwether_schema::format_duration;
use serde_json::{Value, json};

use super::AnalysisContext;
use super::params::{METRIC, TIME};
use super::select::Selection;
use super::trends::labels;
use crate::api::endpoints::parameter::{
    Parameter, count, duration, number as number_parameter, text,
};
use crate::api::json::{number, time};
use crate::api::query::{Parameters, bad_data};
use crate::api::response::ApiError;

const HOUR: i64 = 3_600_000;
/// Default of `window`, the history of the linear forecast.
const LINEAR_WINDOW: Duration = Duration::from_secs(6 * 3600);
const SEASONAL_WINDOW: Duration = Duration::from_secs(5 * 7 * 24 * 3600);

pub(crate) const PARAMETERS: &[Parameter] = &[
    METRIC,
    duration(
        "window",
        "history of the linear forecast; 6 hours by default",
    ),
    TIME,
    number_parameter("reaches", "value of which the time is forecast"),
    text(
        "direction",
        "`rising`, the default, or `falling`, towards `reaches`",
    ),
    duration("within", "horizon of a rule with `reaches`"),
    count(
        "hours",
        "hours of the seasonal forecast, 1 to 48; 24 by default",
    ),
];

/// Returns for each series the time when it reaches `reaches`, from the linear trend over `window`,
/// and an hourly forecast from its daily and weekly seasonality.
pub(crate) fn forecast(
    params: &Parameters,
    context: &AnalysisContext<'_>,
) -> Result<Value, ApiError> {
    params.reject_unknown(PARAMETERS)?;
    let selected = Selection::read(params, context)?;
    let window = params.positive_duration("window")?.unwrap_or(LINEAR_WINDOW);
    let directions = [
        ("rising", Direction::Rising),
        ("falling", Direction::Falling),
    ];
    let direction = params.one_of("direction", &directions)?;
    let within = params.positive_duration("within")?;
    let reaches = params.number("reaches")?;
    if reaches.is_none() && (within.is_some() || direction.is_some()) {
        return Err(bad_data(
            "parameter \"reaches\" is missing: the value to be reached",
        ));
    }
    let hours = params.count("hours", 48)?.unwrap_or(24);
    let lookback = within.map_or(window, |within| window.max(within * 2));
    let all = selected.series(context, SEASONAL_WINDOW.max(lookback))?;
    let ahead = Ahead {
        window,
        within,
        hours,
        target: reaches.map(|value| Target {
            value,
            direction: direction.unwrap_or(Direction::Rising),
        }),
    };
    let mut views = Vec::new();
    for series in &all {
        context
            .guard
            .check()
            .map_err(|stopped| super::select::storage_error(stopped.into()))?;
        views.push(view_series(series, &selected, &ahead));
    }
    Ok(json!({
        "metric": selected.selector,
        "measure": selected.measure(),
        "window": format_duration(window),
        "time": time(selected.at),
        "reaches": reaches,
        "series": views,
    }))
}

/// Parameters of the forecasts.
struct Ahead {
    /// Window of the linear trend.
    window: Duration,
    /// Horizon of a rule.
    within: Option<Duration>,
    /// Hours of the seasonal forecast.
    hours: usize,
    /// Value to be reached.
    target: Option<Target>,
}

fn view_series(series: &SampledSeries, selected: &Selection<'_>, ahead: &Ahead) -> Value {
    let start = selected.at.before(ahead.window);
    let recent = series.times.partition_point(|time| *time < start.0);
    let (times, values) = (&series.times[recent..], &series.values[recent..]);
    let latest = values.iter().rev().find(|value| value.is_finite());
    let mut view = json!({
        "labels": labels(&series.labels),
        "latest": latest.copied().map(number),
        "seasonal": view_seasonal(series, selected.at, ahead.hours, upper_bound(selected)),
    });
    let Some(target) = ahead.target else {
        return view;
    };
    view["linear"] = view_linear(times, values, selected.at, target, ahead.within);
    if let Some(within) = ahead.within {
        let horizon = Horizon {
            target,
            within,
            window: ahead.window,
        };
        let outlook = outlook(horizon, series, selected.at);
        view["linear"]["fires"] = json!(matches!(outlook, Outlook::Soon(_)));
        view["linear"]["suppressedReason"] = json!(outlook.not_firing_reason());
    }
    view
}

/// Evaluates the forecast as a rule does.
fn outlook(horizon: Horizon, series: &SampledSeries, now: UnixMillis) -> Outlook {
    let since = |span: Duration| {
        series
            .times
            .partition_point(|time| *time < now.before(span).0)
    };
    let recent = since(horizon.lookback());
    let (times, values) = (&series.times[recent..], &series.values[recent..]);
    horizon.outlook(times, values, now, &mut Days::default(), || {
        let start = since(horizon.past().0);
        (
            series.times[start..].to_vec(),
            series.values[start..].to_vec(),
        )
    })
}

fn view_linear(
    times: &[i64],
    values: &[f64],
    now: UnixMillis,
    target: Target,
    within: Option<Duration>,
) -> Value {
    match linear(times, values, now, target) {
        Err(reason) => json!({ "reason": reason.to_string() }),
        Ok(reach) => json!({
            "reachesAt": time(reach.reaches_at),
            "earliest": time(reach.earliest),
            "latest": reach.latest.map(time),
            "seconds": reach.reaches_at.since(now).as_secs_f64(),
            "text": reach.describe(now),
            "within": within.map(|within| reach.reaches_at.since(now) <= within),
            "slopePerSecond": number(reach.slope),
            "level": number(reach.level),
            "confidence": number(reach.confidence),
            "since": time(reach.since),
        }),
    }
}

/// Upper bound of the values, from the unit in the name.
fn upper_bound(selected: &Selection<'_>) -> f64 {
    let name = selected.name();
    match () {
        () if selected.is_counter => f64::INFINITY,
        () if name.ends_with("_percent") => 100.0,
        () if name.ends_with("_ratio") => 1.0,
        () => f64::INFINITY,
    }
}

fn view_seasonal(series: &SampledSeries, now: UnixMillis, hours: usize, max: f64) -> Value {
    // A percentage of several cores goes further than 100.
    let beyond = series.values.iter().any(|value| *value > max);
    let max = if beyond { f64::INFINITY } else { max };
    let forecast = match seasonal(&series.times, &series.values, now, hours) {
        Ok(forecast) => forecast.bounded(f64::NEG_INFINITY, max),
        Err(reason) => return json!({ "reason": reason.to_string() }),
    };
    let hours = forecast.values.iter().enumerate().map(|(hour, value)| {
        let (low, high) = forecast.band(hour).unwrap_or((*value, *value));
        json!({
            "time": time(UnixMillis(forecast.from.0 + hour as i64 * HOUR)),
            "value": number(*value),
            "low": number(low),
            "high": number(high),
        })
    });
    json!({
        "hours": hours.collect::<Vec<_>>(),
        "error": number(forecast.error),
        "errorOfLastDay": number(forecast.error_of_last_day),
    })
}
