//! Functions of a whole vector: labels, order, presence, histograms.

use std::cmp::Ordering;
use std::collections::VecDeque;

use bellwether_core::{GoQuoted, LabelSet, METRIC_NAME};
use bellwether_matcher::Replacement;
use hashbrown::HashMap;

use super::{mapped, quantile_text, short_text};
use crate::ast::{Call, Expr, Span, VectorSelector};
use crate::eval::{ABSENT, Eval, Line, Out, absent as is_absent, name_of};
use crate::guard::Guard;
use crate::histogram::{self, Bucket};
use crate::labels::{drop, with};
use crate::parse::{Refused, pattern};
use crate::query::QueryError;
use crate::selector::matchers_of;
use crate::sum::order;

/// Label of a histogram's bucket: its upper bound.
const LE: &str = "le";
/// What is told of a histogram whose counts do not ascend.
const MENDED: &str = "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)";

pub(super) fn time(eval: &Eval<'_>, _: &Call) -> Result<Out, QueryError> {
    Ok(Out::Scalar(
        eval.grid.times().map(|at| at as f64 / 1000.0).collect(),
    ))
}

pub(super) fn vector(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let values = eval.scalar(&call.args[0])?;
    Ok(Out::Vector(vec![Line {
        labels: LabelSet::default(),
        drop_name: false,
        values,
    }]))
}

/// The value of the only series, NaN where there is none or several.
pub(super) fn scalar(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let mut values = vec![ABSENT; eval.grid.steps()];
    for line in eval.lines(&call.args[0])? {
        for (into, value) in values.iter_mut().zip(line.values) {
            if !is_absent(value) {
                *into = if is_absent(*into) { value } else { f64::NAN };
            }
        }
    }
    let known = |value| if is_absent(value) { f64::NAN } else { value };
    Ok(Out::Scalar(values.into_iter().map(known).collect()))
}

/// Seconds from step to step, 0 where there is only one.
pub(super) fn step(eval: &Eval<'_>, _: &Call) -> Result<Out, QueryError> {
    let several = eval.whole.steps() > 1;
    Ok(every_step(eval, if several { eval.whole.step } else { 0 }))
}

pub(super) fn range(eval: &Eval<'_>, _: &Call) -> Result<Out, QueryError> {
    Ok(every_step(eval, eval.whole.end - eval.whole.start))
}

pub(super) fn start(eval: &Eval<'_>, _: &Call) -> Result<Out, QueryError> {
    Ok(every_step(eval, eval.whole.start))
}

pub(super) fn end(eval: &Eval<'_>, _: &Call) -> Result<Out, QueryError> {
    Ok(every_step(eval, eval.whole.end))
}

/// A time of the query as a whole, in seconds.
fn every_step(eval: &Eval<'_>, millis: i64) -> Out {
    Out::Scalar(vec![millis as f64 / 1000.0; eval.grid.steps()])
}

/// Of a selector when its samples were taken, of anything else the time of the step.
pub(super) fn timestamp(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let argument = call.args[0].unwrapped();
    if let Expr::VectorSelector(selector) = argument {
        return Ok(Out::Vector(mapped(
            eval.timestamps(selector)?,
            |_, value| value,
        )));
    }
    let times: Vec<f64> = eval.grid.times().map(|at| at as f64 / 1000.0).collect();
    Ok(Out::Vector(mapped(eval.lines(argument)?, |step, _| {
        times[step]
    })))
}

/// Functions of native histograms give nothing for floats.
pub(super) fn nothing(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    eval.lines(&call.args[0])?;
    Ok(Out::Vector(Vec::new()))
}

/// 1 in each step in which there is no series at all.
pub(super) fn absent(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let argument = &call.args[0];
    let lines = eval.lines(argument)?;
    Ok(Out::Vector(missing(eval, argument, &lines)))
}

pub(super) fn absent_over_time(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let argument = &call.args[0];
    let lines = eval.over_time(eval.ranges(argument)?, false, |_, _| Some(1.0))?;
    Ok(Out::Vector(missing(eval, argument, &lines)))
}

fn missing(eval: &Eval<'_>, argument: &Expr, lines: &[Line]) -> Vec<Line> {
    let mut values = vec![1.0; eval.grid.steps()];
    for line in lines {
        for (into, value) in values.iter_mut().zip(&line.values) {
            if !is_absent(*value) {
                *into = ABSENT;
            }
        }
    }
    let labels = match argument.unwrapped() {
        Expr::VectorSelector(selector) => named_by(selector),
        Expr::MatrixSelector(matrix) => named_by(&matrix.vs),
        _ => LabelSet::default(),
    };
    vec![Line {
        labels,
        drop_name: false,
        values,
    }]
}

/// The labels that a selector asks for by value, each where it is asked for once.
fn named_by(selector: &VectorSelector) -> LabelSet {
    let alternatives = matchers_of(selector);
    let [matchers] = alternatives.as_slice() else {
        return LabelSet::default();
    };
    let once = |name: &str| matchers.iter().filter(|one| &*one.name == name).count() == 1;
    let exact = matchers
        .iter()
        .filter(|one| &*one.name != METRIC_NAME && once(&one.name));
    LabelSet::new(exact.filter_map(|one| Some((&*one.name, one.test.exact()?))))
}

pub(super) fn label_replace(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let arguments = &call.args;
    let target = eval.string(&arguments[1])?;
    let replacement = eval.string(&arguments[2])?;
    let source = eval.string(&arguments[3])?;
    let source_text = eval.string(&arguments[4])?;
    let regex = pattern(&source_text, eval.guard).map_err(|error| match error {
        Refused::Syntax(..) => QueryError::Execution(format!(
            "invalid regular expression in label_replace(): {source_text}"
        )),
        Refused::Stopped(stopped) => stopped.into(),
    })?;
    if target.is_empty() {
        return Err(QueryError::Execution(format!(
            "invalid destination label name in label_replace(): {target}"
        )));
    }
    let replacement = Replacement::new(&replacement);
    let mut lines = eval.lines(&arguments[0])?;
    for line in &mut lines {
        eval.guard.check()?;
        let Some(found) = regex.captures(line.labels.get(&source)) else {
            continue;
        };
        eval.guard
            .charge_labels(line.labels.packed().len() + replacement.length(&found))?;
        let text = replacement.expand(&found);
        relabelled(line, &target, &text);
    }
    eval.merged(lines).map(Out::Vector)
}

pub(super) fn label_join(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let arguments = &call.args;
    let target = eval.string(&arguments[1])?;
    let separator = eval.string(&arguments[2])?;
    let sources = arguments[3..].iter().map(|argument| eval.string(argument));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    if target.is_empty() {
        return Err(QueryError::Execution(format!(
            "invalid destination label name in label_join(): {target}"
        )));
    }
    let mut lines = eval.lines(&arguments[0])?;
    for line in &mut lines {
        eval.guard.check()?;
        let values: Vec<&str> = sources.iter().map(|name| line.labels.get(name)).collect();
        let length = values
            .iter()
            .map(|value| value.len() + separator.len())
            .sum::<usize>();
        eval.guard
            .charge_labels(line.labels.packed().len() + length)?;
        let text = values.join(&separator);
        relabelled(line, &target, &text);
    }
    eval.merged(lines).map(Out::Vector)
}

/// A name that was given on purpose stays.
fn relabelled(line: &mut Line, target: &str, value: &str) {
    line.labels = with(&line.labels, target, value);
    if target == METRIC_NAME {
        line.drop_name = false;
    }
}

/// By value; over a range the answer is ordered by labels anyway.
pub(super) fn sort(eval: &Eval<'_>, call: &Call, falling: bool) -> Result<Out, QueryError> {
    let mut lines = eval.lines(&call.args[0])?;
    warn_of_ranges(eval, call);
    let by = |a: f64, b: f64| match (a.is_nan(), b.is_nan()) {
        (true, true) => Ordering::Equal,
        (true, false) => Ordering::Greater,
        (false, true) => Ordering::Less,
        _ if falling => order(b, a),
        _ => order(a, b),
    };
    eval.guard.check()?;
    lines.sort_by(|a, b| by(a.values[0], b.values[0]));
    Ok(Out::Vector(lines))
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
) -> Result<Out, QueryError> {
    let names = call.args[1..].iter().map(|argument| eval.string(argument));
    let names = names.collect::<Result<Vec<_>, _>>()?;
    let lines = eval.lines(&call.args[0])?;
    warn_of_ranges(eval, call);
    let lines = sorted(lines, eval.guard, |a, b| {
        let by_names = names
            .iter()
            .map(|name| natural(a.labels.get(name), b.labels.get(name)));
        let unlike = by_names.into_iter().find(|order| order.is_ne());
        let order = unlike.unwrap_or_else(|| a.labels.cmp(&b.labels));
        if falling { order.reverse() } else { order }
    })?;
    Ok(Out::Vector(lines))
}

/// Sorts as `sort_by` does, and ends with the query: comparing long texts takes long.
fn sorted<T>(
    items: Vec<T>,
    guard: &Guard,
    mut order: impl FnMut(&T, &T) -> Ordering,
) -> Result<Vec<T>, QueryError> {
    let mut runs: VecDeque<VecDeque<T>> = items.into_iter().map(|item| [item].into()).collect();
    // Runs of neighbours become one until there is one run.
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

/// Compares texts, digits in them as numbers: `a2` before `a10`.
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

/// The digits in front, without leading zeros, and what follows.
fn number(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (text[..end].trim_start_matches('0'), &text[end..])
}

/// Labels of a histogram without `le`, and its lines with their bounds.
type Histogram<'a> = (LabelSet, Vec<(f64, &'a Line)>);

/// The buckets of each histogram in a vector.
fn histograms<'a>(
    eval: &Eval<'_>,
    lines: &'a [Line],
    at: Span,
) -> Result<Vec<Histogram<'a>>, QueryError> {
    let mut numbers = HashMap::new();
    let mut all: Vec<Histogram<'_>> = Vec::new();
    for line in lines {
        let le = line.labels.get(LE);
        let Ok(bound) = le.parse::<f64>() else {
            let text = "bucket label \"le\" is missing or has a malformed value of";
            let text = format!("{text} {}{}", GoQuoted(le), of_metric(eval, name_of(line)));
            eval.notes.warn(at, text);
            continue;
        };
        // With the name, which is taken off at the end: two histograms stay two.
        let labels = LabelSet::new(line.labels.iter().filter(|(name, _)| *name != LE));
        let labels = eval.made(labels)?;
        let index = *numbers.entry(labels.clone()).or_insert_with(|| {
            all.push((labels, Vec::new()));
            all.len() - 1
        });
        all[index].1.push((bound, line));
    }
    Ok(all)
}

/// As which metric a note tells of a histogram: as none, where names are taken off at once.
fn of_metric(eval: &Eval<'_>, name: &str) -> String {
    match name {
        "" => String::new(),
        _ if !eval.options.delayed_name_removal => String::new(),
        name => format!(" for metric name {}", GoQuoted(name)),
    }
}

/// One number per histogram of the argument at `at` and step.
fn per_histogram(
    eval: &Eval<'_>,
    lines: &[Line],
    at: Span,
    mut number: impl FnMut(usize, Vec<Bucket>, &LabelSet) -> f64,
) -> Result<Vec<Line>, QueryError> {
    let mut made = Vec::new();
    for (labels, buckets) in histograms(eval, lines, at)? {
        let mut one = eval.new_line(labels, true)?;
        for (step, value) in one.values.iter_mut().enumerate() {
            eval.guard.check()?;
            let there = buckets
                .iter()
                .filter(|(_, line)| !is_absent(line.values[step]));
            let there: Vec<Bucket> = there
                .map(|(bound, line)| Bucket {
                    bound: *bound,
                    count: line.values[step],
                })
                .collect();
            if !there.is_empty() {
                *value = number(step, there, &one.labels);
            }
        }
        made.push(one);
    }
    Ok(made)
}

pub(super) fn histogram_quantile(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let q = Quantile {
        of_steps: eval.scalar(&call.args[0])?,
        at: call.args[0].span(),
    };
    let lines = eval.lines(&call.args[1])?;
    quantiles(eval, &lines, call.args[1].span(), &q).map(Out::Vector)
}

/// Which quantile in each step, and where it stands in the query.
struct Quantile {
    of_steps: Vec<f64>,
    at: Span,
}

/// A quantile of each histogram of the argument at `at`.
fn quantiles(
    eval: &Eval<'_>,
    lines: &[Line],
    at: Span,
    q: &Quantile,
) -> Result<Vec<Line>, QueryError> {
    for wrong in q.of_steps.iter().filter(|q| !(0.0..=1.0).contains(*q)) {
        let text = short_text(*wrong);
        eval.notes.warn(
            q.at,
            format!("quantile value should be between 0 and 1, got {text}"),
        );
    }
    let times: Vec<i64> = eval.grid.times().collect();
    per_histogram(eval, lines, at, |step, buckets, labels| {
        let (value, lifted) = histogram::quantile(q.of_steps[step], buckets);
        if let Some(lifted) = lifted {
            let text = format!("{MENDED}{}", of_metric(eval, labels.name()));
            eval.notes.mended(at, &text, lifted, times[step]);
        }
        value
    })
}

/// Several quantiles at once, told apart by a label.
pub(super) fn histogram_quantiles(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let arguments = &call.args;
    let lines = eval.lines(&arguments[0])?;
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
        for line in quantiles(eval, &lines, arguments[0].span(), &q)? {
            let labels = eval.made(with(&drop(&line.labels, &[]), &label, &text))?;
            all.push(Line { labels, ..line });
        }
    }
    Ok(Out::Vector(all))
}

pub(super) fn histogram_fraction(eval: &Eval<'_>, call: &Call) -> Result<Out, QueryError> {
    let arguments = &call.args;
    let (lower, upper) = (eval.scalar(&arguments[0])?, eval.scalar(&arguments[1])?);
    let lines = eval.lines(&arguments[2])?;
    per_histogram(eval, &lines, arguments[2].span(), |step, buckets, _| {
        histogram::fraction(lower[step], upper[step], buckets)
    })
    .map(Out::Vector)
}
