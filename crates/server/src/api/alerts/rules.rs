//! `/api/v1/rules`, in the form of Prometheus.
//!
//! Owns the parameters: filters, and pagination by groups.

use std::sync::Arc;

use bellwether_promql::parse_selector;
use serde_json::{Value, json};

use crate::api::alerts::view_alert;
use crate::api::endpoints::parameter::{Parameter, boolean, count, text};
use crate::api::json::time;
use crate::api::query::{Parameters, bad_data, invalid};
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;
use crate::backend::{RuleGroup, RuleView};

pub(crate) const PARAMETERS: &[Parameter] = &[
    text("type", "`alert` or `record`; both by default"),
    text("rule_name[]", "name of a rule").repeated(),
    text("rule_group[]", "name of a group").repeated(),
    text("file[]", "path of a rule file").repeated(),
    text("match[]", "selector on the labels of the rule").repeated(),
    boolean(
        "exclude_alerts",
        "`true` leaves the alerts of each rule out",
    ),
    count(
        "group_limit",
        "largest number of groups; no limit by default",
    ),
    text("group_next_token", "`groupNextToken` of the previous page"),
];

/// Returns the data of `/api/v1/rules`.
///
/// # Errors
/// A parameter is invalid.
pub(crate) fn view(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    rules(request.backend.rules(), request.parameters)
}

/// Returns the groups in the order of their files, without those that have no matching rule.
fn rules(rules: Vec<RuleView>, parameters: &Parameters) -> Result<Value, ApiError> {
    let filter = Filter::read(parameters)?;
    let mut groups: Vec<(Arc<RuleGroup>, Vec<RuleView>)> = Vec::new();
    let mut indices = std::collections::HashMap::new();
    for rule in rules {
        if !filter.matches(&rule) {
            continue;
        }
        let index = *indices.entry(Arc::clone(&rule.group)).or_insert_with(|| {
            groups.push((Arc::clone(&rule.group), Vec::new()));
            groups.len() - 1
        });
        if let Some((_, rules)) = groups.get_mut(index) {
            rules.push(rule);
        }
    }
    let start = match filter.next_token {
        None => 0,
        Some(next) => groups
            .iter()
            .position(|(group, _)| token(group) == next)
            .ok_or_else(|| invalid("group_next_token", "there is no such group any more"))?,
    };
    let end = start.saturating_add(filter.limit).min(groups.len());
    let next = groups.get(end).map(|(group, _)| token(group));
    let shown: Vec<Value> = groups[start..end]
        .iter()
        .map(|(group, rules)| view_group(group, rules, filter.alerts))
        .collect();
    let mut data = json!({ "groups": shown });
    if let Some(next) = next {
        data["groupNextToken"] = next.into();
    }
    Ok(data)
}

/// Parsed parameters.
struct Filter<'a> {
    /// `Some(true)` for recording rules alone, `Some(false)` for alerting rules alone.
    records: Option<bool>,
    names: Vec<&'a str>,
    groups: Vec<&'a str>,
    files: Vec<&'a str>,
    /// Selectors on the labels of the rule; one must match.
    matchers: Vec<Vec<bellwether_matcher::LabelMatcher>>,
    /// True if alerts are listed.
    alerts: bool,
    /// Maximum number of groups.
    limit: usize,
    next_token: Option<&'a str>,
}

impl<'a> Filter<'a> {
    fn read(parameters: &'a Parameters) -> Result<Self, ApiError> {
        let all = |name: &str| parameters.all(name).collect::<Vec<_>>();
        let records = match parameters.text("type") {
            "" => None,
            "alert" => Some(false),
            "record" => Some(true),
            other => return Err(invalid("type", &format!("not supported value {other:?}"))),
        };
        let alerts = match parameters
            .text("exclude_alerts")
            .to_ascii_lowercase()
            .as_str()
        {
            "" | "false" | "0" | "f" => true,
            "true" | "1" | "t" => false,
            other => {
                let why = format!("error converting exclude_alerts: {other:?} is no boolean");
                return Err(invalid("exclude_alerts", &why));
            }
        };
        let mut matchers = Vec::new();
        for text in parameters.all("match[]") {
            let parsed = parse_selector(text);
            matchers.extend(parsed.map_err(|error| invalid("match[]", &error.to_string()))?);
        }
        let limit = parameters.limit("group_limit")?;
        let next_token = Some(parameters.text("group_next_token")).filter(|text| !text.is_empty());
        if next_token.is_some() && parameters.text("group_limit").is_empty() {
            return Err(bad_data(
                "group_limit needs to be present in order to paginate over the groups",
            ));
        }
        Ok(Self {
            records,
            names: all("rule_name[]"),
            groups: all("rule_group[]"),
            files: all("file[]"),
            matchers,
            alerts,
            limit,
            next_token,
        })
    }

    fn matches(&self, rule: &RuleView) -> bool {
        let label = |name: &str| match name {
            "severity" if !rule.records => rule.severity.as_str(),
            _ => rule.labels.get(name).map_or("", String::as_str),
        };
        self.records.is_none_or(|records| rule.records == records)
            && among(&self.names, &rule.name)
            && among(&self.groups, &rule.group.name)
            && among(&self.files, &rule.group.file)
            && (self.matchers.is_empty()
                || self.matchers.iter().any(|matchers| {
                    matchers
                        .iter()
                        .all(|matcher| matcher.test.matches(label(&matcher.name)))
                }))
    }
}

fn view_group(group: &RuleGroup, rules: &[RuleView], alerts: bool) -> Value {
    let last = rules.iter().filter_map(|rule| rule.last_evaluation).max();
    // Not a sum of floats: that of none is -0.0.
    let evaluation_time: std::time::Duration = rules.iter().map(|rule| rule.evaluation_time).sum();
    json!({
        "name": group.name,
        "file": group.file,
        "rules": rules.iter().map(|rule| view_rule(rule, alerts)).collect::<Vec<_>>(),
        "interval": group.interval.as_secs_f64(),
        "limit": group.limit,
        "evaluationTime": evaluation_time.as_secs_f64(),
        "lastEvaluation": last.map_or_else(|| NEVER.to_owned(), time),
    })
}

/// Time that Prometheus writes for none.
const NEVER: &str = "0001-01-01T00:00:00Z";

fn view_rule(rule: &RuleView, alerts: bool) -> Value {
    let mut labels = rule.labels.clone();
    let health = match (&rule.last_error, rule.last_evaluation) {
        (Some(_), _) => "err",
        (None, Some(_)) => "ok",
        (None, None) => "unknown",
    };
    let last = rule.last_evaluation.map_or_else(|| NEVER.to_owned(), time);
    if rule.records {
        return json!({
            "type": "recording",
            "name": rule.name,
            "query": rule.query,
            "labels": rule.labels,
            "health": health,
            "lastError": rule.last_error.as_deref().unwrap_or_default(),
            "evaluationTime": rule.evaluation_time.as_secs_f64(),
            "lastEvaluation": last,
        });
    }
    labels.insert("severity".into(), rule.severity.as_str().into());
    let active = rule.alerts.iter().filter(|_| alerts);
    json!({
        "type": "alerting",
        "name": rule.name,
        "query": rule.promql.as_ref().unwrap_or(&rule.query),
        "condition": rule.query,
        "state": rule.state.as_str(),
        "duration": rule.duration.as_secs_f64(),
        "keepFiringFor": rule.keep_firing_for.as_secs_f64(),
        "labels": labels,
        "annotations": rule.annotations,
        "alerts": active.map(|alert| view_alert(alert)).collect::<Vec<_>>(),
        "health": health,
        "lastError": rule.last_error.as_deref().unwrap_or_default(),
        "note": rule.note,
        "evaluationTime": rule.evaluation_time.as_secs_f64(),
        "lastEvaluation": last,
    })
}

/// Token of the page that begins with `group`.
fn token(group: &RuleGroup) -> String {
    format!("{};{}", group.file, group.name)
}

/// Returns true if `name` is one of `names`, or there are none.
fn among(names: &[&str], name: &str) -> bool {
    names.is_empty() || names.contains(&name)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bellwether_core::{Alert, AlertState, Labels, Severity, UnixMillis};

    use super::*;

    fn rule(name: &str, group: &str, file: &str) -> RuleView {
        RuleView {
            name: name.into(),
            query: "disk_usage_percent > 90".into(),
            promql: Some("app_disk_usage_percent > 90".into()),
            state: AlertState::Pending,
            duration: Duration::from_secs(300),
            severity: Severity::Critical,
            labels: Labels::from([("team".to_owned(), "infra".to_owned())]),
            alerts: vec![Arc::new(Alert::firing(
                name,
                Severity::Critical,
                Labels::new(),
            ))],
            last_evaluation: Some(UnixMillis(0)),
            evaluation_time: Duration::from_micros(5),
            group: Arc::new(RuleGroup {
                name: group.into(),
                file: file.into(),
                interval: Duration::from_secs(30),
                limit: 0,
            }),
            ..RuleView::default()
        }
    }

    fn all() -> Vec<RuleView> {
        let records = RuleView {
            records: true,
            ..rule("a:b", "g2", "one.yml")
        };
        vec![
            rule("a", "g1", "one.yml"),
            rule("b", "g2", "one.yml"),
            records,
            rule("c", "g1", "two.yml"),
        ]
    }

    fn ask(query: &str) -> Value {
        rules(all(), &Parameters::new(query, b"")).unwrap()
    }

    /// Groups as `file/group: rules`.
    fn names(data: &Value) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let group = |group: &Value| {
            let rules = group["rules"].as_array().unwrap().iter();
            let rules: Vec<String> = rules.map(|rule| text(&rule["name"])).collect();
            format!(
                "{}/{}: {}",
                text(&group["file"]),
                text(&group["name"]),
                rules.join(" ")
            )
        };
        data["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(group)
            .collect()
    }

    #[test]
    fn groups_have_their_names_and_files() {
        let data = ask("");
        assert_eq!(
            names(&data),
            ["one.yml/g1: a", "one.yml/g2: b a:b", "two.yml/g1: c"]
        );
        assert_eq!(
            (&data["groups"][0]["interval"], &data["groups"][0]["limit"]),
            (&json!(30.0), &json!(0))
        );
        assert_eq!(data["groups"][0]["lastEvaluation"], "1970-01-01T00:00:00Z");
        let empty = rules(Vec::new(), &Parameters::new("", b"")).unwrap();
        assert_eq!(empty, json!({ "groups": [] }));
        let never = RuleView {
            last_evaluation: None,
            evaluation_time: Duration::ZERO,
            ..rule("a", "g", "f")
        };
        let never = rules(vec![never], &Parameters::new("", b"")).unwrap();
        assert!(!never.to_string().contains("-0.0"), "{never}");
    }

    #[test]
    fn each_filter() {
        for (query, expected) in [
            ("rule_group[]=g1", &["one.yml/g1: a", "two.yml/g1: c"][..]),
            ("rule_group[]=g1&file[]=two.yml", &["two.yml/g1: c"]),
            ("file[]=nowhere", &[]),
            (
                "rule_name[]=b&rule_name[]=c",
                &["one.yml/g2: b", "two.yml/g1: c"],
            ),
            ("type=record", &["one.yml/g2: a:b"]),
            ("type=alert&rule_group[]=g2", &["one.yml/g2: b"]),
            (
                "match[]={team=\"infra\",severity=\"critical\"}&file[]=two.yml",
                &["two.yml/g1: c"],
            ),
            ("match[]={team=\"other\"}", &[]),
        ] {
            assert_eq!(names(&ask(query)), expected, "{query}");
        }
        let alerts = |query: &str| ask(query)["groups"][0]["rules"][0]["alerts"].clone();
        assert_eq!(alerts("").as_array().unwrap().len(), 1);
        assert_eq!(alerts("exclude_alerts=true"), json!([]));
    }

    #[test]
    fn groups_come_in_parts() {
        let first = ask("group_limit=2");
        assert_eq!(names(&first), ["one.yml/g1: a", "one.yml/g2: b a:b"]);
        let next = first["groupNextToken"].as_str().unwrap();
        let rest = ask(&format!("group_limit=2&group_next_token={next}"));
        assert_eq!(names(&rest), ["two.yml/g1: c"]);
        assert!(rest.get("groupNextToken").is_none());
    }

    #[test]
    fn invalid_parameters_are_errors() {
        for query in [
            "type=foo",
            "exclude_alerts=maybe",
            "group_limit=-1",
            "group_next_token=x",
            "group_limit=1&group_next_token=x",
            "match[]={",
        ] {
            let error = rules(all(), &Parameters::new(query, b"")).unwrap_err();
            assert_eq!(error.status, hyper::StatusCode::BAD_REQUEST, "{query}");
        }
    }

    #[test]
    fn a_rule_has_its_state_and_its_last_error() {
        let sound = rule("disk_full", "g", "f");
        let broken = RuleView {
            last_error: Some("no such label".into()),
            ..sound.clone()
        };
        let fresh = RuleView {
            last_evaluation: None,
            promql: None,
            ..sound.clone()
        };
        let records = RuleView {
            records: true,
            ..broken.clone()
        };
        let [sound, broken, fresh, records] =
            [sound, broken, fresh, records].map(|rule| view_rule(&rule, true));
        assert_eq!(
            (&sound["type"], &sound["duration"]),
            (&json!("alerting"), &json!(300.0))
        );
        assert_eq!(sound["health"], "ok");
        assert_eq!(sound["query"], "app_disk_usage_percent > 90");
        assert_eq!(sound["condition"], "disk_usage_percent > 90");
        assert_eq!(sound["labels"]["severity"], "critical");
        assert_eq!(
            (&broken["health"], &broken["lastError"]),
            (&json!("err"), &json!("no such label"))
        );
        assert_eq!(
            (&fresh["health"], &fresh["query"]),
            (&json!("unknown"), &json!("disk_usage_percent > 90"))
        );
        assert_eq!(
            (&records["type"], &records["state"]),
            (&json!("recording"), &json!(null))
        );
        assert_eq!(
            (&records["health"], records["labels"].get("severity")),
            (&json!("err"), None)
        );
    }
}
