//! Records of an answer as a table, for CSV. Pure.

use serde_json::Value;

use super::asking::{labels, list, printable};
use super::table::{Cell, Table};

/// Returns a row for each record. The records are in a list of objects; `lists` has the paths of the
/// lists from the outermost to that one. A column has a heading and the path of its value; one that a
/// record lacks is that of the object around it. Paths have slashes, and values are not rounded.
pub(super) fn records<const N: usize>(
    data: &Value,
    lists: &[&str],
    columns: [(&'static str, &str); N],
) -> Table {
    let mut table = Table::new(columns.map(|(head, _)| head));
    add(
        &mut table,
        &mut vec![data],
        lists,
        &columns.map(|(_, path)| path),
    );
    table
}

fn add<const N: usize>(
    table: &mut Table,
    around: &mut Vec<&Value>,
    lists: &[&str],
    columns: &[&str; N],
) {
    let Some((path, inner)) = lists.split_first() else {
        return table.push(columns.map(|column| cell(around, column)));
    };
    let Some(items) = around.last().and_then(|object| at(object, path)) else {
        return;
    };
    for item in list(items) {
        around.push(item);
        add(table, around, inner, columns);
        around.pop();
    }
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    object.pointer(&format!("/{path}"))
}

fn cell(around: &[&Value], path: &str) -> Cell {
    let value = around.iter().rev().find_map(|object| at(object, path));
    match value {
        None | Some(Value::Null) => "".into(),
        Some(Value::String(text)) => printable(text).into(),
        Some(object @ Value::Object(_)) => labels(object).into(),
        Some(other) => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_record_has_the_values_of_the_objects_around_it() {
        let data = json!({"windows": [
            {"window": "1h", "series": [
                {"labels": {"a": "b"}, "mean": 0.123_456_789, "quantiles": {"p50": 1}},
                {"labels": {}, "reason": "too few"},
            ]},
            {"window": "1d", "series": []},
        ]});
        let columns = [
            ("WINDOW", "window"),
            ("MEAN", "mean"),
            ("P50", "quantiles/p50"),
            ("REASON", "reason"),
            ("SERIES", "labels"),
        ];
        let table = records(&data, &["windows", "series"], columns);
        assert_eq!(
            table.csv(),
            "window,mean,p50,reason,series\r\n1h,0.123456789,1,,\"{a=\"\"b\"\"}\"\r\n1h,,,too few,\r\n"
        );
        assert!(records(&json!({}), &["windows", "series"], columns).is_empty());
    }
}
