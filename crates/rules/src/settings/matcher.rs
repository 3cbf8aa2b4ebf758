//! Matcher of a rule for the values of one label: one matcher, or a list of alternatives.

use bellwether_schema::{Decode, DecodeContext, Node, Shape, Value, json_schema};
use serde::{Serialize, Serializer};

/// Matcher of one label's value.
#[derive(Clone, Debug, PartialEq)]
pub struct Matcher(Vec<bellwether_schema::Matcher>);

impl Matcher {
    #[must_use]
    pub fn passes(&self, value: &str) -> bool {
        self.0.iter().any(|matcher| matcher.matches(value))
    }

    /// Formats the matcher for PromQL with the label name `label`; `None` if that takes several.
    #[must_use]
    pub fn promql(&self, label: &str) -> Option<String> {
        if let [one] = self.0.as_slice() {
            let test = one.test();
            let operand = quoted(test.operand());
            return Some(format!("{label}{}{operand}", test.operator()));
        }
        let all: Vec<String> = self.0.iter().map(alternative).collect::<Option<_>>()?;
        Some(format!("{label}=~{}", quoted(&all.join("|"))))
    }

    /// Returns the only values that match, if they are known.
    pub fn exact(&self) -> Option<impl Iterator<Item = &str>> {
        let all = self.0.iter().all(|matcher| matcher.exact().is_some());
        all.then(|| self.0.iter().filter_map(bellwether_schema::Matcher::exact))
    }
}

/// Returns a matcher as an alternative of a regular expression; `None` if it is negated.
fn alternative(one: &bellwether_schema::Matcher) -> Option<String> {
    let operand = one.test().operand();
    match one.test().operator() {
        "=" => Some(regex::escape(operand)),
        "=~" => Some(format!("(?:{operand})")),
        _ => None,
    }
}

/// Quotes a text for PromQL and JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Serialize for Matcher {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [one] => one.serialize(serializer),
            many => many.serialize(serializer),
        }
    }
}

impl Decode for Matcher {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                cx.error(node.pos, "an empty list selects nothing");
                None
            }
            Value::List(_) => Vec::decode(node, cx).map(Self),
            _ => bellwether_schema::Matcher::decode(node, cx).map(|one| Self(vec![one])),
        }
    }

    fn shape() -> Shape {
        Shape::Word(
            "`x`, `!=x`, `=~regex`, `!~regex`, or a list of which one must accept",
            || json_schema::one_or_many(json_schema::text()),
        )
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Diagnostics, parse};

    use super::*;

    fn matcher(yaml: &str) -> Result<Matcher, String> {
        let mut problems = Diagnostics::default();
        let env = |name: &str| (name == "DISK").then(|| "/data".into());
        let decoded = Matcher::decode(
            &parse(yaml).unwrap(),
            &mut DecodeContext::new(&mut problems, &env),
        );
        decoded.ok_or_else(|| problems.into_sorted()[0].message.clone())
    }

    #[test]
    fn every_form_selects_what_it_says() {
        let values = ["", "/", "/data", "/data2"];
        for (yaml, expected, exact) in [
            ("/data", [false, false, true, false], 1),
            ("${DISK}", [false, false, true, false], 1),
            ("\"!=/data\"", [true, true, false, true], 0),
            ("\"=~/data.*\"", [false, false, true, true], 0),
            ("[/, /data]", [false, true, true, false], 2),
            ("[/, \"=~.*2\"]", [false, true, false, true], 0),
            ("\"\"", [true, false, false, false], 1),
        ] {
            let matcher = matcher(yaml).unwrap();
            assert_eq!(
                values.map(|value| matcher.passes(value)),
                expected,
                "{yaml}"
            );
            assert_eq!(matcher.exact().map_or(0, Iterator::count), exact, "{yaml}");
        }
    }

    #[test]
    fn what_selects_nothing_is_reported() {
        assert!(matcher("\"=~(\"").unwrap_err().contains("unclosed group"));
        assert_eq!(matcher("[]").unwrap_err(), "an empty list selects nothing");
        assert!(matcher("{a: b}").unwrap_err().contains("found a mapping"));
    }

    #[test]
    fn it_prints_as_declared() {
        for yaml in ["\"/data\"", "\"!=x\"", "\"=~a|b\"", "[\"a\",\"b\"]"] {
            assert_eq!(
                serde_json::to_string(&matcher(yaml).unwrap()).unwrap(),
                yaml
            );
        }
    }
}
