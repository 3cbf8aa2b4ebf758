//! Settings of one rule.
//!
//! Owns the keys, their defaults and their documentation. Checks of several keys together are in
//! `compile`.

use std::collections::BTreeMap;
use std::ops::Deref;

use bellwether_analysis::{Algorithm, AnomalyDetection, Deviation, Direction};
use bellwether_core::Severity;
use bellwether_schema::{
    Constraint, Decode, DecodeContext, Diagnostics, HumanDuration, Literal, Node, Override,
    Section, Shape, SourceLocation, Spanned, Value, json_schema, section, string_enum,
};
use serde::{Serialize, Serializer};

use crate::eval::aggregate::Aggregation;
use crate::eval::condition::Condition;
pub(crate) mod matcher;

use matcher::Matcher;

/// Label for the setting `component`.
pub const COMPONENT: &str = "component";

string_enum! {
    /// Effect of a failed evaluation or of missing data.
    pub enum NoDataPolicy {
        /// The alert stays as it is.
        Keep = "keep",
        /// The condition counts as not holding.
        Ok = "ok",
        /// The condition counts as holding.
        Alert = "alert",
    }
}

section! {
    /// Thresholds of a rule with several severities; at least one is needed.
    #[constraints = [
        Constraint::AnyOf(&["warning", "critical", "emergency"]),
    ]]
    pub struct Thresholds {
        /// Threshold of `warning`.
        pub warning: Option<f64>,
        /// Threshold of `critical`.
        pub critical: Option<f64>,
        /// Threshold of `emergency`.
        pub emergency: Option<f64>,
    }
}

section! {
    /// Anomaly detection of a rule; the defaults are those of `trend_analysis.anomaly_detection`.
    pub struct AnomalySettings {
        /// Algorithm.
        pub algorithm: Option<Algorithm> = None,
        /// Score from which a value is anomalous, in the unit of the algorithm; the higher, the
        /// fewer anomalies.
        pub sensitivity: Option<Spanned<f64>> = None,
        /// Minimum number of samples before values are evaluated.
        pub min_samples: Option<Spanned<u32>> = None,
        /// Direction of anomalies.
        pub direction: Option<Direction> = None,
        /// Minimum distance from the middle of the expected range: `5` or `10%`.
        pub min_deviation: Option<Deviation> = None,
        /// Anomalous values with less than this between them are one event, with one alert.
        pub cooldown: Option<HumanDuration> = None,
        /// Period of the seasonality.
        pub season: Option<Spanned<HumanDuration>> = None,
        /// Time of history that a value is compared with.
        pub window: Option<Spanned<HumanDuration>> = None,
    }
}

/// `anomaly: true`, or the settings of the detection.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly(pub Option<AnomalySettings>);

impl Anomaly {
    /// Returns the detection with `defaults` for the settings that the rule does not have.
    #[must_use]
    pub fn with_defaults(&self, defaults: &AnomalyDetection) -> AnomalyDetection {
        let own = self.0.clone().unwrap_or_default();
        let algorithm = own.algorithm.unwrap_or(defaults.algorithm);
        // A sensitivity is in the unit of its algorithm.
        let inherited = defaults
            .sensitivity
            .clone()
            .filter(|_| algorithm == defaults.algorithm);
        AnomalyDetection {
            algorithm,
            sensitivity: own.sensitivity.or(inherited),
            min_samples: own
                .min_samples
                .unwrap_or_else(|| defaults.min_samples.clone()),
            direction: own.direction.unwrap_or(defaults.direction),
            min_deviation: own.min_deviation.unwrap_or(defaults.min_deviation),
            cooldown: own.cooldown.unwrap_or(defaults.cooldown),
            season: own.season.unwrap_or_else(|| defaults.season.clone()),
            window: own.window.unwrap_or_else(|| defaults.window.clone()),
            ..defaults.clone()
        }
    }
}

impl Decode for Anomaly {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        match &node.value {
            Value::Scalar(_) => {
                let wanted = bool::decode(node, cx)?;
                Some(Self(wanted.then(AnomalySettings::default)))
            }
            _ => AnomalySettings::decode(node, cx).map(|settings| Self(Some(settings))),
        }
    }

    fn shape() -> Shape {
        Shape::SectionOr(AnomalySettings::doc, json_schema::boolean)
    }
}

impl Serialize for Anomaly {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(settings) => settings.serialize(serializer),
            None => serializer.serialize_bool(false),
        }
    }
}

string_enum! {
    /// Method of the forecast.
    pub enum ForecastMethod {
        /// Linear trend of the samples since the last change point.
        Linear = "linear",
    }
}

string_enum! {
    /// Direction in which a value is reached.
    pub enum Side {
        /// From below, as a disk fills.
        Rising = "rising",
        /// From above, as memory runs out.
        Falling = "falling",
    }
}

section! {
    /// Forecast of a rule.
    pub struct Forecast {
        /// Value to reach.
        pub reaches: Spanned<f64>,
        /// The condition holds if the value is reached within this time. The trend must have lasted
        /// for as long; for half as long once more than a week of history came before it. It must
        /// not be explained by the seasonality of the series.
        pub within: Spanned<HumanDuration>,
        /// Window of the trend, at least a quarter more than `within`.
        pub window: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(360)),
        /// Direction in which the value is reached.
        pub direction: Side = Side::Rising,
        /// Method of the forecast.
        pub method: ForecastMethod = ForecastMethod::Linear,
    }
}

section! {
    /// A recording rule: a query whose results become series in history.
    pub struct RecordingSettings {
        /// Name of the recorded series; usually `level:metric:operation`.
        pub record: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// PromQL query.
        pub promql: Spanned<Literal>,
        /// Labels of the recorded series.
        pub labels: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
        /// Minimum time between two evaluations; by default it is evaluated after each collection
        /// of its inputs.
        pub interval: Option<Spanned<HumanDuration>>,
        /// Enables the rule.
        pub enabled: bool = true,
    }
}

section! {
    /// An alerting rule: evaluates each label set of its metric or query on its own.
    #[constraints = [
        Constraint::AnyOf(&["metric", "expr", "promql"]),
        Constraint::AtMostOne(&["metric", "expr", "promql"]),
        Constraint::Needs("metric", &["condition", "anomaly", "forecast"]),
        Constraint::Needs("condition", &["threshold", "thresholds"]),
        Constraint::Needs("threshold", &["condition"]),
        Constraint::Needs("thresholds", &["condition"]),
        Constraint::AtMostOne(&["threshold", "thresholds"]),
        Constraint::Excludes("thresholds", &["severity"]),
        Constraint::AtMostOne(&["anomaly", "forecast"]),
        Constraint::Excludes("anomaly", &["condition", "threshold", "thresholds", "resolve_threshold"]),
        Constraint::Excludes("forecast", &["condition", "threshold", "thresholds", "resolve_threshold"]),
        Constraint::Excludes("expr", &["aggregation", "window", "anomaly", "forecast"]),
        Constraint::Excludes("promql", &["aggregation", "window", "labels"]),
    ]]
    pub struct RuleSettings {
        /// Unique name; the `alertname` of its alerts.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Metric, with its name in the configuration. A rule has either this, `expr` or `promql`.
        pub metric: Option<Spanned<String>>,
        /// Expression over metrics of the configuration: `cache_misses / (cache_hits +
        /// cache_misses) > 0.5`. Series are joined on the labels that the metrics share. Over time:
        /// `rate(x, "5m")` and every other aggregation, also as `rate(x[5m])` or `rate_5m(x)`. Over
        /// series: `sum_by(x, "label", ...)`, and `avg_by`, `min_by`, `max_by`, `count_by`.
        /// Functions of numbers: abs, floor, ceil, round, sqrt, ln, log2, log10, exp, pow, min,
        /// max, clamp, if.
        pub expr: Option<Spanned<Literal>>,
        /// PromQL query over history, in which metrics have their names of `/metrics`. Without
        /// `condition`, every series of the result is an alert, as in Prometheus. With `condition`,
        /// every series for which it holds is an alert. With `anomaly` or `forecast` these are of its
        /// values.
        pub promql: Option<Spanned<Literal>>,
        /// The condition holds while the value of the metric is outside of its expected range:
        /// `true`, or the settings of the detection.
        pub anomaly: Option<Spanned<Anomaly>>,
        /// The condition holds while the metric is going to reach a value.
        pub forecast: Option<Spanned<Forecast>>,
        /// Minimum time between two evaluations of a rule over history (`promql`, `anomaly`,
        /// `forecast`). By default it is evaluated after each collection of its inputs, a forecast
        /// once a minute.
        pub interval: Option<Spanned<HumanDuration>>,
        /// Comparison of the value with the threshold; in words `greater_than`, `less_than`,
        /// `greater_than_or_equal`, `less_than_or_equal`, `equals`, `not_equals`.
        pub condition: Option<Spanned<Condition>>,
        /// Threshold.
        pub threshold: Option<Spanned<f64>>,
        /// Up to three thresholds instead of one, each with its severity.
        pub thresholds: Option<Spanned<Thresholds>>,
        /// Hysteresis: a firing alert resolves only once the condition does not hold for this
        /// value.
        pub resolve_threshold: Option<Spanned<f64>>,
        /// Aggregation of the samples of `window`; its result is compared.
        pub aggregation: Option<Spanned<Aggregation>>,
        /// Window of the aggregation; 5m if it needs one.
        pub window: Option<Spanned<HumanDuration>>,
        /// Time that the condition must hold before the alert fires; `for` in Prometheus.
        pub duration: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(0)),
        /// Number of samples in a row for which the comparison must be true before the condition
        /// holds.
        pub consecutive: Spanned<u32> = Spanned::nowhere(1),
        /// Time that the condition must not hold before the alert resolves.
        pub keep_firing_for: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(0)),
        /// Time after an alert of this rule resolved in which it is not notified when it fires
        /// again; by default that of its route.
        pub cooldown_period: Option<HumanDuration>,
        /// Severity; `warning` by default.
        pub severity: Option<Spanned<Severity>>,
        /// Effect of missing data: a series is missing or NaN. It applies to each known series by
        /// itself, whether there are others or not, and over a restart. With `alert`, a rule that
        /// never saw a series has one alert as a whole. Not for `promql` without `condition`: there
        /// an empty result resolves the alert.
        pub on_no_data: NoDataPolicy = NoDataPolicy::Keep,
        /// Time that a series may be missing before it is stale and its alert resolves; `0` is
        /// never. By default `1h`, and never with `on_no_data: alert`.
        pub resolve_missing_after: Option<Spanned<HumanDuration>>,
        /// Effect of a failed evaluation.
        pub on_error: NoDataPolicy = NoDataPolicy::Keep,
        /// Only series whose labels match.
        pub labels: BTreeMap<String, Spanned<Matcher>> = BTreeMap::new(),
        /// Maximum number of alerts of the rule, with pending ones; `0` is unlimited. Above it the
        /// first alerts stay, and one alert with the label `overflow="true"` represents the rest.
        /// By default `alerting.rule_limit`.
        pub limit: Option<u32>,
        /// Monitored component, as `checkout` or `storage`: the label `component` of its alerts.
        pub component: Option<Spanned<String>>,
        /// Labels for every alert of this rule.
        pub add_labels: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
        /// Message of the notification: a template with `{{ labels.x }}`, `{{ value }}`, `{{
        /// threshold }}`, and once it fires `{{ fired_value }}` and `{{ peak }}`; for an anomaly
        /// also `{{ expected_low }}`, `{{ expected_high }}` and `{{ score }}`, for a forecast `{{
        /// forecast }}`. `{{ series_labels }}` are the labels without those that the rule adds, `{{
        /// external_labels }}` and `{{ external_url }}` those of this process.
        pub message: Option<Spanned<TextTemplate>>,
        /// Further texts of the notification, by name; templates too.
        pub annotations: BTreeMap<String, Spanned<TextTemplate>> = BTreeMap::new(),
        /// Enables the rule.
        pub enabled: bool = true,
    }
}

/// Template of a text, without variables of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TextTemplate {
    pub template: String,
    /// Go template of a Prometheus rule file that it was translated from.
    pub written: Option<String>,
}

impl Deref for TextTemplate {
    type Target = str;
    fn deref(&self) -> &str {
        &self.template
    }
}

impl Decode for TextTemplate {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        Literal::decode(node, cx).map(|Literal(template)| Self {
            template,
            written: None,
        })
    }

    fn shape() -> Shape {
        Literal::shape()
    }
}

impl Serialize for TextTemplate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.template)
    }
}

impl RuleSettings {
    /// Returns the location of the rule as a whole, for errors about missing keys.
    #[must_use]
    pub fn location(&self) -> SourceLocation {
        let path = &self.name.at.path;
        SourceLocation {
            path: path.strip_suffix(".name").unwrap_or(path).into(),
            ..self.name.at.clone()
        }
    }

    /// Returns the labels that its alerts get, by name.
    #[must_use]
    pub fn added_labels(&self) -> BTreeMap<&str, &Spanned<String>> {
        let own = self
            .add_labels
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        own.chain(self.component.iter().map(|value| (COMPONENT, value)))
            .collect()
    }

    /// Returns true if its alerts are anomalies or forecasts.
    #[must_use]
    pub fn detects(&self) -> bool {
        self.has_anomaly() || self.forecast.is_some()
    }

    /// Returns true if anomaly detection is on.
    #[must_use]
    pub fn has_anomaly(&self) -> bool {
        self.anomaly
            .as_ref()
            .is_some_and(|anomaly| anomaly.0.is_some())
    }

    /// Returns true if the rule has a comparison.
    #[must_use]
    pub fn is_compared(&self) -> bool {
        self.condition.is_some()
            || self.threshold.is_some()
            || self.thresholds.is_some()
            || self.resolve_threshold.is_some()
    }

    /// Returns true if the value of `key` had an error; then it is missing here although the file
    /// has it.
    #[must_use]
    pub fn is_broken(&self, key: &str, problems: &Diagnostics) -> bool {
        let location = self.location();
        let key = format!("{}.{key}", location.path);
        problems.any(|at| {
            at.file == location.file
                && at
                    .path
                    .strip_prefix(&*key)
                    .is_some_and(|r| r.is_empty() || r.starts_with('.'))
        })
    }
}
