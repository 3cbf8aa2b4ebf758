//! Compilation of settings to rules: reports every error with its location before anything runs.
//!
//! Owns the checks within one rule and over all rules. Reads no series.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use bellwether_analysis::AnomalyDetection;
use bellwether_core::{Labels, MetricDef};
use bellwether_schema::{Diagnostic, Diagnostics, SourceLocation};

use crate::alert::state_machine::Policy;
use crate::alert::template::Templates;
use crate::eval::reading::HintedError;
use crate::eval::schedule::Schedule;
use crate::query::history_query::QueryKind;
use crate::rule::{Identity, Rule, RuleSet, Source};
use crate::settings::{NoDataPolicy, RecordingSettings, RuleSettings};

mod comparison;
mod history;
mod known_series;
mod lint;
mod recording;
mod source;
mod texts;

use known_series::KnownSeries;
use source::CompiledSource;

/// Template variables of an anomaly rule, beside those of all rules.
const ANOMALY_VARIABLES: &[&str] = &["expected_low", "expected_high", "score"];
/// Template variables of a forecast rule.
const FORECAST_VARIABLES: &[&str] = &["forecast"];

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
    /// Metrics; their indexes are the [`MetricId`](bellwether_core::MetricId)s of the store.
    pub metrics: &'a [MetricDef],
    /// Set if collectors bring series of other names than those of `metrics`, which are known once they run.
    pub other_series: bool,
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
            other_series: false,
            interval,
            anomaly: &USUAL,
            history: true,
            limit: 0,
        }
    }
}

/// Checks and compiles rules. Errors go to `problems`; rules with an error are not in the result.
pub fn compile(input: &CompileInput<'_>, problems: &mut Diagnostics) -> RuleSet {
    let mut set = RuleSet::default();
    set.rules.reserve_exact(input.rules.len());
    set.settings.reserve_exact(input.rules.len());
    let mut known_series = KnownSeries::new(input);
    recording::compile(input, &mut known_series, &mut set, problems);
    let mut names: HashMap<&str, &RuleSettings> = HashMap::new();
    for rule in input.rules {
        check_name(rule, &mut names, problems);
        let compiler = Compiler {
            rule,
            metrics: input.metrics,
            input,
            known_series: &known_series,
            problems,
            warnings: &mut set.warnings,
        };
        if let Some(compiled) = compiler.rule(&mut set.templates) {
            set.rules.push(compiled);
            set.settings.push(rule.clone());
        }
    }
    set
}

/// Checks that the name of `rule` is not empty and not in `names`, and adds it.
fn check_name<'a>(
    rule: &'a RuleSettings,
    names: &mut HashMap<&'a str, &'a RuleSettings>,
    problems: &mut Diagnostics,
) {
    let name = &rule.name;
    if name.trim().is_empty() {
        problems.error(&name.at, "a rule needs a name");
    } else if let Some(first) = names.insert(&name.value, rule) {
        problems
            .error(&name.at, format!("duplicate rule {:?}", name.value))
            .hint(format!("the first is on {}", first.name.at.words()));
    }
}

struct Compiler<'a> {
    rule: &'a RuleSettings,
    metrics: &'a [MetricDef],
    input: &'a CompileInput<'a>,
    known_series: &'a KnownSeries,
    problems: &'a mut Diagnostics,
    warnings: &'a mut Vec<Diagnostic>,
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
        let can_query = matches!(source, Source::History(_));
        let (message, annotations) = self.texts(templates, &labels, can_query, variables(&source));
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
            policy: policy(rule, &schedule),
            limit: Some(rule.limit.unwrap_or(self.input.limit) as usize).filter(|n| *n > 0),
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

    fn report(&mut self, at: &SourceLocation, error: HintedError) {
        self.problems.error(at, error.message).hint_if(error.hint);
    }
}

/// Returns the template variables of a rule beside those of all rules.
fn variables(source: &Source) -> &'static [&'static str] {
    match source {
        Source::History(query) => match query.kind {
            QueryKind::Anomaly(_) => ANOMALY_VARIABLES,
            QueryKind::Forecast(_) => FORECAST_VARIABLES,
            _ => &[],
        },
        Source::Series(_) => &[],
    }
}

fn policy(rule: &RuleSettings, schedule: &Schedule) -> Policy {
    Policy {
        duration: *rule.duration.value,
        keep_firing_for: *rule.keep_firing_for.value,
        consecutive: rule.consecutive.value,
        tolerance: (schedule.interval * TOLERANCE).max(MIN_TOLERANCE),
        interval: schedule.interval,
    }
}

fn identity(rule: &RuleSettings) -> Identity {
    let method = match (rule.has_anomaly(), &rule.forecast) {
        (true, _) => Some("anomaly"),
        (false, Some(_)) => Some("forecast"),
        (false, None) => None,
    };
    let source = match (&rule.metric, &rule.expr, &rule.promql) {
        (Some(metric), ..) => format!("{} {}", method.unwrap_or("metric"), metric.value),
        (None, Some(expr), _) => format!("expr {}", on_one_line(&expr.value)),
        (None, None, Some(query)) => {
            let query = on_one_line(&query.value);
            match method {
                Some(method) => format!("{method} promql {query}"),
                None => format!("promql {query}"),
            }
        }
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

fn on_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
