//! Trends, what is usual, and what was not.

use std::time::Duration;

use bellwether_analysis::report::{self, Anomaly, Question, SeriesAnomalies, SeriesTrend};
use bellwether_analysis::trend::{Departure, Options, Slot, Trend, more_is_worse};
use bellwether_analysis::{Algorithm, Direction};
use bellwether_core::LabelSet;
use bellwether_schema::format_duration;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use super::super::api::{number, time};
use super::Desk;
use super::select::{Selected, storage};
use crate::answer::Trouble;
use crate::query::Parameters;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);

type Answer = Result<Value, Trouble>;

/// Labels as JSON, without the name.
pub(super) fn labels(labels: &LabelSet) -> Value {
    labels
        .iter()
        .filter(|(name, _)| *name != bellwether_core::METRIC_NAME)
        .collect()
}

/// `window` may be given several times; without it an hour, a day and a week are told.
pub(super) fn trends(params: &Parameters, desk: &Desk<'_>) -> Answer {
    params.only(&["metric", "window", "time"])?;
    let selected = Selected::read(params, desk)?;
    let windows = match params.spans("window")? {
        given if given.is_empty() => vec![HOUR, DAY, WEEK],
        given => given,
    };
    let worse = more_is_bad(&selected, desk);
    let mut told = Vec::new();
    let mut most = 0;
    for window in windows {
        let series = course(&selected, desk, window, Duration::ZERO)?;
        most = most.max(series.len());
        told.push(json!({
            "window": format_duration(window),
            "series": series.iter().map(|one| view_trend(one, worse)).collect::<Vec<_>>(),
        }));
    }
    selected.check(most, desk)?;
    Ok(json!({ "metric": selected.asked, "of": selected.judged_by(), "windows": told }))
}

fn course(
    selected: &Selected<'_>,
    desk: &Desk<'_>,
    window: Duration,
    baseline: Duration,
) -> Result<Vec<SeriesTrend>, Trouble> {
    let question = question(selected, desk, window);
    let source = selected.source(desk);
    let zone = TimeZone::system();
    report::trend(&source, &question, &Options::default(), baseline, &zone).map_err(storage)
}

fn question<'q>(selected: &'q Selected<'_>, desk: &Desk<'q>, window: Duration) -> Question<'q> {
    Question {
        matchers: &selected.matchers,
        window,
        now: selected.at,
        guard: desk.guard,
    }
}

/// Whether more of what is asked for is worse: as its rules have it, else as its name tells.
fn more_is_bad(selected: &Selected<'_>, desk: &Desk<'_>) -> Option<bool> {
    let declared = selected.def.map(|def| &*def.name);
    let of_metric = desk
        .rules
        .iter()
        .filter(|rule| declared.is_some_and(|name| rule.metric.as_deref() == Some(name)));
    let mut sides = of_metric.filter_map(|rule| match &rule.query {
        query if query.contains(" > ") || query.contains(" >= ") => Some(true),
        query if query.contains(" < ") || query.contains(" <= ") => Some(false),
        _ => None,
    });
    match sides.next() {
        Some(side) if sides.all(|other| other == side) => Some(side),
        // Its rules watch both sides.
        Some(_) => None,
        None => more_is_worse(declared.unwrap_or_else(|| selected.name())),
    }
}

fn view_trend(series: &SeriesTrend, worse: Option<bool>) -> Value {
    let mut view = match &series.trend {
        Err(reason) => json!({ "reason": reason.to_string() }),
        Ok(trend) => {
            let mut view = view_course(trend);
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

fn view_course(trend: &Trend) -> Value {
    let of = &trend.statistics;
    let quantiles = of.quantiles.iter().map(|(part, value)| {
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
        "count": of.count,
        "mean": number(of.mean),
        "min": number(of.min),
        "max": number(of.max),
        "stddev": number(of.deviation),
        "quantiles": quantiles.collect::<serde_json::Map<_, _>>(),
        "slopePerSecond": number(trend.slope),
        "slopeError": number(trend.slope_error),
        "change": number(trend.change),
        "pValue": number(trend.p_value),
        "volatility": number(trend.volatility),
    })
}

/// What is usual by hour of the day and day of the week over `window`, four weeks by default.
pub(super) fn baseline(params: &Parameters, desk: &Desk<'_>) -> Answer {
    params.only(&["metric", "window", "time"])?;
    let selected = Selected::read(params, desk)?;
    let window = params.span("window")?.unwrap_or(4 * WEEK);
    let told = course(&selected, desk, window, Duration::ZERO)?;
    selected.check(told.len(), desk)?;
    let zone = TimeZone::system();
    let series = told.iter().map(|series| {
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
        "metric": selected.asked,
        "of": selected.judged_by(),
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

/// What the declared detector, or one of `algorithm` and `sensitivity`, found in `window`.
pub(super) fn anomalies(params: &Parameters, desk: &Desk<'_>) -> Answer {
    params.only(&[
        "metric",
        "window",
        "time",
        "algorithm",
        "sensitivity",
        "direction",
    ])?;
    let selected = Selected::read(params, desk)?;
    let window = params.span("window")?.unwrap_or(DAY);
    let mut settings = desk.judgement.anomalies.clone();
    if let Some(algorithm) = params.word("algorithm", Algorithm::WORDS)? {
        (settings.algorithm, settings.sensitivity) = (algorithm, None);
    }
    settings.sensitivity = params.number("sensitivity")?.or(settings.sensitivity);
    settings.direction = params
        .word("direction", Direction::WORDS)?
        .unwrap_or(settings.direction);
    let question = question(&selected, desk, window);
    let found = report::anomalies(&selected.source(desk), &question, &settings).map_err(storage)?;
    selected.check(found.len(), desk)?;
    Ok(json!({
        "metric": selected.asked,
        "of": selected.judged_by(),
        "window": format_duration(window),
        "algorithm": settings.algorithm.as_str(),
        "sensitivity": settings.sensitivity
            .unwrap_or_else(|| settings.algorithm.usual_sensitivity()),
        "minSamples": settings.min_samples,
        "series": found.iter().map(view_anomalies).collect::<Vec<_>>(),
    }))
}

fn view_anomalies(series: &SeriesAnomalies) -> Value {
    json!({
        "labels": labels(&series.labels),
        "judged": series.judged,
        "warming": series.warming,
        "anomalies": series.found.iter().map(view_anomaly).collect::<Vec<_>>(),
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
