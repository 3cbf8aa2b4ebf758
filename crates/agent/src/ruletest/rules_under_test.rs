//! The rules under test: from configurations, lists of rules and Prometheus rule files.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bellwether_analysis::AnomalyDetection;
use bellwether_compat::RuleFile;
use bellwether_config::{self as config, EMBEDDED, Loaded, Plan, Report, Source};
use bellwether_core::{Alert, Labels, MetricDef};
use bellwether_notify::{ChannelSettings, Sender};
use bellwether_routing::Routing;
use bellwether_rules::{CompileInput, External, RecordingSettings, RuleSet, RuleSettings, compile};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, Environment, Key, Node, Value, YamlError, parse_first,
    section,
};
use parking_lot::Mutex;

use super::settings::{Items, Suite};

/// Intervals and external settings that rules were compiled for.
type Setting = (Duration, Duration, External);

/// Rules, and the metrics that they read.
pub struct RulesUnderTest {
    /// Metrics of the configuration.
    pub(super) metrics: Vec<MetricDef>,
    /// Labels of every exported series.
    pub(super) default_labels: Labels,
    rules: Vec<RuleSettings>,
    /// Alert names, and by rule name whether the rule sets a severity.
    names: OnceLock<(HashSet<String>, HashMap<String, bool>)>,
    /// Rules that were compiled last, and their settings.
    compiled: Mutex<Option<(Setting, Arc<RuleSet>)>>,
    recordings: Vec<RecordingSettings>,
    anomaly: AnomalyDetection,
    /// Maximum number of alerts of a rule without a limit of its own.
    limit: u32,
    /// Routes, groups and mute times.
    pub(super) routing: Arc<Routing>,
    pub(super) channels: Vec<ChannelSettings>,
    pub(super) sender: Sender,
    /// Warnings about the rules with their locations.
    pub warnings: Vec<String>,
}

/// Rules that are evaluated together.
#[derive(Default)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) rules: Vec<RuleSettings>,
    pub(super) recordings: Vec<RecordingSettings>,
}

section! {
    /// File that contains only rules.
    pub struct RuleList {
        /// Alerting rules.
        pub rules: Items<RuleSettings> = Items::default(),
        /// Recording rules.
        pub recording_rules: Items<RecordingSettings> = Items::default(),
    }
}

impl RulesUnderTest {
    /// Reads the rules of `suite`. `beside` loads the files that a configuration names.
    ///
    /// # Errors
    /// Every problem of every file.
    pub fn read(
        files: &[RuleFile],
        suite: &Suite,
        beside: &dyn Fn(&mut Loaded),
    ) -> Result<Self, Vec<Report>> {
        let environment = |name: &str| {
            suite
                .environment
                .get(name)
                .map(|value| value.0.clone().into())
        };
        let mut reports = Vec::new();
        let mut read = Vec::new();
        let mut plan = None;
        for file in files {
            let source = Source::File(file.path.clone());
            match form(file) {
                Ok(Form::Configuration) if plan.is_some() => {
                    let message = "a second configuration under test";
                    reports.push(Report::whole(
                        &source,
                        message,
                        Some("test it in another file"),
                    ));
                }
                Ok(Form::Configuration) => {
                    let mut loaded =
                        config::decode_with_included(&source, &file.text, &environment);
                    beside(&mut loaded);
                    match config::plan(loaded) {
                        Ok(declared) => plan = Some(declared),
                        Err(report) => reports.push(report),
                    }
                }
                Ok(form) => read.push((source, form)),
                Err(error) => {
                    let mut report = Report::whole(&source, error.message, None);
                    report.problems[0].location.pos = error.at;
                    reports.push(report);
                }
            }
        }
        if !reports.is_empty() {
            return Err(reports);
        }
        let has_configuration = plan.is_some();
        let plan = match plan {
            Some(plan) => plan,
            None => config::plan(config::decode(&Source::Embedded, EMBEDDED, &environment))
                .map_err(|report| vec![report])?,
        };
        let mut under_test = Self::without_rules(&plan);
        let mut groups = if has_configuration {
            vec![Group::from_plan(&plan)]
        } else {
            Vec::new()
        };
        for (source, form) in read {
            let mut problems = Diagnostics::default();
            let file_groups = form.groups(&mut problems, &environment, &mut under_test.warnings);
            if problems.is_empty() {
                under_test.check(&file_groups, &mut problems);
            }
            if problems.is_empty() {
                groups.extend(file_groups);
            } else {
                reports.push(Report {
                    source,
                    problems: problems.into_sorted(),
                });
            }
        }
        let order = &suite.group_eval_order;
        groups.sort_by_key(|group| {
            let place = order.iter().position(|name| *name.value.0 == *group.name);
            place.unwrap_or(usize::MAX)
        });
        for group in groups {
            under_test.rules.extend(group.rules);
            under_test.recordings.extend(group.recordings);
        }
        if reports.is_empty() {
            Ok(under_test)
        } else {
            Err(reports)
        }
    }

    /// Takes the rules of a configuration that is already read.
    #[must_use]
    pub fn of_plan(plan: &Plan) -> Self {
        let Group {
            rules, recordings, ..
        } = Group::from_plan(plan);
        Self {
            rules,
            recordings,
            ..Self::without_rules(plan)
        }
    }

    /// Creates an empty set of rules over the metrics of `plan`.
    fn without_rules(plan: &Plan) -> Self {
        Self {
            metrics: plan.metrics.to_vec(),
            default_labels: plan.default_labels.clone(),
            rules: Vec::new(),
            names: OnceLock::new(),
            compiled: Mutex::default(),
            recordings: Vec::new(),
            anomaly: plan.root.trend_analysis.anomaly_detection.clone(),
            limit: plan.root.performance_monitor.alerting.rule_limit,
            routing: Arc::clone(&plan.routing),
            channels: plan
                .root
                .performance_monitor
                .alerting
                .notifications
                .channels
                .clone(),
            sender: plan.sender.clone(),
            warnings: Vec::new(),
        }
    }

    /// Reports the problems of the rules of one file.
    fn check(&self, groups: &[Group], problems: &mut Diagnostics) {
        let rules: Vec<_> = groups
            .iter()
            .flat_map(|group| group.rules.clone())
            .collect();
        let recordings: Vec<_> = groups
            .iter()
            .flat_map(|group| group.recordings.clone())
            .collect();
        let declared = CompileInput {
            recordings: &recordings,
            anomaly: &self.anomaly,
            ..CompileInput::new(&rules, &self.metrics)
        };
        compile(&declared, problems);
    }

    /// Returns whether a rule creates alerts of this name.
    pub(super) fn has_alert(&self, name: &str) -> bool {
        self.names().0.contains(name)
    }

    fn names(&self) -> &(HashSet<String>, HashMap<String, bool>) {
        self.names.get_or_init(|| {
            let alerts = self.rules.iter().map(|rule| {
                let label = rule.add_labels.get("alertname");
                label.map_or(&rule.name.value, |label| &label.value).clone()
            });
            let rules = self.rules.iter().map(|rule| {
                let sets_severity = rule.severity.is_some() || rule.thresholds.is_some();
                (rule.name.value.clone(), sets_severity)
            });
            (alerts.collect(), rules.collect())
        })
    }

    /// Returns the labels that the rule of an alert sets: `severity` only if it does.
    pub(super) fn labels(&self, alert: &Alert) -> Labels {
        let mut labels = alert.all_labels();
        if !alert.labels.contains_key("severity") && self.names().1.get(&*alert.rule) != Some(&true)
        {
            labels.remove("severity");
        }
        labels
    }

    /// Returns the rules for a collection every `interval` and history queries every `evaluation`.
    /// Those of the previous test are reused if its settings are the same.
    pub(super) fn rules(
        &self,
        interval: Duration,
        evaluation: Duration,
        external: External,
    ) -> Result<Arc<RuleSet>, String> {
        let wanted = (interval, evaluation, external);
        let last = self.compiled.lock().clone();
        if let Some((_, rules)) = last.filter(|(settings, _)| *settings == wanted) {
            return Ok(rules);
        }
        let mut rules = self.compile(interval, evaluation)?;
        rules.templates.set_external(wanted.2.clone());
        let rules = Arc::new(rules);
        *self.compiled.lock() = Some((wanted, Arc::clone(&rules)));
        Ok(rules)
    }

    fn compile(&self, interval: Duration, evaluation: Duration) -> Result<RuleSet, String> {
        let metrics = self.metrics_every(interval.max(evaluation));
        let declared = CompileInput {
            rules: &self.rules,
            recordings: &self.recordings,
            metrics: &metrics,
            other_series: false,
            interval: evaluation,
            anomaly: &self.anomaly,
            history: true,
            limit: self.limit,
        };
        let mut problems = Diagnostics::default();
        let set = compile(&declared, &mut problems);
        match problems.into_sorted().into_iter().next() {
            None => Ok(set),
            Some(problem) => Err(problem.message),
        }
    }

    /// Returns the metrics with another collection interval.
    pub(super) fn metrics_every(&self, interval: Duration) -> Vec<MetricDef> {
        self.metrics
            .iter()
            .map(|def| MetricDef {
                interval,
                ..def.clone()
            })
            .collect()
    }
}

impl Group {
    fn from_plan(plan: &Plan) -> Self {
        let rules = plan.rules.settings.clone();
        let recordings = plan
            .rules
            .recordings
            .iter()
            .map(|recording| recording.settings.clone())
            .collect();
        Self {
            name: String::new(),
            rules,
            recordings,
        }
    }
}

/// Kind of a rule file.
enum Form {
    Configuration,
    Rules(Node),
    Prometheus(RuleFile),
}

impl Form {
    fn groups(
        self,
        problems: &mut Diagnostics,
        environment: Environment<'_>,
        warnings: &mut Vec<String>,
    ) -> Vec<Group> {
        let mut cx = DecodeContext::new(problems, environment);
        let list = match self {
            Self::Configuration => return Vec::new(),
            Self::Prometheus(file) => return prometheus_groups(&file, problems, warnings),
            Self::Rules(node) => match node.value {
                Value::List(_) => Items::decode(&node, &mut cx).map(|rules| RuleList {
                    rules,
                    ..RuleList::default()
                }),
                _ => RuleList::decode(&node, &mut cx),
            },
        };
        let RuleList {
            rules,
            recording_rules,
        } = list.unwrap_or_default();
        vec![Group {
            name: String::new(),
            rules: rules.0,
            recordings: recording_rules.0,
        }]
    }
}

/// Returns the groups of a Prometheus rule file. The test sets their interval, as in promtool.
fn prometheus_groups(
    file: &RuleFile,
    problems: &mut Diagnostics,
    warnings: &mut Vec<String>,
) -> Vec<Group> {
    let mut imported =
        bellwether_compat::import(std::slice::from_ref(file), [].into_iter(), problems);
    warnings.extend(
        imported
            .warnings
            .iter()
            .map(|warning| warning.render(&file.path.display())),
    );
    imported
        .rules
        .iter_mut()
        .for_each(|rule| rule.interval = None);
    imported
        .recordings
        .iter_mut()
        .for_each(|rule| rule.interval = None);
    let groups = imported.groups.into_iter().map(|extent| Group {
        name: extent.name,
        rules: imported.rules[extent.rules].to_vec(),
        recordings: imported.recordings[extent.recordings].to_vec(),
    });
    groups.collect()
}

fn form(file: &RuleFile) -> Result<Form, YamlError> {
    // Of several documents the first, as promtool does.
    let (mut node, _) = parse_first(&file.text)?;
    // What says nothing but its rules needs no metrics of its own.
    let monitor = only(&node, "performance_monitor").unwrap_or(&node);
    if let Some(alerting) = only(monitor, "alerting") {
        node = alerting.clone();
    }
    Ok(match () {
        () if has(&node, "groups") => Form::Prometheus(file.clone()),
        () if has(&node, "performance_monitor") || has(&node, "include") => Form::Configuration,
        () => Form::Rules(node),
    })
}

fn entries(node: &Node) -> &[(Key, Node)] {
    if let Value::Map(entries) = &node.value {
        entries
    } else {
        &[]
    }
}

/// Returns the value of `key` if it is the only key.
fn only<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match entries(node) {
        [(one, inner)] if one.text == key => Some(inner),
        _ => None,
    }
}

fn has(node: &Node, key: &str) -> bool {
    entries(node).iter().any(|(known, _)| known.text == key)
}
