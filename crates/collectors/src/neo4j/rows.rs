//! Rows of a result to points of one metric.
//!
//! Pure: what a client library calls its values was turned into [`Cell`] before.

use std::collections::{BTreeMap, HashSet};

use bellwether_core::LabelValues;

use super::plan::Reading;
use super::skipped::Why;

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

/// Points of one metric in one result.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Points {
    /// In the order of the rows.
    pub(super) points: Vec<(LabelValues, f64)>,
    /// Rows that do not fit, and why; each costs itself.
    pub(super) bad: Vec<(Why, String)>,
}

/// Reads the points of one metric. A value that is null is no data.
///
/// # Errors
/// No row can fit, for the columns are others.
pub(super) fn read(rows: &[Row], reading: &Reading) -> Result<Points, String> {
    let mut found = Points::default();
    let mut seen = HashSet::with_capacity(rows.len());
    for row in rows.iter().filter(|row| picked(row, reading)) {
        let columns = columns(row, reading)?;
        match point(&columns, reading) {
            Ok(None) => {}
            Ok(Some((labels, _))) if !seen.insert(labels.clone()) => {
                found
                    .bad
                    .push((Why::RepeatedLabels, repeated(&labels, reading)));
            }
            Ok(Some(point)) => found.points.push(point),
            Err(bad) => found.bad.push(bad),
        }
    }
    Ok(found)
}

/// The cells of a row that a reading needs.
struct Columns<'a> {
    labels: Vec<(&'a str, &'a Cell)>,
    value: (&'a str, &'a Cell),
}

fn columns<'a>(row: &'a Row, reading: &'a Reading) -> Result<Columns<'a>, String> {
    let cell = |column: &'a str| match row.get(column) {
        Some(cell) => Ok((column, cell)),
        None => Err(no_column(row, column)),
    };
    let labels = reading
        .labels
        .iter()
        .map(|column| cell(column))
        .collect::<Result<_, _>>()?;
    Ok(Columns {
        labels,
        value: cell(value_column(row, reading)?)?,
    })
}

fn point(
    columns: &Columns<'_>,
    reading: &Reading,
) -> Result<Option<(LabelValues, f64)>, (Why, String)> {
    match number(columns.value, reading.counter)? {
        Some(value) => Ok(Some((labels(&columns.labels, reading)?, value))),
        None => Ok(None),
    }
}

fn picked(row: &Row, reading: &Reading) -> bool {
    match (reading.what, row.get("what")) {
        (None, _) => true,
        (Some(what), Some(Cell::Text(text))) => text == what,
        (Some(_), _) => false,
    }
}

fn labels(cells: &[(&str, &Cell)], reading: &Reading) -> Result<LabelValues, (Why, String)> {
    let mut texts = Vec::with_capacity(cells.len() + 1);
    for (column, cell) in cells {
        texts.push(match cell {
            // Prometheus has no null: a label without a value is the closest.
            Cell::Null => String::new(),
            Cell::Bool(value) => value.to_string(),
            Cell::Int(value) => value.to_string(),
            Cell::Float(value) => value.to_string(),
            Cell::Text(text) => text.clone(),
            Cell::Other(kind) => {
                let text = format!("label {column:?} is {kind}, expected text");
                return Err((Why::NotALabel, text));
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
            let found: Vec<&str> = row
                .keys()
                .map(String::as_str)
                .filter(|column| !is_label(column))
                .collect();
            Err(format!(
                "several columns could be the value: {}; name it: value",
                found.join(", ")
            ))
        }
    }
}

fn number((column, cell): (&str, &Cell), counter: bool) -> Result<Option<f64>, (Why, String)> {
    let value = match cell {
        Cell::Null => return Ok(None),
        Cell::Int(value) => *value as f64,
        Cell::Float(value) => *value,
        Cell::Bool(value) => f64::from(u8::from(*value)),
        Cell::Text(_) => return Err(no_number(column, "text")),
        Cell::Other(kind) => return Err(no_number(column, kind)),
    };
    if !value.is_finite() {
        return Err((
            Why::NotFinite,
            format!("value {column:?} is {value}, expected a number"),
        ));
    }
    if counter && value < 0.0 {
        let text = format!("value {column:?} is {value}, and a counter is never negative");
        return Err((Why::NegativeCounter, text));
    }
    Ok(Some(value))
}

fn no_number(column: &str, kind: &str) -> (Why, String) {
    (
        Why::NotANumber,
        format!("value {column:?} is {kind}, expected a number"),
    )
}

fn no_column(row: &Row, column: &str) -> String {
    let columns: Vec<&str> = row.keys().map(String::as_str).collect();
    format!(
        "no column {column:?} in the result; it has {}",
        columns.join(", ")
    )
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
        cells
            .iter()
            .map(|(column, cell)| ((*column).to_owned(), cell.clone()))
            .collect()
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
            points
                .iter()
                .map(|(labels, value)| (LabelValues::new(labels), *value))
                .collect()
        });
        let found = read(rows, reading).and_then(|found| match found.bad.into_iter().next() {
            None => Ok(found.points),
            Some((_, text)) => Err(text),
        });
        assert_eq!(found, expect);
    }

    #[test]
    fn single_values() {
        let plain = reading(&[], None);
        check(&[], &plain, Ok(&[]));
        check(
            &[row(&[("count(n)", Cell::Int(3))])],
            &plain,
            Ok(&[(&[], 3.0)]),
        );
        check(
            &[row(&[("x", Cell::Bool(true))])],
            &plain,
            Ok(&[(&[], 1.0)]),
        );
        let big = Cell::Int(9_007_199_254_740_993);
        check(
            &[row(&[("x", big)])],
            &plain,
            Ok(&[(&[], 9_007_199_254_740_992.0)]),
        );
        let two = row(&[("a", Cell::Int(1)), ("value", Cell::Float(2.5))]);
        check(std::slice::from_ref(&two), &plain, Ok(&[(&[], 2.5)]));
        check(&[two], &reading(&[], Some("a")), Ok(&[(&[], 1.0)]));
    }

    #[test]
    fn one_series_per_row() {
        let rows = [
            row(&[("l", text("a")), ("n", Cell::Int(1))]),
            row(&[("l", Cell::Null), ("n", Cell::Int(2))]),
            row(&[("l", text("b")), ("n", Cell::Null)]),
            row(&[("l", Cell::Int(7)), ("n", Cell::Int(3))]),
        ];
        let expect: [(&[&str], f64); 3] = [(&["a"], 1.0), (&[""], 2.0), (&["7"], 3.0)];
        check(&rows, &reading(&["l"], None), Ok(&expect));
        let with_database = Reading {
            database: Some("db".into()),
            ..reading(&["l"], None)
        };
        check(&rows[..1], &with_database, Ok(&[(&["a", "db"], 1.0)]));
    }

    #[test]
    fn rows_of_a_shared_statement() {
        let rows = [
            row(&[
                ("what", text("nodes")),
                ("name", Cell::Null),
                ("value", Cell::Int(9)),
            ]),
            row(&[
                ("what", text("label")),
                ("name", text("A")),
                ("value", Cell::Int(4)),
            ]),
        ];
        let nodes = Reading {
            what: Some("nodes"),
            ..reading(&[], Some("value"))
        };
        check(&rows, &nodes, Ok(&[(&[], 9.0)]));
        let labels = Reading {
            what: Some("label"),
            ..reading(&["name"], Some("value"))
        };
        check(&rows, &labels, Ok(&[(&["A"], 4.0)]));
    }

    #[test]
    fn a_bad_row_costs_itself() {
        let cells = [
            (text("a"), Cell::Int(1)),
            (text("b"), Cell::Null),
            (text("c"), text("3")),
            (text("d"), Cell::Float(f64::NAN)),
            (text("e"), Cell::Float(f64::NEG_INFINITY)),
            (Cell::Null, Cell::Int(6)),
            (Cell::Null, Cell::Int(66)),
            (Cell::Other("a list"), Cell::Int(7)),
            (text("a"), Cell::Int(8)),
            (text("h"), Cell::Int(-9)),
            (text("i"), Cell::Int(10)),
        ];
        let rows: Vec<Row> = cells
            .into_iter()
            .map(|(label, value)| row(&[("l", label), ("n", value)]))
            .collect();
        let gauge = reading(&["l"], None);
        let counter = Reading {
            counter: true,
            ..gauge.clone()
        };
        let values = |reading: &Reading| {
            let found = read(&rows, reading).unwrap();
            let why: Vec<Why> = found.bad.iter().map(|(why, _)| *why).collect();
            (
                found
                    .points
                    .iter()
                    .map(|(_, value)| *value)
                    .collect::<Vec<_>>(),
                why,
            )
        };
        let bad = [
            Why::NotANumber,
            Why::NotFinite,
            Why::NotFinite,
            Why::RepeatedLabels,
            Why::NotALabel,
            Why::RepeatedLabels,
        ];
        assert_eq!(values(&gauge), (vec![1.0, 6.0, -9.0, 10.0], bad.to_vec()));
        let bad = [&bad[..], &[Why::NegativeCounter]].concat();
        assert_eq!(values(&counter), (vec![1.0, 6.0, 10.0], bad));
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let plain = reading(&[], None);
        let labelled = reading(&["l"], None);
        let one = |cell: Cell| [row(&[("x", cell)])];
        check(&one(Cell::Null), &plain, Ok(&[]));
        check(
            &one(text("1")),
            &plain,
            Err("value \"x\" is text, expected a number"),
        );
        check(
            &one(Cell::Other("a list")),
            &plain,
            Err("value \"x\" is a list, expected a number"),
        );
        check(
            &one(Cell::Int(1)),
            &reading(&[], Some("y")),
            Err("no column \"y\" in the result; it has x"),
        );
        check(
            &one(Cell::Int(1)),
            &labelled,
            Err("no column \"l\" in the result; it has x"),
        );
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
        check(
            &[same.clone(), same.clone()],
            &labelled,
            Err("two rows with the labels l=\"a\""),
        );
        let plain_row = row(&[("x", Cell::Int(1))]);
        check(
            &[plain_row.clone(), plain_row],
            &plain,
            Err("more than one row, and no labels to tell them apart"),
        );
    }
}
