//! TOML as the tree in which YAML is read, with positions.

use bellwether_core::MAX_NESTING;
use bellwether_schema::{Key, Node, Pos, Value, YamlError};
use toml::de::{DeTable, DeValue};

use super::source::Source;

/// Parses a file in TOML.
///
/// # Errors
/// It is not valid TOML.
pub(super) fn parse(source: &Source<'_>) -> Result<Node, YamlError> {
    let table = DeTable::parse(&source.file.text).map_err(|error| YamlError {
        at: source.pos(error.span().map_or(0, |span| span.start)),
        message: format!("not valid TOML: {}", error.message().replace('\n', ", ")),
    })?;
    let at = source.pos(0);
    Ok(Node {
        pos: at,
        value: map(table.get_ref(), source, 0)?,
    })
}

fn map(table: &DeTable<'_>, source: &Source<'_>, depth: usize) -> Result<Value, YamlError> {
    let mut entries = Vec::with_capacity(table.len());
    for (key, value) in table {
        let pos = source.pos(key.span().start);
        let text = key.get_ref().to_string();
        let value = node(
            value.get_ref(),
            source.pos(value.span().start),
            source,
            depth + 1,
        )?;
        entries.push((Key { text, pos }, value));
    }
    // The parser sorts them by name.
    entries.sort_by_key(|(key, _)| key.pos);
    Ok(Value::Map(entries))
}

fn node(
    value: &DeValue<'_>,
    pos: Pos,
    source: &Source<'_>,
    depth: usize,
) -> Result<Node, YamlError> {
    if depth > MAX_NESTING {
        let message = format!("nested more than {MAX_NESTING} levels deep");
        return Err(YamlError { at: pos, message });
    }
    let value = match value {
        DeValue::String(text) => Value::Scalar(text.to_string()),
        DeValue::Integer(number) => Value::Scalar(number.to_string()),
        DeValue::Float(number) => Value::Scalar(number.to_string()),
        DeValue::Boolean(flag) => Value::Scalar(flag.to_string()),
        DeValue::Datetime(time) => Value::Scalar(time.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| {
                node(
                    item.get_ref(),
                    source.pos(item.span().start),
                    source,
                    depth + 1,
                )
            });
            Value::List(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => map(table, source, depth)?,
    };
    Ok(Node { pos, value })
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::*;

    fn parsed(text: &str) -> Result<Node, YamlError> {
        let file = SourceFile {
            name: "a.conf".into(),
            path: "/a.conf".into(),
            text: text.to_owned(),
        };
        parse(&Source::new(&file, 1))
    }

    #[test]
    fn keys_have_their_order_and_lines() {
        let root =
            parsed("b = 1\n[[x.a]]\n  c = [\"y\", \"z\"]\n[[x.a]]\n  c = true\n[a]\n").unwrap();
        let Value::Map(entries) = root.value else {
            panic!()
        };
        let names: Vec<(&str, u32)> = entries
            .iter()
            .map(|(key, _)| (&*key.text, key.pos.line))
            .collect();
        assert_eq!(names, [("b", 1), ("x", 2), ("a", 6)]);
        let Value::Map(inner) = &entries[1].1.value else {
            panic!()
        };
        let Value::List(items) = &inner[0].1.value else {
            panic!()
        };
        let lines: Vec<u32> = items.iter().map(|item| item.pos.line).collect();
        assert_eq!(lines, [2, 4]);
    }

    #[test]
    fn what_is_no_toml_is_an_error_at_its_place() {
        let error = parsed("a = 1\nb = [\n").unwrap_err();
        assert!(error.message.starts_with("not valid TOML: "), "{error}");
        assert!(error.at.line >= 2, "{error}");
        assert!(parsed("a = 1\na = 2\n").is_err());
    }

    #[test]
    fn deep_nesting_is_an_error() {
        for text in [
            format!("a = {}", "[".repeat(100_000)),
            format!("{}a = 1", "a.".repeat(10_000)),
            format!("[{}a]", "a.".repeat(10_000)),
        ] {
            assert!(parsed(&text).is_err());
        }
    }
}
