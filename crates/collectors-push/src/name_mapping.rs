//! Maps names of StatsD and Graphite to metrics with labels, by the mapping files of statsd_exporter
//! (<https://github.com/prometheus/statsd_exporter#metric-mapping-and-configuration>).
//!
//! Globs come before regular expressions, whatever their order in the file. Pure.

mod compile;
mod glob;
mod settings;
mod template;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::NamedFile;
use bellwether_core::{LabelSet, METRIC_NAME, is_label_name};
use bellwether_schema::{Diagnostics, SourceLocation};
use glob::Glob;
use hashbrown::HashMap;
use regex::Regex;
pub(crate) use settings::MappedType;
use settings::MappingRules;
pub use settings::NameMapping;
use template::Template;

use crate::pushed::Accept;

/// Longest name whose mapping is remembered, in bytes.
const MAX_REMEMBERED: usize = 256;
/// Names whose mapping is remembered, by type. They are forgotten as a whole.
const REMEMBERED: usize = 10_000;

/// Mappings, compiled.
#[derive(Debug)]
pub(crate) struct Mappings {
    globs: Vec<Rule<Glob>>,
    expressions: Vec<Rule<Regex>>,
    /// Options of names without a mapping.
    unmapped: Arc<Options>,
}

/// A mapping.
#[derive(Debug)]
struct Rule<M> {
    matcher: M,
    /// Type that it is for; `None`: all.
    kind: Option<MappedType>,
    /// `None`: what matches is dropped.
    target: Option<Templates>,
}

/// Templates of the name and the labels of a metric.
#[derive(Debug)]
struct Templates {
    name: Template,
    labels: Vec<(Box<str>, Template)>,
    options: Arc<Options>,
}

/// Options of a mapping.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) help: Option<String>,
    pub(crate) observer: Observer,
    /// Time without a sample after which a series ends; `None`: never.
    pub(crate) ttl: Option<Duration>,
    /// Factor of the values.
    pub(crate) scale: f64,
    /// If true, a tag has precedence over the label of the mapping.
    pub(crate) honor_labels: bool,
}

/// Metric of the observations of timers, histograms and distributions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Observer {
    /// Upper bounds of the buckets.
    Histogram(Arc<[f64]>),
    Summary {
        quantiles: Arc<[f64]>,
        /// Window of the quantiles.
        max_age: Duration,
    },
}

/// Metric of a name.
#[derive(Debug, PartialEq)]
pub(crate) struct Target {
    /// Name of the metric; empty if the templates give none.
    pub(crate) name: String,
    pub(crate) labels: Vec<(Box<str>, String)>,
    /// Name and labels.
    pub(crate) set: LabelSet,
    pub(crate) options: Arc<Options>,
    /// Set if a mapping matches.
    pub(crate) is_mapped: bool,
    /// Set if a mapping matches, or the name is accepted without.
    pub(crate) is_accepted: bool,
}

/// Finds the metrics of names, and remembers them.
#[derive(Debug)]
pub(crate) struct Mapper {
    mappings: Arc<Mappings>,
    /// Names without a mapping.
    accept: Accept,
    /// Metrics by type and name; `None`: dropped.
    known: [HashMap<Box<str>, Option<Arc<Target>>>; 3],
}

impl Mapper {
    pub(crate) fn new(mappings: Arc<Mappings>, accept: Accept) -> Self {
        Self {
            mappings,
            accept,
            known: Default::default(),
        }
    }

    /// Returns the metric of `name`; `None` if it is dropped.
    pub(crate) fn find(&mut self, name: &str, kind: MappedType) -> Option<Arc<Target>> {
        let known = &mut self.known[kind as usize];
        if let Some(target) = known.get(name) {
            return target.clone();
        }
        let target = self.mappings.find(name, kind).map(|mut target| {
            target.is_accepted |= self.accept.accepts(&target.name);
            Arc::new(target)
        });
        if known.len() >= REMEMBERED {
            known.clear();
        }
        if name.len() <= MAX_REMEMBERED {
            known.insert(name.into(), target.clone());
        }
        target
    }
}

impl Mappings {
    /// Compiles the mappings of a file; `None` if it is invalid.
    pub(crate) fn of_file(text: &str) -> Option<Arc<Self>> {
        let mut problems = Diagnostics::default();
        let mut mapping = NameMapping {
            mapping_file: None,
            rules: MappingRules::default(),
        };
        mapping.set_text(&SourceLocation::default(), "mappings", text, &mut problems);
        mapping.resolve(&mut problems, &mut Vec::new())
    }

    fn find(&self, name: &str, kind: MappedType) -> Option<Target> {
        for rule in self.globs.iter().filter(|rule| rule.is_for(kind)) {
            if let Some(captures) = rule.matcher.captures(name) {
                return rule.target(|star| captures[star]);
            }
        }
        for rule in self.expressions.iter().filter(|rule| rule.is_for(kind)) {
            if let Some(captures) = rule.matcher.captures(name) {
                return rule.target(|group| captures.get(group).map_or("", |group| group.as_str()));
            }
        }
        let options = self.unmapped.clone();
        Some(Target::new(escaped(name), Vec::new(), options, false))
    }
}

impl<M> Rule<M> {
    fn is_for(&self, kind: MappedType) -> bool {
        self.kind.is_none_or(|own| own == kind)
    }

    fn target<'n>(&self, group: impl Fn(usize) -> &'n str) -> Option<Target> {
        let templates = self.target.as_ref()?;
        let labels = templates.labels.iter();
        let labels = labels.map(|(label, template)| (label.clone(), template.render(&group)));
        let name = escaped(&templates.name.render(&group));
        let options = templates.options.clone();
        Some(Target::new(name, labels.collect(), options, true))
    }
}

impl Target {
    fn new(
        name: String,
        labels: Vec<(Box<str>, String)>,
        options: Arc<Options>,
        is_mapped: bool,
    ) -> Self {
        let own = labels
            .iter()
            .map(|(label, value)| (&**label, value.as_str()));
        Self {
            set: LabelSet::new(own.chain([(METRIC_NAME, name.as_str())])),
            name,
            labels,
            options,
            is_mapped,
            is_accepted: is_mapped,
        }
    }
}

/// Returns `name` with `_` for each character that a name cannot have, and before a digit that would be the first. Two
/// dashes become one `_`, as in statsd_exporter.
pub(crate) fn escaped(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 1);
    if name.starts_with(|first: char| first.is_ascii_digit()) {
        out.push('_');
    }
    let mut before = ' ';
    for next in name.chars() {
        match next {
            _ if next.is_ascii_alphanumeric() || matches!(next, '_' | ':') => out.push(next),
            '-' if before == '-' => {}
            _ => out.push('_'),
        }
        before = next;
    }
    out
}

/// Returns a valid name of a label: as [`escaped`], and without colons.
pub(crate) fn escaped_label(name: &str) -> Cow<'_, str> {
    match is_label_name(name) {
        true => Cow::Borrowed(name),
        false => Cow::Owned(escaped(name).replace(':', "_")),
    }
}

#[cfg(test)]
mod tests;
