//! Endpoints that read history, with Prometheus's messages (web/api/v1/api.go).

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use bellwether_core::{LabelSet, UnixMillis, unescaped};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{
    Answer, Guard, Options, Query, QueryError, Queryable, Stopped, Value, parse_within,
    selector_within,
};
use hyper::StatusCode;

use super::counting::Counting;
use super::params::{Parameters, bad_data, invalid};
use super::text::{Notes, Text};
use super::tsdb;
use crate::api::response::ApiError;

/// Maximum number of steps of a range query.
const MAX_STEPS: u128 = 11_000;
const TRUNCATED: &str = "results truncated due to limit";

/// Endpoints that read history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HistoryEndpoint {
    Query,
    QueryRange,
    Series,
    Labels,
    Values,
    Tsdb,
}

/// Parsed request.
pub(crate) struct HistoryRequest {
    pub(crate) endpoint: HistoryEndpoint,
    pub(crate) path: String,
    pub(crate) parameters: Parameters,
    pub(crate) now: UnixMillis,
    pub(crate) lookback: Duration,
    /// Time of the oldest sample, if there is one.
    pub(crate) oldest: Option<UnixMillis>,
}

/// Body of a response.
pub(crate) enum Reply {
    Short(Vec<u8>),
    Long(Text),
}

impl From<Text> for Reply {
    fn from(text: Text) -> Self {
        if text.is_small() {
            Self::Short(text.into_bytes())
        } else {
            Self::Long(text)
        }
    }
}

impl Reply {
    /// Wraps `data` in Prometheus's envelope.
    pub(crate) fn json(data: &serde_json::Value) -> Self {
        let envelope = serde_json::json!({"status": "success", "data": data});
        Self::Short(envelope.to_string().into_bytes())
    }
}

/// Answers from `source`. Blocks; `guard` stops it.
pub(crate) fn respond(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, ApiError> {
    let text = match request.endpoint {
        HistoryEndpoint::Query => instant(request, source, guard),
        HistoryEndpoint::QueryRange => range(request, source, guard),
        HistoryEndpoint::Series => series(request, source, guard),
        HistoryEndpoint::Labels => labels(request, source, guard),
        HistoryEndpoint::Values => values(request, source, guard),
        HistoryEndpoint::Tsdb => {
            return tsdb::view(request, source, guard).map(|data| Reply::json(&data));
        }
    };
    Ok(text?.into())
}

fn instant(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Text, ApiError> {
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
    Ok(Text::answer(truncated(answer, limit)).with_stats(stats))
}

fn range(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Text, ApiError> {
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
    Ok(Text::answer(truncated(answer, limit)).with_stats(stats))
}

fn series(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Text, ApiError> {
    let limit = request.parameters.limit("limit")?;
    if request.parameters.all("match[]").next().is_none() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let series = request.matching_series(source, guard)?;
    let (series, notes) = shortened(series.into_iter().collect(), limit);
    Ok(Text::series(series, &notes))
}

fn labels(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Text, ApiError> {
    let limit = request.parameters.limit("limit")?;
    let series = request.matching_series(source, guard)?;
    let names: BTreeSet<&str> = series
        .iter()
        .flat_map(|labels| labels.iter().map(|(name, _)| name))
        .collect();
    texts(names, limit, guard)
}

fn values(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Text, ApiError> {
    let limit = request.parameters.limit("limit")?;
    let name = request.label();
    if name.is_empty() {
        return Err(bad_data(format!("invalid label name: {name:?}")));
    }
    let series = request.matching_series(source, guard)?;
    let values: BTreeSet<&str> = series
        .iter()
        .map(|labels| labels.get(&name))
        .filter(|value| !value.is_empty())
        .collect();
    texts(values, limit, guard)
}

fn texts(texts: BTreeSet<&str>, limit: usize, guard: &Guard) -> Result<Text, ApiError> {
    let (texts, notes) = shortened(texts.into_iter().collect(), limit);
    let length = texts.iter().map(|text| text.len()).sum();
    guard
        .charge_bytes(length)
        .map_err(|stopped| query_error(stopped.into()))?;
    Ok(Text::texts(
        texts.into_iter().map(str::to_owned).collect(),
        &notes,
    ))
}

impl HistoryRequest {
    fn query(&self, guard: &Guard) -> Result<Query, ApiError> {
        parse_within(self.parameters.text("query"), guard).map_err(|error| match error {
            QueryError::BadData(why) => invalid("query", &why),
            error => query_error(error),
        })
    }

    fn options(&self) -> Result<Options, ApiError> {
        let lookback = self
            .parameters
            .duration("lookback_delta")?
            .unwrap_or(self.lookback);
        Ok(Options {
            lookback,
            ..Options::default()
        })
    }

    /// Name of the label in the path, plain or escaped as Grafana does.
    fn label(&self) -> String {
        let name = self.path.strip_prefix("/api/v1/label/").unwrap_or_default();
        let name = name.strip_suffix("/values").unwrap_or_default();
        // These have a meaning in a form only, which a path is not.
        let plain = name
            .replace('+', "%2B")
            .replace('&', "%26")
            .replace('=', "%3D");
        let decoded = form_urlencoded::parse(plain.as_bytes()).next();
        decoded
            .map(|(name, _)| unescaped(&name).into_owned())
            .unwrap_or_default()
    }

    /// Label sets of the series that one of `match[]` selects, or of all, between `start` and
    /// `end`.
    fn matching_series(
        &self,
        source: &dyn Queryable,
        guard: &Guard,
    ) -> Result<BTreeSet<LabelSet>, ApiError> {
        let (from, to) = self.parameters.times()?;
        let mut alternatives = Vec::new();
        for text in self.parameters.all("match[]") {
            let selectors = selector_within(text, guard).map_err(|error| match error {
                QueryError::BadData(why) => invalid("match[]", &why),
                error => query_error(error),
            })?;
            if selectors.iter().any(|matchers| selects_all(matchers)) {
                let why = "match[] must contain at least one non-empty matcher";
                return Err(invalid("match[]", why));
            }
            alternatives.extend(selectors);
        }
        if self.parameters.all("match[]").next().is_none() {
            alternatives.push(Vec::new());
        }
        let mut all = BTreeSet::new();
        for matchers in alternatives {
            guard
                .check()
                .map_err(|stopped| query_error(stopped.into()))?;
            let series = source.series(&matchers, from, to, guard);
            all.extend(series.map_err(|error| query_error(error.into()))?);
        }
        Ok(all)
    }
}

fn selects_all(matchers: &[LabelMatcher]) -> bool {
    matchers.iter().all(|matcher| matcher.test.matches(""))
}

/// Truncates `items` to `limit`, with a warning if there were more.
fn shortened<T>(mut items: Vec<T>, limit: usize) -> (Vec<T>, Notes) {
    let mut notes = Notes::default();
    if items.len() > limit {
        items.truncate(limit);
        notes.warnings.push(TRUNCATED.into());
    }
    (items, notes)
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

/// Maps the error of a query to Prometheus's status and message.
pub(crate) fn query_error(error: QueryError) -> ApiError {
    let status = match &error {
        QueryError::BadData(_) => StatusCode::BAD_REQUEST,
        QueryError::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
        QueryError::Stopped(stopped) if stopped.is_limit() => StatusCode::UNPROCESSABLE_ENTITY,
        QueryError::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
        QueryError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let api_error = ApiError::with_kind(status, error.kind(), error.to_string());
    match error {
        QueryError::Stopped(Stopped::TooManySamples(_)) => {
            api_error.hint("ask for less, or raise prometheus.query.max_samples")
        }
        QueryError::Stopped(Stopped::TooManyBytes(_)) => {
            api_error.hint("ask for less, or raise prometheus.query.max_memory")
        }
        QueryError::Stopped(Stopped::TooManyTogether(_)) => {
            api_error.hint("retry later, or raise prometheus.query.max_total_memory")
        }
        _ => api_error,
    }
}
