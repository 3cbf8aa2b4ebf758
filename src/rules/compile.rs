//! Settings to rules: every mistake is told, with its place, before anything runs.
//!
//! Owns what makes sense together in one rule and over all of them. Reads no series.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::declare::{At, Problems, did_you_mean, format_duration};
use crate::model::{Labels, MetricDef, MetricId, is_label_name};

use super::aggregate::Aggregation;
use super::expr::{self, Formula, Number, Outcome};
use super::input::Input;
use super::levels;
use super::names::{Names, RESERVED};
use super::reading::{self, Reading, Refusal};
use super::rule::{Identity, Rule, RuleSet};
use super::settings::RuleSettings;
use super::step::Policy;
use super::template::{Templates, Text};

/// Longest window: samples live in memory.
const LONGEST_WINDOW: Duration = Duration::from_secs(86_400);
/// How many intervals two sightings of a condition may be apart and still vouch for the time
/// between: as many as a series lives without being refreshed.
pub(super) const TOLERANCE: u32 = 3;
/// And at least this long: a host too busy to collect every second must still be able to fire.
const LEAST_TOLERANCE: Duration = Duration::from_secs(60);

/// Checks `settings` against `metrics`, whose indexes are the [`MetricId`]s of the store. What is
/// wrong goes to `problems`; rules with a problem are left out of the result.
pub fn compile(
    settings: &[RuleSettings],
    metrics: &[MetricDef],
    problems: &mut Problems,
) -> RuleSet {
    let mut set = RuleSet::default();
    let mut names: HashMap<&str, &RuleSettings> = HashMap::new();
    for rule in settings {
        if rule.name.trim().is_empty() {
            problems.error(&rule.name.at, "a rule needs a name");
        } else if let Some(first) = names.insert(&rule.name.value, rule) {
            let line = first.name.at.pos.line;
            problems
                .error(&rule.name.at, format!("duplicate rule {:?}", rule.name.value))
                .hint(format!("the first is on line {line}"));
        }
        let compiled = Compiler { rule, metrics, problems }.rule(&mut set.templates);
        set.rules.extend(compiled);
    }
    set
}

struct Compiler<'a> {
    rule: &'a RuleSettings,
    metrics: &'a [MetricDef],
    problems: &'a mut Problems,
}

impl Compiler<'_> {
    fn rule(mut self, templates: &mut Templates) -> Option<Rule> {
        let rule = self.rule;
        let before = self.problems.len();
        let (mut formula, subject) = self.formula()?;
        self.matchers(&mut formula);
        let judge = levels::check(rule, &formula.outcome, self.problems);
        let labels = joined_labels(&formula.inputs);
        self.added_labels(&labels);
        let (message, annotations) = self.texts(templates, &labels);
        if rule.consecutive.value == 0 {
            self.problems.error(&rule.consecutive.at, "consecutive must be at least 1");
        }
        let judge = judge.filter(|_| self.problems.len() == before)?;
        let defs = formula.inputs.iter().map(|input| &self.metrics[input.metric.0 as usize]);
        let mut origins: Vec<_> = defs.clone().map(|def| def.origin).collect();
        origins.sort_unstable();
        origins.dedup();
        let interval = defs.map(|def| def.interval).max().unwrap_or_default();
        Some(Rule {
            name: rule.name.value.as_str().into(),
            enabled: rule.enabled,
            settings: rule.clone(),
            identity: identity(rule),
            subject,
            judge,
            policy: Policy {
                duration: *rule.duration,
                keep_firing_for: *rule.keep_firing_for,
                consecutive: rule.consecutive.value,
                tolerance: (interval * TOLERANCE).max(LEAST_TOLERANCE),
            },
            on_no_data: rule.on_no_data,
            on_error: rule.on_error,
            labels: Names::Fixed(labels.into()),
            message,
            annotations,
            origins,
            interval,
            formula,
        })
    }

    fn any_broken(&self, keys: &[&str]) -> bool {
        keys.iter().any(|key| self.rule.is_broken(key, self.problems))
    }

    /// What is judged, and its name for people.
    fn formula(&mut self) -> Option<(Formula, String)> {
        let rule = self.rule;
        let (formula, subject) = match (&rule.metric, &rule.expr) {
            (Some(metric), None) => self.of_metric(&metric.value, &metric.at)?,
            (None, Some(expr)) => self.of_expression(&expr.value, &expr.at)?,
            (Some(_), Some(expr)) => {
                self.problems.error(&expr.at, "both `metric` and `expr`").hint("keep one of them");
                return None;
            }
            (None, None) if self.any_broken(&["metric", "expr"]) => return None,
            (None, None) => {
                self.problems
                    .error(&rule.place(), "neither `metric` nor `expr`")
                    .hint("`metric: cpu_percent`, or `expr: \"a / b > 0.5\"`");
                return None;
            }
        };
        let windows = formula.inputs.iter().filter_map(|input| input.reading.window());
        if let Some(window) = windows.max().filter(|window| *window > LONGEST_WINDOW) {
            let at = rule.window.as_ref().map_or(&rule.name.at, |window| &window.at);
            let longest = format_duration(LONGEST_WINDOW);
            self.problems
                .error(at, format!("the window {} is too long", format_duration(window)))
                .hint(format!("samples are kept in memory: at most {longest}"));
        }
        Some((formula, subject))
    }

    fn of_metric(&mut self, name: &str, at: &At) -> Option<(Formula, String)> {
        let Some(index) = self.metrics.iter().position(|def| &*def.name == name) else {
            self.problems
                .error(at, format!("unknown metric {name:?}"))
                .hint_if(did_you_mean(name, self.metrics.iter().map(|def| &*def.name)));
            return None;
        };
        let (id, def) = (MetricId(index as u32), &self.metrics[index]);
        if self.any_broken(&["aggregation", "window"]) {
            return None;
        }
        let aggregation = self.rule.aggregation.as_ref();
        let place = aggregation.map_or(at, |aggregation| &aggregation.at).clone();
        let window = self.window(aggregation.map(|aggregation| &aggregation.value))?;
        let aggregate = aggregation.map(|aggregation| aggregation.aggregate);
        match reading::resolve(def, aggregate, window) {
            Ok(reading) => {
                let subject = described(name, aggregation.map(|a| &a.value), &reading);
                let inputs = vec![Input::whole(id, def, reading)];
                Some((Formula { inputs, outcome: Outcome::Number(Number::Input(0)) }, subject))
            }
            Err(refusal) => {
                self.refuse(&place, refusal);
                None
            }
        }
    }

    /// The window that the rule or the name of its aggregation gives.
    fn window(&mut self, aggregation: Option<&Aggregation>) -> Option<Option<Duration>> {
        let named = aggregation.and_then(|aggregation| aggregation.window);
        match (&self.rule.window, named) {
            (Some(window), Some(named)) if *window.value != named => {
                self.problems
                    .error(&window.at, "the aggregation's name has another window")
                    .hint("keep one of them");
                None
            }
            (Some(window), _) if window.value.is_zero() => {
                self.problems.error(&window.at, "a window of no length");
                None
            }
            (window, named) => Some(window.as_ref().map(|window| *window.value).or(named)),
        }
    }

    fn of_expression(&mut self, text: &str, at: &At) -> Option<(Formula, String)> {
        let misplaced = [
            ("aggregation", self.rule.aggregation.as_ref().map(|a| &a.at)),
            ("window", self.rule.window.as_ref().map(|w| &w.at)),
        ];
        for (key, at) in misplaced {
            if let Some(at) = at {
                self.problems
                    .error(at, format!("`{key}` beside `expr`"))
                    .hint("write it in the expression: rate(x, \"5m\")");
            }
        }
        match expr::compile(text, self.metrics) {
            Ok(formula) => Some((formula, shown(text))),
            Err(fault) => {
                let place =
                    fault.column.map(|column| format!("character {column}: ")).unwrap_or_default();
                self.problems.error(at, format!("{place}{}", fault.message)).hint_if(fault.hint);
                None
            }
        }
    }

    /// Hands each matcher to the inputs that have its label.
    fn matchers(&mut self, formula: &mut Formula) {
        for (label, matcher) in &self.rule.labels {
            let mut known = false;
            for input in &mut formula.inputs {
                let def = &self.metrics[input.metric.0 as usize];
                if let Some(index) = def.labels.iter().position(|one| &**one == label) {
                    input.matchers.push((index, matcher.value.clone()));
                    known = true;
                }
            }
            if !known {
                let defs = formula.inputs.iter().map(|i| &self.metrics[i.metric.0 as usize]);
                let names: Vec<&str> =
                    defs.flat_map(|def| def.labels.iter().map(|label| &**label)).collect();
                let hint =
                    did_you_mean(label, names.iter().copied()).unwrap_or_else(|| {
                        match names.as_slice() {
                            [] => "it has no labels".into(),
                            names => format!("labels: {}", names.join(", ")),
                        }
                    });
                let message = match &self.rule.metric {
                    Some(metric) => format!("metric {:?} has no label {label:?}", metric.value),
                    None => format!("no metric of the expression has the label {label:?}"),
                };
                self.problems.error(&matcher.at, message).hint(hint);
            }
        }
    }

    fn added_labels(&mut self, labels: &[Arc<str>]) {
        for (name, value) in &self.rule.add_labels {
            if RESERVED.contains(&name.as_str()) {
                self.problems
                    .error(&value.at, format!("the label {name:?} is set by Bellwether"))
                    .hint("`severity` is a key of the rule; `alertname` is its name");
            } else if labels.iter().any(|label| **label == **name) {
                self.problems
                    .error(&value.at, format!("the series have the label {name:?} already"));
            } else if !is_label_name(name) {
                self.problems
                    .error(&value.at, format!("not a label name: {name:?}"))
                    .hint("letters, digits and _, not beginning with a digit or __");
            }
        }
    }

    fn texts(
        &mut self,
        templates: &mut Templates,
        labels: &[Arc<str>],
    ) -> (Option<Text>, Vec<(String, Text)>) {
        let rule = self.rule;
        let added = rule.add_labels.keys().map(|name| Arc::from(name.as_str()));
        let labels: Vec<Arc<str>> = labels.iter().cloned().chain(added).collect();
        let mut add = |source: &str, at: &At| match templates.add(source, &labels) {
            Ok(text) => Some(text),
            Err(refusal) => {
                self.refuse(at, refusal);
                None
            }
        };
        let message = rule.message.as_ref().and_then(|text| add(&text.value, &text.at));
        let annotations: Vec<_> = rule
            .annotations
            .iter()
            .filter_map(|(name, text)| Some((name.clone(), add(&text.value, &text.at)?)))
            .collect();
        for (name, text) in rule.annotations.iter().filter(|(name, _)| !is_label_name(name)) {
            self.problems
                .error(&text.at, format!("not an annotation name: {name:?}"))
                .hint("letters, digits and _, not beginning with a digit or __");
        }
        (message, annotations)
    }

    fn refuse(&mut self, at: &At, refusal: Refusal) {
        self.problems.error(at, refusal.message).hint_if(refusal.hint);
    }
}

fn identity(rule: &RuleSettings) -> Identity {
    let source = match (&rule.metric, &rule.expr) {
        (Some(metric), _) => format!("metric {}", metric.value),
        (None, Some(expr)) => {
            let words: Vec<&str> = expr.value.split_whitespace().collect();
            format!("expr {}", words.join(" "))
        }
        (None, None) => String::new(),
    };
    let add_labels: Labels =
        rule.add_labels.iter().map(|(name, value)| (name.clone(), value.value.clone())).collect();
    Identity {
        name: rule.name.value.as_str().into(),
        source,
        matchers: serde_json::to_string(&rule.labels).unwrap_or_default(),
        add_labels,
    }
}

/// The labels of the joined rows: those of the first input, then what each further one adds.
fn joined_labels(inputs: &[Input]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for label in inputs.iter().flat_map(|input| &input.labels) {
        if !names.contains(label) {
            names.push(Arc::clone(label));
        }
    }
    names
}

fn described(name: &str, aggregation: Option<&Aggregation>, reading: &Reading) -> String {
    match (aggregation, reading.window()) {
        (Some(aggregation), Some(window)) => {
            format!("{} of {name} over {}", aggregation.aggregate.name(), format_duration(window))
        }
        (Some(aggregation), None) if aggregation.aggregate.name() != "last" => {
            format!("{} of {name}", aggregation.aggregate.name())
        }
        _ => name.to_owned(),
    }
}

/// An expression in a sentence, on one line and not too long.
fn shown(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    }
}

#[cfg(test)]
mod tests;
