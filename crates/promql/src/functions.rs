//! Functions, as a table of names and implementations.

mod date;
mod info;
mod math;
mod over_time;
mod series;

use bellwether_core::GoQuoted;

use super::ast::{Call, Expr};
use super::eval::{ABSENT, Eval, Evaluated, Series, absent, name_of};
use super::query::QueryError;

/// Samples of one series that one step selects from a range.
pub(super) struct Window<'a> {
    /// Milliseconds, ascending, never empty.
    pub(super) times: &'a [i64],
    pub(super) values: &'a [f64],
    /// Start of the range in milliseconds, exclusive.
    pub(super) start: i64,
    /// End of the range, inclusive.
    pub(super) end: i64,
    /// Time of the step itself, without the offset of the range.
    pub(super) step: i64,
}

/// Implementation of a function.
#[derive(Clone, Copy)]
enum Kind {
    /// Applied to the window of each step and series, with the scalar arguments of the step.
    OverTime(fn(&Window<'_>, &[f64]) -> Option<f64>),
    /// As [`Kind::OverTime`], and keeps the metric name.
    OverTimeNamed(fn(&Window<'_>, &[f64]) -> Option<f64>),
    /// Applied to each value, with the scalar arguments of the step.
    Map(fn(f64, &[f64]) -> f64),
    /// Applied to each value as a time in seconds; without an argument, to the time of the step.
    Date(fn(f64) -> f64),
    /// Applied to the whole call.
    Special(fn(&Eval<'_>, &Call) -> Result<Evaluated, QueryError>),
}

use Kind::{Date, Map, OverTime, OverTimeNamed, Special};

/// All functions by name. Functions of native histograms return nothing for floats.
const TABLE: &[(&str, Kind)] = &[
    ("abs", Map(|v, _| v.abs())),
    ("absent", Special(series::absent)),
    ("absent_over_time", Special(series::absent_over_time)),
    ("acos", Map(|v, _| v.acos())),
    ("acosh", Map(|v, _| v.acosh())),
    ("asin", Map(|v, _| v.asin())),
    ("asinh", Map(|v, _| v.asinh())),
    ("atan", Map(|v, _| v.atan())),
    ("atanh", Map(|v, _| v.atanh())),
    ("avg_over_time", OverTime(over_time::avg)),
    ("ceil", Map(|v, _| v.ceil())),
    ("changes", OverTime(over_time::changes)),
    ("clamp", Special(math::clamp)),
    ("clamp_max", Map(|v, s| math::min(v, s[0]))),
    ("clamp_min", Map(|v, s| math::max(v, s[0]))),
    ("cos", Map(|v, _| v.cos())),
    ("cosh", Map(|v, _| v.cosh())),
    (
        "count_over_time",
        OverTime(|w, _| Some(w.values.len() as f64)),
    ),
    ("day_of_month", Date(date::day_of_month)),
    ("day_of_week", Date(date::day_of_week)),
    ("day_of_year", Date(date::day_of_year)),
    ("days_in_month", Date(date::days_in_month)),
    ("deg", Map(|v, _| v * 180.0 / std::f64::consts::PI)),
    ("delta", OverTime(over_time::delta)),
    ("deriv", OverTime(over_time::deriv)),
    ("double_exponential_smoothing", Special(over_time::smoothed)),
    ("end", Special(series::end)),
    ("exp", Map(|v, _| v.exp())),
    (
        "first_over_time",
        OverTimeNamed(|w, _| w.values.first().copied()),
    ),
    ("floor", Map(|v, _| v.floor())),
    ("histogram_avg", Special(series::native_histogram)),
    ("histogram_count", Special(series::native_histogram)),
    ("histogram_fraction", Special(series::histogram_fraction)),
    ("histogram_quantile", Special(series::histogram_quantile)),
    ("histogram_quantiles", Special(series::histogram_quantiles)),
    ("histogram_stddev", Special(series::native_histogram)),
    ("histogram_stdvar", Special(series::native_histogram)),
    ("histogram_sum", Special(series::native_histogram)),
    ("hour", Date(date::hour)),
    ("idelta", OverTime(over_time::idelta)),
    ("increase", OverTime(over_time::increase)),
    ("info", Special(info::info)),
    ("irate", OverTime(over_time::irate)),
    ("label_join", Special(series::label_join)),
    ("label_replace", Special(series::label_replace)),
    (
        "last_over_time",
        OverTimeNamed(|w, _| w.values.last().copied()),
    ),
    ("ln", Map(|v, _| v.ln())),
    ("log10", Map(|v, _| v.log10())),
    ("log2", Map(|v, _| v.log2())),
    ("mad_over_time", OverTime(over_time::mad)),
    (
        "max_of",
        Special(|eval, call| math::select_scalar(eval, call, math::max)),
    ),
    ("max_over_time", OverTime(over_time::max)),
    (
        "min_of",
        Special(|eval, call| math::select_scalar(eval, call, math::min)),
    ),
    ("min_over_time", OverTime(over_time::min)),
    ("minute", Date(date::minute)),
    ("month", Date(date::month)),
    (
        "pi",
        Special(|eval, _| {
            Ok(Evaluated::Scalar(vec![
                std::f64::consts::PI;
                eval.grid.steps()
            ]))
        }),
    ),
    ("predict_linear", OverTime(over_time::predict_linear)),
    ("present_over_time", OverTime(|_, _| Some(1.0))),
    ("quantile_over_time", Special(over_time::quantiles)),
    ("rad", Map(|v, _| v * std::f64::consts::PI / 180.0)),
    ("range", Special(series::range)),
    ("rate", OverTime(over_time::rate)),
    ("resets", OverTime(over_time::resets)),
    ("round", Map(math::round)),
    ("scalar", Special(series::scalar)),
    ("sgn", Map(|v, _| math::sign(v))),
    ("sin", Map(|v, _| v.sin())),
    ("sinh", Map(|v, _| v.sinh())),
    (
        "sort",
        Special(|eval, call| series::sort(eval, call, false)),
    ),
    (
        "sort_by_label",
        Special(|eval, call| series::sort_by_label(eval, call, false)),
    ),
    (
        "sort_by_label_desc",
        Special(|eval, call| series::sort_by_label(eval, call, true)),
    ),
    (
        "sort_desc",
        Special(|eval, call| series::sort(eval, call, true)),
    ),
    ("sqrt", Map(|v, _| v.sqrt())),
    ("start", Special(series::start)),
    (
        "stddev_over_time",
        OverTime(|w, _| Some(over_time::variance(w).sqrt())),
    ),
    (
        "stdvar_over_time",
        OverTime(|w, _| Some(over_time::variance(w))),
    ),
    ("step", Special(series::step)),
    ("sum_over_time", OverTime(over_time::sum)),
    ("tan", Map(|v, _| v.tan())),
    ("tanh", Map(|v, _| v.tanh())),
    ("time", Special(series::time)),
    ("timestamp", Special(series::timestamp)),
    (
        "ts_of_first_over_time",
        OverTime(|w, _| w.times.first().map(|t| *t as f64 / 1e3)),
    ),
    (
        "ts_of_last_over_time",
        OverTime(|w, _| w.times.last().map(|t| *t as f64 / 1e3)),
    ),
    ("ts_of_max_over_time", OverTime(over_time::ts_of_max)),
    ("ts_of_min_over_time", OverTime(over_time::ts_of_min)),
    ("vector", Special(series::vector)),
    ("year", Date(date::year)),
];

/// Returns the names of all functions, in the order of the table.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    TABLE.iter().map(|(name, _)| *name).collect()
}

/// Calls a function.
pub(super) fn call(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let name = call.func.name;
    let Some((_, kind)) = TABLE.iter().find(|(entry, _)| *entry == name) else {
        return Err(QueryError::BadData(format!(
            "unknown function with name {name:?}"
        )));
    };
    match kind {
        OverTime(function) => over_time(eval, call, false, *function),
        OverTimeNamed(function) => over_time(eval, call, true, *function),
        Map(function) => {
            let scalars = scalars(eval, &call.args[1..])?;
            map(eval.instant_vector(&call.args[0])?, &scalars, *function)
        }
        Date(function) => {
            let Some(argument) = call.args.first() else {
                let labels = bellwether_core::LabelSet::default();
                let values = eval
                    .grid
                    .times()
                    .map(|at| function(at.div_euclid(1000) as f64))
                    .collect();
                return Ok(Evaluated::Vector(vec![Series {
                    labels,
                    drop_name: false,
                    values,
                }]));
            };
            let vector = eval.instant_vector(argument)?;
            Ok(Evaluated::Vector(mapped(vector, |_, value| {
                function(value)
            })))
        }
        Special(function) => function(eval, call),
    }
}

/// Evaluates scalar arguments; by argument and step.
fn scalars(eval: &Eval<'_>, arguments: &[Expr]) -> Result<Vec<Vec<f64>>, QueryError> {
    arguments
        .iter()
        .map(|argument| eval.scalar(argument))
        .collect()
}

fn over_time(
    eval: &Eval<'_>,
    call: &Call,
    keep_name: bool,
    function: fn(&Window<'_>, &[f64]) -> Option<f64>,
) -> Result<Evaluated, QueryError> {
    let scalars = scalars(eval, &call.args[1..])?;
    let ranges = eval.ranges(&call.args[0])?;
    let mut now = vec![0.0; scalars.len()];
    let vector = eval.over_time(ranges, keep_name, |step, window| {
        for (now, by_step) in now.iter_mut().zip(&scalars) {
            *now = by_step[step];
        }
        function(window, &now)
    })?;
    if matches!(call.func.name, "rate" | "increase") {
        check_counter_names(eval, call, &vector);
    }
    Ok(Evaluated::Vector(vector))
}

/// Adds an info about series whose names are not those of counters.
fn check_counter_names(eval: &Eval<'_>, call: &Call, vector: &[Series]) {
    let ends = ["_total", "_sum", "_count", "_bucket"];
    let text = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket";
    let mut before = "";
    for name in vector.iter().map(name_of) {
        let counts = name.is_empty() || ends.iter().any(|end| name.ends_with(end));
        if !counts && name != before {
            eval.notes
                .info(call.args[0].span(), format!("{text}: {}", GoQuoted(name)));
        }
        before = name;
    }
}

fn map(
    vector: Vec<Series>,
    scalars: &[Vec<f64>],
    function: fn(f64, &[f64]) -> f64,
) -> Result<Evaluated, QueryError> {
    let mut now = vec![0.0; scalars.len()];
    Ok(Evaluated::Vector(mapped(vector, |step, value| {
        for (now, by_step) in now.iter_mut().zip(scalars) {
            *now = by_step[step];
        }
        function(value, &now)
    })))
}

/// Maps every value that is present, and drops the metric name.
fn mapped(mut vector: Vec<Series>, mut function: impl FnMut(usize, f64) -> f64) -> Vec<Series> {
    for series in &mut vector {
        series.drop_name = true;
        for (step, value) in series.values.iter_mut().enumerate() {
            *value = if absent(*value) {
                ABSENT
            } else {
                function(step, *value)
            };
        }
    }
    vector
}

/// Formats a number as Go's `%g` does, which Prometheus uses in messages: `1e+06`.
pub(super) fn short_text(value: f64) -> String {
    let exponent = value.abs().log10().floor();
    if value == 0.0 || !value.is_finite() || (-4.0..6.0).contains(&exponent) {
        return number_text(value);
    }
    exponential(value)
}

/// Formats a number with an exponent, as Go does.
fn exponential(value: f64) -> String {
    let text = format!("{value:e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (sign, exponent) = exponent
        .strip_prefix('-')
        .map_or(('+', exponent), |e| ('-', e));
    format!("{digits}e{sign}{exponent:0>2}")
}

/// Formats a number with two significant digits, as Go's `%.2g` does.
pub(super) fn two_digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.1e}").parse().unwrap_or(value);
    let exponent = rounded.abs().log10().floor();
    if rounded == 0.0 || !rounded.is_finite() || (-4.0..2.0).contains(&exponent) {
        return number_text(rounded);
    }
    exponential(rounded)
}

/// Formats a quantile as a label value of OpenMetrics: `1.0`.
fn quantile_text(value: f64) -> String {
    let text = short_text(value);
    let whole = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'-');
    if whole { text + ".0" } else { text }
}

/// Formats a number as Go does without an exponent, which Prometheus uses for label values.
pub(super) fn number_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".into();
    }
    match value {
        f64::INFINITY => "+Inf".into(),
        f64::NEG_INFINITY => "-Inf".into(),
        value => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_does() {
        let shown = [
            0.0,
            1.0,
            -0.5,
            999_999.0,
            1e6,
            1_234_567.0,
            1e-4,
            1.5e-7,
            f64::INFINITY,
        ];
        assert_eq!(
            shown.map(short_text),
            [
                "0",
                "1",
                "-0.5",
                "999999",
                "1e+06",
                "1.234567e+06",
                "0.0001",
                "1.5e-07",
                "+Inf"
            ]
        );
        let short = [
            0.0,
            1.0,
            12.6,
            1234.0,
            0.0001234,
            0.00001,
            99.6,
            f64::INFINITY,
        ];
        assert_eq!(
            short.map(two_digits),
            [
                "0", "1", "13", "1.2e+03", "0.00012", "1e-05", "1e+02", "+Inf"
            ]
        );
        assert_eq!(
            [0.0, -1.0, 0.25, 1e6].map(quantile_text),
            ["0.0", "-1.0", "0.25", "1e+06"]
        );
    }
}
