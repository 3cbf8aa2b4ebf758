//! Matchers in YAML and in Alertmanager's API.

use std::collections::BTreeMap;

use bellwether_matcher::ValueTest;
use bellwether_schema::json_schema::{self, Json};
use bellwether_schema::{Decode, DecodeContext, Literal, MapReader, Matcher, Node, Shape, Value};

use super::Matchers;
use super::reader::{MatchersError, regex};

/// A matcher of Alertmanager's API.
struct ApiMatcher {
    name: Literal,
    value: Literal,
    regex: bool,
    equal: bool,
}

impl ApiMatcher {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let mut map = MapReader::open(node, cx)?;
        let (name, value) = (map.field("name", None), map.field("value", None));
        let (regex, equal) = (
            map.field("isRegex", Some(false)),
            map.field("isEqual", Some(true)),
        );
        map.finish();
        Some(Self {
            name: name?,
            value: value?,
            regex: regex?,
            equal: equal?,
        })
    }

    fn into_matchers(self) -> Result<Matchers, MatchersError> {
        let Self {
            name: Literal(name),
            value: Literal(value),
            regex: is_regex,
            equal,
        } = self;
        let test = match is_regex {
            true => regex(&value, !equal)?,
            false => ValueTest::equal(&value, !equal),
        };
        Ok(Matchers::from_tests(vec![(name, test)]))
    }
}

/// Decodes a text with matchers, a list of them as in Alertmanager's configuration or API, or a
/// mapping of labels as in the filters of channels.
impl Decode for Matchers {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let at = Some(cx.at(node.pos));
        let tests = match &node.value {
            Value::Map(_) => {
                let labels = BTreeMap::<String, Matcher>::decode(node, cx)?;
                let tests = labels.into_iter();
                tests
                    .map(|(name, matcher)| (name, matcher.test().clone()))
                    .collect()
            }
            Value::List(texts) => {
                // All are decoded, so that each error is reported.
                let decoded: Vec<_> = texts.iter().map(|text| decode_one(text, cx)).collect();
                let decoded: Option<Vec<Self>> = decoded.into_iter().collect();
                decoded?.into_iter().flat_map(|all| all.tests).collect()
            }
            _ => decode_one(node, cx)?.tests,
        };
        Some(Self { tests, at })
    }

    fn shape() -> Shape {
        Shape::Word(
            "matchers, taken as written: `a=\"b\"`, `a!=\"b\"`, `a=~\"regex\"`, `a!~\"regex\"`, or a list of them",
            schema,
        )
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// Returns the JSON Schema: text, a mapping of labels, or a list with texts and matchers of Alertmanager's API.
fn schema() -> Json {
    let labels = json_schema::map_of(Matcher::shape());
    let items = json_schema::list(Json::object().with(
        "anyOf",
        vec![json_schema::text(), json_schema::map_of(Literal::shape())],
    ));
    Json::object().with("anyOf", vec![json_schema::text(), items, labels])
}

/// Decodes a text with matchers, or a matcher of Alertmanager's API.
fn decode_one(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Matchers> {
    let parsed = match &node.value {
        Value::Map(_) => ApiMatcher::decode(node, cx)?.into_matchers(),
        // Taken as written: a regular expression has `$` of its own.
        _ => Matchers::parse(&Literal::decode(node, cx)?.0),
    };
    match parsed {
        Ok(matchers) => Some(matchers),
        Err(error) => {
            cx.error(node.pos, error.to_string())
                .hint("such as severity=\"critical\" or mount=~\"/data.*\"");
            None
        }
    }
}
