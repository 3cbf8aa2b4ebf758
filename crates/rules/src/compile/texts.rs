//! Labels and texts that a rule adds to its alerts.

use std::sync::Arc;

use bellwether_core::can_be_set;
use bellwether_schema::Spanned;

use super::Compiler;
use crate::alert::alert_labels::{AlertLabels, RESERVED};
use crate::alert::template::{Scope, Templates, Text};
use crate::settings::{COMPONENT, TextTemplate};

impl Compiler<'_> {
    pub(super) fn added_labels(&mut self, labels: &[Arc<str>]) {
        let rule = self.rule;
        if let (Some(_), Some(twice)) = (&rule.component, rule.add_labels.get(COMPONENT)) {
            self.problems
                .error(&twice.at, "the rule has a key `component` too")
                .hint("keep one of them");
        }
        for (name, value) in rule.added_labels() {
            // Rule files of Prometheus may set `alertname` and `severity`.
            let foreign = value.at.is_imported();
            if RESERVED.contains(&name) && !foreign {
                self.problems
                    .error(
                        &value.at,
                        format!("the label {name:?} is set by Bellwether"),
                    )
                    .hint("`severity` is a key of the rule; `alertname` is its name");
            } else if labels.iter().any(|label| **label == *name) {
                self.problems.error(
                    &value.at,
                    format!("the series have the label {name:?} already"),
                );
            } else if !can_be_set(name) {
                self.problems
                    .error(&value.at, format!("not a label name: {name:?}"))
                    .hint("any text but an empty one and __name__");
            }
        }
    }

    pub(super) fn texts(
        &mut self,
        templates: &mut Templates,
        labels: &AlertLabels,
        can_query: bool,
        extra: &'static [&'static str],
    ) -> (Option<Text>, Vec<(String, Text)>) {
        let rule = self.rule;
        self.annotation_names();
        let added = rule.added_labels().into_keys().map(Arc::from);
        let any_label = *labels == AlertLabels::FromSeries;
        let labels: Vec<Arc<str>> = labels.fixed().iter().cloned().chain(added).collect();
        let scope = Scope {
            labels: &labels,
            any_label,
            can_query,
            extra,
        };
        let mut add = |text: &Spanned<TextTemplate>| {
            // Texts of rule files were checked when they were imported.
            if text.value.written.is_some() {
                return Some(templates.add_checked(&text.value));
            }
            match templates.add(&text.value, scope) {
                Ok(text) => Some(text),
                Err(error) => {
                    self.report(&text.at, error);
                    None
                }
            }
        };
        let message = rule.message.as_ref().and_then(&mut add);
        let annotations: Vec<_> = rule
            .annotations
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), add(text)?)))
            .collect();
        (message, annotations)
    }

    fn annotation_names(&mut self) {
        let annotations = self.rule.annotations.iter();
        for (name, text) in annotations.filter(|(name, _)| name.is_empty()) {
            self.problems
                .error(&text.at, format!("not an annotation name: {name:?}"))
                .hint("any text but an empty one");
        }
    }
}
