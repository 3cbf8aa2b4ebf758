//! The effective declaration as YAML: defaults and environment filled in, secrets as `<secret>`.

use serde_yaml::Value;

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
