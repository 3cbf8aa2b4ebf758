//! Evaluation of an expression over all steps at once.

use bellwether_core::{LabelSet, METRIC_NAME};

use super::ast::{Call, Expr, SubqueryExpr, ValueType};
use super::functions::{self, Window};
use super::guard::{Guard, Held, Stopped};
use super::labels::without_name;
use super::notes::Notes;
use super::query::{Options, QueryError};
use super::queryable::{Queryable, SampledSeries};
use super::selector::{Moment, millis};

/// The value of a series in a step in which it has none. No sample that counts has these bits.
pub(super) const ABSENT: f64 = f64::from_bits(SampledSeries::STALE);

/// Most steps of a subquery, whatever the guard allows: two months of seconds.
const MAX_SUBQUERY_STEPS: usize = 5_000_000;

/// Bytes of a series beside its labels and samples.
const SERIES: usize = 64;
/// Samples that are worked on before it is asked whether to go on.
pub(super) const TURN: usize = 1 << 14;

/// Whether a series has no value in a step.
pub(super) fn absent(value: f64) -> bool {
    SampledSeries::is_stale(value)
}

/// The steps of an evaluation, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) start: i64,
    pub(super) end: i64,
    pub(super) step: i64,
}

impl Grid {
    pub(super) fn steps(&self) -> usize {
        if self.end < self.start {
            return 0;
        }
        (self.end.saturating_sub(self.start) / self.step).saturating_add(1) as usize
    }

    pub(super) fn times(&self) -> impl Iterator<Item = i64> + use<> {
        let Self { start, step, .. } = *self;
        let at = move |index: i64| start.saturating_add(index.saturating_mul(step));
        (0..self.steps() as i64).map(at)
    }

    pub(super) fn last(&self) -> i64 {
        let steps = self.steps().max(1) as i64 - 1;
        self.start.saturating_add(steps.saturating_mul(self.step))
    }

    fn first_only(&self) -> Self {
        Self {
            start: self.start,
            end: self.start,
            step: 1,
        }
    }
}

/// One series over the steps.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) labels: LabelSet,
    /// Whether the name does not belong to it any more. It is taken off at the end, so that
    /// `label_replace` may still use it and aggregations may still group by it.
    pub(super) drop_name: bool,
    /// One per step; [`ABSENT`] where there is none.
    pub(super) values: Vec<f64>,
}

/// What an expression gives.
#[derive(Debug)]
pub(super) enum Out {
    Scalar(Vec<f64>),
    String(String),
    Vector(Vec<Line>),
    /// Of a range vector that is the whole query.
    Matrix(Vec<SampledSeries>),
}

impl Out {
    /// What it takes in memory.
    fn held(&self) -> Held {
        let of = |series: usize, labels: usize, samples: usize| Held {
            samples: samples as u64,
            bytes: (labels + series * SERIES) as u64,
        };
        match self {
            Self::Scalar(values) => of(0, 0, values.len()),
            Self::String(text) => of(0, text.len(), 0),
            Self::Vector(lines) => of(
                lines.len(),
                lines.iter().map(|line| line.labels.packed().len()).sum(),
                lines.iter().map(|line| line.values.len()).sum(),
            ),
            Self::Matrix(series) => of(
                series.len(),
                series.iter().map(|one| one.labels.packed().len()).sum(),
                series.iter().map(|one| one.times.len()).sum(),
            ),
        }
    }
}

/// A range vector: the samples of each series, and what each step sees of them.
pub(super) struct Ranges {
    pub(super) series: Vec<Ranged>,
    pub(super) moment: Moment,
    pub(super) range: i64,
}

pub(super) struct Ranged {
    pub(super) labels: LabelSet,
    pub(super) drop_name: bool,
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f64>,
}

/// An evaluation over one grid; a subquery makes another one.
#[derive(Clone, Copy)]
pub(super) struct Eval<'a> {
    pub(super) source: &'a dyn Queryable,
    pub(super) guard: &'a Guard,
    pub(super) options: &'a Options,
    pub(super) notes: &'a Notes,
    pub(super) grid: Grid,
    /// The grid of the query as a whole: `start()` and `end()`.
    pub(super) whole: Grid,
}

impl Eval<'_> {
    /// Evaluates a query as a whole: names go, and what then has one label set is one series.
    pub(super) fn whole(&self, expr: &Expr) -> Result<Out, QueryError> {
        let expr = expr.unwrapped();
        match (expr, expr.value_type()) {
            (Expr::String(text), _) => Ok(Out::String(text.val.clone())),
            (_, ValueType::Matrix) => {
                let ranges = self.ranges(expr)?;
                Ok(Out::Matrix(self.cut(ranges)))
            }
            _ => match self.eval(expr)? {
                Out::Vector(lines) => Ok(Out::Vector(self.named(lines)?)),
                other => Ok(other),
            },
        }
    }

    /// Counts labels that were made.
    pub(super) fn made(&self, labels: LabelSet) -> Result<LabelSet, Stopped> {
        self.guard.charge_labels(labels.packed().len())?;
        Ok(labels)
    }

    /// A new series without any value, for `labels` that are counted.
    pub(super) fn new_line(&self, labels: LabelSet, drop_name: bool) -> Result<Line, Stopped> {
        let steps = self.grid.steps();
        self.guard.charge_bytes(SERIES)?;
        self.guard.charge(steps)?;
        Ok(Line {
            labels,
            drop_name,
            values: vec![ABSENT; steps],
        })
    }

    /// What a range vector holds at the only step.
    fn cut(&self, ranges: Ranges) -> Vec<SampledSeries> {
        let at = ranges.moment.at(self.grid.start);
        let cut = |one: Ranged| {
            let start = one
                .times
                .partition_point(|time| *time <= at.saturating_sub(ranges.range));
            let end = one.times.partition_point(|time| *time <= at);
            let labels = if one.drop_name {
                without_name(&one.labels)
            } else {
                one.labels
            };
            let (times, values) = (
                one.times[start..end].to_vec(),
                one.values[start..end].to_vec(),
            );
            SampledSeries {
                labels,
                times,
                values,
            }
        };
        let all = ranges.series.into_iter().map(cut);
        all.filter(|series| !series.times.is_empty()).collect()
    }

    /// Takes off names at once, as Prometheus does unless it is told to wait.
    fn nameless(&self, lines: Vec<Line>, by_series: bool) -> Result<Vec<Line>, QueryError> {
        if !lines.iter().any(|line| line.drop_name) {
            return Ok(lines);
        }
        let count = lines.len();
        let named = self.named(lines)?;
        if by_series && named.len() < count {
            return Err(duplicate());
        }
        Ok(named)
    }

    /// Takes off the names that do not belong any more.
    fn named(&self, mut lines: Vec<Line>) -> Result<Vec<Line>, QueryError> {
        for line in lines.iter_mut().filter(|line| line.drop_name) {
            line.labels = self.made(without_name(&line.labels))?;
            line.drop_name = false;
        }
        self.merged(lines)
    }

    /// Evaluates an expression that is no range vector. What it needed on the way is given back:
    /// the query then holds what it held before, and the result.
    pub(super) fn eval(&self, expr: &Expr) -> Result<Out, QueryError> {
        let before = self.guard.held();
        let out = self.evaluated(expr)?;
        // What is calculated series by series cannot become one series in the end, in no step.
        let by_series = match expr {
            Expr::Unary(_) => true,
            Expr::Call(call) => call.func.takes.contains(&ValueType::Matrix),
            _ => false,
        };
        self.finished(before, out, by_series)
    }

    /// A result as others see it, charged to what was held `before`.
    pub(super) fn finished(
        &self,
        before: Held,
        mut out: Out,
        by_series: bool,
    ) -> Result<Out, QueryError> {
        if let (Out::Vector(lines), false) = (&mut out, self.options.delayed_name_removal) {
            *lines = self.nameless(std::mem::take(lines), by_series)?;
        }
        self.guard.settle(before, out.held())?;
        Ok(out)
    }

    fn evaluated(&self, expr: &Expr) -> Result<Out, QueryError> {
        self.guard.check()?;
        if self.grid.steps() > 1 && worth_once(expr) && fixed(expr) {
            return self.repeated(
                Eval {
                    grid: self.grid.first_only(),
                    ..*self
                }
                .eval(expr)?,
            );
        }
        match expr {
            Expr::Number(number) => {
                self.guard.charge(self.grid.steps())?;
                Ok(Out::Scalar(vec![number.val; self.grid.steps()]))
            }
            Expr::String(text) => Ok(Out::String(text.val.clone())),
            Expr::Paren(inner) => self.eval(&inner.expr),
            Expr::Unary(inner) => self.negated(&inner.expr),
            Expr::VectorSelector(selector) => Ok(Out::Vector(self.vector(selector)?)),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Aggregate(aggregate) => Ok(Out::Vector(self.aggregate(aggregate)?)),
            Expr::Call(call) => functions::call(self, call),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => Err(QueryError::BadData(
                "a range vector where none can be".into(),
            )),
        }
    }

    /// The same in every step.
    fn repeated(&self, out: Out) -> Result<Out, QueryError> {
        let steps = self.grid.steps();
        Ok(match out {
            Out::Scalar(values) => Out::Scalar(vec![values[0]; steps]),
            Out::Vector(lines) => {
                self.guard.charge(lines.len().saturating_mul(steps))?;
                let repeat = |line: Line| Line {
                    values: vec![line.values[0]; steps],
                    ..line
                };
                Out::Vector(lines.into_iter().map(repeat).collect())
            }
            other => other,
        })
    }

    fn negated(&self, expr: &Expr) -> Result<Out, QueryError> {
        let negate = |values: Vec<f64>| -> Vec<f64> {
            values
                .into_iter()
                .map(|value| if absent(value) { value } else { -value })
                .collect()
        };
        Ok(match self.eval(expr)? {
            Out::Scalar(values) => Out::Scalar(negate(values)),
            Out::Vector(lines) => Out::Vector(
                lines
                    .into_iter()
                    .map(|line| Line {
                        drop_name: true,
                        values: negate(line.values),
                        ..line
                    })
                    .collect(),
            ),
            other => other,
        })
    }

    /// Evaluates an instant vector.
    pub(super) fn lines(&self, expr: &Expr) -> Result<Vec<Line>, QueryError> {
        match self.eval(expr)? {
            Out::Vector(lines) => Ok(lines),
            _ => Err(QueryError::BadData("expected an instant vector".into())),
        }
    }

    /// Evaluates a scalar.
    pub(super) fn scalar(&self, expr: &Expr) -> Result<Vec<f64>, QueryError> {
        match self.eval(expr)? {
            Out::Scalar(values) => Ok(values),
            _ => Err(QueryError::BadData("expected a scalar".into())),
        }
    }

    /// Evaluates a string.
    pub(super) fn string(&self, expr: &Expr) -> Result<String, QueryError> {
        match self.eval(expr)? {
            Out::String(text) => Ok(text),
            _ => Err(QueryError::BadData("expected a string".into())),
        }
    }

    /// Evaluates a range vector: a selector with a range, or a subquery.
    pub(super) fn ranges(&self, expr: &Expr) -> Result<Ranges, QueryError> {
        match expr {
            Expr::Paren(inner) => self.ranges(&inner.expr),
            Expr::MatrixSelector(matrix) => {
                let selector = &matrix.vs;
                let moment = Moment::new(self, &selector.moment);
                let range = millis(matrix.range);
                let series = self.read(selector, moment, range)?;
                let series = series
                    .into_iter()
                    .map(|one| ranged(one.labels, false, one.times, one.values));
                Ok(Ranges {
                    series: series.collect(),
                    moment,
                    range,
                })
            }
            Expr::Subquery(subquery) => self.subquery(subquery),
            _ => Err(QueryError::BadData("expected a range vector".into())),
        }
    }

    /// A subquery is evaluated at multiples of its step, whatever the steps of the query are.
    fn subquery(&self, subquery: &SubqueryExpr) -> Result<Ranges, QueryError> {
        let moment = Moment::new(self, &subquery.moment);
        let range = millis(subquery.range);
        let step = millis(subquery.step.unwrap_or(self.options.subquery_step)).max(1);
        let first = moment.at(self.grid.start).saturating_sub(range);
        // Ranges are open on the left.
        let start = first
            .div_euclid(step)
            .saturating_add(1)
            .saturating_mul(step);
        let end = moment.at(self.grid.last());
        let grid = Grid { start, end, step };
        match grid.steps() {
            0 => {
                return Ok(Ranges {
                    series: Vec::new(),
                    moment,
                    range,
                });
            }
            steps if steps > MAX_SUBQUERY_STEPS => {
                return Err(QueryError::Execution(format!(
                    "subquery of {steps} steps, {MAX_SUBQUERY_STEPS} at the most: try a longer step or a shorter range"
                )));
            }
            // Also without any series: a scalar has a value in each.
            steps => self.guard.charge(steps)?,
        }
        let inner = Eval { grid, ..*self };
        let lines = match inner.eval(&subquery.expr)? {
            Out::Vector(lines) => lines,
            Out::Scalar(values) => {
                vec![Line {
                    labels: LabelSet::default(),
                    drop_name: false,
                    values,
                }]
            }
            _ => {
                return Err(QueryError::BadData(
                    "a subquery over no instant vector".into(),
                ));
            }
        };
        let mut series = Vec::with_capacity(lines.len());
        for line in lines {
            self.guard.charge(line.values.len())?;
            series.push(ranged(
                line.labels,
                line.drop_name,
                grid.times().collect(),
                line.values,
            ));
        }
        Ok(Ranges {
            series,
            moment,
            range,
        })
    }

    /// Gives `function` what each step sees of each series; series without any result go.
    pub(super) fn over_time(
        &self,
        ranges: Ranges,
        keep_name: bool,
        mut function: impl FnMut(usize, &Window<'_>) -> Option<f64>,
    ) -> Result<Vec<Line>, QueryError> {
        let Ranges {
            series,
            moment,
            range,
        } = ranges;
        let mut lines = Vec::new();
        for one in series {
            let mut values = vec![ABSENT; self.grid.steps()];
            let (mut start, mut end, mut seen, mut work) = (0, 0, false, 0);
            for (index, (slot, step)) in values.iter_mut().zip(self.grid.times()).enumerate() {
                let at = moment.at(step);
                start = advance(&one.times, start, at.saturating_sub(range));
                end = advance(&one.times, end, at).max(start);
                if start == end {
                    continue;
                }
                let window = Window {
                    times: &one.times[start..end],
                    values: &one.values[start..end],
                    start: at.saturating_sub(range),
                    end: at,
                    step,
                };
                if let Some(value) = function(index, &window) {
                    *slot = value;
                    seen = true;
                }
                work += window.values.len() + 64;
                if work > TURN {
                    self.guard.check()?;
                    work = 0;
                }
            }
            self.guard.release(one.times.len());
            if seen {
                self.guard.charge(values.len())?;
                let drop_name = one.drop_name || !keep_name;
                lines.push(Line {
                    labels: one.labels,
                    drop_name,
                    values,
                });
            }
        }
        Ok(lines)
    }
}

/// The first index at or after `from` whose time is after `at`. Windows mostly move by little.
fn advance(times: &[i64], from: usize, at: i64) -> usize {
    let near = times[from..]
        .iter()
        .take(8)
        .take_while(|time| **time <= at)
        .count();
    if near < 8 {
        return from + near;
    }
    from + times[from..].partition_point(|time| *time <= at)
}

/// A series without its markers of staleness: ranges do not see them.
fn ranged(labels: LabelSet, drop_name: bool, mut times: Vec<i64>, mut values: Vec<f64>) -> Ranged {
    if values.iter().copied().any(absent) {
        let mut stale = values.iter().map(|value| absent(*value));
        times.retain(|_| !stale.next().unwrap_or_default());
        values.retain(|value| !absent(*value));
    }
    Ranged {
        labels,
        drop_name,
        times,
        values,
    }
}

/// Whether an expression costs something to evaluate.
fn worth_once(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(_) | Expr::Aggregate(_) | Expr::Binary(_))
}

/// Whether an expression is the same in every step: all it reads is at a fixed time.
fn fixed(expr: &Expr) -> bool {
    let whole = |expr: &Expr| match expr {
        Expr::VectorSelector(selector) => selector.moment.at.is_some(),
        Expr::MatrixSelector(matrix) => matrix.vs.moment.at.is_some(),
        Expr::Subquery(subquery) => subquery.moment.at.is_some(),
        Expr::Call(call) => !tells_time(call) && expr.children().into_iter().all(fixed),
        _ => expr.children().into_iter().all(fixed),
    };
    whole(expr)
}

/// Whether a call depends on the time of the step itself.
fn tells_time(call: &Call) -> bool {
    matches!(call.func.name, "time" | "timestamp" | "predict_linear") || call.args.is_empty()
}

impl Eval<'_> {
    /// Series with one label set become one, where they have no step in common.
    pub(super) fn merged(&self, lines: Vec<Line>) -> Result<Vec<Line>, QueryError> {
        let mut by_labels = hashbrown::HashMap::<LabelSet, usize>::with_capacity(lines.len());
        let mut all: Vec<Line> = Vec::with_capacity(lines.len());
        for line in lines {
            self.guard.check()?;
            match by_labels.get(&line.labels) {
                None => {
                    by_labels.insert(line.labels.clone(), all.len());
                    all.push(line);
                }
                Some(index) => {
                    for (into, value) in all[*index].values.iter_mut().zip(line.values) {
                        match (absent(*into), absent(value)) {
                            (_, true) => {}
                            (true, false) => *into = value,
                            (false, false) => return Err(duplicate()),
                        }
                    }
                }
            }
        }
        Ok(all)
    }
}

/// What Prometheus says of two series with one label set.
fn duplicate() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".into())
}

/// The name that a series still has, for warnings.
pub(super) fn name_of(line: &Line) -> &str {
    line.labels.get(METRIC_NAME)
}
