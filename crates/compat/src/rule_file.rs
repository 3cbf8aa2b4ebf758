//! A rule file of Prometheus as it is written.
//!
//! Source: Prometheus, "Recording rules" and "Alerting rules", and `model/rulefmt/rulefmt.go`.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_schema::{
    Decode, DecodeContext, HumanDuration, Literal, Node, Shape, Spanned, Value, format_duration,
    parse_duration, section,
};
use serde::{Serialize, Serializer};

section! {
    /// A rule file of Prometheus.
    pub struct File {
        /// Its groups.
        pub groups: Vec<Group> = Vec::new(),
    }
}

section! {
    /// Rules that are judged together.
    pub struct Group {
        /// Its name, unique in the file.
        pub name: Spanned<Words>,
        /// How often its rules are judged.
        pub interval: Option<Spanned<Lasting>>,
        /// Most alerts or series that a rule may make.
        pub limit: Option<Spanned<Limit>>,
        /// How far in the past is asked.
        pub query_offset: Option<Spanned<Lasting>>,
        /// Labels of all its rules.
        pub labels: BTreeMap<String, Spanned<Words>> = BTreeMap::new(),
        /// Its rules.
        pub rules: Vec<Rule> = Vec::new(),
    }
}

section! {
    /// A rule that alerts, or one that records.
    pub struct Rule {
        /// The name of its alerts.
        pub alert: Option<Spanned<Literal>>,
        /// The name of its series.
        pub record: Option<Spanned<Literal>>,
        /// The query.
        pub expr: Spanned<Literal>,
        /// How long it must hold.
        pub r#for: Option<Spanned<Lasting>>,
        /// For how long it goes on when it no longer holds.
        pub keep_firing_for: Option<Spanned<Lasting>>,
        /// Labels that are added.
        pub labels: BTreeMap<String, Spanned<Words>> = BTreeMap::new(),
        /// Texts for people.
        pub annotations: BTreeMap<String, Spanned<Words>> = BTreeMap::new(),
    }
}

/// A text, which may be nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Words(pub String);

impl Decode for Words {
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

/// A duration as Prometheus reads it: each number has a unit, but for `0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lasting(pub Duration);

impl Lasting {
    /// As a value of ours.
    pub fn span(spanned: &Spanned<Self>) -> Spanned<HumanDuration> {
        Spanned {
            value: HumanDuration(spanned.value.0),
            at: spanned.at.clone(),
        }
    }
}

impl Decode for Lasting {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let lasting = |text: &str| {
            let whole = text.ends_with(|c: char| c.is_ascii_alphabetic()) && !text.contains('.');
            (whole || text == "0")
                .then(|| parse_duration(text))
                .flatten()
                .map(Self)
        };
        cx.parsed(
            node,
            "a duration of Prometheus such as 30s, 5m, 1h30m or 7d",
            lasting,
        )
    }

    fn shape() -> Shape {
        HumanDuration::shape()
    }
}

impl Serialize for Lasting {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format_duration(self.0))
    }
}

/// Most of something; zero and less are no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Limit(pub i64);

impl Decode for Limit {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(node, "a whole number", |text| text.parse().ok().map(Self))
    }

    fn shape() -> Shape {
        Shape::Word("whole number")
    }
}
