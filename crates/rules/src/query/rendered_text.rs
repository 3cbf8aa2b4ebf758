//! Texts with queries over history, as annotations of Prometheus may have with `query`.
//!
//! They are rendered when their rule is evaluated, at its time and within its limits, and kept
//! until its next evaluation, so requests about alerts never wait for a query. A text that cannot
//! be rendered contains the error, and its alert is notified all the same.

use std::sync::Arc;

use bellwether_core::{LabelSet, Labels};
use bellwether_promql::{Options, parse_within};
use bellwether_template::{Answers, Samples};
use hashbrown::HashMap;
use minijinja::Value;

use crate::alert::template::{TemplateData, Templates, Text};
use crate::eval::condition::ConditionState;
use crate::query::history_query::{QueryContext, Row, RowState, instant};
use crate::rule::Rule;

/// Maximum number of different queries in the texts of one rule at one evaluation: labels may be
/// part of them.
const MAX_QUERIES: usize = 1_000;

/// Texts by the labels that identify alerts.
pub(crate) type RenderedTexts = HashMap<LabelSet, Box<RenderedText>>;

/// Rendered texts of one alert.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RenderedText {
    message: Option<String>,
    annotations: Labels,
}

impl RenderedText {
    /// Returns the message, or the annotation `name`.
    pub(crate) fn text(&self, name: Option<&str>) -> Option<&str> {
        match name {
            None => self.message.as_deref(),
            Some(name) => self.annotations.get(name).map(String::as_str),
        }
    }
}

/// Renders the texts of `rule` that query history, for each of `rows` that may have an alert.
pub(crate) fn render(
    rule: &Rule,
    templates: &Templates,
    rows: &[Row],
    context: &QueryContext<'_>,
) -> RenderedTexts {
    if !rule.has_query_texts() {
        return RenderedTexts::default();
    }
    let answers = Arc::default();
    let renderer = TextRenderer {
        rule,
        templates,
        context,
        answers,
    };
    let rows = rows.iter().filter(|row| may_alert(rule, row));
    rows.map(|row| (row.key.clone(), Box::new(renderer.render(row))))
        .collect()
}

/// Returns true if `row` may begin or continue an alert.
fn may_alert(rule: &Rule, row: &Row) -> bool {
    match row.state {
        RowState::Breached | RowState::KeepsFiring => true,
        RowState::Compare => rule.comparison.evaluate(row.value) != ConditionState::Ok,
        RowState::Ok | RowState::Unknown => false,
    }
}

/// Renderer of the texts of one rule at one evaluation.
struct TextRenderer<'a> {
    rule: &'a Rule,
    templates: &'a Templates,
    context: &'a QueryContext<'a>,
    answers: Arc<Answers>,
}

impl TextRenderer<'_> {
    fn render(&self, row: &Row) -> RenderedText {
        let labels = self.rule.alert_labels(&row.key);
        let series = self.rule.series_labels(&row.key, row.detail.as_ref());
        let facts = TemplateData {
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
        // A message is often the same as an annotation.
        let mut by_source: HashMap<Arc<str>, String> = HashMap::new();
        let mut text = |text: &Text| match text {
            Text::Query(source) => {
                let written = by_source.entry(Arc::clone(source));
                Some(written.or_insert_with(|| self.text(source, facts)).clone())
            }
            Text::Plain(_) | Text::Template(_) => None,
        };
        let annotations = self.rule.annotations.iter();
        RenderedText {
            annotations: annotations
                .filter_map(|(name, one)| Some((name.clone(), text(one)?)))
                .collect(),
            message: self.rule.message.as_ref().and_then(text),
        }
    }

    fn text(&self, source: &str, facts: TemplateData<'_>) -> String {
        let within_limits = self
            .context
            .guard
            .check()
            .map_err(|stopped| stopped.to_string());
        let written = within_limits.and_then(|()| {
            self.templates.render_query(
                source,
                facts,
                self.context.at,
                &self.answers,
                |query: &str| self.query(query),
            )
        });
        written.unwrap_or_else(|error| {
            tracing::warn!(rule = facts.rule, error, "cannot render a template");
            format!("<error expanding template: {error}>")
        })
    }

    /// Runs `query` at the time of the evaluation and within the limits of the rule.
    fn query(&self, query: &str) -> Result<Value, String> {
        if self.answers.len() >= MAX_QUERIES {
            return Err(format!(
                "more than {MAX_QUERIES} queries in the texts of one rule"
            ));
        }
        let QueryContext {
            storage, at, guard, ..
        } = *self.context;
        let parsed = parse_within(query, guard).map_err(|error| error.to_string())?;
        let samples = instant(&parsed, storage, at, Options::default().lookback, guard)?;
        Ok(Samples::value(
            samples
                .into_iter()
                .map(|(labels, value)| (to_labels(&labels), value)),
            "",
        ))
    }
}

fn to_labels(labels: &LabelSet) -> Labels {
    let labels = labels.iter();
    labels
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests;
