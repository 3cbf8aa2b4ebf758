//! Queries: parsed once, evaluated any number of times.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;

use super::ast::{Expr, TimeModifiers, ValueType, VectorSelector};
use super::eval::{Eval, Evaluated, Grid};
use super::guard::{Guard, Stopped};
use super::notes::Notes;
use super::parse::{self, Failure, SyntaxError};
use super::queryable::{Queryable, SampledSeries, StorageError};
use super::selector::matchers_of;

/// Longest query in bytes.
const MAX_LENGTH: usize = 1 << 18;
/// Maximum number of bytes of the matchers of a query, if no guard limits them.
const MAX_MATCHERS: u64 = 64 << 20;
/// Maximum number of steps of a range query, as in Prometheus.
const MAX_STEPS: i64 = 11_000;

/// A parsed query.
#[derive(Clone)]
pub struct Query {
    pub(super) expr: Arc<Expr>,
    /// Source text.
    text: Arc<str>,
}

/// Reason why a text is not a query, or not a series selector. The messages are those of Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The text violates the syntax.
    #[error("{at}: parse error: {reason}")]
    Syntax {
        /// Position of the violation.
        at: Position,
        /// Reason without the position.
        reason: String,
    },
    /// The text is longer than a query may be.
    #[error("parse error: longer than {MAX_LENGTH} bytes")]
    TooLong,
    /// The text is a query, but not a series selector.
    #[error("not a series selector: {0}")]
    NotASelector(String),
    /// The matchers exceed a limit.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Position in the text of a query. Its `Display` is `line:column`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1, as in Prometheus.
    pub column: usize,
    /// Byte offset in the text, from 0.
    pub offset: usize,
}

impl Position {
    pub(super) fn new(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1,
            offset,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.line, self.column)
    }
}

/// Options of evaluation.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Largest age of a sample that counts as the value of its series.
    pub lookback: Duration,
    /// Step of a subquery that has none.
    pub subquery_step: Duration,
    /// Removes the metric names of results at the end of evaluation, as the feature
    /// `promql-delayed-name-removal` of Prometheus does.
    pub delayed_name_removal: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lookback: Duration::from_secs(300),
            subquery_step: Duration::from_secs(60),
            delayed_name_removal: false,
        }
    }
}

/// Result of an evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Value of the query.
    pub value: Value,
    /// Warnings about likely mistakes in the query, each once.
    pub warnings: Vec<String>,
    /// Infos about suspicious parts of the query, each once.
    pub infos: Vec<String>,
}

/// Value of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// Time of evaluation.
        at: UnixMillis,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// Time of evaluation.
        at: UnixMillis,
        /// The text.
        text: String,
    },
    /// One value per series.
    Vector(Vec<Sample>),
    /// Samples per series, sorted by labels.
    Matrix(Vec<SampledSeries>),
}

/// Value of one series at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Labels of the series.
    pub labels: LabelSet,
    /// Time of evaluation.
    pub at: UnixMillis,
    /// Value.
    pub value: f64,
}

/// Error of a query. The kinds are those of Prometheus's HTTP API.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// The query or its parameters are invalid: `bad_data`.
    #[error("{0}")]
    BadData(String),
    /// The query cannot be evaluated over these series: `execution`.
    #[error("{0}")]
    Execution(String),
    /// The query was stopped: `canceled`, `timeout`, or `execution` for a limit of memory.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// Samples cannot be read: `internal`.
    #[error("{0}")]
    Storage(String),
}

impl QueryError {
    /// Returns the error type of Prometheus's HTTP API.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadData(_) => "bad_data",
            Self::Stopped(Stopped::Cancelled) => "canceled",
            Self::Stopped(Stopped::TimedOut) => "timeout",
            Self::Execution(_) | Self::Stopped(_) => "execution",
            Self::Storage(_) => "internal",
        }
    }
}

impl From<StorageError> for QueryError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Stopped(stopped) => Self::Stopped(stopped),
            StorageError::Unreadable(message) => Self::Storage(message),
        }
    }
}

impl From<ParseError> for QueryError {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::Stopped(stopped) => Self::Stopped(stopped),
            invalid => Self::BadData(invalid.to_string()),
        }
    }
}

/// A selector of a query.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// Matchers of the series; a selector with `or` yields one [`Selector`] per alternative.
    pub matchers: Vec<LabelMatcher>,
    /// Time that it reads back beyond the lookback: its range, its offset and those of subqueries
    /// around it.
    pub reach: Duration,
}

impl Selector {
    /// Returns one selector per alternative of `selector`, which reads back by `range` beyond its offset.
    fn of(selector: &VectorSelector, range: Duration) -> impl Iterator<Item = Self> + use<> {
        let reach = range + back(selector.modifiers.offset);
        matchers_of(selector)
            .into_iter()
            .map(move |matchers| Self { matchers, reach })
    }
}

/// Parses a query.
///
/// # Errors
/// The text is not a query.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    parse_guarded(text, &unlimited())
}

/// Parses a query as [`parse`] does, and charges `guard` for its regular expressions.
///
/// # Errors
/// The text is not a query, or the guard stopped it.
pub fn parse_within(text: &str, guard: &Guard) -> Result<Query, QueryError> {
    Ok(parse_guarded(text, guard)?)
}

fn parse_guarded(text: &str, guard: &Guard) -> Result<Query, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError::TooLong);
    }
    let expr = parse::parse(text, guard).map_err(|failure| match failure {
        Failure::Syntax(SyntaxError { at, reason }) => ParseError::Syntax {
            at: Position::new(text, at),
            reason,
        },
        Failure::Stopped(stopped) => ParseError::Stopped(stopped),
    })?;
    Ok(Query {
        expr: Arc::new(expr),
        text: text.into(),
    })
}

/// Parses a series selector such as `up{job=~"a.*"}` into its matchers, one list per alternative of an
/// `or`.
///
/// # Errors
/// The text is not a series selector.
pub fn parse_selector(text: &str) -> Result<Vec<Vec<LabelMatcher>>, ParseError> {
    selector_guarded(text, &unlimited())
}

/// Parses a series selector as [`parse_selector`] does, and charges `guard` for it.
///
/// # Errors
/// The text is not a series selector, or the guard stopped the query.
pub fn selector_within(text: &str, guard: &Guard) -> Result<Vec<Vec<LabelMatcher>>, QueryError> {
    Ok(selector_guarded(text, guard)?)
}

fn selector_guarded(text: &str, guard: &Guard) -> Result<Vec<Vec<LabelMatcher>>, ParseError> {
    match &*parse_guarded(text, guard)?.expr {
        Expr::VectorSelector(selector) if selector.modifiers == TimeModifiers::default() => {
            Ok(matchers_of(selector))
        }
        _ => Err(ParseError::NotASelector(text.to_owned())),
    }
}

/// Returns a guard that limits only the memory of matchers.
fn unlimited() -> Guard {
    Guard::within(u64::MAX, MAX_MATCHERS, Arc::default())
}

impl Query {
    /// Evaluates the query at `at`.
    ///
    /// # Errors
    /// Evaluation failed or was stopped.
    pub fn instant(
        &self,
        source: &dyn Queryable,
        at: UnixMillis,
        options: &Options,
        guard: &Guard,
    ) -> Result<Answer, QueryError> {
        let grid = Grid {
            start: at.0,
            end: at.0,
            step: 1,
        };
        let (out, notes) = self.evaluate(source, grid, options, guard)?;
        let value = match out {
            Evaluated::Scalar(values) => Value::Scalar {
                at,
                value: values.first().copied().unwrap_or(f64::NAN),
            },
            Evaluated::String(text) => Value::String { at, text },
            Evaluated::Matrix(series) => Value::Matrix(series),
            Evaluated::Vector(vector) => Value::Vector(
                vector
                    .into_iter()
                    .filter(|line| !SampledSeries::is_stale(line.values[0]))
                    .map(|line| Sample {
                        labels: line.labels,
                        at,
                        value: line.values[0],
                    })
                    .collect(),
            ),
        };
        Ok(notes.answer(value, &self.text))
    }

    /// Evaluates the query at `start` and every `step` after it, up to `end`.
    ///
    /// # Errors
    /// Evaluation failed or was stopped, the range is empty or has too many steps, or the type of the
    /// query is neither scalar nor instant vector.
    pub fn range(
        &self,
        source: &dyn Queryable,
        start: UnixMillis,
        end: UnixMillis,
        step: Duration,
        options: &Options,
        guard: &Guard,
    ) -> Result<Answer, QueryError> {
        let grid = range_grid(start, end, step)?;
        let kind = match self.expr.value_type() {
            ValueType::Matrix => Some("range vector"),
            ValueType::String => Some("string"),
            _ => None,
        };
        if let Some(kind) = kind {
            return bad(format!(
                "invalid expression type {kind:?} for range query, must be Scalar or instant Vector"
            ));
        }
        let (out, notes) = self.evaluate(source, grid, options, guard)?;
        let series = sampled(out, grid, guard)?;
        Ok(notes.answer(Value::Matrix(series), &self.text))
    }

    fn evaluate(
        &self,
        source: &dyn Queryable,
        grid: Grid,
        options: &Options,
        guard: &Guard,
    ) -> Result<(Evaluated, Notes), QueryError> {
        let notes = Notes::default();
        let eval = Eval {
            source,
            guard,
            options,
            notes: &notes,
            grid,
            query_grid: grid,
        };
        let out = eval.evaluate_query(&self.expr)?;
        Ok((out, notes))
    }

    /// Returns the type of the value: `scalar`, `vector`, `matrix` or `string`.
    #[must_use]
    pub fn result_type(&self) -> &'static str {
        match self.expr.value_type() {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
            ValueType::String => "string",
        }
    }

    /// Returns the selectors of the query. An `@` modifier is ignored.
    #[must_use]
    pub fn selectors(&self) -> Vec<Selector> {
        let (mut selectors, mut pending) = (Vec::new(), vec![(&*self.expr, Duration::ZERO)]);
        while let Some((expr, outer)) = pending.pop() {
            match expr {
                Expr::VectorSelector(selector) => {
                    selectors.extend(Selector::of(selector, outer));
                }
                Expr::MatrixSelector(matrix) => {
                    selectors.extend(Selector::of(&matrix.vs, outer + matrix.range));
                }
                Expr::Subquery(subquery) => {
                    let reach = subquery.range + back(subquery.modifiers.offset);
                    pending.push((&subquery.expr, outer + reach));
                }
                other => pending.extend(other.children().into_iter().map(|child| (child, outer))),
            }
        }
        selectors
    }
}

/// Returns the steps of a range query.
fn range_grid(start: UnixMillis, end: UnixMillis, step: Duration) -> Result<Grid, QueryError> {
    let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
    if step == 0 {
        return bad(
            "zero or negative query resolution step widths are not accepted. Try a positive integer",
        );
    }
    if end < start {
        return bad("end timestamp must not be before start time");
    }
    if (end.0.saturating_sub(start.0)) / step > MAX_STEPS {
        return bad(
            "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        );
    }
    Ok(Grid {
        start: start.0,
        end: end.0,
        step,
    })
}

/// Returns the series of a range query that have samples, sorted by labels.
fn sampled(out: Evaluated, grid: Grid, guard: &Guard) -> Result<Vec<SampledSeries>, QueryError> {
    let lines = match out {
        Evaluated::Scalar(values) => vec![(LabelSet::default(), values)],
        Evaluated::Vector(lines) => lines.into_iter().map(|l| (l.labels, l.values)).collect(),
        Evaluated::String(_) | Evaluated::Matrix(_) => Vec::new(),
    };
    let mut series: Vec<SampledSeries> = Vec::with_capacity(lines.len());
    for (labels, values) in lines {
        guard.check()?;
        let points = grid.times().zip(values);
        let (times, values): (Vec<i64>, _) = points
            .filter(|(_, value)| !SampledSeries::is_stale(*value))
            .unzip();
        if !times.is_empty() {
            series.push(SampledSeries {
                labels,
                times,
                values,
            });
        }
    }
    series.sort_by(|a, b| a.labels.cmp(&b.labels));
    Ok(series)
}

fn bad<T>(message: impl Into<String>) -> Result<T, QueryError> {
    Err(QueryError::BadData(message.into()))
}

/// Time that an offset leads back; zero if it leads ahead.
fn back(offset: Option<i64>) -> Duration {
    Duration::from_millis(
        offset
            .and_then(|offset| u64::try_from(offset).ok())
            .unwrap_or_default(),
    )
}

impl fmt::Display for Query {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.expr)
    }
}

impl fmt::Debug for Query {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Query({})", self.expr)
    }
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.expr == other.expr
    }
}
