//! Evaluation of an expression over all steps at once.

use bellwether_core::{LabelSet, METRIC_NAME};

use super::ast::{Call, Expr, SubqueryExpr, ValueType};
use super::functions::{self, Window};
use super::guard::{Guard, Stopped, Usage};
use super::labels::without_name;
use super::notes::Notes;
use super::query::{Options, QueryError};
use super::queryable::{Queryable, SampledSeries};
use super::selector::{SelectedTime, millis};

/// Value of a series in a step without a sample: a staleness marker, which no other sample has.
pub(super) const ABSENT: f64 = f64::from_bits(SampledSeries::STALE);

/// Maximum number of steps of a subquery, whatever the guard allows: about two months at a step of one second.
const MAX_SUBQUERY_STEPS: usize = 5_000_000;

/// Bytes of a series without its labels and samples.
const SERIES: usize = 64;
/// Samples that are processed between two checks of the guard.
pub(super) const CHECK_INTERVAL: usize = 1 << 14;

/// Returns whether a value is [`ABSENT`].
pub(super) fn absent(value: f64) -> bool {
    SampledSeries::is_stale(value)
}

/// Steps of an evaluation; all times are milliseconds.
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
        (0..self.steps() as i64).map(move |index| start.saturating_add(index.saturating_mul(step)))
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

/// Values of one series, by step.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) labels: LabelSet,
    /// The metric name no longer applies and is removed later, so that `label_replace` can still use
    /// it and aggregations can still group by it.
    pub(super) drop_name: bool,
    /// One value per step, or [`ABSENT`].
    pub(super) values: Vec<f64>,
}

/// Value of an expression in all steps.
#[derive(Debug)]
pub(super) enum Evaluated {
    Scalar(Vec<f64>),
    String(String),
    Vector(Vec<Series>),
    /// Range vector that is the whole query.
    Matrix(Vec<SampledSeries>),
}

impl Evaluated {
    /// Returns the memory of the value.
    fn usage(&self) -> Usage {
        let (series, labels, samples) = match self {
            Self::Scalar(values) => (0, 0, values.len()),
            Self::String(text) => (0, text.len(), 0),
            Self::Vector(vector) => (
                vector.len(),
                vector
                    .iter()
                    .map(|series| series.labels.packed().len())
                    .sum(),
                vector.iter().map(|series| series.values.len()).sum(),
            ),
            Self::Matrix(series) => (
                series.len(),
                series.iter().map(|one| one.labels.packed().len()).sum(),
                series.iter().map(|one| one.times.len()).sum(),
            ),
        };
        Usage {
            samples: samples as u64,
            bytes: (labels + series * SERIES) as u64,
        }
    }
}

/// A range vector: the samples of each series, and the range that each step selects.
pub(super) struct Ranges {
    pub(super) series: Vec<Ranged>,
    pub(super) moment: SelectedTime,
    pub(super) range: i64,
}

pub(super) struct Ranged {
    pub(super) labels: LabelSet,
    pub(super) drop_name: bool,
    pub(super) times: Vec<i64>,
    pub(super) values: Vec<f64>,
}

/// An evaluation over one grid. A subquery has a grid of its own.
#[derive(Clone, Copy)]
pub(super) struct Eval<'a> {
    pub(super) source: &'a dyn Queryable,
    pub(super) guard: &'a Guard,
    pub(super) options: &'a Options,
    pub(super) notes: &'a Notes,
    pub(super) grid: Grid,
    /// Grid of the whole query, for `start()` and `end()`.
    pub(super) query_grid: Grid,
}

impl Eval<'_> {
    /// Evaluates a whole query: removes names that no longer apply, and merges series that then have
    /// the same labels.
    pub(super) fn evaluate_query(&self, expr: &Expr) -> Result<Evaluated, QueryError> {
        let expr = expr.unwrapped();
        match (expr, expr.value_type()) {
            (Expr::String(text), _) => Ok(Evaluated::String(text.val.clone())),
            (_, ValueType::Matrix) => {
                let ranges = self.ranges(expr)?;
                Ok(Evaluated::Matrix(self.cut(ranges)))
            }
            _ => match self.eval(expr)? {
                Evaluated::Vector(vector) => Ok(Evaluated::Vector(self.named(vector)?)),
                other => Ok(other),
            },
        }
    }

    /// Charges the guard for new labels.
    pub(super) fn charge_labels(&self, labels: LabelSet) -> Result<LabelSet, Stopped> {
        self.guard.charge_labels(labels.packed().len())?;
        Ok(labels)
    }

    /// Creates a series without any value; its labels are charged already.
    pub(super) fn new_series(&self, labels: LabelSet, drop_name: bool) -> Result<Series, Stopped> {
        let steps = self.grid.steps();
        self.guard.charge_bytes(SERIES)?;
        self.guard.charge(steps)?;
        Ok(Series {
            labels,
            drop_name,
            values: vec![ABSENT; steps],
        })
    }

    /// Returns the samples of a range vector at the only step.
    fn cut(&self, ranges: Ranges) -> Vec<SampledSeries> {
        let at = ranges.moment.at(self.grid.start);
        let all = ranges.series.into_iter().map(|one| {
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
        });
        all.filter(|series| !series.times.is_empty()).collect()
    }

    /// Removes names immediately, as Prometheus does without delayed name removal.
    fn nameless(&self, vector: Vec<Series>, by_series: bool) -> Result<Vec<Series>, QueryError> {
        if !vector.iter().any(|series| series.drop_name) {
            return Ok(vector);
        }
        let count = vector.len();
        let named = self.named(vector)?;
        if by_series && named.len() < count {
            return Err(duplicate());
        }
        Ok(named)
    }

    /// Removes the names that no longer apply.
    fn named(&self, mut vector: Vec<Series>) -> Result<Vec<Series>, QueryError> {
        for series in vector.iter_mut().filter(|series| series.drop_name) {
            series.labels = self.charge_labels(without_name(&series.labels))?;
            series.drop_name = false;
        }
        self.merged(vector)
    }

    /// Evaluates an expression that is not a range vector, and releases temporary memory: the query
    /// then holds what it held before, and the result.
    pub(super) fn eval(&self, expr: &Expr) -> Result<Evaluated, QueryError> {
        let before = self.guard.usage();
        let out = self.evaluate(expr)?;
        // Results of functions of single series must not collide, not even in different steps.
        let by_series = match expr {
            Expr::Unary(_) => true,
            Expr::Call(call) => call.func.arguments.contains(&ValueType::Matrix),
            _ => false,
        };
        self.finished(before, out, by_series)
    }

    /// Removes names as the options say, and sets the usage to `before` plus the result.
    pub(super) fn finished(
        &self,
        before: Usage,
        mut out: Evaluated,
        by_series: bool,
    ) -> Result<Evaluated, QueryError> {
        if let (Evaluated::Vector(vector), false) = (&mut out, self.options.delayed_name_removal) {
            *vector = self.nameless(std::mem::take(vector), by_series)?;
        }
        self.guard.settle(before, out.usage())?;
        Ok(out)
    }

    fn evaluate(&self, expr: &Expr) -> Result<Evaluated, QueryError> {
        self.guard.check()?;
        if self.grid.steps() > 1 && is_expensive(expr) && is_constant(expr) {
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
                Ok(Evaluated::Scalar(vec![number.val; self.grid.steps()]))
            }
            Expr::String(text) => Ok(Evaluated::String(text.val.clone())),
            Expr::Paren(inner) => self.eval(&inner.expr),
            Expr::Unary(inner) => self.negated(&inner.expr),
            Expr::VectorSelector(selector) => Ok(Evaluated::Vector(self.vector(selector)?)),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Aggregate(aggregate) => Ok(Evaluated::Vector(self.aggregate(aggregate)?)),
            Expr::Call(call) => functions::call(self, call),
            Expr::MatrixSelector(_) | Expr::Subquery(_) => Err(QueryError::BadData(
                "a range vector is not allowed here".into(),
            )),
        }
    }

    /// Repeats the value of one step in every step.
    fn repeated(&self, out: Evaluated) -> Result<Evaluated, QueryError> {
        let steps = self.grid.steps();
        Ok(match out {
            Evaluated::Scalar(values) => Evaluated::Scalar(vec![values[0]; steps]),
            Evaluated::Vector(vector) => {
                self.guard.charge(vector.len().saturating_mul(steps))?;
                Evaluated::Vector(
                    vector
                        .into_iter()
                        .map(|series| Series {
                            values: vec![series.values[0]; steps],
                            ..series
                        })
                        .collect(),
                )
            }
            other => other,
        })
    }

    fn negated(&self, expr: &Expr) -> Result<Evaluated, QueryError> {
        Ok(match self.eval(expr)? {
            Evaluated::Scalar(values) => Evaluated::Scalar(negate(values)),
            Evaluated::Vector(vector) => Evaluated::Vector(
                vector
                    .into_iter()
                    .map(|series| Series {
                        drop_name: true,
                        values: negate(series.values),
                        ..series
                    })
                    .collect(),
            ),
            other => other,
        })
    }

    /// Evaluates an instant vector.
    pub(super) fn instant_vector(&self, expr: &Expr) -> Result<Vec<Series>, QueryError> {
        match self.eval(expr)? {
            Evaluated::Vector(vector) => Ok(vector),
            _ => Err(QueryError::BadData("expected an instant vector".into())),
        }
    }

    /// Evaluates a scalar.
    pub(super) fn scalar(&self, expr: &Expr) -> Result<Vec<f64>, QueryError> {
        match self.eval(expr)? {
            Evaluated::Scalar(values) => Ok(values),
            _ => Err(QueryError::BadData("expected a scalar".into())),
        }
    }

    /// Evaluates a string.
    pub(super) fn string(&self, expr: &Expr) -> Result<String, QueryError> {
        match self.eval(expr)? {
            Evaluated::String(text) => Ok(text),
            _ => Err(QueryError::BadData("expected a string".into())),
        }
    }

    /// Evaluates a range vector: a selector with a range, or a subquery.
    pub(super) fn ranges(&self, expr: &Expr) -> Result<Ranges, QueryError> {
        match expr {
            Expr::Paren(inner) => self.ranges(&inner.expr),
            Expr::MatrixSelector(matrix) => {
                let selector = &matrix.vs;
                let moment = SelectedTime::new(self, &selector.modifiers);
                let range = millis(matrix.range);
                let series = self
                    .read(selector, moment, range)?
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

    /// Evaluates a subquery at multiples of its step, whatever the steps of the query are.
    fn subquery(&self, subquery: &SubqueryExpr) -> Result<Ranges, QueryError> {
        let moment = SelectedTime::new(self, &subquery.modifiers);
        let range = millis(subquery.range);
        let step = millis(subquery.step.unwrap_or(self.options.subquery_step)).max(1);
        let first = moment.at(self.grid.start).saturating_sub(range);
        // Ranges exclude their start.
        let start = first
            .div_euclid(step)
            .saturating_add(1)
            .saturating_mul(step);
        let end = moment.at(self.grid.last());
        let grid = Grid { start, end, step };
        if grid.steps() == 0 {
            return Ok(Ranges {
                series: Vec::new(),
                moment,
                range,
            });
        }
        let vector = self.inner_steps(grid, &subquery.expr)?;
        let mut ranges = Vec::with_capacity(vector.len());
        for series in vector {
            self.guard.charge(series.values.len())?;
            ranges.push(ranged(
                series.labels,
                series.drop_name,
                grid.times().collect(),
                series.values,
            ));
        }
        Ok(Ranges {
            series: ranges,
            moment,
            range,
        })
    }

    /// Evaluates the expression of a subquery in the steps of `grid`.
    fn inner_steps(&self, grid: Grid, expr: &Expr) -> Result<Vec<Series>, QueryError> {
        let steps = grid.steps();
        if steps > MAX_SUBQUERY_STEPS {
            return Err(QueryError::Execution(format!(
                "subquery of {steps} steps, at most {MAX_SUBQUERY_STEPS} are allowed: try a longer step or a shorter range"
            )));
        }
        // Even without any series: a scalar has a value in each step.
        self.guard.charge(steps)?;
        let inner = Eval { grid, ..*self };
        match inner.eval(expr)? {
            Evaluated::Vector(vector) => Ok(vector),
            Evaluated::Scalar(values) => Ok(vec![Series {
                labels: LabelSet::default(),
                drop_name: false,
                values,
            }]),
            _ => Err(QueryError::BadData(
                "the expression of a subquery must be an instant vector".into(),
            )),
        }
    }

    /// Applies `function` to the window of each step and series; drops series without any result.
    pub(super) fn over_time(
        &self,
        ranges: Ranges,
        keep_name: bool,
        mut function: impl FnMut(usize, &Window<'_>) -> Option<f64>,
    ) -> Result<Vec<Series>, QueryError> {
        let Ranges {
            series,
            moment,
            range,
        } = ranges;
        let mut vector = Vec::new();
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
                if work > CHECK_INTERVAL {
                    self.guard.check()?;
                    work = 0;
                }
            }
            self.guard.release(one.times.len());
            if seen {
                self.guard.charge(values.len())?;
                let drop_name = one.drop_name || !keep_name;
                vector.push(Series {
                    labels: one.labels,
                    drop_name,
                    values,
                });
            }
        }
        Ok(vector)
    }
}

/// Negates the values that are there.
fn negate(mut values: Vec<f64>) -> Vec<f64> {
    for value in values.iter_mut().filter(|value| !absent(**value)) {
        *value = -*value;
    }
    values
}

/// Returns the first index at or behind `from` whose time is later than `at`. Linear for the first few
/// times, because windows mostly move by little.
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

/// Creates a series of a range vector, without staleness markers.
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

/// Returns whether an expression is expensive enough to be evaluated only once.
fn is_expensive(expr: &Expr) -> bool {
    matches!(expr, Expr::Call(_) | Expr::Aggregate(_) | Expr::Binary(_))
}

/// Returns whether an expression has the same value in every step, because it reads only at fixed
/// times.
fn is_constant(expr: &Expr) -> bool {
    match expr {
        Expr::VectorSelector(selector) => selector.modifiers.at.is_some(),
        Expr::MatrixSelector(matrix) => matrix.vs.modifiers.at.is_some(),
        Expr::Subquery(subquery) => subquery.modifiers.at.is_some(),
        Expr::Call(call) => !depends_on_step(call) && expr.children().into_iter().all(is_constant),
        _ => expr.children().into_iter().all(is_constant),
    }
}

/// Returns whether a call depends on the time of the step itself.
fn depends_on_step(call: &Call) -> bool {
    matches!(call.func.name, "time" | "timestamp" | "predict_linear") || call.args.is_empty()
}

impl Eval<'_> {
    /// Merges series with the same labels; it is an error if they have values in the same step.
    pub(super) fn merged(&self, vector: Vec<Series>) -> Result<Vec<Series>, QueryError> {
        let mut by_labels = hashbrown::HashMap::<LabelSet, usize>::with_capacity(vector.len());
        let mut all: Vec<Series> = Vec::with_capacity(vector.len());
        for series in vector {
            self.guard.check()?;
            match by_labels.get(&series.labels) {
                None => {
                    by_labels.insert(series.labels.clone(), all.len());
                    all.push(series);
                }
                Some(index) => {
                    for (into, value) in all[*index].values.iter_mut().zip(series.values) {
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

/// Error for two series with the same labels, with the message of Prometheus.
fn duplicate() -> QueryError {
    QueryError::Execution("vector cannot contain metrics with the same labelset".into())
}

/// Returns the metric name of a series, for warnings.
pub(super) fn name_of(series: &Series) -> &str {
    series.labels.get(METRIC_NAME)
}
