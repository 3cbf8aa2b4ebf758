//! Warnings about rules that load but will not do what they seem to.

use std::time::Duration;

use bellwether_schema::{Diagnostic, HumanDuration, SourceLocation, Spanned, format_duration};

use super::Compiler;
use crate::eval::schedule::Schedule;
use crate::rule::Source;

impl Compiler<'_> {
    /// Warns about a rule with this source and schedule.
    pub(super) fn lint(&mut self, source: &Source, schedule: &Schedule) {
        let rule = self.rule;
        let often = schedule.interval.max(schedule.min_interval);
        self.short("duration", &rule.duration, often);
        self.short("keep_firing_for", &rule.keep_firing_for, often);
        self.short_windows(source);
        self.changing_labels();
    }

    /// Warns about a time that is over before the next evaluation.
    fn short(&mut self, key: &str, time: &Spanned<HumanDuration>, often: Duration) {
        if time.value.is_zero() || time.value.0 >= often {
            return;
        }
        let often = format_duration(often);
        self.warn(
            &time.at,
            format!(
                "{key} {} is less than the {often} between two evaluations",
                time.value
            ),
            format!("it is over at the next evaluation: write {often} or more, or leave it out"),
        );
    }

    /// Warns about a window that may hold a single sample.
    fn short_windows(&mut self, source: &Source) {
        let (rule, Source::Series(formula)) = (self.rule, source) else {
            return;
        };
        let places = [
            rule.window.as_ref().map(|window| &window.at),
            rule.aggregation.as_ref().map(|aggregation| &aggregation.at),
            rule.expr.as_ref().map(|expr| &expr.at),
        ];
        let at = places.into_iter().flatten().next().unwrap_or(&rule.name.at);
        for input in &formula.inputs {
            let def = &self.metrics[input.metric.0 as usize];
            let Some(window) = input.reading.window().filter(|w| *w < def.interval * 2) else {
                continue;
            };
            let (window, interval) = (format_duration(window), format_duration(def.interval));
            let message = format!(
                "the window {window} may hold a single sample of {:?}, collected every {interval}",
                &*def.name
            );
            self.warn(
                at,
                message,
                format!("use {} or more", format_duration(def.interval * 2)),
            );
            return;
        }
    }

    /// Warns about labels that change with the value: labels identify an alert, so a change ends it
    /// and begins another.
    fn changing_labels(&mut self) {
        let rule = self.rule;
        for (name, value) in rule.added_labels() {
            // The import of a rule file has warned of its own.
            let imported = value.at.is_imported();
            if !imported
                && ["{{", "{%", "$value"]
                    .iter()
                    .any(|sign| value.contains(sign))
            {
                let message = format!(
                    "the label {name:?} is not a template: its value stays {:?}",
                    **value
                );
                self.warn(
                    &value.at,
                    message,
                    "put values that change into `message` or `annotations`",
                );
            }
        }
        let Some(query) = &rule.promql else { return };
        let mut words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if words.any(|word| word == "count_values") {
            self.warn(
                &query.at,
                "count_values turns the value into a label, and each value into another alert",
                "count what matters: count(x == 1)",
            );
        }
    }

    fn warn(&mut self, at: &SourceLocation, message: impl Into<String>, hint: impl Into<String>) {
        let (message, hint) = (message.into(), Some(hint.into()));
        self.warnings.push(Diagnostic {
            location: at.clone(),
            message,
            help: hint,
        });
    }
}
