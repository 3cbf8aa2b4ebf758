//! The part of JSON Schema that the services' schemas need. An unknown keyword is a failure: no
//! demand of a schema goes unheard. Lengths are counted in UTF-16, the strictest that is in use.

use regex::Regex;
use serde_json::Value;

/// A schema.
pub struct Schema(Value);

impl Schema {
    pub fn new(text: &str) -> Self {
        Self(serde_json::from_str(text).unwrap())
    }

    /// Returns the error of `value`; nothing if it is valid.
    pub fn faults(&self, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.validate(&self.0, value, "$", &mut faults);
        faults
    }

    fn validate(&self, schema: &Value, value: &Value, path: &str, faults: &mut Vec<String>) {
        for (keyword, demand) in schema.as_object().unwrap() {
            if let Err(fault) = self.hold(keyword, demand, schema, value, path, faults) {
                faults.push(format!("{path}: {fault}"));
            }
        }
    }

    fn hold(
        &self,
        keyword: &str,
        demand: &Value,
        schema: &Value,
        value: &Value,
        path: &str,
        faults: &mut Vec<String>,
    ) -> Result<(), String> {
        let failed = || Err(format!("not {keyword} {demand}: {value}"));
        let number = || demand.as_u64().unwrap() as usize;
        let width = value.as_str().map(|text| text.encode_utf16().count());
        let fits = match keyword {
            "$comment" | "$schema" | "$defs" | "title" => true,
            "$ref" => {
                let at = demand.as_str().unwrap().strip_prefix('#').unwrap();
                self.validate(self.0.pointer(at).unwrap(), value, path, faults);
                true
            }
            "type" => match demand {
                Value::Array(types) => types.iter().any(|one| is(one.as_str().unwrap(), value)),
                one => is(one.as_str().unwrap(), value),
            },
            "const" => value == demand,
            "enum" => demand.as_array().unwrap().contains(value),
            "minLength" => width.is_none_or(|width| width >= number()),
            "maxLength" => width.is_none_or(|width| width <= number()),
            "pattern" => {
                let pattern = Regex::new(demand.as_str().unwrap()).unwrap();
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "minItems" => value.as_array().is_none_or(|items| items.len() >= number()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() <= number()),
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    self.validate(demand, item, &format!("{path}[{index}]"), faults);
                }
                true
            }
            "required" => {
                let names = demand.as_array().unwrap().iter();
                names
                    .map(|name| name.as_str().unwrap())
                    .all(|name| value.get(name).is_some())
            }
            "properties" => {
                for (name, below) in demand.as_object().unwrap() {
                    if let Some(value) = value.get(name) {
                        self.validate(below, value, &format!("{path}.{name}"), faults);
                    }
                }
                true
            }
            "additionalProperties" => {
                let known = |name: &str| schema["properties"].get(name).is_some();
                let more = value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter(|(name, _)| !known(name));
                for (name, value) in more {
                    if *demand == Value::Bool(false) {
                        return Err(format!("unknown key {name}"));
                    }
                    self.validate(demand, value, &format!("{path}.{name}"), faults);
                }
                true
            }
            "anyOf" => demand.as_array().unwrap().iter().any(|one| {
                let mut found = Vec::new();
                self.validate(one, value, path, &mut found);
                found.is_empty()
            }),
            other => panic!("no such keyword here: {other}"),
        };
        if fits { Ok(()) } else { failed() }
    }
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no such type here: {other}"),
    }
}

#[test]
fn a_schema_finds_what_is_wrong() {
    let schema = Schema::new(
        r#"{"type": "object", "required": ["a"], "additionalProperties": false, "properties": {
            "a": {"type": "string", "minLength": 1, "maxLength": 2, "pattern": "^[^<]*$"},
            "b": {"type": "array", "maxItems": 1, "items": {"enum": [1, 2]}}}}"#,
    );
    let faults = |text: &str| schema.faults(&serde_json::from_str(text).unwrap()).len();
    assert_eq!(faults(r#"{"a": "xy", "b": [1]}"#), 0);
    for wrong in [
        r#"[]"#,
        r#"{"b": []}"#,
        r#"{"a": ""}"#,
        r#"{"a": "xyz"}"#,
        r#"{"a": "🦀🦀"}"#,
        r#"{"a": "<"}"#,
        r#"{"a": 1}"#,
        r#"{"a": "x", "b": [3]}"#,
        r#"{"a": "x", "b": [1, 1]}"#,
        r#"{"a": "x", "c": 1}"#,
    ] {
        assert!(faults(wrong) > 0, "{wrong}");
    }
}
