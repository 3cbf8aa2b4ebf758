//! A query: read once, asked as often as wanted.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use promql_parser::parser::value::ValueType;
use promql_parser::parser::{Expr, VectorSelector};

use super::eval::{Eval, Grid, Out};
use super::guard::{Guard, Stopped};
use super::nesting::{self, children};
use super::notes::Notes;
use super::queryable::{Queryable, SampledSeries, StorageError};
use super::selector::matchers_of;
use crate::model::{LabelMatcher, LabelSet, Wall};

/// Longest query in bytes.
const MAX_LENGTH: usize = 1 << 18;
/// Most steps of a range query, as Prometheus has it.
const MAX_STEPS: i64 = 11_000;

/// A query that was read.
#[derive(Clone)]
pub struct Query {
    expr: Arc<Expr>,
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
}

impl Default for Options {
    fn default() -> Self {
        Self { lookback: Duration::from_secs(300), subquery_step: Duration::from_secs(60) }
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
        at: Wall,
        /// The number.
        value: f64,
    },
    /// A text.
    String {
        /// When it was asked for.
        at: Wall,
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
    pub at: Wall,
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
            Self::Execution(_) | Self::Stopped(Stopped::TooManySamples(_)) => "execution",
            Self::Stopped(Stopped::Cancelled) => "canceled",
            Self::Stopped(Stopped::TimedOut) => "timeout",
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
/// What is wrong with it, in one line.
pub fn parse(text: &str) -> Result<Query, ParseError> {
    if text.len() > MAX_LENGTH {
        return Err(ParseError(format!("parse error: longer than {MAX_LENGTH} bytes")));
    }
    if text.trim().is_empty() {
        return Err(ParseError("parse error: no expression found in input".into()));
    }
    if nesting::bound(text) > nesting::MAX_BOUND {
        return Err(nesting::too_deep());
    }
    let expr = promql_parser::parser::parse(text)
        .map_err(|error| ParseError(format!("parse error: {}", one_line(&error))))?;
    let expr = nesting::limited(expr)?;
    Ok(Query { expr: Arc::new(expr) })
}

/// Reads a series selector such as `up{job=~"a.*"}`; one list per alternative that it has.
///
/// # Errors
/// It is something else, or nothing.
pub fn parse_selector(text: &str) -> Result<Vec<Vec<LabelMatcher>>, ParseError> {
    let query = parse(text)?;
    match &*query.expr {
        Expr::VectorSelector(selector) if selector.offset.is_none() && selector.at.is_none() => {
            matchers_of(selector).map_err(ParseError)
        }
        _ => Err(ParseError(format!("not a series selector: {text}"))),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Query {
    /// Asks for the value at `at`.
    ///
    /// # Errors
    /// It cannot be calculated, or was ended.
    pub fn instant(
        &self,
        source: &dyn Queryable,
        at: Wall,
        options: &Options,
        guard: &Guard,
    ) -> Result<Answer, QueryError> {
        let grid = Grid { start: at.0, end: at.0, step: 1 };
        let (out, notes) = self.evaluate(source, grid, options, guard)?;
        let value = match out {
            Out::Scalar(values) => {
                Value::Scalar { at, value: values.first().copied().unwrap_or(f64::NAN) }
            }
            Out::String(text) => Value::String { at, text },
            Out::Matrix(series) => Value::Matrix(series),
            Out::Vector(lines) => Value::Vector(
                lines
                    .into_iter()
                    .filter(|line| !SampledSeries::is_stale(line.values[0]))
                    .map(|line| Sample { labels: line.labels, at, value: line.values[0] })
                    .collect(),
            ),
        };
        Ok(notes.answer(value))
    }

    /// Asks for the values at `start` and every `step` after it, up to `end`.
    ///
    /// # Errors
    /// It cannot be calculated, was ended, has no steps or too many, or is no number.
    pub fn range(
        &self,
        source: &dyn Queryable,
        start: Wall,
        end: Wall,
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
        let grid = Grid { start: start.0, end: end.0, step };
        let (out, notes) = self.evaluate(source, grid, options, guard)?;
        let lines = match out {
            Out::Scalar(values) => vec![(LabelSet::default(), values)],
            Out::Vector(lines) => lines.into_iter().map(|l| (l.labels, l.values)).collect(),
            Out::String(_) | Out::Matrix(_) => Vec::new(),
        };
        let mut series: Vec<SampledSeries> = lines
            .into_iter()
            .map(|(labels, values)| {
                let points = grid.times().zip(values);
                let (times, values) =
                    points.filter(|(_, value)| !SampledSeries::is_stale(*value)).unzip();
                SampledSeries { labels, times, values }
            })
            .filter(|series: &SampledSeries| !series.times.is_empty())
            .collect();
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(notes.answer(Value::Matrix(series)))
    }

    fn evaluate(
        &self,
        source: &dyn Queryable,
        grid: Grid,
        options: &Options,
        guard: &Guard,
    ) -> Result<(Out, Notes), QueryError> {
        let notes = Notes::default();
        let eval = Eval { source, guard, options, notes: &notes, grid, whole: grid };
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
                let reach = around + range + back(selector.offset.as_ref());
                for matchers in matchers_of(selector).unwrap_or_default() {
                    found.push(Selector { matchers, reach });
                }
            };
            match expr {
                Expr::VectorSelector(selector) => note(selector, Duration::ZERO),
                Expr::MatrixSelector(matrix) => note(&matrix.vs, matrix.range),
                Expr::Subquery(one) => {
                    left.push((&one.expr, around + one.range + back(one.offset.as_ref())));
                }
                other => left.extend(children(other).into_iter().map(|child| (child, around))),
            }
        }
        found
    }
}

/// How far back an offset leads; not at all if it leads ahead.
fn back(offset: Option<&promql_parser::parser::Offset>) -> Duration {
    match offset {
        Some(promql_parser::parser::Offset::Pos(span)) => *span,
        _ => Duration::ZERO,
    }
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
