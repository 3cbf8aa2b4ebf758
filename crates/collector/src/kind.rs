//! Contract of a kind of collector: settings, and the way from them to a collector.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Kind, MetricDef, MetricId, Origin, SelfMetric, SelfMetrics, SeriesLimits, exported_name,
};
use bellwether_recorder::RecordedMetric;
use bellwether_schema::{Diagnostic, Diagnostics, HumanDuration, SourceLocation, Spanned};

use crate::entry::own_schedule;
use crate::{Collector, Memory, Receiver, Schedule, System, Times};

/// Settings of a kind of collector: a section, and what follows from it.
pub trait CollectorKind {
    /// Returns the metrics of the configuration, disabled ones too.
    fn configured(&self) -> Vec<ConfiguredMetric<'_>>;

    /// Returns the names of metrics that exist without an entry in the configuration.
    fn implied(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the keys of the settings that hold the metrics. An error below one of them costs metrics,
    /// so that rules which use them are not checked.
    fn metric_keys(&self) -> &'static [&'static str];

    /// Returns the metrics of the kind about itself, if it has some.
    fn self_metrics() -> Option<KindSelfMetrics>
    where
        Self: Sized,
    {
        None
    }

    /// Checks the settings, also of a disabled collector, and returns how it is run, with its metrics
    /// added to `context`. Returns `None` if it is not set up, and after an error, which is reported.
    fn resolve(&self, context: &mut ResolveContext<'_>) -> Option<CollectorPlan>;

    /// Describes the metrics for the reference; `self` is of the shipped configuration.
    fn reference(&self) -> MetricReference;
}

/// A metric as it is configured.
#[derive(Clone, Copy, Debug)]
pub struct ConfiguredMetric<'a> {
    /// Name of the metric.
    pub name: &'a Spanned<String>,
    /// Name in the catalogue of its kind; the same, if that has no such metric.
    pub catalogue_name: &'a str,
}

impl<'a> ConfiguredMetric<'a> {
    /// Creates a metric of a kind without a catalogue.
    #[must_use]
    pub fn named(name: &'a Spanned<String>) -> Self {
        Self {
            name,
            catalogue_name: name,
        }
    }
}

/// Metrics of a kind about itself.
#[derive(Clone, Copy)]
pub struct KindSelfMetrics {
    /// Their definitions.
    pub metrics: &'static [&'static SelfMetric],
    /// Returns their source, which outlives a reload.
    pub source: fn(&Memory) -> Arc<dyn SelfMetrics>,
}

/// Metrics of a kind, for the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricReference {
    /// Sentence below the heading.
    pub text: &'static str,
    /// The metrics.
    pub metrics: Vec<MetricRow>,
}

/// A metric, for the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricRow {
    /// Name of the metric.
    pub name: String,
    /// Possible types, in words.
    pub types: &'static str,
    /// Label names.
    pub labels: Vec<String>,
    /// Text of `# HELP`.
    pub help: String,
}

/// Properties that the metrics of a collector share.
#[derive(Clone, Copy, Debug)]
pub struct MetricDefaults<'a> {
    /// Collector that fills them.
    pub origin: Origin,
    /// Prefix of exported names.
    pub prefix: &'a str,
    /// Interval of their collection.
    pub interval: Duration,
}

impl MetricDefaults<'_> {
    /// Returns the definition of a metric that has no labels and no help yet.
    #[must_use]
    pub fn define(&self, name: &str, kind: Kind) -> MetricDef {
        MetricDef {
            exported: exported_name(self.prefix, name),
            origin: self.origin,
            interval: self.interval,
            ..MetricDef::new(name, kind)
        }
    }
}

/// State of resolving one collector.
pub struct ResolveContext<'a> {
    /// Properties that its metrics share.
    pub defaults: MetricDefaults<'a>,
    /// Schedule of a collector that has no other.
    pub schedule: Schedule,
    /// Directories of the host's files, which are elsewhere in a container.
    pub host: &'a System,
    /// Set if the collector is to run.
    pub enabled: bool,
    /// Location in `enabled_collectors`, if it is listed there.
    pub listed_at: Option<&'a SourceLocation>,
    /// Receives errors.
    pub problems: &'a mut Diagnostics,
    /// Receives warnings; those of a disabled collector are dropped.
    pub warnings: &'a mut Vec<Diagnostic>,
    /// Metrics of the configuration so far; those of a disabled collector are dropped.
    pub metrics: &'a mut Vec<MetricDef>,
}

impl ResolveContext<'_> {
    /// Sets the interval and the timeout of a collector that has its own, for its schedule and its metrics.
    pub fn set_schedule(
        &mut self,
        interval: Option<&Spanned<HumanDuration>>,
        timeout: Option<&Spanned<HumanDuration>>,
    ) {
        self.schedule = own_schedule(self.schedule, interval, timeout, self.problems);
        self.defaults.interval = self.schedule.interval;
    }

    /// Adds a metric and returns its id. Ids are consecutive.
    pub fn add(&mut self, metric: MetricDef) -> MetricId {
        self.metrics.push(metric);
        MetricId(self.metrics.len() as u32 - 1)
    }

    /// Adds metrics and returns the id of the first.
    pub fn add_all(&mut self, metrics: &[MetricDef]) -> MetricId {
        let first = MetricId(self.metrics.len() as u32);
        self.metrics.extend_from_slice(metrics);
        first
    }

    /// Returns the plan of a collector that fetches its samples.
    pub fn pull<C: Collector>(
        &self,
        schedule: Schedule,
        build: impl Fn(&Memory) -> C + Send + Sync + 'static,
    ) -> CollectorPlan {
        CollectorPlan {
            origin: self.defaults.origin,
            schedule,
            times: None,
            input: Input::Pull(Arc::new(move |memory: &Memory| {
                Box::new(build(memory)) as Box<dyn Collector>
            })),
            series_limits: None,
            receiver: None,
        }
    }

    /// Reports that the collector is listed in `enabled_collectors` and lacks its section.
    pub fn not_set_up(&mut self, section: &str) {
        let Some(at) = self.listed_at else { return };
        let name = self.defaults.origin.as_str();
        self.problems
            .error(at, format!("collector {name:?} is enabled but not set up"))
            .hint(format!("add a section {section}, or leave {name} out here"));
    }
}

/// Creates a collector, at the start and again after a panic. Called on a blocking thread of the
/// runtime, so it may read files and start tasks.
pub type Build = Arc<dyn Fn(&Memory) -> Box<dyn Collector> + Send + Sync>;

/// A collector of the active config, with its schedule.
pub struct CollectorPlan {
    /// Name of the collector.
    pub origin: Origin,
    /// Schedule of its collections.
    pub schedule: Schedule,
    /// Times of its collections, in place of the interval of the schedule.
    pub times: Option<Times>,
    /// Source of its samples.
    pub input: Input,
    /// Limits of the series that it brings under names of their own; `None`: it has configured metrics.
    pub series_limits: Option<SeriesLimits>,
    /// Receiver of requests of clients, with the word of the type whose endpoint it has.
    pub receiver: Option<(&'static str, Arc<dyn Receiver>)>,
}

/// Source of a collector's samples.
#[derive(Clone)]
pub enum Input {
    /// Fetched by a collector, at a collection or in tasks of its own.
    Pull(Build),
    /// Recorded by applications, at any time.
    Record(Arc<[(MetricId, RecordedMetric)]>),
}
