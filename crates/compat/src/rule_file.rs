//! Format of a Prometheus rule file.
//!
//! Source: Prometheus, "Recording rules" and "Alerting rules", and `model/rulefmt/rulefmt.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_schema::{
    Decode, DecodeContext, HumanDuration, Literal, Node, Shape, Spanned, Value, format_duration,
    json_schema, parse_duration, section,
};
use serde::{Serialize, Serializer};

section! {
    /// A rule file of Prometheus.
    pub struct File {
        /// Groups.
        pub groups: Vec<Group> = Vec::new(),
    }
}

section! {
    /// Group of rules that are evaluated together.
    pub struct Group {
        /// Unique name in the file.
        pub name: Spanned<OptionalText>,
        /// Evaluation interval.
        pub interval: Option<Spanned<PromDuration>>,
        /// Maximum number of alerts or series of a rule.
        pub limit: Option<Spanned<Limit>>,
        /// Offset of queries into the past.
        pub query_offset: Option<Spanned<PromDuration>>,
        /// Labels of all its rules.
        pub labels: BTreeMap<String, Spanned<OptionalText>> = BTreeMap::new(),
        /// Rules.
        pub rules: Vec<Rule> = Vec::new(),
    }
}

section! {
    /// Alerting or recording rule.
    pub struct Rule {
        /// Name of its alerts.
        pub alert: Option<Spanned<Literal>>,
        /// Name of its series.
        pub record: Option<Spanned<Literal>>,
        /// PromQL query.
        pub expr: Spanned<Literal>,
        /// Time that the condition must hold before the alert fires.
        pub r#for: Option<Spanned<PromDuration>>,
        /// Time that a firing alert stays firing after the condition.
        pub keep_firing_for: Option<Spanned<PromDuration>>,
        /// Labels to add.
        pub labels: BTreeMap<String, Spanned<OptionalText>> = BTreeMap::new(),
        /// Annotations.
        pub annotations: BTreeMap<String, Spanned<OptionalText>> = BTreeMap::new(),
    }
}

/// Text, which may be null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct OptionalText(pub String);

impl Decode for OptionalText {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        match node.value {
            Value::Null => Some(Self::default()),
            _ => Literal::decode(node, cx).map(|Literal(text)| Self(text)),
        }
    }

    fn shape() -> Shape {
        Literal::shape()
    }
}

/// Duration as in Prometheus: each number has a unit, except `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PromDuration(pub Duration);

impl PromDuration {
    /// Converts it to a duration of our settings.
    pub fn span(spanned: &Spanned<Self>) -> Spanned<HumanDuration> {
        Spanned {
            value: HumanDuration(spanned.value.0),
            at: spanned.at.clone(),
        }
    }
}

impl Decode for PromDuration {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(
            node,
            "a duration of Prometheus such as 30s, 5m, 1h30m or 7d",
            |text| {
                let whole =
                    text.ends_with(|c: char| c.is_ascii_alphabetic()) && !text.contains('.');
                (whole || text == "0")
                    .then(|| parse_duration(text))
                    .flatten()
                    .map(Self)
            },
        )
    }

    fn shape() -> Shape {
        HumanDuration::shape()
    }
}

impl Serialize for PromDuration {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(self.0))
    }
}

/// Limit; zero and less are unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Limit(pub i64);

impl Decode for Limit {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(node, "a whole number", |text| text.parse().ok().map(Self))
    }

    fn shape() -> Shape {
        Shape::Word("whole number", || {
            json_schema::integer(i64::MIN, i64::MAX.unsigned_abs())
        })
    }
}
