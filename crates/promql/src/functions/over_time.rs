//! Functions of the samples of a window, computed as in Prometheus (promql/functions.go).

use super::{Window, short_text};
use crate::ast::Call;
use crate::eval::{Eval, Evaluated};
use crate::query::QueryError;
use crate::sum::{Mean, Spread, Sum, quantile};

/// Returns the change over the range, extrapolated to its ends by at most about one sample interval, and
/// for a counter not below zero.
fn extrapolated(window: &Window<'_>, counter: bool, per_second: bool) -> Option<f64> {
    let (first, last) = (*window.values.first()?, *window.values.last()?);
    let (first_at, last_at) = (*window.times.first()?, *window.times.last()?);
    if window.values.len() < 2 {
        return None;
    }
    let mut change = last - first;
    if counter {
        let resets = window.values.windows(2).filter(|two| two[1] < two[0]);
        change += resets.map(|two| two[0]).sum::<f64>();
    }
    let sampled = (last_at - first_at) as f64 / 1000.0;
    let apart = sampled / (window.values.len() - 1) as f64;
    let far = apart * 1.1;
    let [mut before, after] = [first_at - window.start, window.end - last_at]
        .map(|millis| millis as f64 / 1000.0)
        .map(|gap| if gap >= far { apart / 2.0 } else { gap });
    if counter && change > 0.0 && first >= 0.0 {
        before = before.min(sampled * (first / change));
    }
    let mut factor = (sampled + before + after) / sampled;
    if per_second {
        factor /= (window.end - window.start) as f64 / 1000.0;
    }
    Some(change * factor)
}

pub(super) fn rate(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    extrapolated(window, true, true)
}

pub(super) fn increase(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    extrapolated(window, true, false)
}

pub(super) fn delta(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    extrapolated(window, false, false)
}

/// Returns times and values of the last two samples.
fn last_two(window: &Window<'_>) -> Option<([i64; 2], [f64; 2])> {
    Some((
        *window.times.last_chunk::<2>()?,
        *window.values.last_chunk::<2>()?,
    ))
}

pub(super) fn irate(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let ([from, to], [before, after]) = last_two(window)?;
    let change = if after < before {
        after
    } else {
        after - before
    };
    (to > from).then(|| change / ((to - from) as f64 / 1000.0))
}

pub(super) fn idelta(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    last_two(window).map(|(_, [before, after])| after - before)
}

pub(super) fn avg(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let mut mean = Mean::default();
    window.values.iter().for_each(|value| mean.add(*value));
    Some(mean.mean())
}

pub(super) fn sum(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    let mut sum = Sum::default();
    window.values.iter().for_each(|value| sum.add(*value));
    Some(sum.total())
}

pub(super) fn variance(window: &Window<'_>) -> f64 {
    let mut spread = Spread::default();
    window.values.iter().for_each(|value| spread.add(*value));
    spread.variance()
}

/// Returns the index of the last value that is better than all before it; NaN is worse than any.
fn best(values: &[f64], better: fn(f64, f64) -> bool) -> Option<usize> {
    (0..values.len()).reduce(|best, at| {
        if better(values[at], values[best]) || values[best].is_nan() {
            at
        } else {
            best
        }
    })
}

pub(super) fn max(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    best(window.values, |a, b| a > b).map(|at| window.values[at])
}

pub(super) fn min(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    best(window.values, |a, b| a < b).map(|at| window.values[at])
}

/// Returns the time of the maximum, the last one if there are several, as in Prometheus.
pub(super) fn ts_of_max(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    best(window.values, |a, b| a >= b).map(|at| window.times[at] as f64 / 1000.0)
}

/// Returns the time of the minimum, the last one if there are several, as in Prometheus.
pub(super) fn ts_of_min(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    best(window.values, |a, b| a <= b).map(|at| window.times[at] as f64 / 1000.0)
}

pub(super) fn changes(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(
        window
            .values
            .windows(2)
            .filter(|two| two[0] != two[1] && !(two[0].is_nan() && two[1].is_nan()))
            .count() as f64,
    )
}

pub(super) fn resets(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    Some(
        window
            .values
            .windows(2)
            .filter(|two| two[1] < two[0])
            .count() as f64,
    )
}

/// Returns the median absolute deviation.
pub(super) fn mad(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    if window.values.iter().any(|value| value.is_nan()) {
        return Some(f64::NAN);
    }
    let mut values = window.values.to_vec();
    let median = quantile(0.5, &mut values);
    values
        .iter_mut()
        .for_each(|value| *value = (*value - median).abs());
    Some(quantile(0.5, &mut values))
}

/// Returns slope per second and value at `at` of the least-squares line.
fn regression(window: &Window<'_>, at: i64) -> (f64, f64) {
    let first = window.values[0];
    if window.values.iter().all(|value| *value == first) {
        return if first.is_infinite() {
            (f64::NAN, f64::NAN)
        } else {
            (0.0, first)
        };
    }
    let [mut x_sum, mut y_sum, mut xy_sum, mut xx_sum] = [Sum::default(); 4];
    for (time, y) in window.times.iter().zip(window.values) {
        let x = (*time - at) as f64 / 1000.0;
        x_sum.add(x);
        y_sum.add(*y);
        xy_sum.add(x * y);
        xx_sum.add(x * x);
    }
    let count = window.values.len() as f64;
    let (x, y) = (x_sum.total(), y_sum.total());
    let slope = (xy_sum.total() - x * y / count) / (xx_sum.total() - x * x / count);
    (slope, y / count - slope * x / count)
}

pub(super) fn deriv(window: &Window<'_>, _: &[f64]) -> Option<f64> {
    (window.values.len() >= 2).then(|| regression(window, window.times[0]).0)
}

pub(super) fn predict_linear(window: &Window<'_>, ahead: &[f64]) -> Option<f64> {
    (window.values.len() >= 2).then(|| {
        let (slope, now) = regression(window, window.step);
        slope * ahead[0] + now
    })
}

/// Evaluates Holt's double exponential smoothing.
pub(super) fn smoothed(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let arguments = &call.args;
    let (level, trend) = (eval.scalar(&arguments[1])?, eval.scalar(&arguments[2])?);
    for (name, factor, values) in [("smoothing", "sf", &level), ("trend", "tf", &trend)] {
        if let Some(wrong) = values
            .iter()
            .find(|value| !(**value > 0.0 && **value < 1.0))
        {
            return Err(QueryError::Execution(format!(
                "invalid {name} factor. Expected: 0 < {factor} < 1, got: {wrong:.6}"
            )));
        }
    }
    let ranges = eval.ranges(&arguments[0])?;
    eval.over_time(ranges, false, |step, window| {
        smooth(window.values, level[step], trend[step])
    })
    .map(Evaluated::Vector)
}

fn smooth(values: &[f64], level: f64, trend: f64) -> Option<f64> {
    let [first, second, ..] = values else {
        return None;
    };
    let (mut before, mut now, mut slope) = (0.0, *first, second - first);
    for (index, value) in values[1..].iter().enumerate() {
        if index > 0 {
            slope = trend * (now - before) + (1.0 - trend) * slope;
        }
        (before, now) = (now, level * value + (1.0 - level) * (now + slope));
    }
    Some(now)
}

pub(super) fn quantiles(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let q = eval.scalar(&call.args[0])?;
    let ranges = eval.ranges(&call.args[1])?;
    let mut sorted = Vec::new();
    let vector = eval.over_time(ranges, false, |step, window| {
        if !(0.0..=1.0).contains(&q[step]) {
            let text = short_text(q[step]);
            let text = format!("quantile value should be between 0 and 1, got {text}");
            eval.notes.warn(call.args[0].span(), text);
        }
        sorted.clear();
        sorted.extend_from_slice(window.values);
        Some(quantile(q[step], &mut sorted))
    });
    vector.map(Evaluated::Vector)
}
