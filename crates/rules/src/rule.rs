//! A rule that was checked against the declared metrics and is ready to be judged.
//!
//! Owns what stays the same while it runs. State belongs to the engine.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, Labels, MetricId, Severity};
use bellwether_schema::{Diagnostic, format_duration};

use super::condition::{Judge, Level};
use super::detail::Detail;
use super::expr::{Formula, Outcome};
use super::input::Input;
use super::limit;
use super::names::Names;
use super::pace::Schedule;
use super::question::{Look, Question};
use super::recording::Recording;
use super::settings::{NoDataPolicy, RuleSettings};
use super::step::Policy;
use super::template::{Templates, Text};

/// What makes a rule the same rule after a reload: state is kept where this did not change.
/// Thresholds, durations and texts are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The rule's name.
    pub name: Arc<str>,
    /// The metric, the expression or the query, and what is looked for in it.
    pub source: String,
    /// The matchers, as declared.
    pub matchers: String,
    /// The labels it adds.
    pub add_labels: Labels,
}

/// Where the values of a rule come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// Series of the store, and what is calculated from them.
    Series(Formula),
    /// Answers of history.
    History(Question),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique name.
    pub name: Arc<str>,
    /// Whether it is judged.
    pub enabled: bool,
    /// The metric, as declared, where one is judged.
    pub metric: Option<Arc<str>>,
    /// What makes it the same after a reload.
    pub identity: Identity,
    /// What is judged, in words: `p95 of api_request_duration over 5m`.
    pub subject: String,
    /// Where its values come from.
    pub source: Source,
    /// The comparison.
    pub judge: Judge,
    /// Times and counts.
    pub policy: Policy,
    /// Most alerts it may have at once, if that is limited.
    pub limit: Option<usize>,
    /// What follows when there is no data.
    pub on_no_data: NoDataPolicy,
    /// After how long a missing series counts as gone, and its alert resolves; `None`: never.
    pub resolve_missing_after: Option<Duration>,
    /// What follows when the evaluation fails.
    pub on_error: NoDataPolicy,
    /// The labels that tell its alerts apart.
    pub labels: Names,
    /// What people are told.
    pub message: Option<Text>,
    /// More for people.
    pub annotations: Vec<(String, Text)>,
    /// When it is judged.
    pub pace: Schedule,
}

impl Rule {
    /// The name of its alerts: its own, unless it adds a label that says otherwise.
    #[must_use]
    pub fn alertname(&self) -> &str {
        self.identity
            .add_labels
            .get("alertname")
            .map_or(&*self.name, String::as_str)
    }

    /// The severity of a level, where the rule may have had more levels before a reload.
    #[must_use]
    pub fn severity(&self, level: usize) -> Severity {
        let level = level.min(self.judge.levels.len().saturating_sub(1));
        self.judge
            .levels
            .get(level)
            .map_or(Severity::Warning, |level| level.severity)
    }

    /// The severity of its highest level.
    #[must_use]
    pub fn worst_severity(&self) -> Severity {
        self.severity(usize::MAX)
    }

    /// The threshold of a level.
    #[must_use]
    pub fn threshold(&self, level: usize) -> Option<f64> {
        let level = level.min(self.judge.levels.len().saturating_sub(1));
        self.judge
            .levels
            .get(level)
            .and_then(|level| level.threshold)
    }

    /// The limit, where `key` is that of the alert which stands for those left out.
    #[must_use]
    pub fn overflow(&self, key: &LabelSet) -> Option<usize> {
        self.limit.filter(|_| limit::is_overflow(key))
    }

    /// Whether alerts may still be told apart by `key`, which another declaration made.
    #[must_use]
    pub fn fits(&self, key: &LabelSet) -> bool {
        self.overflow(key).is_some() || self.labels.fit(key)
    }

    /// The labels of the alert that `key` tells apart.
    #[must_use]
    pub fn alert_labels(&self, key: &LabelSet) -> Labels {
        let added = &self.identity.add_labels;
        if self.overflow(key).is_none() {
            return self.labels.labels(key, added);
        }
        let mut labels = self.labels.labels(&LabelSet::default(), added);
        labels.insert(limit::OVERFLOW.to_owned(), "true".to_owned());
        labels
    }

    /// Whether any of its texts has variables in it.
    #[must_use]
    pub fn has_templates(&self) -> bool {
        self.texts().any(|text| !matches!(text, Text::Plain(_)))
    }

    /// Whether any of its texts asks history.
    #[must_use]
    pub fn has_asking_texts(&self) -> bool {
        self.texts().any(|text| matches!(text, Text::Asking(_)))
    }

    fn texts(&self) -> impl Iterator<Item = &Text> {
        self.annotations
            .iter()
            .map(|(_, text)| text)
            .chain(&self.message)
    }

    /// The labels of the series of the alert that `key` tells apart: those that the rule adds are
    /// not among them.
    #[must_use]
    pub fn series_labels(&self, key: &LabelSet, detail: Option<&Detail>) -> Labels {
        if self.overflow(key).is_some() {
            return Labels::new();
        }
        let known = detail.and_then(Detail::series);
        known.map_or_else(
            || self.labels.labels(key, &Labels::new()),
            |labels| {
                labels
                    .iter()
                    .map(|(n, v)| (n.to_owned(), v.to_owned()))
                    .collect()
            },
        )
    }

    /// Whether `value` is further from good than `other`: beyond it where the condition has a
    /// direction, nearer in time where something is foreseen, else further from the threshold, from
    /// what is expected, or from zero.
    #[must_use]
    pub fn is_worse(&self, value: f64, other: f64, detail: Option<&Detail>) -> bool {
        let look = self.question().map(|question| &question.look);
        if matches!(look, Some(Look::Forecast(_))) {
            return value < other;
        }
        self.judge
            .condition
            .beyond(value, other)
            .unwrap_or_else(|| {
                let expected = detail.and_then(Detail::middle);
                let good = self.threshold(0).or(expected).unwrap_or_default();
                (value - good).abs() > (other - good).abs()
            })
    }

    /// The series of the store that it reads.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        match &self.source {
            Source::Series(formula) => &formula.inputs,
            Source::History(_) => &[],
        }
    }

    /// Whether an alert ends by its series no longer being in the answer: a query that is a
    /// condition itself answers with nothing when all is well.
    #[must_use]
    pub fn ends_by_absence(&self) -> bool {
        self.question()
            .is_some_and(|question| matches!(question.look, Look::Present))
    }

    /// Whether series without an alert are remembered, because one that goes missing makes one.
    #[must_use]
    pub fn remembers_series(&self) -> bool {
        self.on_no_data == NoDataPolicy::Alert && !self.ends_by_absence()
    }

    /// What follows for an alert whose series is missing, in words.
    #[must_use]
    pub fn absence(&self) -> String {
        if self.ends_by_absence() {
            return "the alert resolves: the query itself is the condition".to_owned();
        }
        let most = self.resolve_missing_after.map(format_duration);
        match (self.on_no_data, most) {
            (NoDataPolicy::Keep, Some(most)) => {
                format!("the alert stays as it is, and resolves after {most}")
            }
            (NoDataPolicy::Keep, None) => {
                "the alert stays as it is until there are data".to_owned()
            }
            (NoDataPolicy::Ok, _) => "it counts as ok, and the alert resolves".to_owned(),
            (NoDataPolicy::Alert, Some(most)) => format!("it alerts, and resolves after {most}"),
            (NoDataPolicy::Alert, None) => "it alerts until there are data".to_owned(),
        }
    }

    /// What it asks of history, if it does.
    #[must_use]
    pub fn question(&self) -> Option<&Question> {
        match &self.source {
            Source::Series(_) => None,
            Source::History(question) => Some(question),
        }
    }

    /// What makes it fire, in words: `p95 of api_request_duration over 5m > 1`.
    #[must_use]
    pub fn condition(&self) -> String {
        let of = |level: &Level| match (level.threshold, self.judge.levels.len()) {
            (None, _) => String::new(),
            (Some(threshold), 1) => format!(" {threshold}"),
            (Some(threshold), _) => format!(" {threshold} ({})", level.severity.as_str()),
        };
        let subject = match self
            .question()
            .map(|question| (&question.look, &question.declared))
        {
            Some((Look::Anomaly(_), _)) => return format!("{} is anomalous", self.subject),
            Some((Look::Forecast(foreseen), _)) => {
                let within = format_duration(foreseen.horizon.within);
                return format!(
                    "{} reaches {} within {within}",
                    self.subject, foreseen.horizon.target.value
                );
            }
            Some((_, Some(query))) => query,
            _ => &*self.subject,
        };
        // An expression that compares already says it all.
        if let Source::Series(Formula {
            outcome: Outcome::Compared(..) | Outcome::Test(_),
            ..
        }) = &self.source
        {
            return self.subject.clone();
        }
        let thresholds: Vec<String> = self.judge.levels.iter().map(of).collect();
        match thresholds.join(",").as_str() {
            "" => subject.to_owned(),
            thresholds => format!("{subject} {}{thresholds}", self.judge.condition.as_str()),
        }
    }

    /// The longest window it looks back on.
    #[must_use]
    pub fn longest_window(&self) -> Duration {
        let windows = self
            .inputs()
            .iter()
            .filter_map(|input| input.reading.window());
        windows.max().unwrap_or_default()
    }
}

/// The rules of one declaration.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// In the order of the declaration, disabled ones too.
    pub rules: Vec<Rule>,
    /// Each of `rules` as declared, for who writes them out; empty where they are only judged.
    pub settings: Vec<RuleSettings>,
    /// What is recorded, in the order of the declaration.
    pub recordings: Vec<Recording>,
    /// Their texts.
    pub templates: Templates,
    /// What is odd but no error.
    pub warnings: Vec<Diagnostic>,
}

impl RuleSet {
    /// Each rule with its declaration.
    pub fn declared(&self) -> impl Iterator<Item = (&Rule, &RuleSettings)> {
        self.rules.iter().zip(&self.settings)
    }

    /// What the store must keep for them.
    #[must_use]
    pub fn windows(&self) -> Vec<(MetricId, Duration)> {
        let enabled = self.rules.iter().filter(|rule| rule.enabled);
        enabled
            .flat_map(Rule::inputs)
            .filter_map(|input| input.reading.window().map(|window| (input.metric, window)))
            .collect()
    }
}
