//! Rows of a result to points of one metric.
//!
//! Pure: what a client library calls its values was turned into [`Cell`] before.

use std::collections::{BTreeMap, HashSet};

use crate::model::LabelValues;

use super::plan::Reading;

/// One value of a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// Anything that is neither number nor label: its kind, as a person would call it.
    Other(&'static str),
}

/// One row, by column.
pub(super) type Row = BTreeMap<String, Cell>;

/// Reads the points of one metric, in the order of the rows.
///
/// # Errors
/// The first row that does not fit; then none of the rows counts.
pub(super) fn read(rows: &[Row], reading: &Reading) -> Result<Vec<(LabelValues, f64)>, String> {
    let mut points = Vec::with_capacity(rows.len());
    let mut seen = HashSet::with_capacity(rows.len());
    for row in rows.iter().filter(|row| picked(row, reading)) {
        let labels = labels(row, reading)?;
        let column = value_column(row, reading)?;
        let value = number(row, column)?;
        if !seen.insert(labels.clone()) {
            return Err(repeated(&labels, reading));
        }
        points.push((labels, value));
    }
    Ok(points)
}

fn picked(row: &Row, reading: &Reading) -> bool {
    match (reading.what, row.get("what")) {
        (None, _) => true,
        (Some(what), Some(Cell::Text(text))) => text == what,
        (Some(_), _) => false,
    }
}

fn labels(row: &Row, reading: &Reading) -> Result<LabelValues, String> {
    let mut texts = Vec::with_capacity(reading.labels.len() + 1);
    for column in &reading.labels {
        texts.push(match row.get(&**column) {
            None => return Err(no_column(row, column)),
            Some(Cell::Null) => String::new(),
            Some(Cell::Bool(value)) => value.to_string(),
            Some(Cell::Int(value)) => value.to_string(),
            Some(Cell::Float(value)) => value.to_string(),
            Some(Cell::Text(text)) => text.clone(),
            Some(Cell::Other(kind)) => {
                return Err(format!("label {column:?} is {kind}, expected text"));
            }
        });
    }
    let database = reading.database.as_deref();
    let all: Vec<&str> = texts.iter().map(String::as_str).chain(database).collect();
    Ok(LabelValues::new(&all))
}

/// The declared column, else `value`, else the only one that is no label.
fn value_column<'a>(row: &'a Row, reading: &'a Reading) -> Result<&'a str, String> {
    if let Some(column) = &reading.value {
        return Ok(column);
    }
    let is_label = |column: &str| reading.labels.iter().any(|label| &**label == column);
    if row.contains_key("value") && !is_label("value") {
        return Ok("value");
    }
    let mut others = row.keys().filter(|column| !is_label(column));
    match (others.next(), others.next()) {
        (Some(only), None) => Ok(only),
        (None, _) => Err("no column for the value: all of them are labels".into()),
        (Some(_), Some(_)) => {
            let found: Vec<&str> =
                row.keys().map(String::as_str).filter(|column| !is_label(column)).collect();
            Err(format!("several columns could be the value: {}; name it: value", found.join(", ")))
        }
    }
}

fn number(row: &Row, column: &str) -> Result<f64, String> {
    let found = match row.get(column) {
        None => return Err(no_column(row, column)),
        Some(Cell::Int(value)) => return Ok(*value as f64),
        Some(Cell::Float(value)) => return Ok(*value),
        Some(Cell::Bool(value)) => return Ok(f64::from(u8::from(*value))),
        Some(Cell::Null) => "null",
        Some(Cell::Text(_)) => "text",
        Some(Cell::Other(kind)) => kind,
    };
    Err(format!("value {column:?} is {found}, expected a number"))
}

fn no_column(row: &Row, column: &str) -> String {
    let columns: Vec<&str> = row.keys().map(String::as_str).collect();
    format!("no column {column:?} in the result; it has {}", columns.join(", "))
}

fn repeated(labels: &LabelValues, reading: &Reading) -> String {
    if reading.labels.is_empty() {
        return "more than one row, and no labels to tell them apart".into();
    }
    let pairs: Vec<String> = reading
        .labels
        .iter()
        .zip(labels.iter())
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    format!("two rows with the labels {}", pairs.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(&str, Cell)]) -> Row {
        cells.iter().map(|(column, cell)| ((*column).to_owned(), cell.clone())).collect()
    }

    fn reading(labels: &[&str], value: Option<&str>) -> Reading {
        Reading {
            labels: labels.iter().map(|label| (*label).into()).collect(),
            value: value.map(Into::into),
            ..Reading::default()
        }
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    fn check(rows: &[Row], reading: &Reading, expect: Result<&[(&[&str], f64)], &str>) {
        let expect = expect.map_err(str::to_owned).map(|points| {
            points.iter().map(|(labels, value)| (LabelValues::new(labels), *value)).collect()
        });
        assert_eq!(read(rows, reading), expect);
    }

    #[test]
    fn single_values() {
        let plain = reading(&[], None);
        check(&[], &plain, Ok(&[]));
        check(&[row(&[("count(n)", Cell::Int(3))])], &plain, Ok(&[(&[], 3.0)]));
        check(&[row(&[("x", Cell::Bool(true))])], &plain, Ok(&[(&[], 1.0)]));
        let big = Cell::Int(9_007_199_254_740_993);
        check(&[row(&[("x", big)])], &plain, Ok(&[(&[], 9_007_199_254_740_992.0)]));
        let two = row(&[("a", Cell::Int(1)), ("value", Cell::Float(2.5))]);
        check(std::slice::from_ref(&two), &plain, Ok(&[(&[], 2.5)]));
        check(&[two], &reading(&[], Some("a")), Ok(&[(&[], 1.0)]));
    }

    #[test]
    fn one_series_per_row() {
        let rows = [
            row(&[("l", text("a")), ("n", Cell::Int(1))]),
            row(&[("l", Cell::Null), ("n", Cell::Int(2))]),
            row(&[("l", Cell::Int(7)), ("n", Cell::Int(3))]),
        ];
        let expect: [(&[&str], f64); 3] = [(&["a"], 1.0), (&[""], 2.0), (&["7"], 3.0)];
        check(&rows, &reading(&["l"], None), Ok(&expect));
        let with_database = Reading { database: Some("db".into()), ..reading(&["l"], None) };
        check(&rows[..1], &with_database, Ok(&[(&["a", "db"], 1.0)]));
    }

    #[test]
    fn rows_of_a_shared_statement() {
        let rows = [
            row(&[("what", text("nodes")), ("name", Cell::Null), ("value", Cell::Int(9))]),
            row(&[("what", text("label")), ("name", text("A")), ("value", Cell::Int(4))]),
        ];
        let nodes = Reading { what: Some("nodes"), ..reading(&[], Some("value")) };
        check(&rows, &nodes, Ok(&[(&[], 9.0)]));
        let labels = Reading { what: Some("label"), ..reading(&["name"], Some("value")) };
        check(&rows, &labels, Ok(&[(&["A"], 4.0)]));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let plain = reading(&[], None);
        let labelled = reading(&["l"], None);
        let one = |cell: Cell| [row(&[("x", cell)])];
        check(&one(Cell::Null), &plain, Err("value \"x\" is null, expected a number"));
        check(&one(text("1")), &plain, Err("value \"x\" is text, expected a number"));
        check(&one(Cell::Other("a list")), &plain, Err("value \"x\" is a list, expected a number"));
        check(
            &one(Cell::Int(1)),
            &reading(&[], Some("y")),
            Err("no column \"y\" in the result; it has x"),
        );
        check(&one(Cell::Int(1)), &labelled, Err("no column \"l\" in the result; it has x"));
        check(
            &[row(&[("l", text("a"))])],
            &labelled,
            Err("no column for the value: all of them are labels"),
        );
        check(
            &[row(&[("l", Cell::Other("a list")), ("x", Cell::Int(1))])],
            &labelled,
            Err("label \"l\" is a list, expected text"),
        );
        check(
            &[row(&[("x", Cell::Int(1)), ("y", Cell::Int(1))])],
            &plain,
            Err("several columns could be the value: x, y; name it: value"),
        );
        let same = row(&[("l", text("a")), ("x", Cell::Int(1))]);
        check(&[same.clone(), same.clone()], &labelled, Err("two rows with the labels l=\"a\""));
        let plain_row = row(&[("x", Cell::Int(1))]);
        check(
            &[plain_row.clone(), plain_row],
            &plain,
            Err("more than one row, and no labels to tell them apart"),
        );
    }
}
