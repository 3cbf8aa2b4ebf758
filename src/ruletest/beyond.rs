//! What a test may say that promtool knows nothing of: steps, and expected notifications.
//!
//! Owns the keys, their defaults and their documentation.

use std::collections::BTreeMap;

use bellwether_core::{Cause, Labels, Status};
use bellwether_matcher::LabelMatcher;
use bellwether_promql as promql;
use bellwether_routing::Matchers;
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, Literal, Node, Shape, SourceLocation, Spanned, Value,
    decode_choice, section, string_enum,
};
use serde::{Serialize, Serializer};

use super::settings::{Elapsed, Items};

section! {
    /// Something that is done at a time of a test, before the values of that time are collected.
    /// Each step does one thing.
    pub struct Step {
        /// When.
        pub at: Spanned<Elapsed>,
        /// Silences alerts.
        pub silence: Option<SilenceStep>,
        /// Ends the silence of this name.
        pub expire_silence: Option<Spanned<Literal>>,
        /// Takes care of alerts that fire: they are neither repeated nor escalated.
        pub acknowledge: Option<Spanned<AcknowledgeStep>>,
        /// Bellwether stops, and starts again after this time: nothing but its files is left.
        /// `true` is at once.
        pub restart: Option<Spanned<Restart>>,
        /// Series that have no values from now on: `cpu_percent`, `{instance="a"}`.
        pub missing: Option<Spanned<Selector>>,
        /// For how long; without it to the end.
        pub r#for: Option<Spanned<Elapsed>>,
    }
}

section! {
    /// A silence.
    pub struct SilenceStep {
        /// What it is called, for `expire_silence`.
        pub name: Option<Literal>,
        /// Which alerts; all must accept.
        pub matchers: Spanned<Matchers>,
        /// For how long; without it to the end of the test.
        pub r#for: Option<Elapsed>,
        /// Who silences.
        pub by: Literal = Literal("test".to_owned()),
        /// Why.
        pub comment: Literal = Literal::default(),
    }
}

section! {
    /// An acknowledgement.
    pub struct AcknowledgeStep {
        /// The name of the alerts.
        pub alertname: Literal,
        /// Labels that they have, and others.
        pub labels: BTreeMap<String, Literal> = BTreeMap::new(),
        /// Who takes care.
        pub by: Literal = Literal("test".to_owned()),
        /// For how long; without it until the alert resolves.
        pub r#for: Option<Elapsed>,
    }
}

section! {
    /// A message to one channel: what it is told at one time of one group of alerts. What is left
    /// out may be anything.
    pub struct ExpectedMessage {
        /// When it is sent.
        pub at: Spanned<Elapsed>,
        /// The receiver of its route.
        pub receiver: Option<Literal>,
        /// The channel.
        pub channel: Option<Literal>,
        /// Firing while anything in it fires.
        pub status: Option<ExpectedStatus>,
        /// Why it is sent, of one of its alerts at the least.
        pub cause: Option<ExpectedCause>,
        /// All labels of its group.
        pub group: Option<BTreeMap<String, Literal>>,
        /// Each alert that it has news of.
        pub alerts: Option<Items<ExpectedMember>>,
        /// Part of the document that a webhook channel sends: keys and values that it has, and
        /// others. Of a list each item must be there.
        pub payload: Option<Json>,
    }
}

section! {
    /// An alert in a message. What is left out may be anything.
    pub struct ExpectedMember {
        /// Labels that it has, and others; `alertname` and `severity` among them.
        pub labels: BTreeMap<String, Literal> = BTreeMap::new(),
        /// Annotations that it has, and others.
        pub annotations: BTreeMap<String, Literal> = BTreeMap::new(),
        /// Its message.
        pub message: Option<Literal>,
        /// Whether it fires.
        pub status: Option<ExpectedStatus>,
        /// Why it is told.
        pub cause: Option<ExpectedCause>,
    }
}

string_enum! {
    /// What a message says.
    pub enum ExpectedStatus {
        /// Something fires.
        Firing = "firing",
        /// Nothing does any more.
        Resolved = "resolved",
    }
}

impl ExpectedStatus {
    /// Whether it is this.
    #[must_use]
    pub fn is(self, status: Status) -> bool {
        self.as_str() == status.as_str()
    }
}

/// Why a message is sent.
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
        Shape::Choice(&[
            "change",
            "repeat",
            "escalation",
            "fallback",
            "flapping",
            "heartbeat",
            "test",
        ])
    }
}

impl Serialize for ExpectedCause {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

/// How long Bellwether is down: `true` is no time.
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
        Shape::Word("`true`, or a duration")
    }
}

/// Which series.
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
        Shape::Word("series selector")
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
    /// A single value; numbers are compared as such.
    Text(String),
    /// `null`.
    Null,
    /// A list that has these.
    List(Vec<Json>),
    /// A map that has these.
    Map(BTreeMap<String, Json>),
}

impl Json {
    fn of(node: &Node) -> Self {
        match &node.value {
            Value::Null => Self::Null,
            Value::Scalar(text) => Self::Text(text.clone()),
            Value::List(items) => Self::List(items.iter().map(Self::of).collect()),
            Value::Map(entries) => {
                let entries = entries.iter();
                Self::Map(
                    entries
                        .map(|(key, node)| (key.text.clone(), Self::of(node)))
                        .collect(),
                )
            }
        }
    }

    /// What is not in `value`, by path, into `out`.
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

    /// Whether a single value is this.
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
        Some(Self::of(node))
    }

    fn shape() -> Shape {
        Shape::Word("any")
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
    /// Notes a step that does nothing, or several things.
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let done = [
            self.silence.is_some(),
            self.expire_silence.is_some(),
            self.acknowledge.is_some(),
            self.restart.is_some(),
            self.missing.is_some(),
        ];
        let count = done.iter().filter(|one| **one).count();
        if count != 1 && !problems.any(|path| path.starts_with(&*at.path)) {
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
