//! Settings to a plan: the checks of all crates, and those that no crate can do alone.

mod alerting;
mod dashboards;
mod reports;
mod rules;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::bottleneck::{self, Bottleneck};
use bellwether_collector::{
    CollectorPlan, DEFAULT_TIMEOUT, Input, MetricDefaults, ResolveContext, Schedule,
    check_interval, check_timeout,
};
use bellwether_collectors::application::Statsd;
use bellwether_collectors::{CollectorName, CollectorSettings};
use bellwether_compat::RuleFile;
use bellwether_core::{Labels, MetricDef, MetricId, Origin, counted};
use bellwether_notify::Sender;
use bellwether_recorder::RecordedMetric;
use bellwether_routing::{Routing, SilenceSpec};
use bellwether_rules::{RuleSet, RuleSettings};
use bellwether_schema::{Diagnostic, Diagnostics, SourceLocation, check_metric_name};
use bellwether_tsdb::history::Backend;

pub use self::rules::RuleGroup;
use super::exec;
use super::include::ConfigFile;
use super::load::{Loaded, Report};
use super::sections::Root;

/// Everything that the app needs to run a configuration.
pub struct Plan {
    /// Settings of the plan.
    pub root: Root,
    /// CRC-32 of the texts of all configuration files.
    pub checksum: u32,
    /// Files of the configuration; the first includes the others.
    pub files: Vec<ConfigFile>,
    /// All metrics; a [`MetricId`] is an index into it.
    pub metrics: Arc<[MetricDef]>,
    /// Labels of every exported series.
    pub default_labels: Labels,
    /// Schedule of the collectors that have no other.
    pub schedule: Schedule,
    /// Enabled collectors.
    pub collectors: Vec<CollectorPlan>,
    /// Rules to evaluate; empty if alerting is disabled.
    pub rules: RuleSet,
    /// Groups of Prometheus rule files.
    pub rule_groups: Vec<RuleGroup>,
    /// Sender that notifications name.
    pub sender: Sender,
    /// Routes, groups and mute times.
    pub routing: Arc<Routing>,
    /// Bottlenecks to look for.
    pub bottlenecks: Vec<Bottleneck>,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
    /// Problems of rule files that were left out.
    pub left_out: Vec<Diagnostic>,
}

impl Plan {
    /// Returns how the metrics of `origin` are collected, if that is an enabled collector.
    #[must_use]
    pub fn collector(&self, origin: Origin) -> Option<&CollectorPlan> {
        self.collectors.iter().find(|plan| plan.origin == origin)
    }

    /// Returns the metrics that applications record; none if their collector is disabled.
    #[must_use]
    pub fn recorded(&self) -> &[(MetricId, RecordedMetric)] {
        let mut inputs = self.collectors.iter().map(|plan| &plan.input);
        let recorded = inputs.find_map(|input| match input {
            Input::Record(recorded) => Some(&**recorded),
            Input::Pull(_) => None,
        });
        recorded.unwrap_or_default()
    }

    /// Returns the settings of the StatsD listeners, if they are configured and their collector is enabled.
    #[must_use]
    pub fn statsd(&self) -> Option<&Statsd> {
        self.collector(Origin::APPLICATION)?;
        let built_in = &self.root.performance_monitor.built_in;
        built_in.application.application.statsd.as_ref()
    }

    /// Formats the numbers of configured metrics, which self-metrics are not, and of collectors in the list, if there are
    /// any: `3 metrics, 2 collectors`.
    #[must_use]
    pub fn collected(&self) -> String {
        let metrics = self.metrics.iter();
        let configured = metrics.filter(|metric| metric.origin != Origin::SELF_METRICS);
        let metrics = counted(configured.count(), "metric");
        match self.root.performance_monitor.collectors.len() {
            0 => metrics,
            count => format!("{metrics}, {}", counted(count, "collector")),
        }
    }
}

/// Builds the plan at a start: an invalid rule file is left out. Every other problem is an error.
///
/// # Errors
/// Errors of `load`, and every problem outside of rule files.
pub fn plan_at_start<E: From<Report>>(load: impl Fn() -> Result<Loaded, E>) -> Result<Plan, E> {
    let mut left_out: Vec<Diagnostic> = Vec::new();
    loop {
        let mut loaded = load()?;
        loaded.leave_out(&left_out);
        let files: BTreeSet<String> = loaded
            .rule_files
            .iter()
            .map(|file| file.path.display().to_string())
            .collect();
        let of_file = |one: &Diagnostic| {
            one.location
                .file
                .as_ref()
                .is_some_and(|file| files.contains(&**file))
        };
        match plan(loaded) {
            Ok(plan) => return Ok(Plan { left_out, ..plan }),
            Err(report) if report.problems.iter().all(of_file) => left_out.extend(report.problems),
            Err(report) => return Err(report.into()),
        }
    }
}

/// Builds the plan of a loaded configuration.
///
/// # Errors
/// Every problem of the configuration, including those of decoding.
pub fn plan(loaded: Loaded) -> Result<Plan, Report> {
    let Loaded {
        source,
        checksum,
        files,
        tree: _,
        named_files: _,
        root,
        mut problems,
        rule_files,
        silences,
        warnings,
        host,
    } = loaded;
    if let Some(root) = &root {
        exec::check(root, &files, &mut problems);
    }
    let plan = root.map(|root| {
        let checker = Checker::new(&root, &rule_files, &silences, warnings, &mut problems);
        let plan = Checker {
            host: host.as_deref(),
            ..checker
        }
        .plan();
        plan(root, checksum, files)
    });
    match plan {
        Some(plan) if problems.is_empty() => Ok(plan),
        _ => Err(Report {
            source,
            problems: problems.into_sorted(),
        }),
    }
}

/// Builds the plan part by part. Parts are built even if earlier ones had problems, so that all
/// problems are found; the result counts only if there were none.
struct Checker<'a> {
    root: &'a Root,
    rule_files: &'a [RuleFile],
    silences: &'a [SilenceSpec],
    problems: &'a mut Diagnostics,
    warnings: Vec<Diagnostic>,
    metrics: Vec<MetricDef>,
    /// Location of the first configuration of each name.
    declared: BTreeMap<String, SourceLocation>,
    /// Host name.
    host: Option<&'a str>,
    rule_groups: Vec<RuleGroup>,
}

impl<'a> Checker<'a> {
    fn new(
        root: &'a Root,
        rule_files: &'a [RuleFile],
        silences: &'a [SilenceSpec],
        warnings: Vec<Diagnostic>,
        problems: &'a mut Diagnostics,
    ) -> Self {
        let (metrics, declared) = (Vec::new(), BTreeMap::new());
        let (host, rule_groups) = (None, Vec::new());
        Self {
            root,
            rule_files,
            silences,
            problems,
            warnings,
            metrics,
            declared,
            host,
            rule_groups,
        }
    }

    /// Builds the plan without the settings, which may be large.
    fn plan(mut self) -> impl FnOnce(Root, u32, Vec<ConfigFile>) -> Plan + use<> {
        let monitor = &self.root.performance_monitor;
        if monitor.at.pos.line == 0 && !self.lacks_files() {
            self.problems
                .error(
                    &SourceLocation::default(),
                    "the configuration has no section performance_monitor",
                )
                .hint(
                    "begin with performance_monitor:, or let `bellwether init` write a first one",
                );
        }
        let interval = self.interval();
        let schedule = Schedule {
            interval,
            deadline: self.deadline(interval),
            settle: None,
        };
        monitor.prometheus.check(self.problems);
        self.state_directory();
        self.names();
        let collectors = self.collectors(schedule);
        self.metrics
            .extend(crate::self_metrics::definitions(interval));
        self.series_names();

        let metrics: Arc<[MetricDef]> = std::mem::take(&mut self.metrics).into();
        let rules = self.rules(&metrics);
        self.channels();
        self.unheard(&rules);
        let routing = self.routing();
        let sender = Sender {
            labels: self.sender_labels(),
            url: self.external_url(),
        };
        self.root.trend_analysis.storage.check(self.problems);
        self.root.alert_history.check(self.problems);
        self.root
            .trend_analysis
            .anomaly_detection
            .check(&metrics, self.problems);
        let declared = &self.root.trend_analysis.bottlenecks;
        let bottlenecks = bottleneck::resolve(declared, &metrics, self.problems);
        self.remote_write();
        self.dashboards();
        self.reports();
        let default_labels = monitor.prometheus.default_labels.value.clone();
        let (warnings, rule_groups) = (self.warnings, self.rule_groups);
        move |root, checksum, files| Plan {
            root,
            checksum,
            files,
            metrics,
            default_labels,
            schedule,
            collectors,
            rules,
            rule_groups,
            sender,
            routing: Arc::new(routing),
            bottlenecks,
            warnings,
            left_out: Vec::new(),
        }
    }

    /// Returns whether a file of the configuration could not be read: then what is missing may be in it.
    fn lacks_files(&self) -> bool {
        self.problems.any(|at| {
            let is_included = at.pos.file > 1;
            at.path.starts_with("include") || (is_included && at.path.is_empty())
        })
    }

    fn state_directory(&mut self) {
        let folder = self.root.performance_monitor.state_directory.as_ref();
        let relative = folder.filter(|folder| folder.is_relative());
        self.warnings.extend(relative.map(|folder| Diagnostic {
            location: folder.at.clone(),
            message: format!(
                "the path {} starts at the directory in which the agent is started",
                folder.value.display()
            ),
            help: Some("begin it with /, so that each start has the same state".into()),
        }));
    }

    fn interval(&mut self) -> Duration {
        let interval = &self.root.performance_monitor.collection_interval;
        check_interval(interval, self.problems);
        interval.0
    }

    fn deadline(&mut self, interval: Duration) -> Duration {
        match &self.root.performance_monitor.collection_timeout {
            None => interval.min(DEFAULT_TIMEOUT),
            Some(timeout) => {
                check_timeout(timeout, interval, "collection_interval", self.problems);
                timeout.0
            }
        }
    }

    /// Returns the plans of the enabled collectors, and adds their metrics. The others are checked only.
    fn collectors(&mut self, schedule: Schedule) -> Vec<CollectorPlan> {
        self.check_repeated_collectors();
        let all = self.root.performance_monitor.built_in.all();
        let mut plans: Vec<CollectorPlan> = all
            .filter_map(|settings| self.collector(settings, schedule))
            .collect();
        let monitor = &self.root.performance_monitor;
        plans.extend(bellwether_collectors::resolve(
            &monitor.collectors,
            schedule,
            &monitor.built_in.system.system,
            self.problems,
            &mut self.warnings,
        ));
        plans
    }

    fn collector(
        &mut self,
        settings: CollectorSettings<'_>,
        schedule: Schedule,
    ) -> Option<CollectorPlan> {
        let (enabled, listed_at) = self.enabled(settings.name());
        let (mut unused_metrics, mut unused_warnings) = (Vec::new(), Vec::new());
        let (metrics, warnings) = match enabled {
            true => (&mut self.metrics, &mut self.warnings),
            false => (&mut unused_metrics, &mut unused_warnings),
        };
        let plan = settings.kind().resolve(&mut ResolveContext {
            defaults: MetricDefaults {
                origin: settings.name().origin(),
                prefix: &self.root.performance_monitor.prometheus.metric_prefix,
                interval: schedule.interval,
            },
            schedule,
            host: &self.root.performance_monitor.built_in.system.system,
            enabled,
            listed_at,
            problems: self.problems,
            warnings,
            metrics,
        });
        plan.filter(|_| enabled)
    }

    /// Returns whether the collector is enabled, and its location in `enabled_collectors`.
    fn enabled(&self, name: CollectorName) -> (bool, Option<&'a SourceLocation>) {
        let Some(listed) = &self.root.performance_monitor.enabled_collectors else {
            return (true, None);
        };
        let place = listed.iter().find(|listed| listed.value == name);
        (place.is_some(), place.map(|place| &place.at))
    }

    fn check_repeated_collectors(&mut self) {
        let listed = self.root.performance_monitor.enabled_collectors.iter();
        let names: Vec<_> = listed.flatten().collect();
        for (index, name) in names.iter().enumerate() {
            if names[..index].contains(name) {
                let message = format!("collector {:?} twice", name.as_str());
                self.problems.error(&name.at, message).hint("leave one out");
            }
        }
    }

    /// Checks the name of each configured metric, which must be unique over all sections.
    fn names(&mut self) {
        let collectors = &self.root.performance_monitor.built_in;
        let kinds = collectors.all().map(CollectorSettings::kind);
        for metric in kinds.flat_map(|kind| kind.configured()) {
            let name = metric.name;
            check_metric_name(name, self.problems);
            if name.starts_with("bellwether_") || name.starts_with("process_") {
                let message = format!("{:?} is reserved for self-metrics", name.value);
                self.problems
                    .error(&name.at, message)
                    .hint("take a name that begins otherwise");
            }
            match self.declared.get(&name.value) {
                Some(first) => {
                    let message = format!("metric {:?} is configured twice", name.value);
                    let hint = format!("the first is on {}", first.words());
                    self.problems.error(&name.at, message).hint(hint);
                }
                None => {
                    self.declared.insert(name.value.clone(), name.at.clone());
                }
            }
        }
    }

    /// Checks the names of series: a histogram `x` also writes `x_bucket`, `x_sum` and `x_count`,
    /// which no other metric may. A counter is `x` and `x_total` in OpenMetrics, and `x_created` is
    /// reserved there for types that count: parsers reject the whole exposition for a clash.
    fn series_names(&mut self) {
        let mut taken: BTreeMap<String, &MetricDef> = BTreeMap::new();
        for def in &self.metrics {
            let mut clash = None;
            for series in def.taken_names() {
                if let Some(other) = taken.insert(series.clone(), def)
                    && other.name != def.name
                {
                    clash.get_or_insert((series, other));
                }
            }
            let Some((series, other)) = clash else {
                continue;
            };
            let declared = [def, other]
                .into_iter()
                .find_map(|def| self.declared.get(&*def.name));
            if let Some(at) = declared {
                let message = format!(
                    "metrics {:?} and {:?} clash: both export the series {series}",
                    other.name, def.name
                );
                let hint = format!(
                    "rename one of them, {:?} for example to \"{}_value\"",
                    def.name, def.name
                );
                self.problems.error(at, message).hint(hint);
            }
        }
    }

    /// Returns a metric of the rule that is configured but not collected: it or its collector is
    /// disabled, which must not make the rule an error.
    fn not_collected(&self, rule: &RuleSettings, metrics: &[MetricDef]) -> Option<String> {
        let metric = rule
            .metric
            .as_ref()
            .map_or("", |metric| metric.value.as_str());
        let expr = rule.expr.as_ref().map_or("", |expr| &expr.value);
        let words = expr.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
        let collectors = &self.root.performance_monitor.built_in;
        let implied = |name: &str| {
            let mut kinds = collectors.all().map(CollectorSettings::kind);
            kinds.any(|kind| kind.implied().contains(&name))
        };
        let declared = |name: &str| self.declared.contains_key(name) || implied(name);
        words
            .chain([metric])
            .find(|word| declared(word) && !metrics.iter().any(|def| *def.name == **word))
            .map(str::to_owned)
    }

    fn remote_write(&mut self) {
        let destinations = &self.root.remote_write;
        bellwether_remote_write::check(destinations, self.problems);
        let history = &self.root.trend_analysis;
        let in_files = history.enabled && history.storage.backend == Backend::File;
        if let (Some(first), false) = (destinations.first(), in_files) {
            self.problems
                .error(
                    &first.at,
                    "remote write without history on disk, whose log is its queue",
                )
                .hint("leave out `trend_analysis.enabled: false` and `backend: memory`");
        }
    }
}
