//! The series of history that a query may name, and who makes them.

use std::collections::BTreeMap;
use std::time::Duration;

use bellwether_core::{METRIC_NAME, MetricDef, Origin};
use bellwether_promql::Query;
use bellwether_schema::{Diagnostic, SourceLocation, did_you_mean};

use super::super::pace::Schedule;
use super::Declared;

/// Names of series, and when there are new samples of them.
pub(super) struct Known {
    /// Collectors, and how often.
    series: BTreeMap<String, (Vec<Origin>, Duration)>,
    /// Names in the declaration that are others in history.
    renamed: BTreeMap<String, String>,
    interval: Duration,
}

impl Known {
    pub(super) fn new(declared: &Declared<'_>) -> Self {
        let (mut series, mut renamed) = (BTreeMap::new(), BTreeMap::new());
        for def in declared.metrics {
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
            interval: declared.interval,
        }
    }

    /// Whether a collector makes a series of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.series.contains_key(name)
    }

    /// Notes that a recording rule of this pace makes series of this name.
    pub(super) fn record(&mut self, name: &str, pace: &Schedule) {
        self.series
            .insert(name.to_owned(), (pace.origins.clone(), pace.interval));
    }

    /// When a query is asked that is no more often asked than `interval`.
    pub(super) fn pace(&self, query: &Query, interval: Option<Duration>) -> Schedule {
        let mut origins = Vec::new();
        let mut longest = Duration::ZERO;
        // One series that could come from anywhere, and any collection may have brought it.
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
                least: interval,
            };
        }
        origins.sort_unstable();
        origins.dedup();
        Schedule {
            origins,
            interval: interval.unwrap_or(longest),
            least: interval.unwrap_or_default(),
        }
    }

    /// What is odd about the names of a query: nobody here makes such series.
    pub(super) fn warnings(&self, query: &Query, at: &SourceLocation) -> Vec<Diagnostic> {
        let mut unknown: Vec<String> = names(query)
            .flatten()
            .filter(|name| !self.series.contains_key(name))
            .collect();
        unknown.sort_unstable();
        unknown.dedup();
        let warning = |name: String| Diagnostic {
            location: at.clone(),
            message: format!("nobody here makes series named {name:?}"),
            help: match self.renamed.get(&name) {
                Some(exported) => Some(format!("in history it is {exported:?}, as on the page")),
                None => did_you_mean(&name, self.series.keys().map(String::as_str)),
            },
        };
        unknown.into_iter().map(warning).collect()
    }
}

/// The name that each selector asks for; `None` where it may be any.
fn names(query: &Query) -> impl Iterator<Item = Option<String>> {
    query.selectors().into_iter().map(|selector| {
        let mut matchers = selector.matchers.iter();
        let name = matchers.find(|matcher| &*matcher.name == METRIC_NAME);
        name.and_then(|matcher| matcher.test.exact())
            .map(str::to_owned)
    })
}

/// The names under which history has a metric.
fn series_of(def: &MetricDef) -> impl Iterator<Item = String> {
    let suffixes = def.kind.suffixes().iter();
    suffixes.map(|suffix| format!("{}{suffix}", def.exported))
}
