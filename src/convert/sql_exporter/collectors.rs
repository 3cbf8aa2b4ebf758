//! sql_exporter of free and burningalchemist: targets with collectors of metrics.
//!
//! Source: sql_exporter (burningalchemist), `documentation/sql_exporter.yml` and `config`.

use std::collections::BTreeSet;
use std::time::Duration;

use bellwether_schema::Pos;

use super::super::draft::Draft;
use super::super::durations;
use super::super::fields::Fields;
use super::super::labels::labels;
use super::super::yaml::{Map, Yaml};
use super::definition::Definition;
use super::dsn::Dsn;
use super::{MAX_QUERIES, rename};

/// Converts files together: collectors are often in files of their own.
pub(super) fn convert(files: Vec<Fields<'_>>, draft: &mut Draft) {
    let (mut targets, mut definitions, mut shared) = (Vec::new(), Vec::new(), Shared::default());
    for mut fields in files {
        if fields.has("collector_name") {
            definitions.extend(Definition::take(fields, &mut draft.general));
            continue;
        }
        shared = Shared::take(fields.within("global"), &mut draft.general);
        for collector in fields.maps("collectors") {
            definitions.extend(Definition::take(collector, &mut draft.general));
        }
        for target in fields.maps("target") {
            targets.push(Target::single(target, &mut draft.general));
        }
        for job in fields.maps("jobs") {
            Target::of_job(job, &mut targets, &mut draft.general);
        }
        let reason = "give the files to this command too";
        fields.set_aside(&["collector_files"], reason, &mut draft.general);
        fields.finish(&mut draft.general);
    }
    if targets.is_empty() && !definitions.is_empty() {
        targets.push(Target::example(&definitions));
    }
    let queries: usize = definitions
        .iter()
        .map(|definition| definition.queries.len())
        .sum();
    if targets.len().saturating_mul(queries) > MAX_QUERIES {
        return draft.general.lose(
            targets[0].at,
            format!("more than {MAX_QUERIES} queries of all targets"),
        );
    }
    let mut used = BTreeSet::new();
    for target in &targets {
        used.extend(target.convert(&definitions, &shared, draft));
    }
    for (index, definition) in definitions.iter().enumerate() {
        match used.contains(&index) {
            true => draft.converted += definition.metrics,
            false => {
                let text = format!("collector {}: no target has it", definition.name);
                draft.general.lose(definition.at, text);
            }
        }
    }
}

const NO_PING: &str = "the first query is what tests a connection";

/// Settings of all targets.
#[derive(Default)]
struct Shared {
    timeout: Option<(Duration, Pos)>,
    max_connections: Option<f64>,
    min_interval: Option<Duration>,
}

impl Shared {
    fn take(mut fields: Fields<'_>, notes: &mut Map) -> Self {
        let shared = Self {
            timeout: durations::take(&mut fields, "scrape_timeout"),
            max_connections: fields
                .number("max_connections")
                .filter(|count| (1.0..=100.0).contains(count)),
            min_interval: durations::take(&mut fields, "min_interval")
                .map(|(interval, _)| interval),
        };
        fields.set_aside(
            &["max_idle_connections", "max_connection_lifetime"],
            "connections stay open",
            notes,
        );
        fields.set_aside(
            &[
                "scrape_timeout_offset",
                "scrape_error_drop_interval",
                "warmup_delay",
            ],
            "queries run by their interval, and not at a scrape",
            notes,
        );
        fields.finish(notes);
        shared
    }
}

/// A database with the names of its collectors, which may be patterns.
struct Target<'n> {
    name: String,
    dsn: &'n str,
    at: Pos,
    collectors: Vec<(String, Pos)>,
    labels: Map,
}

/// Address of a target that is in no file.
const EXAMPLE: &str = "postgres://bellwether@localhost/postgres";

impl<'n> Target<'n> {
    fn single(mut fields: Fields<'n>, notes: &mut Map) -> Self {
        let at = fields.at;
        let (dsn, at) = fields.text_at("data_source_name").unwrap_or(("", at));
        let target = Self {
            name: fields.text("name").unwrap_or("sql").to_owned(),
            dsn,
            at,
            collectors: owned(fields.texts("collectors")),
            labels: labels(fields.pairs("labels"), notes, Yaml::text),
        };
        fields.set_aside(&["enable_ping"], NO_PING, notes);
        fields.finish(notes);
        target
    }

    /// Adds the targets of a job.
    fn of_job(mut fields: Fields<'n>, targets: &mut Vec<Self>, notes: &mut Map) {
        let job = fields.text("job_name").unwrap_or("sql");
        let collectors = owned(fields.texts("collectors"));
        for mut group in fields.maps("static_configs") {
            let shared = labels(group.pairs("labels"), notes, Yaml::text);
            for (name, dsn, at) in group.pairs("targets") {
                let mut labels = Map::of([("job", job), ("instance", name)]);
                for (name, text) in &shared.fields {
                    labels.put(name, text.clone());
                }
                targets.push(Self {
                    name: format!("{job}-{name}"),
                    dsn,
                    at,
                    collectors: collectors.clone(),
                    labels,
                });
            }
            group.finish(notes);
        }
        fields.set_aside(&["enable_ping"], NO_PING, notes);
        fields.finish(notes);
    }

    /// Returns a target for collectors without one.
    fn example(definitions: &[Definition]) -> Self {
        let at = definitions
            .first()
            .map(|definition| definition.at)
            .unwrap_or_default();
        Self {
            name: definitions
                .first()
                .map_or("sql", |definition| &definition.name)
                .to_owned(),
            dsn: "",
            at,
            collectors: definitions
                .iter()
                .map(|definition| (definition.name.clone(), at))
                .collect(),
            labels: Map::default(),
        }
    }

    /// Adds a collector, and returns the indexes of the definitions that are in it.
    fn convert(
        &self,
        definitions: &[Definition],
        shared: &Shared,
        draft: &mut Draft,
    ) -> BTreeSet<usize> {
        let text = if self.dsn.is_empty() {
            EXAMPLE
        } else {
            self.dsn
        };
        let dsn = match Dsn::parse(text) {
            Ok(dsn) => dsn,
            Err(reason) => {
                let scheme = self.dsn.split_once("://").map_or("", |(scheme, _)| scheme);
                let text = format!("target {}: {scheme:?}: {reason}", self.name);
                draft.general.lose(self.at, text);
                return BTreeSet::new();
            }
        };
        let (name, mut collector) = draft.collector(&self.name, "sql");
        if self.dsn.is_empty() {
            collector.put("enabled", Yaml::word(false));
            collector.complete(self.at, "the address of the database is in no file: write it as dsn, and remove `enabled: false`");
        }
        let interval = draft.schedule(&mut collector, None, shared.timeout);
        dsn.put(&mut collector, &name, self.at);
        collector.put_filled("labels", self.labels.clone());
        collector.put_some("max_connections", shared.max_connections.map(Yaml::word));
        let used = self.definitions(definitions, &mut collector);
        let queries = queries(
            used.iter().map(|index| &definitions[*index]),
            shared,
            interval,
        );
        if queries.is_empty() {
            draft.give_up(collector);
            return BTreeSet::new();
        }
        collector.put("queries", queries.into());
        draft.push(collector);
        used
    }

    /// Returns the indexes of the definitions of the target; names may be patterns.
    fn definitions(&self, definitions: &[Definition], notes: &mut Map) -> BTreeSet<usize> {
        let mut used = BTreeSet::new();
        for (wanted, at) in &self.collectors {
            let glob = globset::Glob::new(wanted).map(|glob| glob.compile_matcher());
            let found = definitions.iter().enumerate().filter(|(_, definition)| {
                glob.as_ref()
                    .is_ok_and(|glob| glob.is_match(&definition.name))
            });
            let before = used.len();
            used.extend(found.map(|(index, _)| index));
            if used.len() == before {
                notes.lose(
                    *at,
                    format!("collector {wanted}: give its file to this command too"),
                );
            }
        }
        used
    }
}

/// Returns the queries of definitions, each under a name of its own.
fn queries<'d>(
    definitions: impl Iterator<Item = &'d Definition>,
    shared: &Shared,
    usual: Duration,
) -> Vec<Map> {
    let (mut queries, mut taken) = (Vec::new(), BTreeSet::new());
    for definition in definitions {
        let interval = definition.min_interval.or(shared.min_interval);
        for query in &definition.queries {
            let mut query = query.clone();
            rename(&mut query, &definition.name, &mut taken);
            query.put_some(
                "interval",
                interval
                    .filter(|interval| *interval > usual)
                    .map(Yaml::duration),
            );
            queries.push(query);
        }
    }
    queries
}

fn owned(texts: Vec<(&str, Pos)>) -> Vec<(String, Pos)> {
    texts
        .into_iter()
        .map(|(text, at)| (text.to_owned(), at))
        .collect()
}
