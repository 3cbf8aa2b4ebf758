//! CSV as in RFC 4180, as objects of its columns.

use serde_json::{Map, Value};

/// Parses rows below a line with the names of the columns. A row with more or fewer fields is an error.
pub(super) fn parse(text: &str, delimiter: char) -> Result<Value, String> {
    let mut records = records(text, delimiter)?.into_iter();
    let Some((_, columns)) = records.next() else {
        return Err("no line with the names of the columns".to_owned());
    };
    let rows: Result<Vec<Value>, String> = records
        .map(|(line, fields)| {
            if fields.len() != columns.len() {
                return Err(format!(
                    "line {line}: {} fields, and {} columns",
                    fields.len(),
                    columns.len()
                ));
            }
            let fields = fields.into_iter().map(Value::String);
            let row: Map<String, Value> = columns.iter().cloned().zip(fields).collect();
            Ok(Value::Object(row))
        })
        .collect();
    rows.map(Value::Array)
}

/// Returns the records with the number of their first line. Blank lines are none.
fn records(text: &str, delimiter: char) -> Result<Vec<(usize, Vec<String>)>, String> {
    let mut records = Vec::new();
    let (mut line, mut start) = (1, 1);
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut is_quoted, mut was_quoted) = (false, false);
    let mut chars = text.chars().peekable();
    while let Some(next) = chars.next() {
        if next == '\n' {
            line += 1;
        }
        match next {
            '"' if is_quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if field.is_empty() && !was_quoted => (is_quoted, was_quoted) = (true, true),
            '\r' if !is_quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !is_quoted => {
                if !(fields.is_empty() && field.is_empty() && !was_quoted) {
                    fields.push(std::mem::take(&mut field));
                    records.push((start, std::mem::take(&mut fields)));
                }
                was_quoted = false;
                start = line;
            }
            next if next == delimiter && !is_quoted => {
                fields.push(std::mem::take(&mut field));
                was_quoted = false;
            }
            next => field.push(next),
        }
    }
    if is_quoted {
        return Err(format!("line {start}: a quote without its end"));
    }
    if !(fields.is_empty() && field.is_empty() && !was_quoted) {
        fields.push(field);
        records.push((start, fields));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_objects_of_their_columns() {
        let text = "name,used bytes\r\n\"a, \"\"b\"\"\",5\r\n\n\"two\nlines\",\"\"\nlast,7";
        assert_eq!(
            parse(text, ',').unwrap(),
            json!([
                {"name": "a, \"b\"", "used bytes": "5"},
                {"name": "two\nlines", "used bytes": ""},
                {"name": "last", "used bytes": "7"}
            ])
        );
        assert_eq!(
            parse("a\tb\n1\t2\n", '\t').unwrap(),
            json!([{"a": "1", "b": "2"}])
        );
        assert_eq!(parse("a;b\n", ';').unwrap(), json!([]));
    }

    #[test]
    fn what_is_no_csv_is_an_error_with_its_line() {
        assert_eq!(
            parse("", ',').unwrap_err(),
            "no line with the names of the columns"
        );
        assert_eq!(
            parse("a,b\n1,2\n3\n", ',').unwrap_err(),
            "line 3: 1 fields, and 2 columns"
        );
        assert_eq!(
            parse("a\n1\n\"x\n", ',').unwrap_err(),
            "line 3: a quote without its end"
        );
    }
}
