//! Functions of whole vectors: labels, order, presence, histograms.

use std::cmp::Ordering;
use std::collections::VecDeque;

use bellwether_core::{GoQuoted, LabelSet, METRIC_NAME};
use bellwether_matcher::Replacement;
use hashbrown::HashMap;

use super::{mapped, quantile_text, short_text};
use crate::ast::{Call, Expr, Span, VectorSelector};
use crate::eval::{ABSENT, Eval, Evaluated, Series, absent as is_absent, name_of};
use crate::guard::Guard;
use crate::histogram::{self, Bucket};
use crate::labels::{drop, with};
use crate::parse::{PatternFailure, pattern};
use crate::query::QueryError;
use crate::selector::matchers_of;
use crate::sum::order;

/// Label of a histogram bucket with its upper bound.
const LE: &str = "le";
/// Info about a histogram whose counts are not monotonic.
const MONOTONICITY: &str = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

pub(super) fn time(eval: &Eval<'_>, _: &Call) -> Result<Evaluated, QueryError> {
    Ok(Evaluated::Scalar(
        eval.grid.times().map(|at| at as f64 / 1000.0).collect(),
    ))
}

pub(super) fn vector(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let values = eval.scalar(&call.args[0])?;
    Ok(Evaluated::Vector(vec![Series {
        labels: LabelSet::default(),
        drop_name: false,
        values,
    }]))
}

/// Returns the value of the only series; NaN if there is none or several.
pub(super) fn scalar(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let mut values = vec![ABSENT; eval.grid.steps()];
    for series in eval.instant_vector(&call.args[0])? {
        for (into, value) in values.iter_mut().zip(series.values) {
            if !is_absent(value) {
                *into = if is_absent(*into) { value } else { f64::NAN };
            }
        }
    }
    Ok(Evaluated::Scalar(
        values
            .into_iter()
            .map(|value| if is_absent(value) { f64::NAN } else { value })
            .collect(),
    ))
}

/// Returns the step in seconds, 0 if there is only one step.
pub(super) fn step(eval: &Eval<'_>, _: &Call) -> Result<Evaluated, QueryError> {
    let several = eval.query_grid.steps() > 1;
    Ok(every_step(
        eval,
        if several { eval.query_grid.step } else { 0 },
    ))
}

pub(super) fn range(eval: &Eval<'_>, _: &Call) -> Result<Evaluated, QueryError> {
    Ok(every_step(
        eval,
        eval.query_grid.end - eval.query_grid.start,
    ))
}

pub(super) fn start(eval: &Eval<'_>, _: &Call) -> Result<Evaluated, QueryError> {
    Ok(every_step(eval, eval.query_grid.start))
}

pub(super) fn end(eval: &Eval<'_>, _: &Call) -> Result<Evaluated, QueryError> {
    Ok(every_step(eval, eval.query_grid.end))
}

/// Returns a time of the whole query in seconds, in every step.
fn every_step(eval: &Eval<'_>, millis: i64) -> Evaluated {
    Evaluated::Scalar(vec![millis as f64 / 1000.0; eval.grid.steps()])
}

/// Returns the timestamps of samples for a selector, and the time of the step for other expressions.
pub(super) fn timestamp(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let argument = call.args[0].unwrapped();
    if let Expr::VectorSelector(selector) = argument {
        return Ok(Evaluated::Vector(mapped(
            eval.timestamps(selector)?,
            |_, value| value,
        )));
    }
    let times: Vec<f64> = eval.grid.times().map(|at| at as f64 / 1000.0).collect();
    Ok(Evaluated::Vector(mapped(
        eval.instant_vector(argument)?,
        |step, _| times[step],
    )))
}

/// Functions of native histograms, which return nothing for floats.
pub(super) fn native_histogram(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    eval.instant_vector(&call.args[0])?;
    Ok(Evaluated::Vector(Vec::new()))
}

/// Returns 1 in each step in which there is no series.
pub(super) fn absent(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let argument = &call.args[0];
    let vector = eval.instant_vector(argument)?;
    Ok(Evaluated::Vector(missing(eval, argument, &vector)))
}

pub(super) fn absent_over_time(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let argument = &call.args[0];
    let vector = eval.over_time(eval.ranges(argument)?, false, |_, _| Some(1.0))?;
    Ok(Evaluated::Vector(missing(eval, argument, &vector)))
}

fn missing(eval: &Eval<'_>, argument: &Expr, vector: &[Series]) -> Vec<Series> {
    let mut values = vec![1.0; eval.grid.steps()];
    for series in vector {
        for (into, value) in values.iter_mut().zip(&series.values) {
            if !is_absent(*value) {
                *into = ABSENT;
            }
        }
    }
    let labels = match argument.unwrapped() {
        Expr::VectorSelector(selector) => equality_labels(selector),
        Expr::MatrixSelector(matrix) => equality_labels(&matrix.vs),
        _ => LabelSet::default(),
    };
    vec![Series {
        labels,
        drop_name: false,
        values,
    }]
}

/// Returns the labels that a selector compares for equality, if it has only one matcher of them.
fn equality_labels(selector: &VectorSelector) -> LabelSet {
    let alternatives = matchers_of(selector);
    let [matchers] = alternatives.as_slice() else {
        return LabelSet::default();
    };
    let exact = matchers
        .iter()
        .filter(|one| &*one.name != METRIC_NAME)
        .filter(|one| {
            let same = matchers.iter().filter(|other| other.name == one.name);
            same.count() == 1
        });
    LabelSet::new(exact.filter_map(|one| Some((&*one.name, one.test.exact()?))))
}

pub(super) fn label_replace(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let arguments = &call.args;
    let target = eval.string(&arguments[1])?;
    let replacement = eval.string(&arguments[2])?;
    let source = eval.string(&arguments[3])?;
    let source_text = eval.string(&arguments[4])?;
    let regex = pattern(&source_text, eval.guard).map_err(|error| match error {
        PatternFailure::Invalid(_) => QueryError::Execution(format!(
            "invalid regular expression in label_replace(): {source_text}"
        )),
        PatternFailure::Stopped(stopped) => stopped.into(),
    })?;
    if target.is_empty() {
        return Err(QueryError::Execution(format!(
            "invalid destination label name in label_replace(): {target}"
        )));
    }
    let replacement = Replacement::new(&replacement);
    let mut vector = eval.instant_vector(&arguments[0])?;
    for series in &mut vector {
        eval.guard.check()?;
        let Some(captures) = regex.captures(series.labels.get(&source)) else {
            continue;
        };
        eval.guard
            .charge_labels(series.labels.packed().len() + replacement.length(&captures))?;
        let text = replacement.expand(&captures);
        relabelled(series, &target, &text);
    }
    eval.merged(vector).map(Evaluated::Vector)
}

pub(super) fn label_join(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let arguments = &call.args;
    let target = eval.string(&arguments[1])?;
    let separator = eval.string(&arguments[2])?;
    let sources = arguments[3..]
        .iter()
        .map(|argument| eval.string(argument))
        .collect::<Result<Vec<_>, _>>()?;
    if target.is_empty() {
        return Err(QueryError::Execution(format!(
            "invalid destination label name in label_join(): {target}"
        )));
    }
    let mut vector = eval.instant_vector(&arguments[0])?;
    for series in &mut vector {
        eval.guard.check()?;
        let values: Vec<&str> = sources.iter().map(|name| series.labels.get(name)).collect();
        let length = values
            .iter()
            .map(|value| value.len() + separator.len())
            .sum::<usize>();
        eval.guard
            .charge_labels(series.labels.packed().len() + length)?;
        let text = values.join(&separator);
        relabelled(series, &target, &text);
    }
    eval.merged(vector).map(Evaluated::Vector)
}

/// Sets a label. A metric name that is set explicitly is kept.
fn relabelled(series: &mut Series, target: &str, value: &str) {
    series.labels = with(&series.labels, target, value);
    if target == METRIC_NAME {
        series.drop_name = false;
    }
}

/// Sorts by value. In a range query there is no effect, because results are ordered by labels.
pub(super) fn sort(eval: &Eval<'_>, call: &Call, falling: bool) -> Result<Evaluated, QueryError> {
    let mut vector = eval.instant_vector(&call.args[0])?;
    warn_of_ranges(eval, call);
    eval.guard.check()?;
    vector.sort_by(|a, b| {
        let (a, b) = (a.values[0], b.values[0]);
        match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            _ if falling => order(b, a),
            _ => order(a, b),
        }
    });
    Ok(Evaluated::Vector(vector))
}

fn warn_of_ranges(eval: &Eval<'_>, call: &Call) {
    if eval.grid.start != eval.grid.end {
        eval.notes.warn(
            call.at,
            "sort is ineffective for range queries since results are always ordered by labels",
        );
    }
}

pub(super) fn sort_by_label(
    eval: &Eval<'_>,
    call: &Call,
    falling: bool,
) -> Result<Evaluated, QueryError> {
    let names = call.args[1..]
        .iter()
        .map(|argument| eval.string(argument))
        .collect::<Result<Vec<_>, _>>()?;
    let vector = eval.instant_vector(&call.args[0])?;
    warn_of_ranges(eval, call);
    let vector = sorted(vector, eval.guard, |a, b| {
        let by_names = names
            .iter()
            .map(|name| natural(a.labels.get(name), b.labels.get(name)));
        let unlike = by_names.into_iter().find(|order| order.is_ne());
        let order = unlike.unwrap_or_else(|| a.labels.cmp(&b.labels));
        if falling { order.reverse() } else { order }
    })?;
    Ok(Evaluated::Vector(vector))
}

/// Sorts as `sort_by` does, and stops with the query, because comparing long texts takes long.
fn sorted<T>(
    items: Vec<T>,
    guard: &Guard,
    mut order: impl FnMut(&T, &T) -> Ordering,
) -> Result<Vec<T>, QueryError> {
    let mut runs: VecDeque<VecDeque<T>> = items.into_iter().map(|item| [item].into()).collect();
    // Neighbouring runs are merged until there is only one run.
    while runs.len() > 1 {
        let mut merged = VecDeque::with_capacity(runs.len().div_ceil(2));
        while let Some(mut left) = runs.pop_front() {
            let mut right = runs.pop_front().unwrap_or_default();
            let mut run = VecDeque::with_capacity(left.len() + right.len());
            while let (Some(a), Some(b)) = (left.front(), right.front()) {
                guard.check()?;
                let from = if order(a, b).is_le() {
                    &mut left
                } else {
                    &mut right
                };
                run.extend(from.pop_front());
            }
            run.extend(left.into_iter().chain(right));
            merged.push_back(run);
        }
        runs = merged;
    }
    Ok(runs.into_iter().flatten().collect())
}

/// Compares texts in natural order, with digits as numbers: `a2` before `a10`.
fn natural(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a, b);
    loop {
        let (Some(x), Some(y)) = (a.chars().next(), b.chars().next()) else {
            return a.len().cmp(&b.len());
        };
        if x.is_ascii_digit() && y.is_ascii_digit() {
            let (number_a, rest_a) = number(a);
            let (number_b, rest_b) = number(b);
            let order = number_a
                .len()
                .cmp(&number_b.len())
                .then_with(|| number_a.cmp(number_b));
            if order != Ordering::Equal {
                return order;
            }
            (a, b) = (rest_a, rest_b);
        } else if x == y {
            (a, b) = (&a[x.len_utf8()..], &b[y.len_utf8()..]);
        } else {
            return x.cmp(&y);
        }
    }
}

/// Splits the digits at the beginning, without leading zeros, from the rest.
fn number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

/// Labels of a histogram without `le`, and its series with their bounds.
type Histogram<'a> = (LabelSet, Vec<(f64, &'a Series)>);

/// Groups the buckets in a vector by histogram.
fn histograms<'a>(
    eval: &Eval<'_>,
    vector: &'a [Series],
    at: Span,
) -> Result<Vec<Histogram<'a>>, QueryError> {
    let mut numbers = HashMap::new();
    let mut all: Vec<Histogram<'_>> = Vec::new();
    for series in vector {
        let le = series.labels.get(LE);
        let Ok(bound) = le.parse::<f64>() else {
            let text = "bucket label \"le\" is missing or has a malformed value of";
            let text = format!(
                "{text} {}{}",
                GoQuoted(le),
                of_metric(eval, name_of(series))
            );
            eval.notes.warn(at, text);
            continue;
        };
        // With the name, which is removed later, so that histograms of two names stay separate.
        let labels = LabelSet::new(series.labels.iter().filter(|(name, _)| *name != LE));
        let labels = eval.charge_labels(labels)?;
        let index = *numbers.entry(labels.clone()).or_insert_with(|| {
            all.push((labels, Vec::new()));
            all.len() - 1
        });
        all[index].1.push((bound, series));
    }
    Ok(all)
}

/// Formats the metric name of a histogram for a note; empty if names are removed immediately.
fn of_metric(eval: &Eval<'_>, name: &str) -> String {
    match name {
        "" => String::new(),
        _ if !eval.options.delayed_name_removal => String::new(),
        name => format!(" for metric name {}", GoQuoted(name)),
    }
}

/// Computes one number per histogram and step; `at` is the position of the argument.
fn per_histogram(
    eval: &Eval<'_>,
    vector: &[Series],
    at: Span,
    mut number: impl FnMut(usize, Vec<Bucket>, &LabelSet) -> f64,
) -> Result<Vec<Series>, QueryError> {
    let mut results = Vec::new();
    for (labels, buckets) in histograms(eval, vector, at)? {
        let mut result = eval.new_series(labels, true)?;
        for (step, value) in result.values.iter_mut().enumerate() {
            eval.guard.check()?;
            let present: Vec<Bucket> = buckets
                .iter()
                .filter(|(_, series)| !is_absent(series.values[step]))
                .map(|(bound, series)| Bucket {
                    bound: *bound,
                    count: series.values[step],
                })
                .collect();
            if !present.is_empty() {
                *value = number(step, present, &result.labels);
            }
        }
        results.push(result);
    }
    Ok(results)
}

pub(super) fn histogram_quantile(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let q = Quantile {
        of_steps: eval.scalar(&call.args[0])?,
        at: call.args[0].span(),
    };
    let vector = eval.instant_vector(&call.args[1])?;
    quantiles(eval, &vector, call.args[1].span(), &q).map(Evaluated::Vector)
}

/// Quantile in each step, and its position in the query.
struct Quantile {
    of_steps: Vec<f64>,
    at: Span,
}

/// Computes a quantile of each histogram; `at` is the position of the argument.
fn quantiles(
    eval: &Eval<'_>,
    vector: &[Series],
    at: Span,
    q: &Quantile,
) -> Result<Vec<Series>, QueryError> {
    for wrong in q.of_steps.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        let text = short_text(*wrong);
        eval.notes.warn(
            q.at,
            format!("quantile value should be between 0 and 1, got {text}"),
        );
    }
    let times: Vec<i64> = eval.grid.times().collect();
    per_histogram(eval, vector, at, |step, buckets, labels| {
        let (value, fix) = histogram::quantile(q.of_steps[step], buckets);
        if let Some(fix) = fix {
            let text = format!("{MONOTONICITY}{}", of_metric(eval, labels.name()));
            eval.notes.monotonicity(at, &text, fix, times[step]);
        }
        value
    })
}

/// Computes several quantiles, which are distinguished by a label.
pub(super) fn histogram_quantiles(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let arguments = &call.args;
    let vector = eval.instant_vector(&arguments[0])?;
    let label = eval.string(&arguments[1])?;
    let mut all = Vec::new();
    for argument in &arguments[2..] {
        let q = Quantile {
            of_steps: eval.scalar(argument)?,
            at: argument.span(),
        };
        let text = q
            .of_steps
            .first()
            .map_or_else(String::new, |q| quantile_text(*q));
        for series in quantiles(eval, &vector, arguments[0].span(), &q)? {
            let labels = eval.charge_labels(with(&drop(&series.labels, &[]), &label, &text))?;
            all.push(Series { labels, ..series });
        }
    }
    Ok(Evaluated::Vector(all))
}

pub(super) fn histogram_fraction(eval: &Eval<'_>, call: &Call) -> Result<Evaluated, QueryError> {
    let arguments = &call.args;
    let (lower, upper) = (eval.scalar(&arguments[0])?, eval.scalar(&arguments[1])?);
    let vector = eval.instant_vector(&arguments[2])?;
    per_histogram(eval, &vector, arguments[2].span(), |step, buckets, _| {
        histogram::fraction(lower[step], upper[step], buckets)
    })
    .map(Evaluated::Vector)
}
