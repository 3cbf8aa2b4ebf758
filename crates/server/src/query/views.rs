//! What each endpoint answers from history, in Prometheus's words (web/api/v1/api.go).

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
use crate::answer::Trouble;

/// Most steps of a range query.
const MAX_STEPS: u128 = 11_000;
const TRUNCATED: &str = "results truncated due to limit";

/// What is asked of history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Past {
    Query,
    QueryRange,
    Series,
    Labels,
    Values,
    Tsdb,
}

/// A request that was read.
pub(crate) struct Question {
    pub(crate) what: Past,
    pub(crate) path: String,
    pub(crate) parameters: Parameters,
    pub(crate) now: UnixMillis,
    pub(crate) lookback: Duration,
    /// The oldest sample, if there is one.
    pub(crate) oldest: Option<UnixMillis>,
}

/// An answer on its way out.
pub(crate) enum Reply {
    Short(Vec<u8>),
    Long(Text),
}

impl From<Text> for Reply {
    fn from(text: Text) -> Self {
        if text.is_small() {
            Self::Short(text.whole())
        } else {
            Self::Long(text)
        }
    }
}

impl Reply {
    /// `data` in Prometheus's envelope.
    pub(crate) fn json(data: &serde_json::Value) -> Self {
        let whole = serde_json::json!({"status": "success", "data": data});
        Self::Short(whole.to_string().into_bytes())
    }
}

/// Answers from `source`. Blocks, and asks `guard` whether to go on.
pub(crate) fn answer(
    question: &Question,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, Trouble> {
    let text = match question.what {
        Past::Query => instant(question, source, guard),
        Past::QueryRange => range(question, source, guard),
        Past::Series => series(question, source, guard),
        Past::Labels => labels(question, source, guard),
        Past::Values => values(question, source, guard),
        Past::Tsdb => return tsdb::view(question, source, guard).map(|data| Reply::json(&data)),
    };
    Ok(text?.into())
}

fn instant(asked: &Question, source: &dyn Queryable, guard: &Guard) -> Result<Text, Trouble> {
    let parameters = &asked.parameters;
    let limit = parameters.limit("limit")?;
    let at = parameters.time("time")?.unwrap_or(asked.now);
    let options = asked.options()?;
    let began = Instant::now();
    let query = asked.query(guard)?;
    let counting = Counting::new(source, began);
    let answer = query
        .instant(&counting, at, &options, guard)
        .map_err(trouble)?;
    let stats = counting.stats(parameters, 1);
    Ok(Text::answer(truncated(answer, limit)).with_stats(stats))
}

fn range(asked: &Question, source: &dyn Queryable, guard: &Guard) -> Result<Text, Trouble> {
    let parameters = &asked.parameters;
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
    let options = asked.options()?;
    let began = Instant::now();
    let query = asked.query(guard)?;
    let counting = Counting::new(source, began);
    let answer = query
        .range(&counting, start, end, step, &options, guard)
        .map_err(|error| {
            match error {
                // What is left of it can only be a type that has no range.
                QueryError::BadData(why) => invalid("query", &why),
                error => trouble(error),
            }
        })?;
    let steps = end.since(start).as_millis() / step.as_millis() + 1;
    let stats = counting.stats(parameters, steps as usize);
    Ok(Text::answer(truncated(answer, limit)).with_stats(stats))
}

fn series(asked: &Question, source: &dyn Queryable, guard: &Guard) -> Result<Text, Trouble> {
    let limit = asked.parameters.limit("limit")?;
    if asked.parameters.all("match[]").next().is_none() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let found = asked.found(source, guard)?;
    let (found, notes) = shortened(found.into_iter().collect(), limit);
    Ok(Text::series(found, &notes))
}

fn labels(asked: &Question, source: &dyn Queryable, guard: &Guard) -> Result<Text, Trouble> {
    let limit = asked.parameters.limit("limit")?;
    let found = asked.found(source, guard)?;
    let names: BTreeSet<&str> = found
        .iter()
        .flat_map(|labels| labels.iter().map(|(name, _)| name))
        .collect();
    texts(names, limit, guard)
}

fn values(asked: &Question, source: &dyn Queryable, guard: &Guard) -> Result<Text, Trouble> {
    let limit = asked.parameters.limit("limit")?;
    let name = asked.label();
    if name.is_empty() {
        return Err(bad_data(format!("invalid label name: {name:?}")));
    }
    let found = asked.found(source, guard)?;
    let values: BTreeSet<&str> = found
        .iter()
        .map(|labels| labels.get(&name))
        .filter(|value| !value.is_empty())
        .collect();
    texts(values, limit, guard)
}

fn texts(texts: BTreeSet<&str>, limit: usize, guard: &Guard) -> Result<Text, Trouble> {
    let (texts, notes) = shortened(texts.into_iter().collect(), limit);
    let length = texts.iter().map(|text| text.len()).sum();
    guard
        .charge_bytes(length)
        .map_err(|stopped| trouble(stopped.into()))?;
    Ok(Text::texts(
        texts.into_iter().map(str::to_owned).collect(),
        &notes,
    ))
}

impl Question {
    fn query(&self, guard: &Guard) -> Result<Query, Trouble> {
        parse_within(self.parameters.text("query"), guard).map_err(|error| match error {
            QueryError::BadData(why) => invalid("query", &why),
            error => trouble(error),
        })
    }

    fn options(&self) -> Result<Options, Trouble> {
        let lookback = self
            .parameters
            .duration("lookback_delta")?
            .unwrap_or(self.lookback);
        Ok(Options {
            lookback,
            ..Options::default()
        })
    }

    /// The label that the path names, as it is or escaped as Grafana does.
    fn label(&self) -> String {
        let name = self.path.strip_prefix("/api/v1/label/").unwrap_or_default();
        let name = name.strip_suffix("/values").unwrap_or_default();
        // What means something in a form only, which a path is not.
        let plain = name
            .replace('+', "%2B")
            .replace('&', "%26")
            .replace('=', "%3D");
        let decoded = form_urlencoded::parse(plain.as_bytes()).next();
        decoded
            .map(|(name, _)| unescaped(&name).into_owned())
            .unwrap_or_default()
    }

    /// The series that one of `match[]` selects, or all, in the asked time.
    fn found(&self, source: &dyn Queryable, guard: &Guard) -> Result<BTreeSet<LabelSet>, Trouble> {
        let (from, to) = self.parameters.times()?;
        let mut all = Vec::new();
        for text in self.parameters.all("match[]") {
            let selectors = selector_within(text, guard).map_err(|error| match error {
                QueryError::BadData(why) => invalid("match[]", &why),
                error => trouble(error),
            })?;
            if selectors.iter().any(|matchers| selects_all(matchers)) {
                let why = "match[] must contain at least one non-empty matcher";
                return Err(invalid("match[]", why));
            }
            all.extend(selectors);
        }
        if self.parameters.all("match[]").next().is_none() {
            all.push(Vec::new());
        }
        let mut found = BTreeSet::new();
        for matchers in all {
            guard.check().map_err(|stopped| trouble(stopped.into()))?;
            let series = source.series(&matchers, from, to, guard);
            found.extend(series.map_err(|error| trouble(error.into()))?);
        }
        Ok(found)
    }
}

fn selects_all(matchers: &[LabelMatcher]) -> bool {
    matchers.iter().all(|matcher| matcher.test.accepts(""))
}

/// At most `limit` of `items`, and a warning where there were more.
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

/// Why a query has no answer, with Prometheus's status and words.
pub(crate) fn trouble(error: QueryError) -> Trouble {
    let status = match &error {
        QueryError::BadData(_) => StatusCode::BAD_REQUEST,
        QueryError::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
        QueryError::Stopped(stopped) if stopped.is_limit() => StatusCode::UNPROCESSABLE_ENTITY,
        QueryError::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
        QueryError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let trouble = Trouble::of_kind(status, error.kind(), error.to_string());
    match error {
        QueryError::Stopped(Stopped::TooManySamples(_)) => {
            trouble.hint("ask for less, or raise prometheus.query.max_samples")
        }
        QueryError::Stopped(Stopped::TooManyBytes(_)) => {
            trouble.hint("ask for less, or raise prometheus.query.max_memory")
        }
        QueryError::Stopped(Stopped::TooManyTogether(_)) => {
            trouble.hint("ask again later, or raise prometheus.query.max_total_memory")
        }
        _ => trouble,
    }
}
