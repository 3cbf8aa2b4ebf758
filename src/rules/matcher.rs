//! Which label values a rule is about.

use regex::Regex;
use serde::{Serialize, Serializer};

use crate::declare::{Cx, Decode, Node, Raw, Shape, Value};

/// A test of one label's value.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// One of these.
    AnyOf(Vec<String>),
    /// None of these.
    NoneOf(Vec<String>),
    /// The whole value matches.
    Matches(Regex),
    /// It does not.
    MatchesNot(Regex),
}

impl Matcher {
    /// Whether `value` passes.
    #[must_use]
    pub fn passes(&self, value: &str) -> bool {
        match self {
            Self::AnyOf(values) => values.iter().any(|one| one == value),
            Self::NoneOf(values) => !values.iter().any(|one| one == value),
            Self::Matches(regex) => regex.is_match(value),
            Self::MatchesNot(regex) => !regex.is_match(value),
        }
    }

    /// As it is declared; two matchers are the same if this is.
    fn spelled(&self) -> Vec<String> {
        let pattern = |regex: &Regex| {
            let text = regex.as_str();
            text.strip_prefix("^(?:").and_then(|t| t.strip_suffix(")$")).unwrap_or(text).to_owned()
        };
        match self {
            Self::AnyOf(values) => values.clone(),
            Self::NoneOf(values) => values.iter().map(|value| format!("!={value}")).collect(),
            Self::Matches(regex) => vec![format!("=~{}", pattern(regex))],
            Self::MatchesNot(regex) => vec![format!("!~{}", pattern(regex))],
        }
    }
}

impl PartialEq for Matcher {
    fn eq(&self, other: &Self) -> bool {
        self.spelled() == other.spelled()
    }
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.spelled().as_slice() {
            [one] => serializer.serialize_str(one),
            many => many.serialize(serializer),
        }
    }
}

impl Decode for Matcher {
    fn decode(node: &Node, cx: &mut Cx<'_>) -> Option<Self> {
        if let Value::List(_) = node.value {
            return Vec::<String>::decode(node, cx).map(Self::AnyOf);
        }
        let raw = Raw::decode(node, cx)?;
        for (prefix, build) in
            [("=~", Self::Matches as fn(Regex) -> Self), ("!~", Self::MatchesNot)]
        {
            if let Some(pattern) = raw.strip_prefix(prefix) {
                return match Regex::new(&format!("^(?:{pattern})$")) {
                    Ok(regex) => Some(build(regex)),
                    Err(error) => {
                        let last = error.to_string();
                        let reason = last.lines().last().unwrap_or_default();
                        let reason = reason.strip_prefix("error: ").unwrap_or(reason);
                        cx.error(node.pos, format!("not a regular expression: {reason}"));
                        None
                    }
                };
            }
        }
        let text = cx.text(node)?;
        Some(match text.strip_prefix("!=") {
            Some(value) => Self::NoneOf(vec![value.to_owned()]),
            None => Self::AnyOf(vec![text.strip_prefix('=').unwrap_or(&text).to_owned()]),
        })
    }

    fn shape() -> Shape {
        Shape::Word("value, `!=value`, `=~regex`, `!~regex`, or a list of values")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::{Problems, parse};

    fn matcher(yaml: &str) -> Result<Matcher, String> {
        let mut problems = Problems::default();
        let env = |name: &str| (name == "DISK").then(|| "/data".to_owned());
        let decoded = Matcher::decode(&parse(yaml).unwrap(), &mut Cx::new(&mut problems, &env));
        decoded.ok_or_else(|| problems.into_sorted()[0].message.clone())
    }

    #[test]
    fn every_form_selects_what_it_says() {
        let values = ["", "/", "/data", "/data2"];
        for (yaml, expected) in [
            ("/data", [false, false, true, false]),
            ("\"=/data\"", [false, false, true, false]),
            ("${DISK}", [false, false, true, false]),
            ("\"!=/data\"", [true, true, false, true]),
            ("\"=~/data.*\"", [false, false, true, true]),
            ("\"=~/data|/\"", [false, true, true, false]),
            ("\"!~/.*\"", [true, false, false, false]),
            ("[/, /data]", [false, true, true, false]),
            ("\"\"", [true, false, false, false]),
        ] {
            let matcher = matcher(yaml).unwrap();
            assert_eq!(values.map(|value| matcher.passes(value)), expected, "{yaml}");
        }
    }

    #[test]
    fn a_broken_regex_is_told() {
        assert_eq!(matcher("\"=~(\"").unwrap_err(), "not a regular expression: unclosed group");
        assert_eq!(matcher("{a: b}").unwrap_err(), "expected text, found a mapping");
    }

    #[test]
    fn it_prints_as_declared() {
        for yaml in ["\"/data\"", "\"!=x\"", "\"=~a|b\"", "\"!~a\"", "[\"a\",\"b\"]"] {
            assert_eq!(serde_json::to_string(&matcher(yaml).unwrap()).unwrap(), yaml);
        }
    }
}
