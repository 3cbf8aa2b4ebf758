//! Export of rules as a rule file of Prometheus.
//!
//! Owns the form of a rule in that file. Settings without a counterpart are listed with the
//! location of the rule.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use bellwether_core::{Kind, METRIC_NAME, MetricDef};
use bellwether_rules::{NoDataPolicy, Recording, Rule, RuleSet, RuleSettings, TextTemplate};
use bellwether_schema::{Diagnostic, SourceLocation, Spanned, format_duration};
use serde::Serialize;

use super::to_go::{KnownValues, literal, to_go};

/// Rule file, with the settings that it does not have.
#[derive(Debug, Default)]
pub struct Exported {
    pub text: String,
    /// Settings that are missing or different in the file.
    pub unsupported: Vec<Diagnostic>,
}

/// Rule of the file.
#[derive(Serialize)]
struct RuleYaml {
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    expr: String,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    duration: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keep_firing_for: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

/// Rules with the same interval.
#[derive(Default)]
struct Group {
    rules: Vec<(Vec<String>, Option<RuleYaml>)>,
}

const HEADER: &str = "\
# For a Prometheus that scrapes this process. What differs for all of them:
# - Missing data resolves an alert there; here an alert stays as it is unless `on_no_data` says otherwise.
# - rate and increase are extrapolated there to the ends of their window.
";

/// Exports the rules of `set`, which were compiled with `metrics`; `source` names their
/// configuration.
#[must_use]
pub fn export(set: &RuleSet, metrics: &[MetricDef], source: &str) -> Exported {
    let mut exporter = Exporter {
        metrics,
        source,
        groups: BTreeMap::new(),
        unsupported: Vec::new(),
    };
    for recording in &set.recordings {
        exporter.recording(recording);
    }
    for (rule, settings) in set.with_settings() {
        exporter.rule(rule, settings);
    }
    exporter.finish()
}

struct Exporter<'a> {
    metrics: &'a [MetricDef],
    source: &'a str,
    /// Groups by the interval of their rules; zero if they have none.
    groups: BTreeMap<Duration, Group>,
    unsupported: Vec<Diagnostic>,
}

impl Exporter<'_> {
    fn recording(&mut self, recording: &Recording) {
        let settings = &recording.settings;
        let mut notes = Notes {
            at: settings.record.at.clone(),
            diagnostics: Vec::new(),
        };
        if !recording.enabled {
            notes.add("it is switched off", None);
            return self.put(
                settings.interval.as_ref().map(|i| *i.value),
                notes,
                Vec::new(),
            );
        }
        self.counters(&recording.query, &mut notes);
        let labels = settings.labels.iter();
        let written = RuleYaml {
            alert: None,
            record: Some(settings.record.value.clone()),
            expr: settings.promql.value.trim().to_owned(),
            duration: None,
            keep_firing_for: None,
            labels: labels
                .map(|(name, value)| (name.clone(), label(value)))
                .collect(),
            annotations: BTreeMap::new(),
        };
        self.put(
            settings.interval.as_ref().map(|i| *i.value),
            notes,
            vec![written],
        );
    }

    fn rule(&mut self, rule: &Rule, settings: &RuleSettings) {
        let mut notes = Notes {
            at: settings.location(),
            diagnostics: Vec::new(),
        };
        let interval = settings.interval.as_ref().map(|interval| *interval.value);
        let mut written = Vec::new();
        if rule.enabled {
            for level in 0..rule.comparison.levels.len() {
                match rule.promql(level, self.metrics) {
                    Ok(expr) => written.push(self.alert((rule, settings), level, expr, &mut notes)),
                    Err(why) => {
                        notes.add(format!("left out of the file: {why}"), None);
                        break;
                    }
                }
            }
            if !written.is_empty() {
                note_unsupported(rule, settings, &mut notes);
                if let Some(question) = rule.history_query() {
                    self.counters(&question.query, &mut notes);
                }
            }
        } else {
            notes.add("it is switched off", None);
        }
        self.put(interval, notes, written);
    }

    fn alert(
        &self,
        (rule, settings): (&Rule, &RuleSettings),
        level: usize,
        expr: String,
        notes: &mut Notes,
    ) -> RuleYaml {
        let severity = rule.severity(level).as_str();
        let added = settings.added_labels();
        let alertname = added
            .get("alertname")
            .map_or(&*rule.name, |name| name.value.as_str());
        let values = KnownValues {
            threshold: rule.threshold(level),
            rule: &rule.name,
            alertname,
            severity,
            metric: &rule.subject,
        };
        let mut labels: BTreeMap<String, String> = added
            .iter()
            .map(|(name, value)| ((*name).to_owned(), label(value)))
            .collect();
        labels.remove("alertname");
        labels
            .entry("severity".into())
            .or_insert_with(|| severity.to_owned());
        labels.retain(|name, value| name != "severity" || !value.is_empty());
        let annotations = texts(settings)
            .into_iter()
            .map(|(name, text)| (name.to_owned(), annotation(name, text, &values, notes)))
            .collect();
        RuleYaml {
            alert: Some(alertname.to_owned()),
            record: None,
            expr,
            duration: format_nonzero(rule.policy.duration),
            keep_firing_for: format_nonzero(rule.policy.keep_firing_for),
            labels,
            annotations,
        }
    }

    /// Notes counters that have another name in a scrape than in history.
    fn counters(&self, query: &bellwether_promql::Query, notes: &mut Notes) {
        let names: BTreeSet<String> = query
            .selectors()
            .iter()
            .flat_map(|selector| selector.matchers.iter())
            .filter(|matcher| &*matcher.name == METRIC_NAME)
            .filter_map(|matcher| matcher.test.exact().map(str::to_owned))
            .collect();
        for def in self.metrics.iter().filter(|def| def.kind == Kind::Counter) {
            if names.contains(&*def.exported) && !def.exported.ends_with("_total") {
                notes.add(
                    format!("a scrape in OpenMetrics has {0} as {0}_total", def.exported),
                    Some("declare the counter under that name"),
                );
            }
        }
    }

    fn put(&mut self, interval: Option<Duration>, notes: Notes, written: Vec<RuleYaml>) {
        let comments: Vec<String> = notes
            .diagnostics
            .iter()
            .map(|problem| {
                let text = problem.render(&self.source);
                text.lines().next().unwrap_or_default().to_owned()
            })
            .collect();
        let group = self.groups.entry(interval.unwrap_or_default()).or_default();
        let mut written = written.into_iter();
        group.rules.push((comments, written.next()));
        group
            .rules
            .extend(written.map(|rule| (Vec::new(), Some(rule))));
        self.unsupported.extend(notes.diagnostics);
    }

    fn finish(self) -> Exported {
        let mut text = String::from(HEADER);
        text.push_str("groups:\n");
        for (interval, group) in &self.groups {
            group.write(*interval, &mut text);
        }
        if self.groups.is_empty() {
            text = text.replace("groups:\n", "groups: []\n");
        }
        Exported {
            text,
            unsupported: self.unsupported,
        }
    }
}

/// Returns the texts of a rule by the names of their annotations.
fn texts(settings: &RuleSettings) -> BTreeMap<&str, &TextTemplate> {
    let mut texts: BTreeMap<&str, &TextTemplate> = settings
        .annotations
        .iter()
        .map(|(name, text)| (name.as_str(), &text.value))
        .collect();
    // The message of an imported rule is one of its annotations.
    let message = settings.message.as_ref();
    if let Some(message) = message.filter(|message| message.value.written.is_none()) {
        texts.entry("summary").or_insert(&message.value);
    }
    texts
}

/// Returns a text in Go's language: as it was imported, or translated.
fn annotation(
    name: &str,
    text: &TextTemplate,
    values: &KnownValues<'_>,
    notes: &mut Notes,
) -> String {
    if let Some(written) = &text.written {
        return written.clone();
    }
    to_go(&text.template, values).unwrap_or_else(|| {
        let hint = "only {{ value }}, {{ labels.x }} and pipes through functions can";
        notes.add(
            format!("its text {name:?} cannot be translated and stays as it is"),
            Some(hint),
        );
        literal(&text.template)
    })
}

impl Group {
    fn write(&self, interval: Duration, out: &mut String) {
        match format_nonzero(interval) {
            None => out.push_str("  - name: bellwether\n    rules:\n"),
            Some(every) => {
                let head =
                    format!("  - name: bellwether-{every}\n    interval: {every}\n    rules:\n");
                out.push_str(&head);
            }
        }
        if self.rules.iter().all(|(_, rule)| rule.is_none()) {
            out.truncate(out.trim_end().len());
            out.push_str(" []\n");
        }
        for (notes, rule) in &self.rules {
            for note in notes {
                writeln!(out, "      # {note}").unwrap_or_default();
            }
            let Some(yaml) = rule
                .as_ref()
                .and_then(|rule| serde_yaml::to_string(rule).ok())
            else {
                continue;
            };
            for (index, line) in yaml.lines().enumerate() {
                let begin = if index == 0 { "      - " } else { "        " };
                writeln!(out, "{begin}{line}").unwrap_or_default();
            }
        }
    }
}

/// Settings of one rule without a counterpart.
struct Notes {
    at: SourceLocation,
    diagnostics: Vec<Diagnostic>,
}

impl Notes {
    fn add(&mut self, message: impl Into<String>, hint: Option<&str>) {
        let problem = Diagnostic {
            location: self.at.clone(),
            message: message.into(),
            help: hint.map(str::to_owned),
        };
        if !self.diagnostics.contains(&problem) {
            self.diagnostics.push(problem);
        }
    }

    fn add_at<T>(&mut self, place: &Spanned<T>, message: &str, hint: Option<&str>) {
        let at = std::mem::replace(&mut self.at, place.at.clone());
        self.add(message, hint);
        self.at = at;
    }
}

/// Returns a label; that of an imported rule is a template already.
fn label(value: &Spanned<String>) -> String {
    if value.at.is_imported() {
        value.value.clone()
    } else {
        literal(&value.value)
    }
}

/// Notes settings of a rule that Prometheus does not have.
fn note_unsupported(rule: &Rule, settings: &RuleSettings, notes: &mut Notes) {
    if let Some(resolve) = &settings.resolve_threshold {
        let hint = "keep_firing_for keeps an alert firing that resolves too often";
        notes.add_at(
            resolve,
            "`resolve_threshold` is ignored: it resolves below its threshold",
            Some(hint),
        );
    }
    if settings.consecutive.value > 1 {
        notes.add_at(
            &settings.consecutive,
            "`consecutive` is ignored",
            Some("`duration` is"),
        );
    }
    if rule.comparison.levels.len() > 1 {
        notes.add(
            "its levels are alerts of their own, which fire side by side",
            None,
        );
    }
    if settings.limit.is_some_and(|limit| limit > 0) {
        notes.add(
            "`limit` is ignored: there a group beyond it has no alert at all",
            None,
        );
    }
    for (key, otherwise) in [
        ("on_no_data", settings.on_no_data),
        ("on_error", settings.on_error),
    ] {
        if otherwise == NoDataPolicy::Alert {
            notes.add(
                format!("`{key}: alert` is ignored"),
                Some("absent(...) in a rule of its own"),
            );
        }
    }
}

/// Formats a duration for Prometheus; `None` if it is zero.
fn format_nonzero(span: Duration) -> Option<String> {
    (!span.is_zero()).then(|| format_duration(span))
}
