//! `/api/v1/alerts/history`: every change of an alert, and what became of each notification.
//!
//! Owns the parameters and the form of the answer. It is read as a job, like queries of history.

use bellwether_alert_history::{EventKind, Kind, Page, Query, State, Stopped};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::parse_selector;
use hyper::StatusCode;
use serde_json::{Value, json};

use super::answer::{self, Answer, Trouble};
use super::handler::{Asked, Shared};
use super::query::{Parameters, bad_data, invalid};

/// Records of an answer, unless it is asked for another number.
const LIMIT: usize = 100;
/// Most records of an answer.
const MOST: usize = 10_000;

/// What may be asked.
const PARAMETERS: [&str; 15] = [
    "start",
    "end",
    "rule",
    "alertname",
    "fingerprint",
    "match[]",
    "kind",
    "event",
    "state",
    "channel",
    "receiver",
    "order",
    "limit",
    "cursor",
    "timeout",
];

impl Shared {
    /// Answers from the history of alerts.
    ///
    /// # Errors
    /// What makes no sense about the request, or why it cannot be answered now.
    pub(super) async fn alert_history(&self, asked: &Asked<'_>) -> Result<Answer, Trouble> {
        let access = asked.access;
        let coding = asked.coding()?;
        let parameters = asked.parameters();
        let history = self.backend.alert_history().ok_or_else(none_kept)?;
        let most = access.query.time(**access.limits.request_timeout);
        let wanted = parameters.duration("timeout")?.unwrap_or(most);
        let limits = access.query.limits(wanted.min(most));
        let made = self.jobs.run(limits, move |guard| {
            // Here, as reading selectors takes time.
            let query = query(&parameters)?;
            let page = history.query(&query, &|| guard.check().is_err());
            page.map_err(|Stopped| {
                Trouble::new(StatusCode::SERVICE_UNAVAILABLE, "the request was given up")
            })
        });
        let made = made.await?;
        let permit = self.permit(asked).await?;
        Ok(answer::success(
            &alert_history_data(&made.value),
            coding,
            Some(permit),
        ))
    }
}

fn none_kept() -> Trouble {
    Trouble::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "no history of alerts is kept",
    )
    .hint("set alert_history: {enabled: true} and start again")
}

/// What the query part of a URL asks for.
///
/// # Errors
/// What makes no sense about it.
pub fn alert_history_query(parameters: &str) -> Result<Query, String> {
    query(&Parameters::new(parameters, b"")).map_err(|trouble| trouble.message)
}

/// The `data` of an answer.
#[must_use]
pub fn alert_history_data(page: &Page) -> Value {
    json!({
        "records": page.entries,
        "nextCursor": page.next.map(|next| next.to_string()),
        "damaged": page.damaged,
    })
}

/// What the parameters ask for.
///
/// # Errors
/// One that makes no sense, or that there is not.
fn query(parameters: &Parameters) -> Result<Query, Trouble> {
    if let Some(unknown) = parameters.names().find(|name| !PARAMETERS.contains(name)) {
        let known = PARAMETERS.join(", ");
        return Err(bad_data(format!(
            "unknown parameter {unknown:?}; there are {known}"
        )));
    }
    let texts = |name: &str| parameters.all(name).map(str::to_owned).collect::<Vec<_>>();
    let (from, to) = parameters.times()?;
    let limit = match parameters.text("limit") {
        "" => LIMIT,
        _ => parameters.limit("limit")?.min(MOST),
    };
    let cursor = match parameters.text("cursor") {
        "" => None,
        text => Some(
            text.parse()
                .map_err(|_| invalid("cursor", "no cursor of an answer"))?,
        ),
    };
    Ok(Query {
        from,
        to,
        alertnames: [texts("rule"), texts("alertname")].concat(),
        fingerprints: texts("fingerprint"),
        matchers: matchers(parameters)?,
        kinds: words(parameters, "kind", Kind::parse)?,
        events: words(parameters, "event", EventKind::parse)?,
        states: words(parameters, "state", State::parse)?,
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

/// The alternatives in `match[]`.
fn matchers(parameters: &Parameters) -> Result<Vec<Vec<LabelMatcher>>, Trouble> {
    let mut all = Vec::new();
    for text in parameters.all("match[]") {
        let parsed = parse_selector(text);
        all.extend(parsed.map_err(|error| invalid("match[]", &error.to_string()))?);
    }
    Ok(all)
}

/// Every value of `name`, one by one or with commas between.
fn words<T>(
    parameters: &Parameters,
    name: &str,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Trouble> {
    let words = parameters.all(name).flat_map(|value| value.split(','));
    words
        .map(|word| parse(word.trim()).map_err(|why| invalid(name, &why)))
        .collect()
}

#[cfg(test)]
mod tests {
    use bellwether_core::UnixMillis;

    use super::*;

    #[test]
    fn parameters_become_a_query() {
        let asked = "start=1&end=2.5&rule=a&alertname=b&kind=transition&event=firing,resolved\
                     &state=firing&channel=x&receiver=y&order=oldest&limit=7&cursor=9\
                     &fingerprint=00ff&match[]=%7Bmount%3D~%22/d.*%22%7D";
        let query = query(&Parameters::new(asked, b"")).unwrap();
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
    fn what_makes_no_sense_is_told() {
        for (asked, told) in [
            ("rules=a", "unknown parameter \"rules\""),
            ("kind=alert", "there are transition, notification"),
            ("order=up", "neither newest nor oldest"),
            ("cursor=x", "no cursor"),
            ("limit=-1", "non-negative"),
            ("match[]=%7B", "match[]"),
            ("start=2&end=1", "must not be before"),
        ] {
            let trouble = query(&Parameters::new(asked, b"")).unwrap_err();
            assert!(
                trouble.message.contains(told),
                "{asked}: {}",
                trouble.message
            );
        }
        assert_eq!(query(&Parameters::new("", b"")).unwrap().limit, LIMIT);
        assert_eq!(query(&Parameters::new("limit=0", b"")).unwrap().limit, MOST);
    }
}
