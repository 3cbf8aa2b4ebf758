//! `/api/v1/query` and `/api/v1/query_range`, with Prometheus's messages (web/api/v1/api.go).

use std::time::Instant;

use bellwether_promql::{Answer, Guard, QueryError, Queryable, Value};

use super::counting::Counting;
use super::params::{bad_data, invalid};
use super::request::{HistoryRequest, Reply, TRUNCATED, query_error};
use super::text::Text;
use crate::api::endpoints::parameter::{Parameter, count, duration, text, time};
use crate::api::response::ApiError;

/// Maximum number of steps of a range query.
const MAX_STEPS: u128 = 11_000;

const QUERY: Parameter = text("query", "PromQL expression").required();
const LIMIT: Parameter = count("limit", "largest number of series; no limit by default");
const LOOKBACK: Parameter = duration(
    "lookback_delta",
    "lookback; that of the settings by default",
);
const STATS: Parameter = text("stats", "any text adds statistics of the query");

pub(crate) const INSTANT: &[Parameter] = &[
    QUERY,
    time("time", "time of the evaluation; now by default"),
    LIMIT,
    LOOKBACK,
    STATS,
];

pub(crate) const RANGE: &[Parameter] = &[
    QUERY,
    time("start", "first time").required(),
    time("end", "last time").required(),
    duration("step", "time between two evaluations").required(),
    LIMIT,
    LOOKBACK,
    STATS,
];

/// Evaluates an expression at one time.
///
/// # Errors
/// The request is invalid, or the evaluation fails.
pub(crate) fn instant(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, ApiError> {
    let parameters = &request.parameters;
    let limit = parameters.limit("limit")?;
    let at = parameters.time("time")?.unwrap_or(request.now);
    let options = request.options()?;
    let began = Instant::now();
    let query = request.query(guard)?;
    let counting = Counting::new(source, began);
    let answer = query
        .instant(&counting, at, &options, guard)
        .map_err(query_error)?;
    let stats = counting.stats(parameters, 1);
    Ok(Text::answer(truncated(answer, limit))
        .with_stats(stats)
        .into())
}

/// Evaluates an expression at each step.
///
/// # Errors
/// The request is invalid, or the evaluation fails.
pub(crate) fn range(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, ApiError> {
    let parameters = &request.parameters;
    let limit = parameters.limit("limit")?;
    let (start, end) = (
        parameters.needed_time("start")?,
        parameters.needed_time("end")?,
    );
    if end < start {
        return Err(invalid(
            "end",
            "end timestamp must not be before start time",
        ));
    }
    let step = parameters.duration("step")?;
    let step = step.ok_or_else(|| invalid("step", "cannot parse \"\" to a valid duration"))?;
    if step.as_millis() == 0 {
        let why = "zero or negative query resolution step widths are not accepted. \
                   Try a positive integer";
        return Err(invalid("step", why));
    }
    if end.since(start).as_millis() / step.as_millis() > MAX_STEPS {
        return Err(bad_data(
            "exceeded maximum resolution of 11,000 points per timeseries. \
             Try decreasing the query resolution (?step=XX)",
        ));
    }
    let options = request.options()?;
    let began = Instant::now();
    let query = request.query(guard)?;
    let counting = Counting::new(source, began);
    let answer = query
        .range(&counting, start, end, step, &options, guard)
        .map_err(|error| {
            match error {
                // The query is parsed, so this is a type that has no range.
                QueryError::BadData(why) => invalid("query", &why),
                error => query_error(error),
            }
        })?;
    let steps = end.since(start).as_millis() / step.as_millis() + 1;
    let stats = counting.stats(parameters, steps as usize);
    Ok(Text::answer(truncated(answer, limit))
        .with_stats(stats)
        .into())
}

fn truncated(mut answer: Answer, limit: usize) -> Answer {
    let before = match &mut answer.value {
        Value::Vector(samples) => {
            let before = samples.len();
            samples.truncate(limit);
            before
        }
        Value::Matrix(series) => {
            let before = series.len();
            series.truncate(limit);
            before
        }
        Value::Scalar { .. } | Value::String { .. } => 0,
    };
    if before > limit {
        answer.warnings.push(TRUNCATED.into());
    }
    answer
}
