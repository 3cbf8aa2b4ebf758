//! `/api/v1/series`, `/api/v1/labels` and `/api/v1/label/<name>/values`.

use std::collections::BTreeSet;

use bellwether_core::{LabelSet, unescaped};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, QueryError, Queryable, selector_within};

use super::params::{bad_data, invalid};
use super::request::{HistoryRequest, Reply, TRUNCATED, query_error};
use super::text::{Notes, Text};
use crate::api::endpoints::parameter::{Parameter, count, text, time};
use crate::api::response::ApiError;

const MATCH: Parameter = text("match[]", "selector; series of any of them").repeated();
const START: Parameter = time("start", "earliest time; the oldest sample by default");
const END: Parameter = time("end", "latest time; the newest sample by default");
const LIMIT: Parameter = count("limit", "largest number of results; no limit by default");

pub(crate) const SERIES: &[Parameter] = &[MATCH.required(), START, END, LIMIT];
pub(crate) const NAMES: &[Parameter] = &[MATCH, START, END, LIMIT];
pub(crate) const VALUES: &[Parameter] = &[
    text("name", "name of the label, plain or escaped with `U__`").in_path(),
    MATCH,
    START,
    END,
    LIMIT,
];

/// Lists the label sets of the selected series.
///
/// # Errors
/// A parameter is invalid, or `match[]` is absent.
pub(crate) fn series(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, ApiError> {
    let limit = request.parameters.limit("limit")?;
    if request.parameters.all("match[]").next().is_none() {
        return Err(bad_data("no match[] parameter provided"));
    }
    let series = matching_series(request, source, guard)?;
    let (series, notes) = shortened(series.into_iter().collect(), limit);
    Ok(Text::series(series, &notes).into())
}

/// Lists the label names of the selected series.
///
/// # Errors
/// A parameter is invalid.
pub(crate) fn names(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, ApiError> {
    let limit = request.parameters.limit("limit")?;
    let series = matching_series(request, source, guard)?;
    let names: BTreeSet<&str> = series
        .iter()
        .flat_map(|labels| labels.iter().map(|(name, _)| name))
        .collect();
    texts(names, limit, guard)
}

/// Lists the values of the label in the path.
///
/// # Errors
/// A parameter or the name is invalid.
pub(crate) fn values(
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<Reply, ApiError> {
    let limit = request.parameters.limit("limit")?;
    let name = label_name(&request.path_parameter);
    if name.is_empty() {
        return Err(bad_data(format!("invalid label name: {name:?}")));
    }
    let series = matching_series(request, source, guard)?;
    let values: BTreeSet<&str> = series
        .iter()
        .map(|labels| labels.get(&name))
        .filter(|value| !value.is_empty())
        .collect();
    texts(values, limit, guard)
}

fn texts(texts: BTreeSet<&str>, limit: usize, guard: &Guard) -> Result<Reply, ApiError> {
    let (texts, notes) = shortened(texts.into_iter().collect(), limit);
    let length = texts.iter().map(|text| text.len()).sum();
    guard
        .charge_bytes(length)
        .map_err(|stopped| query_error(stopped.into()))?;
    let texts = texts.into_iter().map(str::to_owned).collect();
    Ok(Text::texts(texts, &notes).into())
}

/// Decodes the name of a label in a path, plain or escaped as Grafana does.
fn label_name(name: &str) -> String {
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
    request: &HistoryRequest,
    source: &dyn Queryable,
    guard: &Guard,
) -> Result<BTreeSet<LabelSet>, ApiError> {
    let (from, to) = request.parameters.times()?;
    let mut alternatives = Vec::new();
    for text in request.parameters.all("match[]") {
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
    if request.parameters.all("match[]").next().is_none() {
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
