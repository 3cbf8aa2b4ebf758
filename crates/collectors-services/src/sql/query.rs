//! Queries, and the way from their rows to series. Pure.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Kind, SeriesBatch};

use super::values::Cell;
use super::{DATABASE_LABEL, SqlQuery, SqlValue};

/// Query, checked.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) name: String,
    pub(super) sql: Arc<str>,
    labels: Vec<String>,
    metrics: Vec<Metric>,
    /// `None`: at each collection.
    pub(super) interval: Option<Duration>,
    pub(super) timeout: Duration,
}

#[derive(Debug)]
struct Metric {
    name: String,
    kind: Kind,
    help: String,
    column: String,
    /// Labels that are no columns.
    labels: Vec<(String, String)>,
    /// Columns and the texts that they must have.
    selection: Vec<(String, String)>,
    scale: f64,
}

/// Rows that a query returned.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Answer {
    /// Names of the columns; empty if there is no row.
    pub(super) columns: Vec<String>,
    pub(super) rows: Vec<Vec<Cell>>,
    /// Message about further rows, which were not read.
    pub(super) cut: Option<String>,
}

/// Cells of a metric that are the same for all rows.
struct Places<'a> {
    value: usize,
    labels: &'a [(&'a str, usize)],
    selection: Vec<(usize, &'a str)>,
}

impl Query {
    /// Takes over settings. `timeout` is that of a query without its own.
    pub(super) fn new(settings: &SqlQuery, timeout: Duration) -> Self {
        let own = settings.timeout.as_ref().map(|own| own.value.0);
        Self {
            name: settings.name.value.clone(),
            sql: settings.query.trim().into(),
            labels: settings.labels.iter().map(|it| it.value.clone()).collect(),
            metrics: settings.values.iter().map(Metric::new).collect(),
            interval: settings.interval.as_ref().map(|own| own.value.0),
            timeout: own.map_or(timeout, |own| own.min(timeout)),
        }
    }

    /// Adds the series of an answer to `out`, and returns the errors of columns and rows, which cost themselves alone.
    pub(super) fn read(
        &self,
        answer: &Answer,
        database: Option<&str>,
        out: &mut SeriesBatch,
    ) -> Vec<String> {
        if answer.rows.is_empty() {
            return Vec::new();
        }
        let places: Result<Vec<_>, _> = self
            .labels
            .iter()
            .map(|label| Ok((label.as_str(), answer.place(label)?)))
            .collect();
        let labels = match places {
            Ok(labels) => labels,
            Err(error) => return vec![error],
        };
        let metrics = self.metrics.iter();
        metrics
            .filter_map(|metric| metric.read(answer, &labels, database, out).err())
            .collect()
    }
}

impl Metric {
    fn new(settings: &SqlValue) -> Self {
        let selection = settings.r#where.iter();
        let labels = settings.labels.iter();
        Self {
            name: settings.name.value.clone(),
            kind: settings.r#type,
            help: settings.help.clone(),
            column: settings
                .column
                .clone()
                .unwrap_or(settings.name.value.clone()),
            labels: labels
                .map(|(label, text)| (label.clone(), text.value.clone()))
                .collect(),
            selection: selection
                .map(|(column, text)| (column.clone(), text.clone()))
                .collect(),
            scale: settings.scale,
        }
    }

    fn read(
        &self,
        answer: &Answer,
        labels: &[(&str, usize)],
        database: Option<&str>,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        let places = Places {
            value: answer.place(&self.column)?,
            labels,
            selection: self.selected_places(answer)?,
        };
        out.begin(&self.name, Some(self.kind), &self.help);
        let (mut first, mut wrong) = (None, 0);
        for row in &answer.rows {
            if let Err(error) = self.add(row, &places, database, out) {
                first.get_or_insert(error);
                wrong += 1;
            }
        }
        match first {
            None => Ok(()),
            Some(error) if wrong == 1 => Err(error),
            Some(error) => Err(format!("{wrong} rows, the first: {error}")),
        }
    }

    fn selected_places(&self, answer: &Answer) -> Result<Vec<(usize, &str)>, String> {
        let selection = self.selection.iter();
        selection
            .map(|(column, text)| Ok((answer.place(column)?, text.as_str())))
            .collect()
    }

    /// Adds the series of a row, if it is selected and has a value.
    fn add(
        &self,
        row: &[Cell],
        places: &Places<'_>,
        database: Option<&str>,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        let is = |(place, text): &(usize, &str)| row[*place].label().is_ok_and(|it| it == *text);
        if !places.selection.iter().all(is) {
            return Ok(());
        }
        let value = row[places.value].number();
        let value = value.map_err(|error| format!("column {}: {error}", self.column))?;
        let Some(value) = value else {
            return Ok(());
        };
        let texts: Result<Vec<_>, _> = places
            .labels
            .iter()
            .map(|(name, place)| {
                let text = row[*place].label();
                text.map_err(|error| format!("column {name}: {error}"))
            })
            .collect();
        let texts = texts?;
        let names = places.labels.iter().map(|(name, _)| *name);
        let labels = names.zip(texts.iter().map(String::as_str));
        let own = self.labels.iter();
        let labels: Vec<(&str, &str)> = labels
            .chain(own.map(|(label, text)| (label.as_str(), text.as_str())))
            .chain(database.map(|name| (DATABASE_LABEL, name)))
            .collect();
        out.push(&labels, value * self.scale);
        Ok(())
    }
}

impl Answer {
    /// Returns the place of a column. Letters in another case are the same name if no column has it exactly, as servers
    /// differ in the case of system tables.
    fn place(&self, name: &str) -> Result<usize, String> {
        let position = |is: fn(&str, &str) -> bool| self.columns.iter().position(|it| is(it, name));
        let place = position(|it, name| it == name).or_else(|| position(str::eq_ignore_ascii_case));
        place.ok_or_else(|| {
            let columns = self.columns.join(", ");
            format!("no column {name}; the answer has {columns}")
        })
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

    use super::*;

    fn query(yaml: &str) -> Query {
        let mut problems = Diagnostics::default();
        let mut context = DecodeContext::new(&mut problems, &|_| None);
        let settings = SqlQuery::decode(&parse(yaml).unwrap(), &mut context).unwrap();
        Query::new(&settings, Duration::from_secs(9))
    }

    /// Returns the series of an answer, and the errors.
    fn read(yaml: &str, answer: &Answer) -> (Vec<String>, Vec<String>) {
        let mut out = SeriesBatch::default();
        let errors = query(yaml).read(answer, Some("shop"), &mut out);
        (out.lines().collect(), errors)
    }

    fn answer() -> Answer {
        let text = |text: &str| Cell::Text(text.to_owned());
        Answer {
            columns: ["state", "COUNT", "total"].map(str::to_owned).to_vec(),
            rows: vec![
                vec![text("open"), Cell::Integer(3), text("12.5")],
                vec![Cell::Null, Cell::Integer(1), Cell::Null],
                vec![text("done"), Cell::Integer(2), Cell::Other("BYTEA".into())],
            ],
            cut: None,
        }
    }

    #[test]
    fn columns_are_labels_and_values_of_several_metrics() {
        let yaml = "{name: orders, query: x, labels: [state], values: [\
                    {name: orders, column: count}, {name: orders_euros, column: total, scale: 0.01}]}";
        let (lines, errors) = read(yaml, &answer());
        assert_eq!(
            lines,
            [
                "orders{database=\"shop\", state=\"open\"} 3",
                "orders{database=\"shop\"} 1",
                "orders{database=\"shop\", state=\"done\"} 2",
                "orders_euros{database=\"shop\", state=\"open\"} 0.125",
            ]
        );
        let error =
            "column total: a value of type BYTEA; hint: cast it to a number or a text in the query";
        assert_eq!(errors, [error]);
    }

    #[test]
    fn rows_are_selected_by_texts() {
        let yaml = "{name: a, query: x, values: [{name: open, column: COUNT, labels: {kind: x}, where: {state: open}},\
                    {name: none, column: COUNT, where: {state: lost}}]}";
        assert_eq!(
            read(yaml, &answer()).0,
            ["open{database=\"shop\", kind=\"x\"} 3"]
        );
    }

    #[test]
    fn a_missing_column_costs_its_metric_and_that_of_a_label_the_query() {
        let yaml = "{name: a, query: x, values: [{name: a}, {name: b, column: count}]}";
        let (lines, errors) = read(yaml, &answer());
        assert_eq!(lines.len(), 3);
        assert_eq!(errors, ["no column a; the answer has state, COUNT, total"]);
        let yaml = "{name: a, query: x, labels: [shop], values: [{name: b, column: count}]}";
        let (lines, errors) = read(yaml, &answer());
        assert_eq!((lines.len(), errors.len()), (0, 1));
        let (lines, errors) = read(yaml, &Answer::default());
        assert_eq!((lines.len(), errors.len()), (0, 0), "no rows, no columns");
    }

    #[test]
    fn wrong_rows_are_counted() {
        let yaml = "{name: a, query: x, values: [{name: a, column: state}]}";
        let errors = read(yaml, &answer()).1;
        assert_eq!(
            errors,
            ["2 rows, the first: column state: not a number: \"open\""]
        );
    }
}
