//! sql_exporter of justwatch: jobs with connections and queries.
//!
//! Source: sql_exporter (justwatchcom), README and `job.go`.

use std::collections::BTreeSet;

use bellwether_core::{is_label_name, is_metric_name};
use bellwether_schema::Pos;

use super::super::draft::Draft;
use super::super::durations;
use super::super::fields::Fields;
use super::super::yaml::{Map, Yaml};
use super::dsn::Dsn;
use super::{MAX_QUERIES, distinct, rename};

pub(super) fn convert(mut fields: Fields<'_>, draft: &mut Draft) {
    let shared = fields.pairs("queries");
    for job in fields.maps("jobs") {
        convert_job(job, &shared, draft);
    }
    fields.finish(&mut draft.general);
}

type Shared<'n> = [(&'n str, &'n str, Pos)];

/// Adds a collector for each connection of a job.
fn convert_job(mut fields: Fields<'_>, shared: &Shared<'_>, draft: &mut Draft) {
    let job = fields.text("name").unwrap_or("sql");
    let interval =
        durations::take(&mut fields, "interval").filter(|(interval, _)| !interval.is_zero());
    let connections = fields.texts("connections");
    let mut notes = Map::default();
    let (mut queries, mut taken) = (Vec::new(), BTreeSet::new());
    for query in fields.maps("queries") {
        if let Some(mut query) = convert_query(query, shared, &mut notes) {
            rename(&mut query, job, &mut taken);
            queries.push(query);
        }
    }
    if connections.is_empty() || connections.len().saturating_mul(queries.len()) > MAX_QUERIES {
        notes.lose(fields.at, format!("job {job}: no connections, or too many"));
        return draft.give_up(notes);
    }
    fields.finish(&mut notes);
    let mut is_used = false;
    for (connection, at) in connections {
        let dsn = match Dsn::parse(connection) {
            Ok(dsn) => dsn,
            Err(reason) => {
                let scheme = connection.split_once("://");
                let scheme = scheme.map_or("", |(scheme, _)| scheme);
                let text = format!("job {job}: a connection to {scheme:?}: {reason}");
                notes.lose(at, text);
                continue;
            }
        };
        let (name, mut collector) = draft.collector(job, "sql");
        collector.notes.append(&mut notes.notes);
        draft.schedule(&mut collector, interval, None);
        dsn.put(&mut collector, &name, at);
        collector.put("labels", labels(job, &dsn).into());
        collector.put_filled("queries", queries.clone());
        match queries.is_empty() {
            true => draft.give_up(collector),
            false => {
                draft.push(collector);
                is_used = true;
            }
        }
    }
    draft.converted += if is_used { queries.len() } else { 0 };
    draft.general.notes.append(&mut notes.notes);
}

/// Returns the labels that sql_exporter puts on all series of a connection.
fn labels(job: &str, dsn: &Dsn) -> Map {
    let Some(url) = &dsn.url else {
        return Map::of([("sql_job", job)]);
    };
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    };
    let labels = [
        ("sql_job", job),
        ("driver", url.scheme()),
        ("host", &host),
        ("database", url.path().trim_start_matches('/')),
        ("user", url.username()),
    ];
    let labels = labels.into_iter().filter(|(_, value)| !value.is_empty());
    labels
        .map(|(name, value)| (name.to_owned(), Yaml::text(value)))
        .collect()
}

fn convert_query(mut fields: Fields<'_>, shared: &Shared<'_>, notes: &mut Map) -> Option<Map> {
    let at = fields.at;
    let name = fields.text("name").unwrap_or_default();
    let metric =
        format!("sql_{name}").replace(|c: char| !c.is_ascii_alphanumeric() && c != '_', "");
    let reference = fields.text("query_ref");
    let sql = fields.text("query").or_else(|| {
        let (_, sql, _) = shared
            .iter()
            .find(|(name, _, _)| Some(*name) == reference)?;
        Some(*sql)
    });
    let labels = fields.texts("labels").into_iter().map(|(label, _)| label);
    let labels = distinct(labels.filter(|label| *label != "col").collect());
    let values = fields.texts("values");
    let problem = match sql.map(str::trim) {
        None | Some("") => Some("it has no query"),
        _ if name.is_empty() || !is_metric_name(&metric) => Some("its name is no name of a metric"),
        _ if !labels.iter().all(|label| is_label_name(label)) => {
            Some("a column that is no name of a label")
        }
        _ if values.is_empty() => Some("it has no values"),
        _ => None,
    };
    if let Some(problem) = problem {
        notes.lose(at, format!("query {name}: {problem}"));
        return None;
    }
    let help = fields.text("help").filter(|help| !help.is_empty());
    let mut query = Map::of([("name", name)]);
    query.put("query", Yaml::raw(sql.unwrap_or_default()));
    query.put_filled("labels", Yaml::texts(labels.iter().map(String::as_str)));
    let values = values.into_iter().map(|(column, _)| {
        let mut value = Map::of([("name", &metric)]);
        value.put("column", Yaml::text(column));
        value.put("labels", Map::of([("col", column)]).into());
        value.put_some("help", help.map(Yaml::text));
        value
    });
    query.put("values", values.collect::<Vec<_>>().into());
    let reason = "a query without rows is no error";
    fields.set_aside(&["allow_zero_rows"], reason, &mut query);
    fields.finish(&mut query);
    Some(query)
}
