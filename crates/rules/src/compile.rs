//! Compilation of settings to rules: reports every error with its location before anything runs.
//!
//! Owns the checks within one rule and over all rules. Reads no series.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bellwether_analysis::AnomalyDetection;
use bellwether_core::{Labels, MetricDef, MetricId, can_be_set};
use bellwether_schema::{
    Diagnostic, Diagnostics, SourceLocation, Spanned, did_you_mean, format_duration,
};

use crate::alert::alert_labels::{AlertLabels, RESERVED};
use crate::alert::state_machine::Policy;
use crate::alert::template::{Scope, Templates, Text};
use crate::eval::aggregate::Aggregation;
use crate::eval::input::Input;
use crate::eval::reading::{self, HintedError, Reading};
use crate::eval::schedule::Schedule;
use crate::expr::{self, Formula, Number, Outcome};
use crate::query::history_query::{HistoryQuery, QueryKind};
use crate::rule::{Identity, Rule, RuleSet, Source};
use crate::settings::{COMPONENT, NoDataPolicy, RecordingSettings, RuleSettings, TextTemplate};

mod comparison;
mod history;
mod known_series;
mod lint;
mod recording;

use known_series::KnownSeries;

/// Template variables of an anomaly rule, beside those of all rules.
const ANOMALY_VARIABLES: &[&str] = &["expected_low", "expected_high", "score"];
/// Template variables of a forecast rule.
const FORECAST_VARIABLES: &[&str] = &["forecast"];

/// Longest window: samples are in memory.
const LONGEST_WINDOW: Duration = Duration::from_secs(86_400);
/// Intervals that two observations of a condition may be apart for the time between them to count:
/// as many as a series lives without an update.
pub(crate) const TOLERANCE: u32 = 3;
/// Minimum of the tolerance: a host too busy to collect every second must still be able to fire.
const MIN_TOLERANCE: Duration = Duration::from_secs(60);
/// Default of `resolve_missing_after`.
const RESOLVE_MISSING_AFTER: Duration = Duration::from_secs(3_600);

/// Input of [`compile()`].
#[derive(Clone, Copy, Debug)]
pub struct CompileInput<'a> {
    /// Alerting rules.
    pub rules: &'a [RuleSettings],
    /// Recording rules.
    pub recordings: &'a [RecordingSettings],
    /// Metrics; their indexes are the [`MetricId`]s of the store.
    pub metrics: &'a [MetricDef],
    /// Collection interval of metrics without their own.
    pub interval: Duration,
    /// Defaults of anomaly rules.
    pub anomaly: &'a AnomalyDetection,
    /// Set if history is enabled.
    pub history: bool,
    /// Default of the alert limit; 0 for none.
    pub limit: u32,
}

impl<'a> CompileInput<'a> {
    /// Creates the input of these rules over these metrics, without recording rules and with
    /// defaults.
    #[must_use]
    pub fn new(rules: &'a [RuleSettings], metrics: &'a [MetricDef]) -> Self {
        static USUAL: LazyLock<AnomalyDetection> = LazyLock::new(AnomalyDetection::default);
        let interval = Duration::from_secs(30);
        Self {
            rules,
            recordings: &[],
            metrics,
            interval,
            anomaly: &USUAL,
            history: true,
            limit: 0,
        }
    }
}

/// Checks and compiles rules. Errors go to `problems`; rules with an error are not in the result.
pub fn compile(declared: &CompileInput<'_>, problems: &mut Diagnostics) -> RuleSet {
    let mut set = RuleSet::default();
    set.rules.reserve_exact(declared.rules.len());
    set.settings.reserve_exact(declared.rules.len());
    let mut known_series = KnownSeries::new(declared);
    recording::compile(declared, &mut known_series, &mut set, problems);
    let mut names: HashMap<&str, &RuleSettings> = HashMap::new();
    for rule in declared.rules {
        if rule.name.trim().is_empty() {
            problems.error(&rule.name.at, "a rule needs a name");
        } else if let Some(first) = names.insert(&rule.name.value, rule) {
            problems
                .error(
                    &rule.name.at,
                    format!("duplicate rule {:?}", rule.name.value),
                )
                .hint(format!("the first is on {}", first.name.at.words()));
        }
        let metrics = declared.metrics;
        let warnings = &mut set.warnings;
        let compiler = Compiler {
            rule,
            metrics,
            declared,
            known_series: &known_series,
            problems,
            warnings,
        };
        if let Some(compiled) = compiler.rule(&mut set.templates) {
            set.rules.push(compiled);
            set.settings.push(rule.clone());
        }
    }
    set
}

struct Compiler<'a> {
    rule: &'a RuleSettings,
    metrics: &'a [MetricDef],
    declared: &'a CompileInput<'a>,
    known_series: &'a KnownSeries,
    problems: &'a mut Diagnostics,
    warnings: &'a mut Vec<Diagnostic>,
}

/// Source of the values of a rule.
struct CompiledSource {
    source: Source,
    /// Description for users.
    subject: String,
    labels: AlertLabels,
    schedule: Schedule,
}

impl Compiler<'_> {
    fn rule(mut self, templates: &mut Templates) -> Option<Rule> {
        let rule = self.rule;
        let before = self.problems.len();
        let CompiledSource {
            source,
            subject,
            labels,
            schedule,
        } = self.source()?;
        let comparison = comparison::check(rule, &source, self.problems);
        self.added_labels(labels.fixed());
        let extra = match &source {
            Source::History(HistoryQuery {
                kind: QueryKind::Anomaly(_),
                ..
            }) => ANOMALY_VARIABLES,
            Source::History(HistoryQuery {
                kind: QueryKind::Forecast(_),
                ..
            }) => FORECAST_VARIABLES,
            _ => &[],
        };
        let can_query = matches!(source, Source::History(_));
        let (message, annotations) = self.texts(templates, &labels, can_query, extra);
        if rule.consecutive.value == 0 {
            self.problems
                .error(&rule.consecutive.at, "consecutive must be at least 1");
        }
        let resolve_missing_after = self.resolve_missing_after();
        let comparison = comparison.filter(|_| self.problems.len() == before)?;
        if rule.enabled {
            self.lint(&source, &schedule);
        }
        Some(Rule {
            name: rule.name.value.as_str().into(),
            enabled: rule.enabled,
            metric: rule
                .metric
                .as_ref()
                .map(|metric| metric.value.as_str().into()),
            identity: identity(rule),
            subject,
            comparison,
            policy: Policy {
                duration: *rule.duration.value,
                keep_firing_for: *rule.keep_firing_for.value,
                consecutive: rule.consecutive.value,
                tolerance: (schedule.interval * TOLERANCE).max(MIN_TOLERANCE),
                interval: schedule.interval,
            },
            limit: Some(rule.limit.unwrap_or(self.declared.limit) as usize).filter(|n| *n > 0),
            on_no_data: rule.on_no_data,
            resolve_missing_after,
            on_error: rule.on_error,
            labels,
            message,
            annotations,
            schedule,
            source,
        })
    }

    /// Returns the time after which a missing series is stale.
    fn resolve_missing_after(&mut self) -> Option<Duration> {
        let rule = self.rule;
        match (&rule.resolve_missing_after, rule.on_no_data) {
            (Some(after), NoDataPolicy::Ok) => {
                self.problems
                    .error(&after.at, "`resolve_missing_after` beside `on_no_data: ok`")
                    .hint("without data it resolves at once; leave one of them out");
                None
            }
            (Some(after), _) => Some(*after.value).filter(|after| !after.is_zero()),
            (None, NoDataPolicy::Alert) => None,
            (None, _) => Some(RESOLVE_MISSING_AFTER),
        }
    }

    /// Compiles the source: the store or history.
    fn source(&mut self) -> Option<CompiledSource> {
        let rule = self.rule;
        self.one_source()?;
        if self.any_broken(&["anomaly", "forecast"]) {
            return None;
        }
        if let Some(query) = &rule.promql {
            return self.promql_source(&query.value, &query.at);
        }
        if rule.has_anomaly() || rule.forecast.is_some() {
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

    fn any_broken(&self, keys: &[&str]) -> bool {
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
        Some((formula, subject))
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
    fn reading(&mut self, name: &str, at: &SourceLocation) -> Option<(MetricId, Reading, String)> {
        let Some(index) = self.metrics.iter().position(|def| &*def.name == name) else {
            self.problems
                .error(at, format!("unknown metric {name:?}"))
                .hint_if(did_you_mean(
                    name,
                    self.metrics.iter().map(|def| &*def.name),
                ));
            return None;
        };
        let (id, def) = (MetricId(index as u32), &self.metrics[index]);
        if self.any_broken(&["aggregation", "window"]) {
            return None;
        }
        let aggregation = self.rule.aggregation.as_ref();
        let place = aggregation
            .map_or(at, |aggregation| &aggregation.at)
            .clone();
        let window = self.window(aggregation.map(|aggregation| &aggregation.value))?;
        let aggregate = aggregation.map(|aggregation| aggregation.aggregate);
        match reading::resolve(def, aggregate, window) {
            Ok(reading) => Some((
                id,
                reading,
                describe_reading(name, aggregation.map(|a| &a.value), &reading),
            )),
            Err(error) => {
                self.report(&place, error);
                None
            }
        }
    }

    /// Returns the window of the rule or of the name of its aggregation.
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
                self.problems.error(&window.at, "the window must not be 0");
                None
            }
            (window, named) => Some(window.as_ref().map(|window| *window.value).or(named)),
        }
    }

    fn expression_formula(&mut self, text: &str, at: &SourceLocation) -> Option<(Formula, String)> {
        self.misplaced("expr", "write it in the expression: rate(x, \"5m\")");
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

    /// Reports keys that are only allowed beside `metric`.
    fn misplaced(&mut self, beside: &str, hint: &str) {
        let rule = self.rule;
        let keys = [
            (
                "aggregation",
                rule.aggregation.as_ref().map(|aggregation| &aggregation.at),
            ),
            ("window", rule.window.as_ref().map(|window| &window.at)),
        ];
        for (key, at) in keys {
            if let Some(at) = at {
                self.problems
                    .error(at, format!("`{key}` beside `{beside}`"))
                    .hint(hint);
            }
        }
        let keys = [
            ("anomaly", rule.anomaly.as_ref().map(|anomaly| &anomaly.at)),
            (
                "forecast",
                rule.forecast.as_ref().map(|forecast| &forecast.at),
            ),
        ];
        for (key, at) in keys {
            if let Some(at) = at {
                let problem = self
                    .problems
                    .error(at, format!("`{key}` beside `{beside}`"));
                problem.hint("it is only for rules with `metric`");
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
    fn no_label<'l>(
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

    fn added_labels(&mut self, labels: &[Arc<str>]) {
        let rule = self.rule;
        if let (Some(_), Some(twice)) = (&rule.component, rule.add_labels.get(COMPONENT)) {
            self.problems
                .error(&twice.at, "the rule has a key `component` too")
                .hint("keep one of them");
        }
        for (name, value) in rule.added_labels() {
            // Rule files of Prometheus may set `alertname` and `severity`.
            let foreign = value.at.file.is_some();
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

    fn texts(
        &mut self,
        templates: &mut Templates,
        labels: &AlertLabels,
        can_query: bool,
        extra: &'static [&'static str],
    ) -> (Option<Text>, Vec<(String, Text)>) {
        let rule = self.rule;
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
        for (name, text) in rule.annotations.iter().filter(|(name, _)| name.is_empty()) {
            self.problems
                .error(&text.at, format!("not an annotation name: {name:?}"))
                .hint("any text but an empty one");
        }
        (message, annotations)
    }

    fn report(&mut self, at: &SourceLocation, error: HintedError) {
        self.problems.error(at, error.message).hint_if(error.hint);
    }
}

fn identity(rule: &RuleSettings) -> Identity {
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let source = match (&rule.metric, &rule.expr, &rule.promql) {
        (Some(metric), ..) if rule.has_anomaly() => format!("anomaly {}", metric.value),
        (Some(metric), ..) if rule.forecast.is_some() => format!("forecast {}", metric.value),
        (Some(metric), ..) => format!("metric {}", metric.value),
        (None, Some(expr), _) => format!("expr {}", words(&expr.value)),
        (None, None, Some(query)) => format!("promql {}", words(&query.value)),
        (None, None, None) => String::new(),
    };
    let added = rule.added_labels().into_iter();
    let add_labels: Labels = added
        .map(|(name, value)| (name.to_owned(), value.value.clone()))
        .collect();
    Identity {
        name: rule.name.value.as_str().into(),
        source,
        matchers: serde_json::to_string(&rule.labels).unwrap_or_default(),
        add_labels,
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
fn quote_expression(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(120) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    }
}

#[cfg(test)]
mod tests;
