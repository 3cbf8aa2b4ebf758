//! `/api/v1/explain`: why the alerts of a rule fire or not, and who is notified.

use std::time::Duration;

use bellwether_core::{AlertState, Fingerprint, Now};
use bellwether_routing::{Acknowledgement, GroupStatus, RouteMatch};
use bellwether_schema::{HumanDuration, similar_names};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::command::fingerprint;
use crate::api::endpoints::parameter::{Necessity, Parameter, text};
use crate::api::json::time_to_second;
use crate::api::query::{Parameters, bad_data};
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;
use crate::backend::{RuleBackend, RuleView};

pub(crate) const PARAMETERS: &[Parameter] = &[
    text("rule", "name of a rule").with(Necessity::Alternative),
    text("fingerprint", "fingerprint of one alert").with(Necessity::Alternative),
];

/// Returns the data of `/api/v1/explain`: the rules and alerts that the parameters select.
///
/// # Errors
/// Neither parameter is there, or there is no such rule or alert.
pub(crate) fn view(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    let selection = Selection::read(request.parameters)?;
    let backend = request.backend;
    let rules: Vec<Value> = backend
        .rules()
        .iter()
        .filter(|rule| selection.matches(rule))
        .map(|rule| explain(rule, backend, selection.alert, request.now))
        .collect();
    if rules.is_empty() {
        return Err(unknown(&selection, backend));
    }
    Ok(json!({ "rules": rules }))
}

/// Maximum number of names in a hint.
const MAX_NAMES: usize = 5;

/// Returns the error about a rule or alert that does not exist, with rules of similar names if there are any. Its words
/// are for requests and for commands.
fn unknown(selection: &Selection<'_>, backend: &dyn RuleBackend) -> ApiError {
    let rules = backend.rules();
    let rules = rules.iter().filter(|rule| !rule.records);
    let names = rules.map(|rule| &*rule.name);
    let error = ApiError::new(StatusCode::NOT_FOUND, "no such rule or alert");
    let wanted = selection.rule.unwrap_or_default();
    match &similar_names(wanted, names, MAX_NAMES)[..] {
        _ if wanted.is_empty() => {
            error.hint("`bellwether alerts` and /api/v1/alerts list the fingerprints")
        }
        [] => error.hint("`bellwether rules` and /api/v1/rules list the rules"),
        [name] => error.hint(format!("did you mean {name:?}?")),
        similar => error.hint(format!("names near it: {}", similar.join(", "))),
    }
}

/// Parsed parameters.
struct Selection<'a> {
    rule: Option<&'a str>,
    alert: Option<Fingerprint>,
}

impl<'a> Selection<'a> {
    fn read(parameters: &'a Parameters) -> Result<Self, ApiError> {
        let value = |name| Some(parameters.text(name)).filter(|text| !text.is_empty());
        let selection = Self {
            alert: value("fingerprint").map(fingerprint).transpose()?,
            rule: value("rule"),
        };
        if selection.alert.is_none() && selection.rule.is_none() {
            let error = bad_data("parameter rule or fingerprint is required");
            return Err(error.hint("such as rule=NAME"));
        }
        Ok(selection)
    }

    fn matches(&self, rule: &RuleView) -> bool {
        !rule.records
            && self.rule.is_none_or(|name| rule.name == name)
            && self
                .alert
                .is_none_or(|alert| rule.alerts.iter().any(|other| other.fingerprint == alert))
    }
}

/// Returns one rule of `/api/v1/explain` with its last evaluation and its alerts, or `only` one of
/// them.
fn explain(
    rule: &RuleView,
    backend: &dyn RuleBackend,
    only: Option<Fingerprint>,
    now: Now,
) -> Value {
    let alerts = rule.alerts.iter().filter(|alert| only.is_none_or(|only| alert.fingerprint == only)).map(|alert| {
        let explanation = backend.explain(alert.fingerprint);
        let pending = now.wall.since(alert.active_at).min(rule.duration);
        json!({
            "fingerprint": alert.fingerprint.to_string(),
            "labels": alert.labels,
            "severity": alert.severity.as_str(),
            "state": alert.state.as_str(),
            "value": alert.value,
            "threshold": alert.threshold,
            "activeAt": time_to_second(alert.active_at),
            "firedAt": alert.fired_at.map(time_to_second),
            "missingFor": rule.missing.get(&alert.fingerprint).map(|at| format_seconds(*at)),
            "pendingFor": (alert.state == AlertState::Pending).then(|| format_seconds(pending)),
            "reason": explanation.as_ref().map(|explanation| explanation.reason.clone()),
            "flapping": explanation.as_ref().is_some_and(|explanation| explanation.flapping),
            "acknowledged": explanation.as_ref().and_then(|explanation| explanation.acknowledged.as_ref()).map(acknowledgement_view),
            "groups": explanation.iter().flat_map(|explanation| &explanation.groups).map(group_view).collect::<Vec<_>>(),
        })
    });
    json!({
        "rule": rule.name,
        "condition": rule.query,
        "state": rule.state.as_str(),
        "duration": format_duration(rule.duration),
        "keepFiringFor": format_duration(rule.keep_firing_for),
        "onNoData": rule.on_no_data,
        "lastEvaluation": rule.last_evaluation.map(time_to_second),
        "lastError": rule.last_error,
        "note": rule.note,
        "alerts": alerts.collect::<Vec<_>>(),
    })
}

/// Returns one matching route of an alert as JSON.
#[must_use]
pub fn route_match_view(route: &RouteMatch) -> Value {
    let escalation = route.escalation.iter();
    json!({
        "route": route.route,
        "matchers": route.matchers,
        "receiver": route.receiver,
        "channels": route.channels,
        "fallback": route.fallback,
        "group": route.group,
        "groupWait": format_duration(route.group_wait),
        "groupInterval": format_duration(route.group_interval),
        "repeatInterval": route.repeat_interval.map(format_duration),
        "mutedBy": route.muted_by,
        "escalation": escalation
            .map(|(after, receiver)| json!({"after": format_duration(*after), "receiver": receiver}))
            .collect::<Vec<_>>(),
    })
}

fn group_view(status: &GroupStatus) -> Value {
    let mut view = route_match_view(&status.route);
    let more = json!({
        "notifiedSeverity": status.notified.map(|(severity, _)| severity.as_str()),
        "firstNotified": status.notified.map(|(_, at)| time_to_second(at)),
        "muteReason": status.muted.as_ref().map(|(name, detail)| json!({"name": name, "detail": detail})),
        "lastMessage": status.last_message.map(time_to_second),
        "nextFlush": status.next_flush.map(time_to_second),
        "nextRepeat": status.next_repeat.map(time_to_second),
        "escalatedTo": status.escalated,
        "fallbackNotified": status.fell_back,
    });
    if let (Value::Object(view), Value::Object(more)) = (&mut view, more) {
        view.extend(more);
    }
    view
}

fn acknowledgement_view(acknowledgement: &Acknowledgement) -> Value {
    json!({
        "by": acknowledgement.by,
        "comment": acknowledgement.comment,
        "at": time_to_second(acknowledgement.at),
        "until": acknowledgement.until.map(time_to_second),
    })
}

fn format_duration(duration: Duration) -> String {
    HumanDuration(duration).to_string()
}

fn format_seconds(duration: Duration) -> String {
    format_duration(Duration::from_secs(duration.as_secs()))
}
