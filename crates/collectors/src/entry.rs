//! Collectors of the list `collectors`: the settings that all have, and the contract of their types.

mod relabeled;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bellwether_calendar::{Cron, Location};
use bellwether_core::{Labels, Origin, SeriesLimits};
use bellwether_relabel::{Relabel, RelabelConfig};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, HumanDuration, MapReader, Node, Override,
    Section, SectionDoc, Shape, Size, SourceLocation, Spanned, check_label_name, is_file_name,
};
use relabeled::Relabeled;
pub use relabeled::Relabeling;
use serde::Serialize;

use crate::system::System;
use crate::types::{CollectorType, TypeSettings};
use crate::{
    Build, Collector, CollectorName, CollectorPlan, Input, Memory, NameMapping, Receiver, Schedule,
    Times,
};

bellwether_schema::section! {
    /// Settings of every collector in the list.
    pub struct CollectorCommon {
        /// Name in the log, in metrics and in `up`: letters, digits, `-`, `_` and `.`.
        pub name: Spanned<String>,
        /// Type of the collector.
        pub r#type: CollectorType,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// If false, the collector does not run.
        pub enabled: bool = true,
        /// Interval of the collections. Default: `collection_interval`.
        pub interval: Option<Spanned<HumanDuration>>,
        /// Times of the collections, in place of an interval, as in crontab: `0 3 * * *`, `@daily`. A
        /// collector also runs at the start and after a reload.
        pub schedule: Option<Spanned<Cron>>,
        /// Time zone of `schedule`: a name of the time zone database such as `Europe/Berlin`, `Local` for
        /// the host's, or `UTC`.
        pub location: Location = Location::default(),
        /// Timeout of one collection. Default: 10 s, or the interval if that is shorter.
        pub timeout: Option<Spanned<HumanDuration>>,
        /// Labels of all its series. A label that a series has itself takes precedence.
        pub labels: Spanned<Labels> = Spanned::nowhere(Labels::new()),
        /// Relabeling steps on each series, `labels` included, as in a scrape configuration of Prometheus.
        pub metric_relabel_configs: Vec<Spanned<RelabelConfig>> = Vec::new(),
        /// Limits of one collection.
        pub limits: CollectorLimits = CollectorLimits::default(),
    }
}

bellwether_schema::section! {
    /// Limits of one collection.
    pub struct CollectorLimits {
        /// Maximum number of series. Further series are rejected and counted.
        pub series: usize = 10_000,
        /// Maximum number of series of one metric; all buckets of a histogram count. Further series are rejected and
        /// counted.
        pub metric_series: Option<usize> = None,
        /// Maximum number of values of each label in one metric. Series with further values are rejected and counted.
        pub label_values: Option<usize> = None,
        /// Maximum size of what one source answers: a file, a response, the output of a program. A
        /// larger one is an error.
        pub bytes: Size = Size(10 << 20),
    }
}

impl CollectorLimits {
    /// Returns the limits of series.
    #[must_use]
    pub fn of_series(&self) -> SeriesLimits {
        SeriesLimits {
            series: self.series,
            metric_series: self.metric_series,
            label_values: self.label_values,
        }
    }

    fn has_zero(&self) -> bool {
        let counts = [Some(self.series), self.metric_series, self.label_values];
        counts.contains(&Some(0)) || self.bytes.0 == 0
    }
}

/// Settings of one collector in the list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollectorEntry {
    #[serde(flatten)]
    pub common: CollectorCommon,
    /// Settings of its type.
    #[serde(flatten)]
    pub settings: TypeSettings,
}

impl Decode for CollectorEntry {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let mut map = MapReader::open(node, cx)?;
        let kind = map.field::<CollectorType>("type", None)?;
        let settings = TypeSettings::read(kind, &mut map);
        let common = CollectorCommon::read(&mut map, None);
        map.finish();
        Some(Self {
            common: common?,
            settings: settings?,
        })
    }

    fn shape() -> Shape {
        Shape::Section(doc)
    }
}

fn doc() -> SectionDoc {
    SectionDoc {
        name: "CollectorEntry",
        doc: "A collector. Its metrics keep their names, without `metric_prefix`.".into(),
        variants: TypeSettings::variants(),
        ..CollectorCommon::doc()
    }
}

/// Type of a collector in the list: a section of settings, and the way from them to a collector.
pub trait EntryType {
    /// Checks the settings, also of a disabled collector, and returns how a collector is built, which fills
    /// [`Batch::series`](bellwether_core::Batch::series). Returns `None` after an error, which is reported.
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build>;

    /// Returns the mappings of names, whose file is read with the configuration.
    fn name_mapping(&mut self) -> Option<&mut NameMapping> {
        None
    }
}

/// State of resolving one collector of the list.
pub struct EntryContext<'a> {
    /// Name of the collector.
    pub origin: Origin,
    /// Location of its name.
    pub at: &'a SourceLocation,
    /// True if it runs.
    pub enabled: bool,
    /// Schedule of its collections.
    pub schedule: Schedule,
    /// Limits of a collection.
    pub limits: &'a CollectorLimits,
    /// Directories of the host's files, which are elsewhere in a container.
    pub host: &'a System,
    /// Labels and relabeling steps of its series.
    pub(crate) relabeling: &'a mut Arc<Relabeling>,
    /// Receiver of requests of clients.
    pub(crate) receiver: &'a mut Option<Arc<dyn Receiver>>,
    /// Receives errors.
    pub problems: &'a mut Diagnostics,
    /// Receives warnings.
    pub warnings: &'a mut Vec<Diagnostic>,
}

impl EntryContext<'_> {
    /// Returns the longest duration of a collection.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.schedule.deadline
    }

    /// Returns the longest duration of the requests of a collection: the rest is for reading the answers.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        let timeout = self.timeout();
        let rest = (timeout / 10).clamp(Duration::from_millis(20), Duration::from_millis(500));
        timeout.saturating_sub(rest)
    }

    /// Returns labels and relabeling steps for a collector that applies them itself. Without this call they are
    /// applied to all that it brings.
    pub fn take_relabeling(&mut self) -> Arc<Relabeling> {
        std::mem::take(self.relabeling)
    }

    /// Returns labels and relabeling steps, which are applied to all that the collector brings.
    pub(crate) fn relabeling(&self) -> Arc<Relabeling> {
        self.relabeling.clone()
    }

    /// Sets what takes the requests to the endpoint of the type.
    pub fn receive(&mut self, receiver: impl Receiver + 'static) {
        *self.receiver = Some(Arc::new(receiver));
    }

    /// Wraps a function that creates the collector.
    pub fn build<C: Collector>(
        &self,
        build: impl Fn(&Memory) -> C + Send + Sync + 'static,
    ) -> Option<Build> {
        Some(Arc::new(move |memory: &Memory| {
            Box::new(build(memory)) as Box<dyn Collector>
        }))
    }
}

/// Returns the plans of the enabled collectors in `entries`, and reports errors of all of them. `schedule` is that
/// of a collector that has no other.
pub fn resolve(
    entries: &[CollectorEntry],
    schedule: Schedule,
    host: &System,
    problems: &mut Diagnostics,
    warnings: &mut Vec<Diagnostic>,
) -> Vec<CollectorPlan> {
    let mut names = BTreeSet::new();
    let mut endpoints = BTreeSet::new();
    let plans = entries.iter().filter_map(|entry| {
        let common = &entry.common;
        let endpoint = common.r#type.endpoint().filter(|_| common.enabled);
        if let Some(path) = endpoint
            && !endpoints.insert(path)
        {
            let message = format!("two collectors of type {}", common.r#type.as_str());
            problems
                .error(&common.name.at, message)
                .hint(format!("leave one of them out: {path} belongs to one"));
        }
        if !names.insert(common.name.value.as_str()) {
            let message = format!("collector {:?} twice", common.name.value);
            problems
                .error(&common.name.at, message)
                .hint("give each collector a name of its own");
        }
        let mut unused = Vec::new();
        let warnings = match common.enabled {
            true => &mut *warnings,
            false => &mut unused,
        };
        let plan = entry.plan(schedule, host, problems, warnings)?;
        common.enabled.then_some(plan)
    });
    plans.collect()
}

impl CollectorEntry {
    /// Returns the mappings of names, whose file is read with the configuration.
    pub fn name_mapping(&mut self) -> Option<&mut NameMapping> {
        self.settings.name_mapping()
    }

    /// Returns whether the collector runs and receives pushed metrics.
    pub(crate) fn receives_pushes(&self) -> bool {
        self.common.enabled && self.common.r#type == CollectorType::Pushgateway
    }

    fn plan(
        &self,
        schedule: Schedule,
        host: &System,
        problems: &mut Diagnostics,
        warnings: &mut Vec<Diagnostic>,
    ) -> Option<CollectorPlan> {
        let common = &self.common;
        let before = problems.len();
        common.check(problems);
        let schedule = common.own_schedule(schedule, problems);
        let origin = Origin::new(&common.name);
        let steps = common.metric_relabel_configs.iter();
        // An invalid step is reported already.
        let relabel = Relabel::new(steps.map(|step| &step.value)).unwrap_or_default();
        let mut relabeling = Arc::new(Relabeling::new(common.labels.value.clone(), relabel));
        let mut receiver = None;
        let build = self.settings.resolve(&mut EntryContext {
            origin,
            at: &common.name.at,
            enabled: common.enabled,
            schedule,
            limits: &common.limits,
            host,
            relabeling: &mut relabeling,
            receiver: &mut receiver,
            problems,
            warnings,
        });
        let (Some(build), true) = (build, problems.len() == before) else {
            return None;
        };
        Some(CollectorPlan {
            origin,
            schedule,
            times: common.times(),
            input: Input::Pull(Relabeled::wrap(build, relabeling)),
            series_limits: Some(common.limits.of_series()),
            receiver: receiver.map(|receiver| (common.r#type, receiver)),
        })
    }
}

impl CollectorCommon {
    fn own_schedule(&self, usual: Schedule, problems: &mut Diagnostics) -> Schedule {
        let Some(times) = &self.schedule else {
            return own_schedule(
                usual,
                self.interval.as_ref(),
                self.timeout.as_ref(),
                problems,
            );
        };
        if self.interval.is_some() {
            problems
                .error(&times.at, "both a schedule and an interval")
                .hint("leave one of them out");
        }
        let timeout = self.timeout.as_ref();
        if let Some(zero) = timeout.filter(|timeout| timeout.value.0.is_zero()) {
            problems
                .error(&zero.at, "a timeout of 0")
                .hint("set it to the longest duration of a collection");
        }
        Schedule {
            deadline: timeout.map_or(DEFAULT_TIMEOUT, |timeout| timeout.value.0),
            ..usual
        }
    }

    fn times(&self) -> Option<Times> {
        let schedule = self.schedule.as_ref()?.value.clone();
        let location = self.location.clone();
        Some(Times { schedule, location })
    }

    fn check(&self, problems: &mut Diagnostics) {
        let name = &self.name;
        let reserved = CollectorName::WORDS.iter().any(|(word, _)| *word == **name)
            || *name.value == *Origin::SELF_METRICS.as_str();
        if !is_file_name(name) {
            problems
                .error(
                    &name.at,
                    format!("not a name of a collector: {:?}", name.value),
                )
                .hint("at most 64 letters, digits, -, _ and ., not starting with a dot");
        } else if reserved {
            problems
                .error(
                    &name.at,
                    format!("a built-in collector has the name {:?}", name.value),
                )
                .hint("take another one, such as the name of the service");
        }
        for label in self.labels.keys() {
            check_label_name(label, &self.labels.at.key(label), problems);
        }
        for step in &self.metric_relabel_configs {
            step.value.check(&step.at, problems);
        }
        if self.limits.has_zero() {
            problems
                .error(&name.at, "a limit of 0")
                .hint("set each of limits to 1 or more, or leave it out");
        }
    }
}

/// Timeout of a collection without one of its own, unless its interval is shorter.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Reports an interval that is too short.
pub fn check_interval(interval: &Spanned<HumanDuration>, problems: &mut Diagnostics) {
    if interval.value.0 < Duration::from_millis(100) {
        problems
            .error(&interval.at, format!("too short: {}", interval.value))
            .hint("100ms at the least; 15s to 60s is usual");
    }
}

/// Reports a timeout that is not within the interval, which `of` names.
pub fn check_timeout(
    timeout: &Spanned<HumanDuration>,
    interval: Duration,
    of: &str,
    problems: &mut Diagnostics,
) {
    if timeout.value.0.is_zero() || timeout.value.0 > interval {
        let message = format!("not within the interval: {}", timeout.value);
        problems
            .error(&timeout.at, message)
            .hint(format!("more than zero, and at most {of}"));
    }
}

/// Returns the schedule of a collector with an interval and a timeout of its own.
pub(crate) fn own_schedule(
    usual: Schedule,
    interval: Option<&Spanned<HumanDuration>>,
    timeout: Option<&Spanned<HumanDuration>>,
    problems: &mut Diagnostics,
) -> Schedule {
    let mut schedule = usual;
    if let Some(own) = interval {
        check_interval(own, problems);
        schedule.interval = own.value.0;
        schedule.deadline = own.value.0.min(DEFAULT_TIMEOUT);
    }
    if let Some(own) = timeout {
        check_timeout(
            own,
            schedule.interval,
            "the interval of the collector",
            problems,
        );
        schedule.deadline = own.value.0;
    }
    schedule
}

#[cfg(test)]
pub(crate) mod testing {
    use bellwether_core::Now;
    use bellwether_schema::{DecodeContext, parse};

    use super::*;

    const SCHEDULE: Schedule = Schedule {
        interval: Duration::from_secs(15),
        deadline: Duration::from_secs(10),
        settle: None,
    };

    /// Calls `resolve` with the context of an entry.
    pub(crate) fn with_context<T>(
        host: &System,
        problems: &mut Diagnostics,
        resolve: impl FnOnce(&mut EntryContext<'_>) -> T,
    ) -> T {
        resolve(&mut EntryContext {
            origin: Origin::new("node"),
            enabled: true,
            at: &SourceLocation::default(),
            schedule: SCHEDULE,
            limits: &CollectorLimits::default(),
            host,
            relabeling: &mut Arc::default(),
            receiver: &mut None,
            problems,
            warnings: &mut Vec::new(),
        })
    }

    /// Result of one collection.
    #[derive(Debug, Default)]
    pub(crate) struct Collected {
        /// Series with their values, in their order.
        pub lines: Vec<String>,
        /// Reason and detail of the failure.
        pub failure: Option<(&'static str, String)>,
    }

    impl Collected {
        /// Returns the value of a series.
        pub(crate) fn value(&self, series: &str) -> Option<f64> {
            let line = self
                .lines
                .iter()
                .find_map(|line| line.strip_prefix(series))?;
            line.trim().parse().ok()
        }
    }

    /// Resolves one entry in YAML with an interval of 15 s. Returns the errors with their hints.
    pub(crate) fn resolve_entry(yaml: &str) -> Result<Box<dyn Collector>, Vec<String>> {
        resolve_entry_on(&System::default(), yaml)
    }

    /// As [`resolve_entry`], for a host with other directories.
    pub(crate) fn resolve_entry_on(
        host: &System,
        yaml: &str,
    ) -> Result<Box<dyn Collector>, Vec<String>> {
        build_entry(host, &Memory::default(), yaml)
    }

    /// As [`resolve_entry`], with the state of those before.
    pub(crate) fn resolve_entry_in(
        memory: &Memory,
        yaml: &str,
    ) -> Result<Box<dyn Collector>, Vec<String>> {
        build_entry(&System::default(), memory, yaml)
    }

    fn build_entry(
        host: &System,
        memory: &Memory,
        yaml: &str,
    ) -> Result<Box<dyn Collector>, Vec<String>> {
        try_resolve_build(host, yaml).map(|build| build(memory))
    }

    /// Resolves one entry without errors.
    pub(crate) fn resolve_build(yaml: &str) -> Build {
        try_resolve_build(&System::default(), yaml)
            .unwrap_or_else(|problems| panic!("{problems:?}"))
    }

    fn try_resolve_build(host: &System, yaml: &str) -> Result<Build, Vec<String>> {
        let mut problems = Diagnostics::default();
        let mut decoding = DecodeContext::new(&mut problems, &|_| None);
        let entry = CollectorEntry::decode(&parse(yaml).unwrap(), &mut decoding);
        let entries: Vec<_> = entry.into_iter().collect();
        let plans = resolve(&entries, SCHEDULE, host, &mut problems, &mut Vec::new());
        let problems = problems.into_sorted();
        match plans.into_iter().next().map(|plan| plan.input) {
            Some(Input::Pull(build)) if problems.is_empty() => Ok(build),
            _ => Err(problems.iter().map(ToString::to_string).collect()),
        }
    }

    /// Collects once.
    pub(crate) async fn collect(collector: &mut dyn Collector, now: Now) -> Collected {
        let mut batch = bellwether_core::Batch::default();
        let result = collector.collect(&mut batch, now).await;
        Collected {
            lines: batch.series.lines().collect(),
            failure: result.err().map(|failure| (failure.reason, failure.detail)),
        }
    }
}
