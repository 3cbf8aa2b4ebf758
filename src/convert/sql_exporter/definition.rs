//! Collectors of the source: metrics and their queries.

use std::time::Duration;

use bellwether_core::{is_label_name, is_metric_name};
use bellwether_schema::Pos;

use super::super::durations;
use super::super::fields::Fields;
use super::super::yaml::{Map, Yaml};
use super::distinct;

/// A collector of the source: queries with their metrics.
pub(super) struct Definition {
    pub(super) at: Pos,
    pub(super) name: String,
    pub(super) min_interval: Option<Duration>,
    pub(super) queries: Vec<Map>,
    /// Number of its metrics.
    pub(super) metrics: usize,
}

impl Definition {
    pub(super) fn take(mut fields: Fields<'_>, notes: &mut Map) -> Option<Self> {
        let at = fields.at;
        let name = fields.text("collector_name")?.to_owned();
        let mut texts = Vec::new();
        for mut query in fields.maps("queries") {
            texts.push((
                query.text("query_name").unwrap_or_default(),
                query.text("query").unwrap_or_default(),
            ));
            query.skip_if("no_prepared_statement", &["false"]);
            query.finish(notes);
        }
        let (mut queries, mut metrics): (Vec<Query>, usize) = (Vec::new(), 0);
        for metric in fields.maps("metrics") {
            metrics += usize::from(Query::add(metric, &texts, &mut queries, notes));
        }
        let min_interval =
            durations::take(&mut fields, "min_interval").map(|(interval, _)| interval);
        fields.finish(notes);
        Some(Self {
            min_interval,
            queries: queries.into_iter().map(Query::map).collect(),
            metrics,
            name,
            at,
        })
    }
}

/// A query with the metrics of its rows. Metrics of one query with the same labels share it.
struct Query {
    name: String,
    sql: String,
    labels: Vec<String>,
    values: Vec<Map>,
}

impl Query {
    /// Adds a metric; returns false if it has no counterpart, which is noted.
    fn add(
        mut fields: Fields<'_>,
        texts: &[(&str, &str)],
        queries: &mut Vec<Self>,
        notes: &mut Map,
    ) -> bool {
        let at = fields.at;
        let metric = fields.text("metric_name").unwrap_or_default();
        let reference = fields.text("query_ref");
        let own = fields.text("query");
        let sql = own.or_else(|| {
            texts
                .iter()
                .find(|(name, _)| Some(*name) == reference)
                .map(|(_, sql)| *sql)
        });
        let labels = fields
            .texts("key_labels")
            .into_iter()
            .map(|(label, _)| label);
        let labels = distinct(labels.collect());
        let columns: Vec<&str> = fields
            .texts("values")
            .into_iter()
            .map(|(column, _)| column)
            .collect();
        let is_static = fields.has("static_value");
        let problem = match sql.map(str::trim) {
            None | Some("") => Some("it has no query"),
            _ if !is_metric_name(metric) => Some("its name"),
            _ if is_static => Some("static_value: select it as a column"),
            _ if columns.is_empty() => Some("it has no values"),
            _ if !labels.iter().all(|label| is_label_name(label)) => {
                Some("a column that is no name of a label")
            }
            _ => None,
        };
        if let Some(problem) = problem {
            notes.lose(at, format!("metric {metric}: {problem}"));
            return false;
        }
        let sql = sql.unwrap_or_default();
        let kind = fields.text("type").filter(|kind| *kind == "counter");
        let help = fields.text("help").filter(|help| !help.is_empty());
        let is_free =
            |label: &str| is_label_name(label) && labels.iter().all(|known| known != label);
        let value_label = fields.parsed("value_label", |label| {
            is_free(label).then(|| label.to_owned())
        });
        let (fixed, taken): (Vec<_>, Vec<_>) = fields
            .pairs("static_labels")
            .into_iter()
            .partition(|(label, _, _)| is_free(label));
        for (label, _, at) in taken {
            notes.lose(at, format!("metric {metric}: the label {label:?}"));
        }
        let values = columns.iter().map(|column| {
            let mut value = Map::of([("name", metric)]);
            value.put_some("type", kind.map(Yaml::text));
            value.put("column", Yaml::text(column));
            let mut extra = Map::default();
            for (label, text, _) in &fixed {
                extra.put(label, Yaml::text(text));
            }
            if let Some(label) = &value_label {
                extra.put(label, Yaml::text(column));
            }
            value.put_filled("labels", extra);
            value.put_some("help", help.map(Yaml::text));
            value
        });
        let values: Vec<Map> = values.collect();
        fields.skip_if("no_prepared_statement", &["false"]);
        let mut rest = Map::default();
        fields.finish(&mut rest);
        notes.notes.append(&mut rest.notes);
        match queries
            .iter_mut()
            .find(|query| query.sql == sql && query.labels == labels)
        {
            Some(query) => query.values.extend(values),
            None => queries.push(Self {
                name: reference
                    .filter(|name| queries.iter().all(|query| query.name != *name))
                    .unwrap_or(metric)
                    .to_owned(),
                sql: sql.to_owned(),
                labels,
                values,
            }),
        }
        true
    }

    fn map(self) -> Map {
        let mut map = Map::of([("name", &self.name)]);
        map.put("query", Yaml::raw(&self.sql));
        map.put_filled(
            "labels",
            Yaml::texts(self.labels.iter().map(String::as_str)),
        );
        map.put("values", self.values.into());
        map
    }
}
