//! `/api/v1/alerts/history`: transitions of alerts and the outcomes of their notifications.
//!
//! Owns the parameters and the JSON. Reads are jobs, like queries of history.

use bellwether_alert_history::{EventKind, Kind, Page, Query, State, Stopped};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, parse_selector};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Parameter, count, names, text, time};
use crate::api::query::{Parameters, TIMEOUT, bad_data, invalid};
use crate::api::response::ApiError;
use crate::backend::Backend;

/// Records of a response without `limit`.
const DEFAULT_LIMIT: usize = 100;
/// Largest `limit`.
const MAX_LIMIT: usize = 10_000;

pub(crate) const PARAMETERS: &[Parameter] = &[
    time("start", "earliest time"),
    time("end", "latest time"),
    text("rule", "name of a rule").repeated(),
    text("alertname", "name of an alert, beside `rule`").repeated(),
    text("fingerprint", "fingerprint of an alert").repeated(),
    text("match[]", "selector on the labels of the alert").repeated(),
    text(
        "kind",
        "`transition` or `notification`; may be a list with commas",
    )
    .repeated(),
    text(
        "event",
        "event of a record, such as `firing` or `delivered`; may be a list with commas",
    )
    .repeated(),
    text("state", "state of the alert; may be a list with commas").repeated(),
    text("channel", "name of a channel").repeated(),
    text("receiver", "name of a receiver").repeated(),
    text("order", "`newest` first, the default, or `oldest`"),
    count(
        "limit",
        "largest number of records, up to 10000; 100 by default",
    ),
    text("cursor", "`nextCursor` of the previous page"),
    TIMEOUT,
];

/// Returns the data of `/api/v1/alerts/history`.
///
/// # Errors
/// The request is invalid, or it cannot be answered now.
pub(crate) fn view(
    parameters: &Parameters,
    backend: &dyn Backend,
    guard: &Guard,
) -> Result<Value, ApiError> {
    let history = backend.alert_history().ok_or_else(no_alert_history)?;
    let page = history.query(&query(parameters)?, &|| guard.check().is_err());
    let page = page.map_err(|Stopped| {
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the request was cancelled")
    })?;
    Ok(alert_history_data(&page))
}

fn no_alert_history() -> ApiError {
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "the alert history is disabled",
    )
    .hint("set alert_history: {enabled: true} and restart")
}

/// Parses the query of a URL.
///
/// # Errors
/// A parameter is invalid.
pub fn alert_history_query(parameters: &str) -> Result<Query, ApiError> {
    query(&Parameters::new(parameters, b""))
}

/// Returns the `data` of a response.
#[must_use]
pub fn alert_history_data(page: &Page) -> Value {
    json!({
        "records": page.entries,
        "nextCursor": page.next.map(|next| next.to_string()),
        "damaged": page.damaged,
    })
}

/// Parses the parameters.
///
/// # Errors
/// A parameter is invalid or unknown.
fn query(parameters: &Parameters) -> Result<Query, ApiError> {
    if let Some(unknown) = parameters.unknown(PARAMETERS) {
        let names = names(PARAMETERS);
        return Err(bad_data(format!(
            "unknown parameter {unknown:?}; there are {names}"
        )));
    }
    let texts = |name: &str| parameters.all(name).map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = parameters.times()?;
    let limit = match parameters.text("limit") {
        "" => DEFAULT_LIMIT,
        _ => parameters.limit("limit")?.min(MAX_LIMIT),
    };
    let cursor = match parameters.text("cursor") {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| invalid("cursor", "not a cursor of a response"))?,
        ),
    };
    Ok(Query {
        from,
        to,
        alertnames: [texts("rule"), texts("alertname")].concat(),
        fingerprints: texts("fingerprint"),
        matchers: matchers(parameters)?,
        kinds: list(parameters, "kind", Kind::parse)?,
        events: list(parameters, "event", EventKind::parse)?,
        states: list(parameters, "state", State::parse)?,
        channels: texts("channel"),
        receivers: texts("receiver"),
        newest_first: match parameters.text("order") {
            "" | "newest" => true,
            "oldest" => false,
            other => {
                return Err(invalid(
                    "order",
                    &format!("{other:?} is neither newest nor oldest"),
                ));
            }
        },
        limit,
        cursor,
    })
}

/// Parses the selectors in `match[]`.
fn matchers(parameters: &Parameters) -> Result<Vec<Vec<LabelMatcher>>, ApiError> {
    let mut all = Vec::new();
    for text in parameters.all("match[]") {
        let parsed = parse_selector(text);
        all.extend(parsed.map_err(|error| invalid("match[]", &error.to_string()))?);
    }
    Ok(all)
}

/// Parses every value of `name`; each may be a list with commas.
fn list<T, E: ToString>(
    parameters: &Parameters,
    name: &str,
    parse: impl Fn(&str) -> Result<T, E>,
) -> Result<Vec<T>, ApiError> {
    let words = parameters.all(name).flat_map(|value| value.split(','));
    words
        .map(|word| parse(word.trim()).map_err(|error| invalid(name, &error.to_string())))
        .collect()
}

#[cfg(test)]
mod tests {
    use bellwether_core::UnixMillis;

    use super::*;

    #[test]
    fn parameters_become_a_query() {
        let parameters = "start=1&end=2.5&rule=a&alertname=b&kind=transition&event=firing,resolved\
                     &state=firing&channel=x&receiver=y&order=oldest&limit=7&cursor=9\
                     &fingerprint=00ff&match[]=%7Bmount%3D~%22/d.*%22%7D";
        let query = query(&Parameters::new(parameters, b"")).unwrap();
        assert_eq!((query.from, query.to), (UnixMillis(1000), UnixMillis(2500)));
        assert_eq!(query.alertnames, ["a", "b"]);
        assert_eq!(query.events, [EventKind::Firing, EventKind::Resolved]);
        assert_eq!(
            (query.kinds, query.states),
            (vec![Kind::Transition], vec![State::Firing])
        );
        assert_eq!(
            (query.newest_first, query.limit, query.cursor),
            (false, 7, Some(9))
        );
        assert_eq!(&*query.matchers[0][0].name, "mount");
    }

    #[test]
    fn invalid_parameters_are_errors() {
        for (parameters, message) in [
            ("rules=a", "unknown parameter \"rules\""),
            ("kind=alert", "one of transition, notification"),
            ("order=up", "neither newest nor oldest"),
            ("cursor=x", "not a cursor"),
            ("limit=-1", "non-negative"),
            ("match[]=%7B", "match[]"),
            ("start=2&end=1", "must not be before"),
        ] {
            let error = query(&Parameters::new(parameters, b"")).unwrap_err();
            assert!(
                error.message.contains(message),
                "{parameters}: {}",
                error.message
            );
        }
        assert_eq!(
            query(&Parameters::new("", b"")).unwrap().limit,
            DEFAULT_LIMIT
        );
        assert_eq!(
            query(&Parameters::new("limit=0", b"")).unwrap().limit,
            MAX_LIMIT
        );
    }
}
