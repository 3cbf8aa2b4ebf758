//! The two programs that are called sql_exporter: that of justwatch, which Debian has, and that of free and burningalchemist.

mod collectors;
mod definition;
mod dsn;
mod jobs;

use std::collections::BTreeSet;

use bellwether_schema::YamlError;

pub(super) use self::dsn::Dsn;

use super::draft::Draft;
use super::fields::Fields;
use super::source::Source;
use super::yaml::{Map, Yaml};

/// Most queries of all databases together: each database has a copy of its own.
const MAX_QUERIES: usize = 100_000;

pub(super) fn is(source: &Source<'_>) -> bool {
    is_of_justwatch(source)
        || ["target", "targets", "collector_name", "collector_files"]
            .iter()
            .any(|key| source.key(key).is_some())
        || source.has_within("jobs", "collectors")
        || source.has_within("collectors", "collector_name")
}

fn is_of_justwatch(source: &Source<'_>) -> bool {
    source.has_within("jobs", "queries") || source.has_within("jobs", "connections")
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    let mut others = Vec::new();
    for source in sources {
        let fields = Fields::of(source.yaml()?);
        match is_of_justwatch(source) {
            true => jobs::convert(fields, draft),
            false => others.push(fields),
        }
    }
    collectors::convert(others, draft);
    Ok(())
}

/// Gives a query a name that is not `taken`: that of their collector goes in front, or a number behind.
fn rename(query: &mut Map, collector: &str, taken: &mut BTreeSet<String>) {
    let Some((_, Yaml::Text(name))) = query.fields.first_mut() else {
        return;
    };
    let mut candidates = (1..).map(|number| match number {
        1 => format!("{collector}_{name}"),
        number => format!("{name}-{number}"),
    });
    let mut candidate = name.clone();
    while !taken.insert(candidate.clone()) {
        candidate = candidates.next().unwrap_or_default();
    }
    *name = candidate;
}

/// Returns names of labels without those that are there twice.
fn distinct(names: Vec<&str>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let names = names.into_iter().filter(|name| seen.insert(*name));
    names.map(str::to_owned).collect()
}
