//! Rules of the configuration and of rule files, and which of them are evaluated.

use std::borrow::Cow;
use std::time::Duration;

use bellwether_core::MetricDef;
use bellwether_rules::{RuleSet, RuleSettings};
use bellwether_schema::{Diagnostic, SourceLocation};

use super::Checker;

/// Group of a Prometheus rule file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleGroup {
    pub name: String,
    pub file: String,
    /// Interval of the group, if set.
    pub interval: Option<Duration>,
    /// Maximum number of alerts per rule; zero for no limit.
    pub limit: u32,
    /// Names of the alerting rules.
    pub rules: Vec<String>,
    /// Locations of the recording rules: several may record one series.
    pub recordings: Vec<SourceLocation>,
}

impl<'a> Checker<'a> {
    /// Compiles the rules; there are none if alerting is disabled.
    pub(super) fn rules(&mut self, metrics: &[MetricDef]) -> RuleSet {
        // A metric that could not be read is missing, and a rule that uses it is not to blame.
        let collectors = &self.root.performance_monitor.built_in;
        let broken =
            |at: &SourceLocation| collectors.all().any(|kind| kind.loses_metrics(&at.path));
        if self.lacks_files() || self.problems.any(broken) {
            return RuleSet::default();
        }
        let root = self.root;
        let alerting = &root.performance_monitor.alerting;
        let mut evaluated = self.collected_rules(metrics);
        let mut imported = self.import_rules();
        if !imported.rules.is_empty() {
            evaluated.to_mut().append(&mut imported.rules);
        }
        let mut recordings = alerting.recording_rules.clone();
        recordings.append(&mut imported.recordings);
        let input = bellwether_rules::CompileInput {
            rules: &evaluated,
            recordings: &recordings,
            metrics,
            other_series: !root.performance_monitor.collectors.is_empty(),
            interval: root.performance_monitor.collection_interval.0,
            anomaly: &root.trend_analysis.anomaly_detection,
            history: root.trend_analysis.enabled,
            limit: alerting.rule_limit,
        };
        let mut rules = bellwether_rules::compile(&input, self.problems);
        rules.templates.set_external(self.external());
        self.warnings.append(&mut rules.warnings);
        match alerting.enabled {
            true => rules,
            false => RuleSet::default(),
        }
    }

    /// Returns the alerting rules of the configuration whose metrics are collected, and warns of the
    /// others.
    fn collected_rules(&mut self, metrics: &[MetricDef]) -> Cow<'a, [RuleSettings]> {
        let all = &self.root.performance_monitor.alerting.rules;
        let missing: Vec<_> = all
            .iter()
            .map(|rule| self.not_collected(rule, metrics))
            .collect();
        for (rule, missing) in all.iter().zip(&missing) {
            let Some(missing) = missing else { continue };
            self.warnings.push(Diagnostic {
                location: rule.location(),
                message: format!("rule {:?} is not evaluated", rule.name.value),
                help: Some(format!(
                    "its metric {missing} is configured but not collected"
                )),
            });
        }
        // Ten thousand rules are copied only if some are left out.
        if missing.iter().all(Option::is_none) {
            return Cow::Borrowed(all);
        }
        let collected = all.iter().zip(&missing);
        collected
            .filter(|(_, missing)| missing.is_none())
            .map(|(rule, _)| rule.clone())
            .collect()
    }

    /// Imports the rule files, and records their groups.
    fn import_rules(&mut self) -> bellwether_compat::Imported {
        let rules = &self.root.performance_monitor.alerting.rules;
        let names = rules.iter().map(|rule| rule.name.value.as_str());
        let mut imported = bellwether_compat::import(self.rule_files, names, self.problems);
        self.warnings.append(&mut imported.warnings);
        self.rule_groups = imported
            .groups
            .iter()
            .map(|group| rule_group(&imported, group))
            .collect();
        imported
    }

    /// Returns labels and URL for the templates of rules.
    fn external(&self) -> bellwether_rules::External {
        let monitor = &self.root.performance_monitor;
        let url = monitor.alerting.external_url.as_ref();
        bellwether_rules::External {
            labels: monitor.prometheus.default_labels.value.clone(),
            url: url.map(|url| url.value.clone()).unwrap_or_default(),
        }
    }
}

fn rule_group(
    imported: &bellwether_compat::Imported,
    group: &bellwether_compat::GroupRange,
) -> RuleGroup {
    let rules = imported.rules.get(group.rules.clone()).unwrap_or_default();
    let recordings = imported
        .recordings
        .get(group.recordings.clone())
        .unwrap_or_default();
    RuleGroup {
        name: group.name.clone(),
        file: group.file.clone(),
        interval: group.interval,
        limit: group.limit,
        rules: rules.iter().map(|rule| rule.name.value.clone()).collect(),
        recordings: recordings
            .iter()
            .map(|rule| rule.record.at.clone())
            .collect(),
    }
}
