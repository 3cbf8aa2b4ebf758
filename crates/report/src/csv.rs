//! The report as one flat table, a line for each number or text of each item; and as a table for each section, a line
//! for each item.

use std::collections::BTreeSet;

use bellwether_core::Labels;
use serde::Serialize;
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

/// One section of a report as CSV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsvTable {
    /// Name of the section: `alerts`, `trends`.
    pub name: &'static str,
    pub text: String,
}

/// Formats each section of the report as CSV (RFC 4180), with a column for each field and label.
///
/// # Errors
/// The report has a number that cannot be expressed.
pub fn tables(report: &Report) -> Result<Vec<CsvTable>, serde_json::Error> {
    Ok(vec![
        table("alerts", &report.alerts)?,
        table("bottlenecks", &report.bottlenecks)?,
        table("trends", &report.trends)?,
        table("anomalies", &report.anomalies)?,
        table("forecasts", &report.forecasts)?,
        table("capacity", &report.capacity)?,
    ])
}

/// Formats items as a table. Its columns do not depend on the items, but for those of labels.
fn table<T: Serialize + Default>(
    name: &'static str,
    items: &[T],
) -> Result<CsvTable, serde_json::Error> {
    let flat = |item: &T| Ok::<_, serde_json::Error>(flat(&serde_json::to_value(item)?));
    let rows: Vec<Vec<(String, String)>> = items.iter().map(flat).collect::<Result<_, _>>()?;
    let all = rows.iter().cloned().chain([flat(&T::default())?]).flatten();
    let columns: BTreeSet<String> = all.map(|(column, _)| column).collect();
    let cell_of = |row: &[(String, String)], column: &String| {
        let found = row.iter().find(|(other, _)| other == column);
        cell(found.map_or("", |(_, text)| text))
    };
    let row = |row: &Vec<(String, String)>| {
        let cells: Vec<String> = columns.iter().map(|column| cell_of(row, column)).collect();
        cells.join(",") + "\r\n"
    };
    let head: Vec<String> = columns.iter().map(|column| cell(column)).collect();
    let text = head.join(",") + "\r\n" + &rows.iter().map(row).collect::<String>();
    Ok(CsvTable { name, text })
}

/// Returns name and text of each value below `item`.
fn flat(item: &Value) -> Vec<(String, String)> {
    let mut all = Vec::new();
    each_value(item, "", &mut |field, text| {
        all.push((field.to_owned(), text));
    });
    all
}

/// Adds a line for each value below `value`.
fn fields(out: &mut String, section: &str, item: &str, field: &str, value: &Value) {
    each_value(value, field, &mut |field, text| {
        out.push_str(&line([section, item, field, &text]));
    });
}

/// Calls `add` with the path and text of each value below `value`.
fn each_value(value: &Value, field: &str, add: &mut dyn FnMut(&str, String)) {
    let below = |key: &str| match field {
        "" => key.to_owned(),
        field => format!("{field}.{key}"),
    };
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                each_value(value, &below(key), add);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                each_value(value, &below(&index.to_string()), add);
            }
        }
        Value::Null => add(field, String::new()),
        Value::String(text) => add(field, text.clone()),
        other => add(field, other.to_string()),
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
