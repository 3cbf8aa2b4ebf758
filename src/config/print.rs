//! The effective declaration as YAML: defaults and environment filled in, secrets as `<secret>`.

use serde::Serialize;
use serde_yaml::Value;

use crate::declare::{Decode, blank};
use crate::rules::{RecordingSettings, RuleSettings};

use super::sections::Root;

/// Prints `root`. What was not said and has no default is left out.
///
/// # Errors
/// None that a decoded declaration can cause.
pub fn print(root: &Root) -> Result<String, serde_yaml::Error> {
    let mut value = serde_yaml::to_value(root)?;
    prune(&mut value);
    serde_yaml::to_string(&value)
}

/// Prints rules as a declaration has them, without what is the default.
///
/// # Errors
/// None that decoded rules can cause.
pub fn print_rules(
    rules: &[RuleSettings],
    recordings: &[RecordingSettings],
) -> Result<String, serde_yaml::Error> {
    let rules = said::<RuleSettings>(rules, &[("name", "")])?;
    let recordings = said::<RecordingSettings>(recordings, &[("record", ""), ("promql", "1")])?;
    let within =
        |key: &str, value: Value| Value::Mapping([(Value::from(key), value)].into_iter().collect());
    let lists = [("rules", rules), ("recording_rules", recordings)];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let alerting = lists.map(|(key, list)| (Value::from(key), Value::Sequence(list)));
    let alerting = Value::Mapping(alerting.collect());
    serde_yaml::to_string(&within("performance_monitor", within("alerting", alerting)))
}

/// What each of `all` says that one with nothing but `required` does not.
fn said<T: Serialize + Decode>(
    all: &[T],
    required: &[(&str, &str)],
) -> Result<Vec<Value>, serde_yaml::Error> {
    let usual = serde_yaml::to_value(blank::<T>(required))?;
    let mut all: Vec<Value> =
        all.iter().map(serde_yaml::to_value).collect::<Result<_, serde_yaml::Error>>()?;
    for value in &mut all {
        if let Value::Mapping(entries) = value {
            let needed = |key: &Value| required.iter().any(|(name, _)| key.as_str() == Some(name));
            entries.retain(|key, value| needed(key) || usual.get(key) != Some(value));
            for (key, value) in entries.iter_mut() {
                if !matches!(key.as_str(), Some("promql" | "expr" | "message" | "annotations")) {
                    escape(value);
                }
            }
        }
        prune(value);
    }
    Ok(all)
}

/// Escapes what would be taken for a variable of the environment.
fn escape(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace("${", "$${").replace("$<", "$$<"),
        Value::Mapping(entries) => entries.iter_mut().for_each(|(_, value)| escape(value)),
        Value::Sequence(items) => items.iter_mut().for_each(escape),
        _ => {}
    }
}

fn prune(value: &mut Value) {
    match value {
        Value::Mapping(entries) => {
            entries.retain(|_, value| !value.is_null());
            entries.iter_mut().for_each(|(_, value)| prune(value));
        }
        Value::Sequence(items) => items.iter_mut().for_each(prune),
        _ => {}
    }
}
