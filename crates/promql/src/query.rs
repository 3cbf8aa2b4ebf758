//! A query: read once, asked as often as wanted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;

use super::ast::{Expr, TimeModifiers, ValueType, VectorSelector};
use super::eval::{Eval, Grid, Out};
use super::guard::{Guard, Stopped};
use super::notes::Notes;
use super::parse::{self, Refused};
use super::queryable::{Queryable, SampledSeries, StorageError};
use super::selector::matchers_of;

/// Longest query in bytes.
const MAX_LENGTH: usize = 1 << 18;
/// Most bytes that the matchers of a selector alone may take.
const MAX_MATCHERS: u64 = 64 << 20;
/// Most steps of a range query, as Prometheus has it.
const MAX_STEPS: i64 = 11_000;

/// A query that was read.
#[derive(Clone)]
pub struct Query {
    pub(super) expr: Arc<Expr>,
    /// As it was written.
    text: Arc<str>,
}

/// Why a text is no query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ParseError(pub String);

/// How a query is asked.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How old the last sample of a series may be to count as its value.
    pub lookback: Duration,
    /// Step of a subquery that names none.
    pub subquery_step: Duration,
    /// Whether names that do not belong to a result any more are taken off at the end only, which
    /// Prometheus does where it is told to (`promql-delayed-name-removal`).
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

/// What a query gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The result.
    pub value: Value,
    /// What is likely wrong with the query, each once.
    pub warnings: Vec<String>,
    /// What is odd with it, each once.
    pub infos: Vec<String>,
}

/// The result of a query.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number.
    Scalar {
        /// When it was asked for.
        at: UnixMillis,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// When it was asked for.
        at: UnixMillis,
        /// The text.
        text: String,
    },
    /// One value per series.
    Vector(Vec<Sample>),
    /// Samples per series, sorted by labels.
    Matrix(Vec<SampledSeries>),
}

/// A value of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Which series.
    pub labels: LabelSet,
    /// When it was asked for.
    pub at: UnixMillis,
    /// Its value.
    pub value: f64,
}

/// Why a query gave nothing. The kinds are those of Prometheus's API.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum QueryError {
    /// It makes no sense as it was asked: `bad_data`.
    #[error("{0}")]
    BadData(String),
    /// It cannot be calculated over these series: `execution`.
    #[error("{0}")]
    Execution(String),
    /// It was ended: `canceled`, `timeout`, or `execution` where it needed too much.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The samples cannot be read: `internal`.
    #[error("{0}")]
    Storage(String),
}

impl QueryError {
    /// The word for it in Prometheus's API.
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

/// What a query reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// Which series; one list of several is enough.
    pub matchers: Vec<LabelMatcher>,
    /// How far back it looks beyond the lookback: a range, an offset, a subquery around it.
    pub reach: Duration,
}

/// Reads a query.
///
/// # Errors
/// Where it is wrong, and what is, in one line.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    let guard = Guard::within(u64::MAX, MAX_MATCHERS, Arc::default());
    parse_within(text, &guard).map_err(|error| ParseError(error.to_string()))
}

/// Reads a query as [`parse`] does; what its regular expressions take is counted by `guard`.
///
/// # Errors
/// Where it is wrong, and what is, in one line; or the query was ended.
pub fn parse_within(text: &str, guard: &Guard) -> Result<Query, QueryError> {
    if text.len() > MAX_LENGTH {
        let why = format!("parse error: longer than {MAX_LENGTH} bytes");
        return Err(QueryError::BadData(why));
    }
    let expr = parse::parse(text, guard).map_err(|refused| match refused {
        Refused::Syntax(at, why) => {
            let (line, column) = place(text, at);
            QueryError::BadData(format!("{line}:{column}: parse error: {why}"))
        }
        Refused::Stopped(stopped) => stopped.into(),
    })?;
    Ok(Query {
        expr: Arc::new(expr),
        text: text.into(),
    })
}

/// Line and column of the byte `at` of `text`, counted from 1; columns in bytes, as Prometheus counts them.
pub(super) fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1) + 1;
    (line, column)
}

/// Reads a series selector such as `up{job=~"a.*"}`; one list per alternative that it has.
///
/// # Errors
/// It is something else, or nothing.
pub fn parse_selector(text: &str) -> Result<Vec<Vec<LabelMatcher>>, ParseError> {
    let guard = Guard::within(u64::MAX, MAX_MATCHERS, Arc::default());
    selector_within(text, &guard).map_err(|error| ParseError(error.to_string()))
}

/// Reads a series selector as [`parse_selector`] does, on the account of a query.
///
/// # Errors
/// It is something else, or nothing; or the query was ended.
pub fn selector_within(text: &str, guard: &Guard) -> Result<Vec<Vec<LabelMatcher>>, QueryError> {
    let query = parse_within(text, guard)?;
    match &*query.expr {
        Expr::VectorSelector(selector) if selector.moment == TimeModifiers::default() => {
            Ok(matchers_of(selector))
        }
        _ => Err(QueryError::BadData(format!(
            "not a series selector: {text}"
        ))),
    }
}

impl Query {
    /// Asks for the value at `at`.
    ///
    /// # Errors
    /// It cannot be calculated, or was ended.
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
            Out::Scalar(values) => Value::Scalar {
                at,
                value: values.first().copied().unwrap_or(f64::NAN),
            },
            Out::String(text) => Value::String { at, text },
            Out::Matrix(series) => Value::Matrix(series),
            Out::Vector(lines) => Value::Vector(
                lines
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

    /// Asks for the values at `start` and every `step` after it, up to `end`.
    ///
    /// # Errors
    /// It cannot be calculated, was ended, has no steps or too many, or is no number.
    pub fn range(
        &self,
        source: &dyn Queryable,
        start: UnixMillis,
        end: UnixMillis,
        step: Duration,
        options: &Options,
        guard: &Guard,
    ) -> Result<Answer, QueryError> {
        let bad = |message: String| Err(QueryError::BadData(message));
        let step = i64::try_from(step.as_millis()).unwrap_or(i64::MAX);
        if step == 0 {
            return bad("zero or negative query resolution step widths are not accepted. Try a positive integer".into());
        }
        if end < start {
            return bad("end timestamp must not be before start time".into());
        }
        if (end.0.saturating_sub(start.0)) / step > MAX_STEPS {
            return bad(format!(
                "exceeded maximum resolution of {} points per timeseries. Try decreasing the query resolution (?step=XX)",
                "11,000"
            ));
        }
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
        let grid = Grid {
            start: start.0,
            end: end.0,
            step,
        };
        let (out, notes) = self.evaluate(source, grid, options, guard)?;
        let lines = match out {
            Out::Scalar(values) => vec![(LabelSet::default(), values)],
            Out::Vector(lines) => lines.into_iter().map(|l| (l.labels, l.values)).collect(),
            Out::String(_) | Out::Matrix(_) => Vec::new(),
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
        Ok(notes.answer(Value::Matrix(series), &self.text))
    }

    fn evaluate(
        &self,
        source: &dyn Queryable,
        grid: Grid,
        options: &Options,
        guard: &Guard,
    ) -> Result<(Out, Notes), QueryError> {
        let notes = Notes::default();
        let eval = Eval {
            source,
            guard,
            options,
            notes: &notes,
            grid,
            whole: grid,
        };
        let out = eval.whole(&self.expr)?;
        Ok((out, notes))
    }

    /// The type of its result: `scalar`, `vector`, `matrix` or `string`.
    #[must_use]
    pub fn result_type(&self) -> &'static str {
        match self.expr.value_type() {
            ValueType::Scalar => "scalar",
            ValueType::Vector => "vector",
            ValueType::Matrix => "matrix",
            ValueType::String => "string",
        }
    }

    /// What it reads. Selectors with an `@` reach as far as those without.
    #[must_use]
    pub fn selectors(&self) -> Vec<Selector> {
        let (mut found, mut left) = (Vec::new(), vec![(&*self.expr, Duration::ZERO)]);
        while let Some((expr, around)) = left.pop() {
            let mut note = |selector: &VectorSelector, range: Duration| {
                let reach = around + range + back(selector.moment.offset);
                for matchers in matchers_of(selector) {
                    found.push(Selector { matchers, reach });
                }
            };
            match expr {
                Expr::VectorSelector(selector) => note(selector, Duration::ZERO),
                Expr::MatrixSelector(matrix) => note(&matrix.vs, matrix.range),
                Expr::Subquery(one) => {
                    left.push((&one.expr, around + one.range + back(one.moment.offset)));
                }
                other => left.extend(other.children().into_iter().map(|child| (child, around))),
            }
        }
        found
    }
}

/// How far back an offset leads; not at all if it leads ahead.
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
