//! Lines `key=value`.

use serde_json::{Map, Value};

/// Parses the lines to an object. Blank lines and those that begin with `#` are skipped. Quotes around a value are
/// removed, as in a file that a shell reads.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    let mut object = Map::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line
            .split_once('=')
            .ok_or_else(|| format!("line {}: no =", at + 1))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(format!("line {}: no key", at + 1));
        }
        let value = value.trim();
        let quoted = ['"', '\''].into_iter().find_map(|quote| {
            let inner = value.strip_prefix(quote)?;
            inner.strip_suffix(quote)
        });
        object.insert(key.to_owned(), quoted.unwrap_or(value).into());
    }
    Ok(object)
}

/// Returns the name of the metric of a key: characters that no name has become `_`.
pub(super) fn metric_name(prefix: &str, key: &str) -> String {
    let mut name = prefix.to_owned();
    for c in key.chars() {
        let is_valid =
            c.is_ascii_alphabetic() || c == '_' || (c.is_ascii_digit() && !name.is_empty());
        name.push(if is_valid { c } else { '_' });
    }
    name
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lines_are_keys_and_values() {
        let text = "# state\n\nsize = 5\nname=\"a=b\"\nempty=\n";
        let expected = json!({"size": "5", "name": "a=b", "empty": ""});
        assert_eq!(Value::Object(parse(text).unwrap()), expected);
        let twice = parse("a=1\na=2\n").unwrap();
        assert_eq!(Value::Object(twice), json!({"a": "2"}), "the last one");
        assert_eq!(parse("a=1\nb\n").unwrap_err(), "line 2: no =");
        assert_eq!(parse("=1").unwrap_err(), "line 1: no key");
    }

    #[test]
    fn a_key_becomes_a_name() {
        assert_eq!(metric_name("raid_", "disk.0-errors"), "raid_disk_0_errors");
        assert_eq!(metric_name("", "9lives"), "_lives");
    }
}
