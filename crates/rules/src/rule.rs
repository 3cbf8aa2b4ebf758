//! Compiled rule, ready for evaluation.
//!
//! Owns what is constant at runtime. State belongs to the engine.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, Labels, MetricId, Severity};
use bellwether_schema::{Diagnostic, format_duration};

use crate::alert::alert_labels::AlertLabels;
use crate::alert::detail::Detail;
use crate::alert::limit;
use crate::alert::state_machine::Policy;
use crate::alert::template::{Templates, Text};
use crate::eval::condition::{Comparison, Level};
use crate::eval::input::Input;
use crate::eval::schedule::Schedule;
use crate::expr::{Formula, Outcome};
use crate::query::history_query::{HistoryQuery, QueryKind};
use crate::query::recording::Recording;
use crate::settings::{NoDataPolicy, RuleSettings};

/// Identity of a rule over a reload: its alerts keep their state if this is equal. Thresholds,
/// durations and texts are not part of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    pub name: Arc<str>,
    /// Metric, expression or query, with the kind of evaluation.
    pub source: String,
    /// Matchers of the configuration, as JSON.
    pub matchers: String,
    pub add_labels: Labels,
}

/// Source of the values of a rule.
#[derive(Clone, Debug)]
pub enum Source {
    /// Formula over series of the store.
    Series(Formula),
    /// Query over history.
    History(HistoryQuery),
}

/// Alerting rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Unique name.
    pub name: Arc<str>,
    pub enabled: bool,
    /// Metric of the configuration, if the rule has one.
    pub metric: Option<Arc<str>>,
    pub identity: Identity,
    /// Description of the value: `p95 of api_request_duration over 5m`.
    pub subject: String,
    pub source: Source,
    pub comparison: Comparison,
    pub policy: Policy,
    /// Maximum number of alerts; `None`: unlimited.
    pub limit: Option<usize>,
    pub on_no_data: NoDataPolicy,
    /// Time after which a missing series is stale and its alert resolves; `None`: never.
    pub resolve_missing_after: Option<Duration>,
    pub on_error: NoDataPolicy,
    /// Labels that identify its alerts.
    pub labels: AlertLabels,
    pub message: Option<Text>,
    pub annotations: Vec<(String, Text)>,
    pub schedule: Schedule,
}

impl Rule {
    /// Returns the `alertname` of its alerts: its name, unless it adds that label.
    #[must_use]
    pub fn alertname(&self) -> &str {
        self.identity
            .add_labels
            .get("alertname")
            .map_or(&*self.name, String::as_str)
    }

    /// Returns the severity of a level, which may be from before a reload with more levels.
    #[must_use]
    pub fn severity(&self, level: usize) -> Severity {
        let level = level.min(self.comparison.levels.len().saturating_sub(1));
        self.comparison
            .levels
            .get(level)
            .map_or(Severity::Warning, |level| level.severity)
    }

    /// Returns the severity of its highest level.
    #[must_use]
    pub fn worst_severity(&self) -> Severity {
        self.severity(usize::MAX)
    }

    /// Returns the threshold of a level.
    #[must_use]
    pub fn threshold(&self, level: usize) -> Option<f64> {
        let level = level.min(self.comparison.levels.len().saturating_sub(1));
        self.comparison
            .levels
            .get(level)
            .and_then(|level| level.threshold)
    }

    /// Returns the limit if `key` is that of the overflow alert.
    #[must_use]
    pub fn overflow(&self, key: &LabelSet) -> Option<usize> {
        self.limit.filter(|_| limit::is_overflow(key))
    }

    /// Returns true if the alert of `key`, made before a reload, may belong to this rule.
    #[must_use]
    pub fn fits(&self, key: &LabelSet) -> bool {
        self.overflow(key).is_some() || self.labels.fits(key)
    }

    /// Returns the labels of the alert of `key`.
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

    /// Returns true if any of its texts is a template.
    #[must_use]
    pub fn has_templates(&self) -> bool {
        self.texts().any(|text| !matches!(text, Text::Plain(_)))
    }

    /// Returns true if any of its texts queries history.
    #[must_use]
    pub fn has_query_texts(&self) -> bool {
        self.texts().any(|text| matches!(text, Text::Query(_)))
    }

    fn texts(&self) -> impl Iterator<Item = &Text> {
        self.annotations
            .iter()
            .map(|(_, text)| text)
            .chain(&self.message)
    }

    /// Returns the labels of the series of the alert of `key`, without those that the rule adds.
    #[must_use]
    pub fn series_labels(&self, key: &LabelSet, detail: Option<&Detail>) -> Labels {
        if self.overflow(key).is_some() {
            return Labels::new();
        }
        let series = detail.and_then(Detail::series);
        series.map_or_else(
            || self.labels.labels(key, &Labels::new()),
            |labels| {
                labels
                    .iter()
                    .map(|(n, v)| (n.to_owned(), v.to_owned()))
                    .collect()
            },
        )
    }

    /// Returns true if `value` is worse than `other`: further in the direction of the condition if
    /// it has one, sooner for a forecast, else further from the threshold, from the expected range
    /// or from zero.
    #[must_use]
    pub fn is_worse(&self, value: f64, other: f64, detail: Option<&Detail>) -> bool {
        let kind = self
            .history_query()
            .map(|history_query| &history_query.kind);
        if matches!(kind, Some(QueryKind::Forecast(_))) {
            return value < other;
        }
        self.comparison
            .condition
            .is_beyond(value, other)
            .unwrap_or_else(|| {
                let expected = detail.and_then(Detail::middle);
                let good = self.threshold(0).or(expected).unwrap_or_default();
                (value - good).abs() > (other - good).abs()
            })
    }

    /// Returns the series of the store that it reads.
    #[must_use]
    pub fn inputs(&self) -> &[Input] {
        match &self.source {
            Source::Series(formula) => &formula.inputs,
            Source::History(_) => &[],
        }
    }

    /// Returns true if an alert resolves once its series leaves the result: a query that is the
    /// condition itself has no result when all is well.
    #[must_use]
    pub fn resolves_when_absent(&self) -> bool {
        self.history_query()
            .is_some_and(|history_query| matches!(history_query.kind, QueryKind::Present))
    }

    /// Returns true if series without an alert are remembered, because their absence alerts.
    #[must_use]
    pub fn remembers_series(&self) -> bool {
        self.on_no_data == NoDataPolicy::Alert && !self.resolves_when_absent()
    }

    /// Describes the effect of a missing series on its alert.
    #[must_use]
    pub fn no_data_behavior(&self) -> String {
        if self.resolves_when_absent() {
            return "the alert resolves: the query itself is the condition".to_owned();
        }
        let most = self.resolve_missing_after.map(format_duration);
        match (self.on_no_data, most) {
            (NoDataPolicy::Keep, Some(most)) => {
                format!("the alert stays as it is, and resolves after {most}")
            }
            (NoDataPolicy::Keep, None) => "the alert stays as it is until there is data".to_owned(),
            (NoDataPolicy::Ok, _) => "it counts as ok, and the alert resolves".to_owned(),
            (NoDataPolicy::Alert, Some(most)) => format!("it alerts, and resolves after {most}"),
            (NoDataPolicy::Alert, None) => "it alerts until there is data".to_owned(),
        }
    }

    /// Returns the query over history, if it has one.
    #[must_use]
    pub fn history_query(&self) -> Option<&HistoryQuery> {
        match &self.source {
            Source::Series(_) => None,
            Source::History(history_query) => Some(history_query),
        }
    }

    /// Describes the condition: `p95 of api_request_duration over 5m > 1`.
    #[must_use]
    pub fn condition(&self) -> String {
        let of = |level: &Level| match (level.threshold, self.comparison.levels.len()) {
            (None, _) => String::new(),
            (Some(threshold), 1) => format!(" {threshold}"),
            (Some(threshold), _) => format!(" {threshold} ({})", level.severity.as_str()),
        };
        let subject = match self
            .history_query()
            .map(|history_query| (&history_query.kind, &history_query.configured))
        {
            Some((QueryKind::Anomaly(_), _)) => return format!("{} is anomalous", self.subject),
            Some((QueryKind::Forecast(forecasting), _)) => {
                let within = format_duration(forecasting.horizon.within);
                return format!(
                    "{} reaches {} within {within}",
                    self.subject, forecasting.horizon.target.value
                );
            }
            Some((_, Some(query))) => query,
            _ => &*self.subject,
        };
        // An expression with a comparison is its own description.
        if let Source::Series(Formula {
            outcome: Outcome::Compared(..) | Outcome::Test(_),
            ..
        }) = &self.source
        {
            return self.subject.clone();
        }
        let thresholds: Vec<String> = self.comparison.levels.iter().map(of).collect();
        match thresholds.join(",").as_str() {
            "" => subject.to_owned(),
            thresholds => format!(
                "{subject} {}{thresholds}",
                self.comparison.condition.as_str()
            ),
        }
    }

    /// Returns the longest window of its inputs.
    #[must_use]
    pub fn longest_window(&self) -> Duration {
        let windows = self
            .inputs()
            .iter()
            .filter_map(|input| input.reading.window());
        windows.max().unwrap_or_default()
    }
}

/// Rules of one configuration.
#[derive(Debug, Default)]
pub struct RuleSet {
    /// Alerting rules in the order of the configuration, with disabled ones.
    pub rules: Vec<Rule>,
    /// Settings of each of `rules`; empty where they are not needed.
    pub settings: Vec<RuleSettings>,
    /// Recording rules in the order of the configuration.
    pub recordings: Vec<Recording>,
    pub templates: Templates,
    /// Warnings.
    pub warnings: Vec<Diagnostic>,
}

impl RuleSet {
    /// Returns each rule with its settings.
    pub fn with_settings(&self) -> impl Iterator<Item = (&Rule, &RuleSettings)> {
        self.rules.iter().zip(&self.settings)
    }

    /// Returns the windows that the store must keep.
    #[must_use]
    pub fn windows(&self) -> Vec<(MetricId, Duration)> {
        let enabled = self.rules.iter().filter(|rule| rule.enabled);
        enabled
            .flat_map(Rule::inputs)
            .filter_map(|input| input.reading.window().map(|window| (input.metric, window)))
            .collect()
    }
}
