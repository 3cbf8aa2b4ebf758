//! One rule as the YAML file declares it.
//!
//! Owns the keys, their defaults and their documentation. What makes sense together is judged in
//! `compile`.

use std::collections::BTreeMap;
use std::ops::Deref;

use bellwether_analysis::{Algorithm, AnomalyDetection, Deviation, Direction};
use bellwether_core::Severity;
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, HumanDuration, Literal, Node, Section, Shape,
    SourceLocation, Spanned, Value, section, string_enum,
};
use serde::{Serialize, Serializer};

use super::aggregate::Aggregation;
use super::condition::Condition;
use super::matcher::Matcher;

/// The label that `component` becomes.
pub const COMPONENT: &str = "component";

string_enum! {
    /// What follows when a rule cannot be evaluated.
    pub enum NoDataPolicy {
        /// The alert stays as it is.
        Keep = "keep",
        /// As if the condition did not hold.
        Ok = "ok",
        /// As if it did.
        Alert = "alert",
    }
}

section! {
    /// Three levels of one rule; each that is given counts.
    pub struct Thresholds {
        /// Where `warning` begins.
        pub warning: Option<f64>,
        /// Where `critical` begins.
        pub critical: Option<f64>,
        /// Where `emergency` begins.
        pub emergency: Option<f64>,
    }
}

section! {
    /// How a rule finds values that are odd; what is not given is as in
    /// `trend_analysis.anomaly_detection`.
    pub struct AnomalySettings {
        /// How.
        pub algorithm: Option<Algorithm> = None,
        /// From which score a value is odd, in the algorithm's own measure; the higher, the fewer.
        pub sensitivity: Option<Spanned<f64>> = None,
        /// Fewest samples to judge by.
        pub min_samples: Option<Spanned<u32>> = None,
        /// Which side counts.
        pub direction: Option<Direction> = None,
        /// Least distance from the middle of the expected range that matters: `5` or `10%`.
        pub min_deviation: Option<Deviation> = None,
        /// Odd values with less than this between them are one event, and make one alert.
        pub cooldown: Option<HumanDuration> = None,
        /// The time after which values are expected to repeat themselves.
        pub season: Option<Spanned<HumanDuration>> = None,
        /// How much of the past a value is compared with.
        pub window: Option<Spanned<HumanDuration>> = None,
    }
}

/// `anomaly: true`, or how in particular.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly(pub Option<AnomalySettings>);

impl Anomaly {
    /// What is meant where the file as a whole says `usual`.
    #[must_use]
    pub fn over(&self, usual: &AnomalyDetection) -> AnomalyDetection {
        let own = self.0.clone().unwrap_or_default();
        let algorithm = own.algorithm.unwrap_or(usual.algorithm);
        // A sensitivity means nothing to another algorithm than the one it was chosen for.
        let inherited = usual
            .sensitivity
            .clone()
            .filter(|_| algorithm == usual.algorithm);
        AnomalyDetection {
            algorithm,
            sensitivity: own.sensitivity.or(inherited),
            min_samples: own.min_samples.unwrap_or_else(|| usual.min_samples.clone()),
            direction: own.direction.unwrap_or(usual.direction),
            min_deviation: own.min_deviation.unwrap_or(usual.min_deviation),
            cooldown: own.cooldown.unwrap_or(usual.cooldown),
            season: own.season.unwrap_or_else(|| usual.season.clone()),
            window: own.window.unwrap_or_else(|| usual.window.clone()),
            ..usual.clone()
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
        Shape::Section(AnomalySettings::doc)
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
    /// How it is foreseen.
    pub enum ForecastMethod {
        /// By the line that the samples follow, since their last change of pace.
        Linear = "linear",
    }
}

string_enum! {
    /// From which side a value is reached.
    pub enum Side {
        /// From below, as a disk fills.
        Rising = "rising",
        /// From above, as memory runs out.
        Falling = "falling",
    }
}

section! {
    /// What a rule foresees.
    pub struct Forecast {
        /// The value that is reached.
        pub reaches: Spanned<f64>,
        /// How soon it must be reached for the condition to hold. The line must have been seen for as
        /// long, for half as long once more than a week of history came before it; and what the series
        /// did before must not explain it.
        pub within: Spanned<HumanDuration>,
        /// How far it is looked back, a quarter more than `within` at the least.
        pub window: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(360)),
        /// From which side it is reached.
        pub direction: Side = Side::Rising,
        /// How it is foreseen.
        pub method: ForecastMethod = ForecastMethod::Linear,
    }
}

section! {
    /// A recording rule: a query whose answers become series of their own in history.
    pub struct RecordingSettings {
        /// The name of the series it makes; `level:metric:operation` is usual.
        pub record: Spanned<String>,
        /// The query, in PromQL.
        pub promql: Spanned<Literal>,
        /// Labels that the series get.
        pub labels: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
        /// The shortest time between two evaluations; by default each collection that concerns it.
        pub interval: Option<Spanned<HumanDuration>>,
        /// Whether it is evaluated at all.
        pub enabled: bool = true,
    }
}

section! {
    /// A rule: judges each label set of its metric on its own.
    pub struct RuleSettings {
        /// Its name, unique; the `alertname` of its alerts.
        pub name: Spanned<String>,
        /// The metric that is judged, as declared. Either this, `expr` or `promql`.
        pub metric: Option<Spanned<String>>,
        /// An expression over declared metrics: `cache_misses / (cache_hits + cache_misses) > 0.5`.
        /// Series are joined on the labels that the metrics share. Over time: `rate(x, "5m")` and
        /// every other aggregation, also as `rate(x[5m])` or `rate_5m(x)`. Over series:
        /// `sum_by(x, "label", ...)`, and `avg_by`, `min_by`, `max_by`, `count_by`. Of numbers:
        /// abs, floor, ceil, round, sqrt, ln, log2, log10, exp, pow, min, max, clamp, if.
        pub expr: Option<Spanned<Literal>>,
        /// A PromQL query over history, where metrics have their names on the page: each series of
        /// its answer is an alert of its own. Without `condition` a series in the answer holds, as
        /// in Prometheus.
        pub promql: Option<Spanned<Literal>>,
        /// The condition holds while the value of the metric is outside of what is expected: `true`,
        /// or how that is found.
        pub anomaly: Option<Spanned<Anomaly>>,
        /// The condition holds while the metric is going to reach a value.
        pub forecast: Option<Spanned<Forecast>>,
        /// The shortest time between two judgements of a rule that asks history (`promql`,
        /// `anomaly`, `forecast`); by default each collection that concerns it is judged, a
        /// forecast once a minute.
        pub interval: Option<Spanned<HumanDuration>>,
        /// How the value is compared with the threshold; in words `greater_than`, `less_than`,
        /// `greater_than_or_equal`, `less_than_or_equal`, `equals`, `not_equals`.
        pub condition: Option<Spanned<Condition>>,
        /// What it is compared with.
        pub threshold: Option<Spanned<f64>>,
        /// Up to three thresholds instead of one, each with its severity.
        pub thresholds: Option<Spanned<Thresholds>>,
        /// Hysteresis: a firing alert resolves only once the condition no longer holds for this
        /// value.
        pub resolve_threshold: Option<Spanned<f64>>,
        /// What is made of the samples of `window` before they are judged.
        pub aggregation: Option<Spanned<Aggregation>>,
        /// The time an aggregation looks back on; 5m if it needs one.
        pub window: Option<Spanned<HumanDuration>>,
        /// How long the condition must hold before the alert fires.
        pub duration: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(0)),
        /// How many samples in a row must violate before the condition counts as held.
        pub consecutive: Spanned<u32> = Spanned::nowhere(1),
        /// How long the condition must not hold before the alert resolves.
        pub keep_firing_for: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(0)),
        /// How long after an alert of this rule resolved it is not told when it fires again; by
        /// default as its route says.
        pub cooldown_period: Option<HumanDuration>,
        /// How bad it is; `warning` if nothing is said.
        pub severity: Option<Spanned<Severity>>,
        /// What follows when a series has no data: it is missing, or NaN. It holds for each series
        /// that was seen by itself, whether others are there or not, and over a restart; with
        /// `alert`, a rule that never saw a series has one alert as a whole. Not for `promql`
        /// without `condition`, where no answer is how an alert resolves.
        pub on_no_data: NoDataPolicy = NoDataPolicy::Keep,
        /// How long a series may be missing before it counts as gone and its alert resolves; `0` is
        /// never. By default `1h`, and never with `on_no_data: alert`.
        pub resolve_missing_after: Option<Spanned<HumanDuration>>,
        /// What follows when the evaluation fails.
        pub on_error: NoDataPolicy = NoDataPolicy::Keep,
        /// Only series whose labels pass.
        pub labels: BTreeMap<String, Spanned<Matcher>> = BTreeMap::new(),
        /// Most alerts the rule may have at once, pending ones included; `0` for any number. Over
        /// it, those stay that were there first, and one alert with the label `overflow="true"`
        /// stands for the rest. By default `alerting.rule_limit`.
        pub limit: Option<u32>,
        /// What the rule watches over, as `checkout` or `storage`: the label `component` of its
        /// alerts.
        pub component: Option<Spanned<String>>,
        /// Labels that every alert of this rule gets.
        pub add_labels: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
        /// What people are told: a template with `{{ labels.x }}`, `{{ value }}`, `{{ threshold }}`,
        /// and once it fires `{{ fired_value }}` and `{{ peak }}`; of an anomaly also `{{ expected_low }}`, `{{ expected_high }}` and `{{ score }}`, of a
        /// forecast `{{ forecast }}`. `{{ series_labels }}` are labels without those that the rule
        /// adds, `{{ external_labels }}` and `{{ external_url }}` those of this process.
        pub message: Option<Spanned<Wording>>,
        /// More for people, by name; templates too.
        pub annotations: BTreeMap<String, Spanned<Wording>> = BTreeMap::new(),
        /// Whether it is judged at all.
        pub enabled: bool = true,
    }
}

/// A text for people: a template, taken as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wording {
    /// The template.
    pub template: String,
    /// What it was translated from, as it stands in a rule file of Prometheus.
    pub written: Option<String>,
}

impl Deref for Wording {
    type Target = str;
    fn deref(&self) -> &str {
        &self.template
    }
}

impl Decode for Wording {
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

impl Serialize for Wording {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.template)
    }
}

impl RuleSettings {
    /// The place of the rule as a whole, for what is missing in it.
    #[must_use]
    pub fn place(&self) -> SourceLocation {
        let path = &self.name.at.path;
        SourceLocation {
            path: path.strip_suffix(".name").unwrap_or(path).into(),
            ..self.name.at.clone()
        }
    }

    /// The labels that its alerts get, by name.
    #[must_use]
    pub fn added_labels(&self) -> BTreeMap<&str, &Spanned<String>> {
        let own = self
            .add_labels
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        own.chain(self.component.iter().map(|value| (COMPONENT, value)))
            .collect()
    }

    /// Whether odd values are looked for.
    #[must_use]
    pub fn wants_anomaly(&self) -> bool {
        self.anomaly
            .as_ref()
            .is_some_and(|anomaly| anomaly.0.is_some())
    }

    /// Whether a value is compared with something.
    #[must_use]
    pub fn is_compared(&self) -> bool {
        self.condition.is_some()
            || self.threshold.is_some()
            || self.thresholds.is_some()
            || self.resolve_threshold.is_some()
    }

    /// Whether the value of `key` was found wrong already; then it is absent here without having
    /// been left out.
    #[must_use]
    pub fn is_broken(&self, key: &str, problems: &Diagnostics) -> bool {
        let key = format!("{}.{key}", self.place().path);
        problems.any(|path| {
            path.strip_prefix(&*key)
                .is_some_and(|r| r.is_empty() || r.starts_with('.'))
        })
    }
}
