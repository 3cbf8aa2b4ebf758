//! What is odd about a rule and no error: it loads, but will not do as it reads.

use std::time::Duration;

use bellwether_schema::{Diagnostic, HumanDuration, SourceLocation, Spanned, format_duration};

use super::super::pace::Schedule;
use super::super::rule::Source;
use super::Compiler;

impl Compiler<'_> {
    /// Notes what is odd about a rule of this source and pace.
    pub(super) fn lint(&mut self, source: &Source, pace: &Schedule) {
        let rule = self.rule;
        let often = pace.interval.max(pace.least);
        self.short("duration", &rule.duration, often);
        self.short("keep_firing_for", &rule.keep_firing_for, often);
        self.short_windows(source);
        self.changing_labels();
    }

    /// A time that is over before the rule is judged again.
    fn short(&mut self, key: &str, time: &Spanned<HumanDuration>, often: Duration) {
        if time.value.is_zero() || time.value.0 >= often {
            return;
        }
        let often = format_duration(often);
        self.warn(
            &time.at,
            format!(
                "{key} {} is less than the {often} between two judgements",
                time.value
            ),
            format!("it is over at the next one: write {often} or more, or leave it out"),
        );
    }

    /// A window that may hold a single sample.
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
                format!("take {} or more", format_duration(def.interval * 2)),
            );
            return;
        }
    }

    /// Labels are what an alert is known by: one that changes with the value would end it and
    /// begin another.
    fn changing_labels(&mut self) {
        let rule = self.rule;
        for (name, value) in rule.added_labels() {
            if ["{{", "{%", "$value"]
                .iter()
                .any(|sign| value.contains(sign))
            {
                let message = format!("the label {name:?} is no template: it stays {:?}", **value);
                self.warn(
                    &value.at,
                    message,
                    "what changes belongs into message or annotations",
                );
            }
        }
        let Some(query) = &rule.promql else { return };
        let mut words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        if words.any(|word| word == "count_values") {
            self.warn(
                &query.at,
                "count_values makes a label of the value, and another alert of each value",
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
