//! Series of history that a query may select, and their collectors.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::{METRIC_NAME, MetricDef, Origin};
use bellwether_promql::Query;
use bellwether_schema::{Diagnostic, SourceLocation, did_you_mean};

use super::CompileInput;
use crate::eval::schedule::Schedule;

/// Series names, with the collectors and intervals of their samples.
pub(super) struct KnownSeries {
    /// Collectors and interval by series name.
    series: BTreeMap<String, (Vec<Origin>, Duration)>,
    /// Names in history by names in the configuration, where they differ.
    renamed: BTreeMap<String, String>,
    interval: Duration,
    /// Set if there may be others.
    others: bool,
}

impl KnownSeries {
    pub(super) fn new(input: &CompileInput<'_>) -> Self {
        let (mut series, mut renamed) = (BTreeMap::new(), BTreeMap::new());
        for def in input.metrics {
            for name in series_of(def) {
                series.insert(name, (vec![def.origin], def.interval));
            }
            if def.name != def.exported {
                renamed.insert(def.name.to_string(), def.exported.to_string());
            }
        }
        Self {
            series,
            renamed,
            interval: input.interval,
            others: input.other_series,
        }
    }

    /// Returns true if a collector makes series of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.series.contains_key(name)
    }

    /// Adds the name of a recording rule with this schedule.
    pub(super) fn record(&mut self, name: &str, schedule: &Schedule) {
        self.series.insert(
            name.to_owned(),
            (schedule.origins.clone(), schedule.interval),
        );
    }

    /// Returns the schedule of a query, with `interval` as the minimum between two evaluations.
    pub(super) fn schedule(&self, query: &Query, interval: Option<Duration>) -> Schedule {
        let mut origins = Vec::new();
        let mut longest = Duration::ZERO;
        // A selector without a known name may match series of any collection.
        let mut certain = true;
        for name in names(query) {
            match name.and_then(|name| self.series.get(&name)) {
                Some((from, every)) if !from.is_empty() => {
                    origins.extend_from_slice(from);
                    longest = longest.max(*every);
                }
                _ => certain = false,
            }
        }
        if !certain || origins.is_empty() {
            let interval = interval.unwrap_or(self.interval);
            return Schedule {
                origins: Vec::new(),
                interval,
                min_interval: interval,
            };
        }
        origins.sort_unstable();
        origins.dedup();
        Schedule {
            origins,
            interval: interval.unwrap_or(longest),
            min_interval: interval.unwrap_or_default(),
        }
    }

    /// Warns about series names that no collector makes. Where collectors bring others, only a name of the
    /// configuration that has another one in history is surely wrong.
    pub(super) fn warnings(&self, query: &Query, at: &SourceLocation) -> Vec<Diagnostic> {
        let mut unknown: Vec<String> = names(query)
            .flatten()
            .filter(|name| !self.series.contains_key(name))
            .filter(|name| !self.others || self.renamed.contains_key(name))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        unknown
            .into_iter()
            .map(|name| Diagnostic {
                location: at.clone(),
                message: format!("no collector or recording rule makes series named {name:?}"),
                help: match self.renamed.get(&name) {
                    Some(exported) => Some(format!(
                        "its name in history and in /metrics is {exported:?}"
                    )),
                    None => did_you_mean(&name, self.series.keys().map(String::as_str)),
                },
            })
            .collect()
    }
}

/// Returns the name that each selector matches; `None` if it may be any.
fn names(query: &Query) -> impl Iterator<Item = Option<String>> {
    query.selectors().into_iter().map(|selector| {
        let mut matchers = selector.matchers.iter();
        let name = matchers.find(|matcher| &*matcher.name == METRIC_NAME);
        name.and_then(|matcher| matcher.test.exact())
            .map(str::to_owned)
    })
}

/// Returns the names of a metric in history.
fn series_of(def: &MetricDef) -> impl Iterator<Item = String> {
    let suffixes = def.kind.suffixes().iter();
    suffixes.map(|suffix| format!("{}{suffix}", def.exported))
}
