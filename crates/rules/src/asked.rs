//! Texts that ask history while they are written, as annotations of Prometheus may with `query`.
//!
//! They are written when their rule is evaluated, as of its time and within its limits, and kept
//! until its next evaluation; who looks at an alert waits for no query. One that cannot be written
//! says why, and its alert is told all the same.

use std::sync::Arc;

use bellwether_core::{LabelSet, Labels};
use bellwether_promql::{Options, parse_within};
use bellwether_template::{Answers, Samples};
use hashbrown::HashMap;
use minijinja::Value;

use super::condition::Verdict;
use super::question::{Asking, Finding, Row, instant};
use super::rule::Rule;
use super::template::{Facts, Templates, Text};

/// Most different queries in the texts of one rule at one evaluation: they may be made up of labels.
const MOST_QUERIES: usize = 1_000;

/// Texts of alerts, by what tells these apart.
pub(super) type AskedTexts = HashMap<LabelSet, Box<Asked>>;

/// The texts of one alert that asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    message: Option<String>,
    annotations: Labels,
}

impl Asked {
    /// The message, or the annotation `name`.
    pub(super) fn text(&self, name: Option<&str>) -> Option<&str> {
        match name {
            None => self.message.as_deref(),
            Some(name) => self.annotations.get(name).map(String::as_str),
        }
    }
}

/// Writes the texts of `rule` that ask, for each of `rows` that may have an alert.
pub(super) fn texts(
    rule: &Rule,
    templates: &Templates,
    rows: &[Row],
    asking: &Asking<'_>,
) -> AskedTexts {
    if !rule.has_asking_texts() {
        return AskedTexts::default();
    }
    let answers = Arc::default();
    let writing = Writing {
        rule,
        templates,
        asking,
        answers,
    };
    let rows = rows.iter().filter(|row| may_alert(rule, row));
    rows.map(|row| (row.key.clone(), Box::new(writing.asked(row))))
        .collect()
}

/// Whether an alert follows from `row`, or goes on.
fn may_alert(rule: &Rule, row: &Row) -> bool {
    match row.finding {
        Finding::Holds | Finding::HoldsOn => true,
        Finding::Value => rule.judge.verdict(row.value) != Verdict::Clear,
        Finding::Clear | Finding::Unknown => false,
    }
}

/// The texts of one rule at one evaluation.
struct Writing<'a> {
    rule: &'a Rule,
    templates: &'a Templates,
    asking: &'a Asking<'a>,
    answers: Arc<Answers>,
}

impl Writing<'_> {
    fn asked(&self, row: &Row) -> Asked {
        let labels = self.rule.alert_labels(&row.key);
        let series = self.rule.series_labels(&row.key, row.detail.as_ref());
        let facts = Facts {
            labels: &labels,
            series: &series,
            value: Some(row.value),
            fired_value: None,
            peak: None,
            threshold: None,
            rule: &self.rule.name,
            severity: "",
            state: "",
            metric: &self.rule.subject,
            detail: row.detail.as_ref(),
        };
        // A message is often one of the annotations.
        let mut known: HashMap<Arc<str>, String> = HashMap::new();
        let mut text = |text: &Text| match text {
            Text::Asking(source) => {
                let written = known.entry(Arc::clone(source));
                Some(written.or_insert_with(|| self.text(source, facts)).clone())
            }
            Text::Plain(_) | Text::Template(_) => None,
        };
        let annotations = self.rule.annotations.iter();
        Asked {
            annotations: annotations
                .filter_map(|(name, one)| Some((name.clone(), text(one)?)))
                .collect(),
            message: self.rule.message.as_ref().and_then(text),
        }
    }

    fn text(&self, source: &str, facts: Facts<'_>) -> String {
        let ended = self
            .asking
            .guard
            .check()
            .map_err(|stopped| stopped.to_string());
        let ask = |query: &str| self.answer(query);
        let written = ended.and_then(|()| {
            self.templates
                .ask(source, facts, self.asking.at, &self.answers, ask)
        });
        written.unwrap_or_else(|error| {
            tracing::warn!(rule = facts.rule, error, "cannot render a template");
            format!("<error expanding template: {error}>")
        })
    }

    /// What `query` answers at the time of the evaluation, on the account of the rule.
    fn answer(&self, query: &str) -> Result<Value, String> {
        if self.answers.len() >= MOST_QUERIES {
            return Err(format!(
                "more than {MOST_QUERIES} queries in the texts of one rule"
            ));
        }
        let Asking {
            memory, at, guard, ..
        } = *self.asking;
        let parsed = parse_within(query, guard).map_err(|error| error.to_string())?;
        let found = instant(&parsed, memory, at, Options::default().lookback, guard)?;
        let owned = |labels: LabelSet| -> Labels {
            labels
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect()
        };
        Ok(Samples::value(
            found
                .into_iter()
                .map(|(labels, value)| (owned(labels), value)),
            "",
        ))
    }
}

#[cfg(test)]
mod tests;
