//! The report as one flat table: a line for each number or text of each item.

use bellwether_core::Labels;
use serde_json::Value;

use super::Report;

/// Formats the report as CSV (RFC 4180): `section,item,field,value`.
///
/// # Errors
/// The report has a number that cannot be expressed.
pub fn csv(report: &Report) -> Result<String, serde_json::Error> {
    let mut out = line(["section", "item", "field", "value"]);
    let report = serde_json::to_value(report)?;
    for (section, content) in report.as_object().into_iter().flatten() {
        match content {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    fields(&mut out, section, &name(item, index), "", item);
                }
            }
            other => fields(&mut out, section, "", "", other),
        }
    }
    Ok(out)
}

/// Adds a line for each value below `value`.
fn fields(out: &mut String, section: &str, item: &str, field: &str, value: &Value) {
    let below = |key: &str| match field {
        "" => key.to_owned(),
        field => format!("{field}.{key}"),
    };
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                fields(out, section, item, &below(key), value);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                fields(out, section, item, &below(&index.to_string()), value);
            }
        }
        Value::Null => out.push_str(&line([section, item, field, ""])),
        Value::String(text) => out.push_str(&line([section, item, field, text])),
        other => out.push_str(&line([section, item, field, &other.to_string()])),
    }
}

/// Returns the name of an item with its labels, else its number.
fn name(item: &Value, index: usize) -> String {
    let keys = ["alertname", "metric", "name", "resource"];
    let name = keys.iter().find_map(|key| item[key].as_str());
    let labels: Labels = serde_json::from_value(item["labels"].clone()).unwrap_or_default();
    name.map_or_else(
        || (index + 1).to_string(),
        |name| super::named(name, &labels),
    )
}

fn line(cells: [&str; 4]) -> String {
    cells.map(cell).join(",") + "\r\n"
}

/// Quotes a cell. A text that a spreadsheet would take for a formula begins with an apostrophe (OWASP, CSV
/// injection).
fn cell(text: &str) -> String {
    let is_number = text.parse::<f64>().is_ok();
    let is_formula = !is_number && text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = match is_formula {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    match text.contains([',', '"', '\r', '\n']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text,
    }
}
