//! Import of Prometheus rule files, for evaluation by the same engine.
//!
//! Owns the meaning of each key. An alert is never lost because of its texts: one that cannot be
//! translated stays as it is written, with a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::Severity;
use bellwether_rules::{RecordingSettings, RuleSettings, Templates, TextTemplate};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, Literal, SourceLocation, Spanned, blank,
    parse_first,
};

use super::go::{self, Dialect, Untranslatable};
use super::rule_file::{File, Group, OptionalText, PromDuration, Rule};
use super::severity::severity_of;

/// Rule file.
#[derive(Clone, Debug)]
pub struct RuleFile {
    pub path: PathBuf,
    pub text: String,
}

/// Rules of all files.
#[derive(Debug, Default)]
pub struct Imported {
    /// Alerting rules.
    pub rules: Vec<RuleSettings>,
    /// Recording rules.
    pub recordings: Vec<RecordingSettings>,
    /// Groups, in order.
    pub groups: Vec<GroupRange>,
    /// Settings that were changed or ignored.
    pub warnings: Vec<Diagnostic>,
}

/// Group with the indexes of its rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupRange {
    pub name: String,
    pub file: String,
    /// Evaluation interval, if the group has one.
    pub interval: Option<Duration>,
    /// Maximum number of alerts of each of its rules; 0 is unlimited.
    pub limit: u32,
    /// Indexes of its alerting rules.
    pub rules: Range<usize>,
    /// Indexes of its recording rules.
    pub recordings: Range<usize>,
}

/// Imports `files`; no rule gets a name in `names`. Errors go to `problems`.
pub fn import<'a>(
    files: &[RuleFile],
    names: impl Iterator<Item = &'a str>,
    problems: &mut Diagnostics,
) -> Imported {
    let mut importer = Importer {
        taken: names.map(str::to_owned).collect(),
        imported: Imported::default(),
        problems,
        templates: Templates::default(),
    };
    for file in files {
        if let Some(decoded) = importer.read(file) {
            importer.names(&decoded);
            let before = importer.imported.groups.len();
            decoded
                .groups
                .iter()
                .for_each(|group| importer.group(group));
            for group in &mut importer.imported.groups[before..] {
                group.file = file.path.display().to_string();
            }
        }
    }
    importer.imported
}

struct Importer<'a> {
    /// Names in use.
    taken: BTreeSet<String>,
    imported: Imported,
    problems: &'a mut Diagnostics,
    /// Checks the translated texts.
    templates: Templates,
}

impl Importer<'_> {
    /// Parses the file; of several documents only the first, as in Prometheus.
    fn read(&mut self, file: &RuleFile) -> Option<File> {
        let name: Arc<str> = file.path.display().to_string().into();
        let at = |pos| SourceLocation {
            pos,
            file: Some(Arc::clone(&name)),
            ..SourceLocation::default()
        };
        match parse_first(&file.text) {
            Ok((node, second)) => {
                if let Some(pos) = second {
                    let message = "a second YAML document: only the first is read";
                    self.warn(&at(pos), message, Some("one file for each".into()));
                }
                File::decode(
                    &node,
                    &mut DecodeContext::for_file(self.problems, Arc::clone(&name)),
                )
            }
            Err(error) => {
                self.problems.error(&at(error.at), error.message);
                None
            }
        }
    }

    /// Checks that groups have unique names.
    fn names(&mut self, file: &File) {
        let mut names = BTreeSet::new();
        for Spanned {
            value: OptionalText(name),
            at,
        } in file.groups.iter().map(|group| &group.name)
        {
            if name.is_empty() {
                self.problems.error(at, "a group needs a name");
            } else if !names.insert(name) {
                self.problems
                    .error(at, format!("the group {name:?} is there twice"));
            }
        }
    }

    fn group(&mut self, group: &Group) {
        let records = group.rules.iter().any(|rule| rule.record.is_some());
        if let Some(limit) = group
            .limit
            .as_ref()
            .filter(|limit| limit.value.0 > 0 && records)
        {
            let hint = "it counts for the alerts of the group; max_series limits all of history";
            self.warn(
                &limit.at,
                "`limit` is ignored for recording rules",
                Some(hint.into()),
            );
        }
        if let Some(offset) = group
            .query_offset
            .as_ref()
            .filter(|offset| !offset.value.0.is_zero())
        {
            let hint = "rules are evaluated after each collection, so they do not wait for samples";
            self.warn(&offset.at, "`query_offset` is ignored", Some(hint.into()));
        }
        let before = (self.imported.rules.len(), self.imported.recordings.len());
        for rule in &group.rules {
            match (&rule.alert, &rule.record) {
                (Some(alert), None) => self.alert(group, rule, alert),
                (None, Some(record)) => self.record(group, rule, record),
                (Some(_), Some(record)) => {
                    self.problems
                        .error(&record.at, "both `alert` and `record`")
                        .hint("keep one");
                }
                (None, None) => {
                    self.problems
                        .error(&rule.expr.at, "neither `alert` nor `record`");
                }
            }
        }
        self.imported.groups.push(GroupRange {
            name: group.name.value.0.clone(),
            file: String::new(),
            interval: interval(group).map(|interval| interval.value.0),
            limit: group
                .limit
                .as_ref()
                .map_or(0, |limit| u32::try_from(limit.value.0).unwrap_or(0)),
            rules: before.0..self.imported.rules.len(),
            recordings: before.1..self.imported.recordings.len(),
        });
    }

    fn warn(&mut self, at: &SourceLocation, message: impl Into<String>, hint: Option<String>) {
        let problem = Diagnostic {
            location: at.clone(),
            message: message.into(),
            help: hint,
        };
        self.imported.warnings.push(problem);
    }

    fn alert(&mut self, group: &Group, rule: &Rule, alert: &Spanned<Literal>) {
        let alertname = alert.value.to_string();
        let name = self.free_name(&group.name.value.0, &alertname);
        let Some(mut settings) = blank::<RuleSettings>(&[("name", "x")]) else {
            return;
        };
        let (labels, severity) = self.alert_labels(group, rule, alert, &name);
        settings.name = Spanned {
            value: name,
            at: alert.at.clone(),
        };
        settings.promql = Some(rule.expr.clone());
        settings.interval = interval(group);
        let limit = group
            .limit
            .as_ref()
            .and_then(|limit| u32::try_from(limit.value.0).ok());
        settings.limit = limit.filter(|limit| *limit > 0);
        settings.duration = rule
            .r#for
            .as_ref()
            .map_or(settings.duration, PromDuration::span);
        let keep = rule.keep_firing_for.as_ref().map(PromDuration::span);
        settings.keep_firing_for = keep.unwrap_or(settings.keep_firing_for);
        settings.severity = severity.map(|value| Spanned {
            value,
            at: alert.at.clone(),
        });
        settings.add_labels = labels;
        settings.annotations = self.annotations(rule);
        settings.message = ["summary", "description", "message"]
            .iter()
            .find_map(|name| settings.annotations.get(*name))
            .cloned();
        self.imported.rules.push(settings);
    }

    /// Returns the labels that the alert of a rule adds, and its severity. `name` is the name of the
    /// rule here.
    fn alert_labels(
        &mut self,
        group: &Group,
        rule: &Rule,
        alert: &Spanned<Literal>,
        name: &str,
    ) -> (BTreeMap<String, Spanned<String>>, Option<Severity>) {
        let mut labels = self.labels(group, rule);
        let word = labels.get("severity").filter(|word| !word.value.is_empty());
        let severity = word.map(|word| self.severity(word));
        if severity
            .as_ref()
            .is_some_and(|severity| labels["severity"].value == severity.as_str())
        {
            labels.remove("severity");
        }
        let spanned = |value| Spanned {
            value,
            at: alert.at.clone(),
        };
        // An alert without severity stays without one in routes (`""`) and is a warning to
        // channels, as in Prometheus.
        if !labels.contains_key("severity") && severity.is_none() {
            labels.insert("severity".into(), spanned(String::new()));
        }
        let alertname = alert.value.to_string();
        if name != alertname {
            labels.insert("alertname".into(), spanned(alertname));
        }
        (labels, severity)
    }

    /// Returns the name of the rule; if the alert name is in use, with the group and then a number.
    fn free_name(&mut self, group: &str, alertname: &str) -> String {
        let in_group = format!("{group}/{alertname}");
        let numbered = (2..).map(|number| format!("{in_group}#{number}"));
        let mut names = [alertname.to_owned(), in_group.clone()]
            .into_iter()
            .chain(numbered);
        let free = names
            .find(|name| !self.taken.contains(name))
            .unwrap_or(in_group);
        self.taken.insert(free.clone());
        free
    }

    fn severity(&mut self, word: &Spanned<String>) -> Severity {
        severity_of(&word.value).unwrap_or_else(|| {
            self.warn(
                &word.at,
                format!("unknown severity {:?} counts as warning", word.value),
                Some("the label stays; for channels: info, warning, critical, emergency".into()),
            );
            Severity::Warning
        })
    }

    /// Returns the labels of the group, overridden by those of the rule.
    fn labels(&mut self, group: &Group, rule: &Rule) -> BTreeMap<String, Spanned<String>> {
        let mut labels = BTreeMap::new();
        for (name, text) in group.labels.iter().chain(&rule.labels) {
            if text.value.0.contains("{{") {
                let hint = "make it with label_replace(...) in the expression";
                let message = format!(
                    "the label {name:?} is not a template: its value stays {:?}",
                    text.value.0
                );
                self.warn(&text.at, message, Some(hint.into()));
            }
            let value = Spanned {
                value: text.value.0.clone(),
                at: text.at.clone(),
            };
            labels.insert(name.clone(), value);
        }
        labels
    }

    fn annotations(&mut self, rule: &Rule) -> BTreeMap<String, Spanned<TextTemplate>> {
        let texts = rule.annotations.iter();
        texts
            .map(|(name, text)| (name.clone(), self.text(text)))
            .collect()
    }

    /// Translates a text; parts that cannot be translated stay as they are written.
    fn text(&mut self, text: &Spanned<OptionalText>) -> Spanned<TextTemplate> {
        let written = &text.value.0;
        let (mut template, mut foreign) = go::translate_in_part(written, Dialect::Rule);
        if let Some(error) = self.templates.find_error(&template) {
            template = go::literal(written);
            foreign = vec![Untranslatable {
                line: 0,
                what: error.message,
                hint: error.hint,
            }];
        }
        for one in foreign {
            let line = match one.line {
                0 => String::new(),
                line => format!(" (line {} of the text)", line + 1),
            };
            let message = format!("cannot be translated: {}{line}", one.what);
            let unchanged = "it is shown as written";
            let hint = one
                .hint
                .map_or_else(|| unchanged.into(), |hint| format!("{hint}; {unchanged}"));
            self.warn(&text.at, message, Some(hint));
        }
        let value = TextTemplate {
            template,
            written: Some(written.clone()),
        };
        Spanned {
            value,
            at: text.at.clone(),
        }
    }

    fn record(&mut self, group: &Group, rule: &Rule, record: &Spanned<Literal>) {
        for (key, duration) in [
            ("for", &rule.r#for),
            ("keep_firing_for", &rule.keep_firing_for),
        ] {
            if let Some(span) = duration.as_ref().filter(|span| !span.value.0.is_zero()) {
                self.problems
                    .error(&span.at, format!("`{key}` beside `record`"));
            }
        }
        if let Some(text) = rule.annotations.values().next() {
            let problem = self
                .problems
                .error(&text.at, "`annotations` beside `record`");
            problem.hint("a recording rule notifies nobody");
        }
        let Some(mut settings) = blank::<RecordingSettings>(&[("record", "x"), ("promql", "1")])
        else {
            return;
        };
        settings.record = Spanned {
            value: record.value.to_string(),
            at: record.at.clone(),
        };
        settings.promql = rule.expr.clone();
        settings.interval = interval(group);
        settings.labels = self.labels(group, rule);
        self.imported.recordings.push(settings);
    }
}

/// Returns the evaluation interval of a group.
fn interval(group: &Group) -> Option<Spanned<bellwether_schema::HumanDuration>> {
    group
        .interval
        .as_ref()
        .filter(|interval| !interval.value.0.is_zero())
        .map(PromDuration::span)
}

#[cfg(test)]
mod tests;
