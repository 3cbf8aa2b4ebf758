//! Extensions of promtool's format: steps and expected notifications.
//!
//! Owns the keys, their defaults and their documentation.

use std::collections::BTreeMap;

use bellwether_core::{Cause, Labels, Status};
use bellwether_matcher::LabelMatcher;
use bellwether_promql as promql;
use bellwether_routing::Matchers;
use bellwether_schema::{
    Choice, Decode, DecodeContext, Diagnostics, Literal, Node, Shape, SourceLocation, Spanned,
    Value, decode_choice, json_schema, section, string_enum,
};
use serde::{Serialize, Serializer};

use super::settings::{Elapsed, Items};

section! {
    /// Action at a time of a test, before the values of that time are collected. Each step has
    /// exactly one action.
    pub struct Step {
        /// Time of the step.
        pub at: Spanned<Elapsed>,
        /// Adds a silence.
        pub silence: Option<SilenceStep>,
        /// Expires the silence with this name.
        pub expire_silence: Option<Spanned<Literal>>,
        /// Acknowledges firing alerts: their notifications are neither repeated nor escalated.
        pub acknowledge: Option<Spanned<AcknowledgeStep>>,
        /// Stops Bellwether and starts it again after this duration; only its files remain. `true`
        /// restarts at once.
        pub restart: Option<Spanned<Restart>>,
        /// Selector of series without values from this time on: `cpu_percent`, `{instance="a"}`.
        pub missing: Option<Spanned<Selector>>,
        /// Duration of `missing`. Default: to the end of the test.
        pub r#for: Option<Spanned<Elapsed>>,
    }
}

section! {
    /// A silence.
    pub struct SilenceStep {
        /// Name of the silence, for `expire_silence`.
        pub name: Option<Literal>,
        /// Matchers, all of which an alert must match.
        pub matchers: Spanned<Matchers>,
        /// Duration of the silence. Default: to the end of the test.
        pub r#for: Option<Elapsed>,
        /// Author of the silence.
        pub by: Literal = Literal("test".to_owned()),
        /// Comment of the silence.
        pub comment: Literal = Literal::default(),
    }
}

section! {
    /// An acknowledgement.
    pub struct AcknowledgeStep {
        /// Name of the alerts.
        pub alertname: Literal,
        /// Labels that the alerts must have; they may have others.
        pub labels: BTreeMap<String, Literal> = BTreeMap::new(),
        /// Author of the acknowledgement.
        pub by: Literal = Literal("test".to_owned()),
        /// Duration of the acknowledgement. Default: until the alert resolves.
        pub r#for: Option<Elapsed>,
    }
}

section! {
    /// Message to one channel about one group at one time. An absent key matches anything.
    pub struct ExpectedMessage {
        /// Time of the message.
        pub at: Spanned<Elapsed>,
        /// Receiver of the route.
        pub receiver: Option<Literal>,
        /// Name of the channel.
        pub channel: Option<Literal>,
        /// Status: firing while any alert of the message fires.
        pub status: Option<ExpectedStatus>,
        /// Cause of at least one of its notifications.
        pub cause: Option<ExpectedCause>,
        /// All labels of the group.
        pub group: Option<BTreeMap<String, Literal>>,
        /// Alerts whose changes the message is about.
        pub alerts: Option<Items<ExpectedMember>>,
        /// Part of the JSON document of a webhook channel: keys and values that it must have; it
        /// may have others. Of a list each item must be present.
        pub payload: Option<Json>,
    }
}

section! {
    /// Alert in a message. An absent key matches anything.
    pub struct ExpectedMember {
        /// Labels that it must have, including `alertname` and `severity`; it may have others.
        pub labels: BTreeMap<String, Literal> = BTreeMap::new(),
        /// Annotations that it must have; it may have others.
        pub annotations: BTreeMap<String, Literal> = BTreeMap::new(),
        /// Message of the alert.
        pub message: Option<Literal>,
        /// Status of the alert.
        pub status: Option<ExpectedStatus>,
        /// Cause of the notification.
        pub cause: Option<ExpectedCause>,
    }
}

string_enum! {
    /// Status of a message.
    pub enum ExpectedStatus {
        /// At least one alert fires.
        Firing = "firing",
        /// No alert fires any more.
        Resolved = "resolved",
    }
}

impl ExpectedStatus {
    /// Returns whether it equals `status`.
    #[must_use]
    pub fn is(self, status: Status) -> bool {
        self.as_str() == status.as_str()
    }
}

/// Cause of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedCause(pub Cause);

impl Decode for ExpectedCause {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        decode_choice(
            node,
            cx,
            &Cause::ALL.map(|cause| (cause.as_str(), Self(cause))),
        )
    }

    fn shape() -> Shape {
        const WORDS: [Choice; 7] = Choice::all([
            "change",
            "repeat",
            "escalation",
            "fallback",
            "flapping",
            "heartbeat",
            "test",
        ]);
        Shape::Choice(&WORDS)
    }
}

impl Serialize for ExpectedCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// Downtime of a restart; `true` is zero.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Restart(pub Elapsed);

impl Decode for Restart {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(text) if text == "true" => Some(Self(Elapsed::default())),
            _ => Elapsed::decode(node, cx).map(Self),
        }
    }

    fn shape() -> Shape {
        Shape::Word("`true`, or a duration", json_schema::any)
    }
}

/// Series selector.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector(pub Vec<Vec<LabelMatcher>>, String);

impl Decode for Selector {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let Literal(text) = Literal::decode(node, cx)?;
        match promql::parse_selector(&text) {
            Ok(alternatives) => Some(Self(alternatives, text)),
            Err(error) => {
                cx.error(node.pos, error.to_string())
                    .hint("a series, such as up{job=\"x\"}");
                None
            }
        }
    }

    fn shape() -> Shape {
        Shape::Word("series selector", json_schema::any)
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.1)
    }
}

/// Part of a JSON document.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// Single value; numbers are compared as numbers.
    Text(String),
    /// `null`.
    Null,
    /// List that must contain these items.
    List(Vec<Json>),
    /// Map that must contain these entries.
    Map(BTreeMap<String, Json>),
}

impl Json {
    fn from_node(node: &Node) -> Self {
        match &node.value {
            Value::Null => Self::Null,
            Value::Scalar(text) => Self::Text(text.clone()),
            Value::List(items) => Self::List(items.iter().map(Self::from_node).collect()),
            Value::Map(entries) => {
                let entries = entries.iter();
                Self::Map(
                    entries
                        .map(|(key, node)| (key.text.clone(), Self::from_node(node)))
                        .collect(),
                )
            }
        }
    }

    /// Appends the paths of the values that `value` lacks to `out`.
    pub(super) fn missing(&self, value: &serde_json::Value, path: &str, out: &mut Vec<String>) {
        use serde_json::Value as Got;
        match (self, value) {
            (Self::Map(wanted), Got::Object(map)) => {
                for (key, wanted) in wanted {
                    let path = format!("{path}.{key}");
                    match map.get(key) {
                        Some(value) => wanted.missing(value, &path, out),
                        None => {
                            out.push(format!("{path}: expected {}, got nothing", wanted.shown()))
                        }
                    }
                }
            }
            (Self::List(wanted), Got::Array(items)) => {
                let mut left: Vec<&Got> = items.iter().collect();
                for (index, wanted) in wanted.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    match left.iter().position(|item| wanted.is_in(item)) {
                        Some(found) => drop(left.remove(found)),
                        None if items.len() == 1 => wanted.missing(&items[0], &path, out),
                        None => out.push(format!("{path}: no item has {}", wanted.shown())),
                    }
                }
            }
            _ if self.is(value) => {}
            _ => out.push(format!("{path}: expected {}, got {value}", self.shown())),
        }
    }

    fn is_in(&self, value: &serde_json::Value) -> bool {
        let mut missing = Vec::new();
        self.missing(value, "", &mut missing);
        missing.is_empty()
    }

    /// Returns whether a single value is equal.
    fn is(&self, value: &serde_json::Value) -> bool {
        match (self, value) {
            (Self::Null, serde_json::Value::Null) => true,
            (Self::Text(text), serde_json::Value::String(other)) => text == other,
            (Self::Text(text), serde_json::Value::Number(number)) => {
                text.parse::<f64>().ok() == number.as_f64()
            }
            (Self::Text(text), serde_json::Value::Bool(value)) => text == &value.to_string(),
            _ => false,
        }
    }

    fn shown(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Decode for Json {
    fn decode(node: &Node, _: &mut DecodeContext<'_>) -> Option<Self> {
        Some(Self::from_node(node))
    }

    fn shape() -> Shape {
        Shape::Word("any", json_schema::any)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Null => serializer.serialize_unit(),
            Self::List(items) => items.serialize(serializer),
            Self::Map(entries) => entries.serialize(serializer),
        }
    }
}

impl Step {
    /// Reports a step with no action or with several.
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let done = [
            self.silence.is_some(),
            self.expire_silence.is_some(),
            self.acknowledge.is_some(),
            self.restart.is_some(),
            self.missing.is_some(),
        ];
        let count = done.iter().filter(|action| **action).count();
        if count != 1 && !problems.any(|one| one.path.starts_with(&*at.path)) {
            let message = if count == 0 {
                "a step that does nothing"
            } else {
                "a step does one thing"
            };
            problems
                .error(at, message)
                .hint("silence, expire_silence, acknowledge, restart or missing");
        }
        if let (Some(span), None) = (&self.r#for, &self.missing) {
            problems
                .error(&span.at, "`for` without `missing`")
                .hint("that of a silence is in it");
        }
    }
}

/// Texts as labels.
pub(super) fn labels(raw: &BTreeMap<String, Literal>) -> Labels {
    raw.iter()
        .map(|(name, value)| (name.clone(), value.0.clone()))
        .collect()
}
