//! What comes next.

use std::time::Duration;

use bellwether_analysis::forecast::{Days, Direction, Horizon, Outlook, Target, linear, seasonal};
use bellwether_core::UnixMillis;
use bellwether_promql::SampledSeries;
use bellwether_schema::format_duration;
use serde_json::{Value, json};

use super::super::api::{number, time};
use super::Desk;
use super::course::labels;
use super::select::Selected;
use crate::answer::Trouble;
use crate::query::{Parameters, bad_data};

const HOUR: i64 = 3_600_000;
/// What a line is drawn through, and what days and weeks are learnt from.
const LINE: Duration = Duration::from_secs(6 * 3600);
const SEASONS: Duration = Duration::from_secs(5 * 7 * 24 * 3600);

/// When each series reaches `reaches`, from the line through `window`; and hour by hour what its
/// days and weeks let expect.
pub(super) fn forecast(params: &Parameters, desk: &Desk<'_>) -> Result<Value, Trouble> {
    params.only(&[
        "metric",
        "window",
        "time",
        "reaches",
        "direction",
        "within",
        "hours",
    ])?;
    let selected = Selected::read(params, desk)?;
    let window = params.span("window")?.unwrap_or(LINE);
    let directions = [
        ("rising", Direction::Rising),
        ("falling", Direction::Falling),
    ];
    let direction = params.word("direction", &directions)?;
    let within = params.span("within")?;
    let reaches = params.number("reaches")?;
    if reaches.is_none() && (within.is_some() || direction.is_some()) {
        return Err(bad_data(
            "parameter \"reaches\" is missing: the value to be reached",
        ));
    }
    let hours = params.count("hours", 48)?.unwrap_or(24);
    let lookback = within.map_or(window, |within| window.max(within * 2));
    let found = selected.series(desk, SEASONS.max(lookback))?;
    let start = selected.at.before(window);
    let mut told = Vec::new();
    for series in &found {
        desk.guard
            .check()
            .map_err(|stopped| super::select::storage(stopped.into()))?;
        let recent = series.times.partition_point(|time| *time < start.0);
        let (times, values) = (&series.times[recent..], &series.values[recent..]);
        let latest = values.iter().rev().find(|value| value.is_finite());
        let mut view = json!({
            "labels": labels(&series.labels),
            "latest": latest.copied().map(number),
            "seasonal": view_seasonal(series, selected.at, hours, most(&selected)),
        });
        if let Some(value) = reaches {
            let target = Target {
                value,
                direction: direction.unwrap_or(Direction::Rising),
            };
            view["linear"] = view_linear(times, values, selected.at, target, within);
            if let Some(within) = within {
                let horizon = Horizon {
                    target,
                    within,
                    window,
                };
                let outlook = outlook(horizon, series, selected.at);
                view["linear"]["fires"] = json!(matches!(outlook, Outlook::Soon(_)));
                view["linear"]["heldBack"] = json!(outlook.held_back());
            }
        }
        told.push(view);
    }
    Ok(json!({
        "metric": selected.asked,
        "of": selected.judged_by(),
        "window": format_duration(window),
        "time": time(selected.at),
        "reaches": reaches,
        "series": told,
    }))
}

/// What a rule would make of it.
fn outlook(horizon: Horizon, series: &SampledSeries, now: UnixMillis) -> Outlook {
    let since = |span: Duration| {
        series
            .times
            .partition_point(|time| *time < now.before(span).0)
    };
    let recent = since(horizon.lookback());
    let (times, values) = (&series.times[recent..], &series.values[recent..]);
    horizon.outlook(times, values, now, &mut Days::default(), || {
        let past = since(horizon.past().0);
        (
            series.times[past..].to_vec(),
            series.values[past..].to_vec(),
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

/// The largest value that what its name says can have.
fn most(selected: &Selected<'_>) -> f64 {
    let name = selected.name();
    match () {
        () if selected.total => f64::INFINITY,
        () if name.ends_with("_percent") => 100.0,
        () if name.ends_with("_ratio") => 1.0,
        () => f64::INFINITY,
    }
}

fn view_seasonal(series: &SampledSeries, now: UnixMillis, hours: usize, most: f64) -> Value {
    // A percentage of several cores goes further than 100.
    let beyond = series.values.iter().any(|value| *value > most);
    let most = if beyond { f64::INFINITY } else { most };
    let told = match seasonal(&series.times, &series.values, now, hours) {
        Ok(told) => told.bounded(f64::NEG_INFINITY, most),
        Err(reason) => return json!({ "reason": reason.to_string() }),
    };
    let hours = told.values.iter().enumerate().map(|(hour, value)| {
        let (low, high) = told.band(hour).unwrap_or((*value, *value));
        json!({
            "time": time(UnixMillis(told.from.0 + hour as i64 * HOUR)),
            "value": number(*value),
            "low": number(low),
            "high": number(high),
        })
    });
    json!({
        "hours": hours.collect::<Vec<_>>(),
        "error": number(told.error),
        "errorOfLastDay": number(told.error_of_last_day),
    })
}
