//! Source of a rule's values: the series of the store that it reads, and how.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::MetricId;
use bellwether_schema::{SourceLocation, did_you_mean, format_duration};

use super::Compiler;
use crate::alert::alert_labels::AlertLabels;
use crate::eval::aggregate::Aggregation;
use crate::eval::input::Input;
use crate::eval::reading::{self, Reading};
use crate::eval::schedule::Schedule;
use crate::expr::{self, Formula, Number, Outcome};
use crate::rule::Source;

/// Longest window: samples are in memory.
const LONGEST_WINDOW: Duration = Duration::from_secs(86_400);

/// Source of the values of a rule.
pub(super) struct CompiledSource {
    pub(super) source: Source,
    /// Description for users.
    pub(super) subject: String,
    pub(super) labels: AlertLabels,
    pub(super) schedule: Schedule,
}

impl Compiler<'_> {
    /// Compiles the source: the store or history.
    pub(super) fn source(&mut self) -> Option<CompiledSource> {
        let rule = self.rule;
        self.one_source()?;
        if self.any_broken(&["anomaly", "forecast"]) {
            return None;
        }
        if let Some(query) = &rule.promql {
            return self.promql_source(&query.value, &query.at);
        }
        if rule.detects() {
            return self.samples_source();
        }
        if let Some(interval) = &rule.interval {
            self.problems
                .error(
                    &interval.at,
                    "this rule is evaluated after each collection of its metric",
                )
                .hint("leave `interval` out; it is for `promql`, `anomaly` and `forecast`");
        }
        self.store_source()
    }

    fn store_source(&mut self) -> Option<CompiledSource> {
        let (mut formula, subject) = self.formula()?;
        self.matchers(&mut formula);
        let defs = formula
            .inputs
            .iter()
            .map(|input| &self.metrics[input.metric.0 as usize]);
        let mut origins: Vec<_> = defs.clone().map(|def| def.origin).collect();
        origins.sort_unstable();
        origins.dedup();
        let interval = defs.map(|def| def.interval).max().unwrap_or_default();
        Some(CompiledSource {
            labels: AlertLabels::Fixed(joined_labels(&formula.inputs).into()),
            source: Source::Series(formula),
            subject,
            schedule: Schedule {
                origins,
                interval,
                min_interval: Duration::ZERO,
            },
        })
    }

    /// Checks that there is exactly one source; returns `None` otherwise.
    fn one_source(&mut self) -> Option<()> {
        let rule = self.rule;
        let sources = [
            ("metric", rule.metric.as_ref().map(|metric| &metric.at)),
            ("expr", rule.expr.as_ref().map(|expr| &expr.at)),
            ("promql", rule.promql.as_ref().map(|query| &query.at)),
        ];
        let sources: Vec<(&str, &SourceLocation)> = sources
            .iter()
            .filter_map(|(k, at)| Some((*k, (*at)?)))
            .collect();
        match sources.as_slice() {
            [_] => Some(()),
            [(first, _), .., (last, at)] => {
                self.problems
                    .error(at, format!("both `{first}` and `{last}`"))
                    .hint("keep one of them");
                None
            }
            [] if self.any_broken(&["metric", "expr", "promql"]) => None,
            [] => {
                self.problems
                    .error(&rule.location(), "neither `metric` nor `expr` nor `promql`")
                    .hint("`metric: cpu_percent`, or `expr: \"a / b > 0.5\"`");
                None
            }
        }
    }

    pub(super) fn any_broken(&self, keys: &[&str]) -> bool {
        keys.iter()
            .any(|key| self.rule.is_broken(key, self.problems))
    }

    /// Compiles the formula over the store, and its description.
    fn formula(&mut self) -> Option<(Formula, String)> {
        let rule = self.rule;
        let (formula, subject) = match (&rule.metric, &rule.expr) {
            (Some(metric), _) => self.metric_formula(&metric.value, &metric.at)?,
            (None, expr) => {
                let expr = expr.as_ref()?;
                self.expression_formula(&expr.value, &expr.at)?
            }
        };
        self.check_longest_window(&formula);
        Some((formula, subject))
    }

    fn check_longest_window(&mut self, formula: &Formula) {
        let rule = self.rule;
        let windows = formula
            .inputs
            .iter()
            .filter_map(|input| input.reading.window());
        if let Some(window) = windows.max().filter(|window| *window > LONGEST_WINDOW) {
            let at = rule
                .window
                .as_ref()
                .map_or(&rule.name.at, |window| &window.at);
            let longest = format_duration(LONGEST_WINDOW);
            self.problems
                .error(
                    at,
                    format!("the window {} is too long", format_duration(window)),
                )
                .hint(format!("samples are in memory: at most {longest}"));
        }
    }

    fn metric_formula(&mut self, name: &str, at: &SourceLocation) -> Option<(Formula, String)> {
        let (id, reading, subject) = self.reading(name, at)?;
        let inputs = vec![Input::all_series(id, &self.metrics[id.0 as usize], reading)];
        Some((
            Formula {
                inputs,
                outcome: Outcome::Number(Number::Input(0)),
            },
            subject,
        ))
    }

    /// Resolves the reading of the rule's metric, and its description.
    pub(super) fn reading(
        &mut self,
        name: &str,
        at: &SourceLocation,
    ) -> Option<(MetricId, Reading, String)> {
        let id = self.metric_id(name, at)?;
        if self.any_broken(&["aggregation", "window"]) {
            return None;
        }
        let aggregation = self.rule.aggregation.as_ref();
        let value = aggregation.map(|aggregation| &aggregation.value);
        let window = self.window(value)?;
        let aggregate = aggregation.map(|aggregation| aggregation.aggregate);
        match reading::resolve(&self.metrics[id.0 as usize], aggregate, window) {
            Ok(reading) => Some((id, reading, describe_reading(name, value, &reading))),
            Err(error) => {
                self.report(aggregation.map_or(at, |aggregation| &aggregation.at), error);
                None
            }
        }
    }

    fn metric_id(&mut self, name: &str, at: &SourceLocation) -> Option<MetricId> {
        let mut names = self.metrics.iter().map(|def| &*def.name);
        if let Some(index) = names.position(|metric| metric == name) {
            return Some(MetricId(index as u32));
        }
        self.problems
            .error(at, format!("unknown metric {name:?}"))
            .hint(expr::unknown_metric_hint(name, self.metrics));
        None
    }

    /// Returns the window of the rule or of the name of its aggregation.
    pub(super) fn window(&mut self, aggregation: Option<&Aggregation>) -> Option<Option<Duration>> {
        let named = aggregation.and_then(|aggregation| aggregation.window);
        match (&self.rule.window, named) {
            (Some(window), Some(named)) if *window.value != named => {
                self.problems
                    .error(&window.at, "the aggregation's name has another window")
                    .hint("keep one of them");
                None
            }
            (Some(window), _) if window.value.is_zero() => {
                self.problems.error(&window.at, "the window must not be 0");
                None
            }
            (window, named) => Some(window.as_ref().map(|window| *window.value).or(named)),
        }
    }

    fn expression_formula(&mut self, text: &str, at: &SourceLocation) -> Option<(Formula, String)> {
        self.misplaced_beside_expr();
        match expr::compile(text, self.metrics) {
            Ok(formula) => Some((formula, quote_expression(text))),
            Err(error) => {
                let place = error
                    .column
                    .map(|column| format!("character {column}: "))
                    .unwrap_or_default();
                self.problems
                    .error(at, format!("{place}{}", error.message))
                    .hint_if(error.hint);
                None
            }
        }
    }

    /// Reports keys that are not allowed beside `expr`.
    pub(super) fn misplaced_beside_expr(&mut self) {
        let rule = self.rule;
        let (anomaly, forecast) = (rule.anomaly.as_ref(), rule.forecast.as_ref());
        self.misplaced("expr", "write it in the expression: rate(x, \"5m\")");
        let detections = [
            ("anomaly", anomaly.map(|setting| &setting.at)),
            ("forecast", forecast.map(|setting| &setting.at)),
        ];
        self.not_beside("expr", detections, "use `metric` or `promql` with it");
    }

    /// Reports keys that are only allowed beside `metric`.
    pub(super) fn misplaced(&mut self, beside: &str, hint: &str) {
        let rule = self.rule;
        let (aggregation, window) = (rule.aggregation.as_ref(), rule.window.as_ref());
        let readings = [
            ("aggregation", aggregation.map(|setting| &setting.at)),
            ("window", window.map(|setting| &setting.at)),
        ];
        self.not_beside(beside, readings, hint);
    }

    fn not_beside(&mut self, beside: &str, keys: [(&str, Option<&SourceLocation>); 2], hint: &str) {
        for (key, at) in keys {
            if let Some(at) = at {
                self.problems
                    .error(at, format!("`{key}` beside `{beside}`"))
                    .hint(hint);
            }
        }
    }

    /// Adds each matcher to the inputs that have its label.
    fn matchers(&mut self, formula: &mut Formula) {
        for (label, matcher) in &self.rule.labels {
            let mut has_label = false;
            for input in &mut formula.inputs {
                let def = &self.metrics[input.metric.0 as usize];
                if let Some(index) = def.labels.iter().position(|name| &**name == label) {
                    input.matchers.push((index, matcher.value.clone()));
                    has_label = true;
                }
            }
            if !has_label {
                let defs = formula
                    .inputs
                    .iter()
                    .map(|i| &self.metrics[i.metric.0 as usize]);
                self.no_label(label, &matcher.at, defs.flat_map(|def| def.labels.iter()));
            }
        }
    }

    /// Reports a matcher of a label that is not in `labels`.
    pub(super) fn no_label<'l>(
        &mut self,
        label: &str,
        at: &SourceLocation,
        labels: impl Iterator<Item = &'l Arc<str>>,
    ) {
        let names: Vec<&str> = labels.map(|label| &**label).collect();
        let hint =
            did_you_mean(label, names.iter().copied()).unwrap_or_else(|| match names.as_slice() {
                [] => "it has no labels".into(),
                names => format!("labels: {}", names.join(", ")),
            });
        let message = match &self.rule.metric {
            Some(metric) => format!("metric {:?} has no label {label:?}", metric.value),
            None => format!("no metric of the expression has the label {label:?}"),
        };
        self.problems.error(at, message).hint(hint);
    }
}

/// Returns the labels of the joined rows: those of the first input, then the new ones of each
/// further input.
fn joined_labels(inputs: &[Input]) -> Vec<Arc<str>> {
    let mut names: Vec<Arc<str>> = Vec::new();
    for label in inputs.iter().flat_map(|input| &input.labels) {
        if !names.contains(label) {
            names.push(Arc::clone(label));
        }
    }
    names
}

fn describe_reading(name: &str, aggregation: Option<&Aggregation>, reading: &Reading) -> String {
    match (aggregation, reading.window()) {
        (Some(aggregation), Some(window)) => {
            format!(
                "{} of {name} over {}",
                aggregation.aggregate.name(),
                format_duration(window)
            )
        }
        (Some(aggregation), None) if aggregation.aggregate.name() != "last" => {
            format!("{} of {name}", aggregation.aggregate.name())
        }
        _ => name.to_owned(),
    }
}

/// Formats an expression for a sentence: on one line, at most 120 characters.
pub(super) fn quote_expression(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    }
}
