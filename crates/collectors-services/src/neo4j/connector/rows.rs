//! Converts rows of a result to samples of one metric.
//!
//! Pure: the values of the client library are converted to [`Cell`] before.

use std::collections::{BTreeMap, HashSet};

use bellwether_core::LabelValues;

use super::plan::Reading;
use crate::neo4j::stats::SkipReason;

/// One value of a result.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Cell {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A value that is neither a number nor a label, by its kind: `a list`.
    Other(&'static str),
}

/// One row, by column.
pub(super) type Row = BTreeMap<String, Cell>;

/// Samples of one metric in one result.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Samples {
    /// Samples in the order of the rows.
    pub(super) samples: Vec<(LabelValues, f64)>,
    /// Rows that do not fit, with reason and message.
    pub(super) bad: Vec<(SkipReason, String)>,
}

/// Reads the samples of one metric. A value that is null is no data.
///
/// # Errors
/// Returns an error if a column is missing, so that no row can fit.
pub(super) fn read(rows: &[Row], reading: &Reading) -> Result<Samples, String> {
    let mut samples = Samples::default();
    let mut seen = HashSet::with_capacity(rows.len());
    for row in rows.iter().filter(|row| is_selected(row, reading)) {
        let columns = columns(row, reading)?;
        match sample(&columns, reading) {
            Ok(None) => {}
            Ok(Some((labels, _))) if !seen.insert(labels.clone()) => {
                samples.bad.push((
                    SkipReason::RepeatedLabels,
                    repeated_labels(&labels, reading),
                ));
            }
            Ok(Some(sample)) => samples.samples.push(sample),
            Err(bad) => samples.bad.push(bad),
        }
    }
    Ok(samples)
}

/// The cells of a row that a reading needs.
struct Columns<'a> {
    labels: Vec<(&'a str, &'a Cell)>,
    value: (&'a str, &'a Cell),
}

fn columns<'a>(row: &'a Row, reading: &'a Reading) -> Result<Columns<'a>, String> {
    let cell = |column: &'a str| match row.get(column) {
        Some(cell) => Ok((column, cell)),
        None => Err(missing_column(row, column)),
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

fn sample(
    columns: &Columns<'_>,
    reading: &Reading,
) -> Result<Option<(LabelValues, f64)>, (SkipReason, String)> {
    match number(columns.value, reading.counter)? {
        Some(value) => Ok(Some((labels(&columns.labels, reading)?, value))),
        None => Ok(None),
    }
}

fn is_selected(row: &Row, reading: &Reading) -> bool {
    match (reading.what, row.get("what")) {
        (None, _) => true,
        (Some(what), Some(Cell::Text(text))) => text == what,
        (Some(_), _) => false,
    }
}

fn labels(cells: &[(&str, &Cell)], reading: &Reading) -> Result<LabelValues, (SkipReason, String)> {
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
                return Err((SkipReason::NotALabel, text));
            }
        });
    }
    let database = reading.database.as_deref();
    let all: Vec<&str> = texts.iter().map(String::as_str).chain(database).collect();
    Ok(LabelValues::new(&all))
}

/// Returns the configured column, or else `value`, or else the only one that is no label.
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
            let candidates: Vec<&str> = row
                .keys()
                .map(String::as_str)
                .filter(|column| !is_label(column))
                .collect();
            Err(format!(
                "several columns could be the value: {}; name it: value",
                candidates.join(", ")
            ))
        }
    }
}

fn number(
    (column, cell): (&str, &Cell),
    counter: bool,
) -> Result<Option<f64>, (SkipReason, String)> {
    let value = match cell {
        Cell::Null => return Ok(None),
        Cell::Int(value) => *value as f64,
        Cell::Float(value) => *value,
        Cell::Bool(value) => f64::from(u8::from(*value)),
        Cell::Text(_) => return Err(not_a_number(column, "text")),
        Cell::Other(kind) => return Err(not_a_number(column, kind)),
    };
    if !value.is_finite() {
        return Err((
            SkipReason::NotFinite,
            format!("value {column:?} is {value}, expected a number"),
        ));
    }
    if counter && value < 0.0 {
        let text = format!("value {column:?} is {value}, and a counter is never negative");
        return Err((SkipReason::NegativeCounter, text));
    }
    Ok(Some(value))
}

fn not_a_number(column: &str, kind: &str) -> (SkipReason, String) {
    (
        SkipReason::NotANumber,
        format!("value {column:?} is {kind}, expected a number"),
    )
}

fn missing_column(row: &Row, column: &str) -> String {
    let columns: Vec<&str> = row.keys().map(String::as_str).collect();
    format!(
        "no column {column:?} in the result; it has {}",
        columns.join(", ")
    )
}

fn repeated_labels(labels: &LabelValues, reading: &Reading) -> String {
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
        let found = read(rows, reading).and_then(|samples| match samples.bad.into_iter().next() {
            None => Ok(samples.samples),
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
            let why: Vec<SkipReason> = found.bad.iter().map(|(why, _)| *why).collect();
            (
                found
                    .samples
                    .iter()
                    .map(|(_, value)| *value)
                    .collect::<Vec<_>>(),
                why,
            )
        };
        let bad = [
            SkipReason::NotANumber,
            SkipReason::NotFinite,
            SkipReason::NotFinite,
            SkipReason::RepeatedLabels,
            SkipReason::NotALabel,
            SkipReason::RepeatedLabels,
        ];
        assert_eq!(values(&gauge), (vec![1.0, 6.0, -9.0, 10.0], bad.to_vec()));
        let bad = [&bad[..], &[SkipReason::NegativeCounter]].concat();
        assert_eq!(values(&counter), (vec![1.0, 6.0, 10.0], bad));
    }

    #[test]
    fn what_does_not_fit_is_reported() {
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
