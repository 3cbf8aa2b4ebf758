//! Collectors of the list `collectors`, with the settings that all have.

use std::collections::BTreeSet;
use std::sync::Arc;

use bellwether_calendar::{Cron, Location};
use bellwether_collector::{
    CollectorLimits, CollectorPlan, DEFAULT_TIMEOUT, EntryContext, Input, NamedFile, Relabeled,
    Relabeling, Schedule, System, Times, own_schedule,
};
use bellwether_core::{Labels, Origin};
use bellwether_relabel::{Relabel, RelabelConfig};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, HumanDuration, MapReader, Node, Override,
    Section, SectionDoc, Shape, Spanned, check_label_name, is_file_name,
};
use serde::Serialize;

use crate::CollectorName;
use crate::types::{CollectorType, TypeSettings};

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

/// Returns the collector of `entries` that receives pushed metrics, and the maximum number of its series.
#[must_use]
pub fn push_receiver(entries: &[CollectorEntry]) -> Option<(Origin, usize)> {
    let mut enabled = entries
        .iter()
        .map(|entry| &entry.common)
        .filter(|common| common.enabled);
    let common = enabled.find(|common| common.r#type == CollectorType::Pushgateway)?;
    Some((Origin::new(&common.name), common.limits.series))
}

impl CollectorEntry {
    /// Returns the file that its settings name and that is read with the configuration.
    pub fn named_file(&mut self) -> Option<&mut dyn NamedFile> {
        self.settings.named_file()
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
        let mut context = EntryContext {
            origin,
            at: &common.name.at,
            enabled: common.enabled,
            schedule,
            limits: &common.limits,
            host,
            relabeling: Arc::new(Relabeling::new(common.labels.value.clone(), relabel)),
            receiver: None,
            problems,
            warnings,
        };
        let build = self.settings.resolve(&mut context);
        let EntryContext {
            relabeling,
            receiver,
            ..
        } = context;
        let (Some(build), true) = (build, problems.len() == before) else {
            return None;
        };
        Some(CollectorPlan {
            origin,
            schedule,
            times: common.times(),
            input: Input::Pull(Relabeled::wrap(build, relabeling)),
            series_limits: Some(common.limits.of_series()),
            receiver: receiver.map(|receiver| (common.r#type.as_str(), receiver)),
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

#[cfg(test)]
pub(crate) mod testing {
    use bellwether_collector::testing::SCHEDULE;
    use bellwether_collector::{Collector, Memory};
    use bellwether_schema::{DecodeContext, parse};

    use super::*;

    /// Resolves one entry in YAML with an interval of 15 s. Returns the errors with their hints.
    pub(crate) fn resolve_entry(yaml: &str) -> Result<Box<dyn Collector>, Vec<String>> {
        let mut problems = Diagnostics::default();
        let mut decoding = DecodeContext::new(&mut problems, &|_| None);
        let entry = CollectorEntry::decode(&parse(yaml).unwrap(), &mut decoding);
        let entries: Vec<_> = entry.into_iter().collect();
        let plans = resolve(
            &entries,
            SCHEDULE,
            &System::default(),
            &mut problems,
            &mut Vec::new(),
        );
        let problems = problems.into_sorted();
        match plans.into_iter().next().map(|plan| plan.input) {
            Some(Input::Pull(build)) if problems.is_empty() => Ok(build(&Memory::default())),
            _ => Err(problems.iter().map(ToString::to_string).collect()),
        }
    }
}
