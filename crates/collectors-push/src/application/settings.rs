//! The sections `application_metrics` and `application`, their checks, and the definitions of metrics
//! for the recorder.

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{DEFAULT_BUCKETS, MetricDefaults, check_buckets};
use bellwether_core::{Kind, MetricDef};
use bellwether_recorder::{MAX_LABELS, RecordedMetric};
use bellwether_schema::{
    Diagnostics, HumanDuration, Override, Spanned, check_label_names, section, string_enum,
};

use super::statsd::Statsd;

string_enum! {
    /// Types of application metrics.
    pub enum ApplicationType {
        /// A total that only grows: `inc`.
        Counter = "counter",
        /// A value that goes up and down: `set`, `add`.
        Gauge = "gauge",
        /// Observations counted into buckets: `observe`.
        Histogram = "histogram",
        /// Quantiles over recent observations: `observe`.
        Summary = "summary",
    }
}

section! {
    /// A metric that applications record.
    pub struct ApplicationMetric {
        /// Name.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Type.
        pub r#type: ApplicationType,
        /// Label names; every record needs a value for each.
        pub labels: Vec<Spanned<String>> = Vec::new(),
        /// Upper bounds of a histogram's buckets, ascending; `+Inf` is always there. By default
        /// those of Prometheus's clients, from 5 ms to 10 s.
        pub buckets: Option<Spanned<Vec<f64>>>,
        /// Quantiles of a summary, each between 0 and 1; by default 0.5, 0.9 and 0.99. They are
        /// off by at most 1.6 % of the value.
        pub quantiles: Option<Spanned<Vec<f64>>>,
        /// Window of a summary's quantiles; by default 10m.
        pub max_age: Option<Spanned<HumanDuration>>,
        /// Text of `# HELP`.
        pub help: Option<String>,
        /// Set to false to leave the metric out.
        pub enabled: bool = true,
        /// Maximum number of series. Records of further series are rejected and counted.
        pub max_series: Spanned<u32> = 10_000.into(),
        /// Time without a record after which a series is deleted; by default never.
        pub expire_after: Option<Spanned<HumanDuration>>,
    }
}

section! {
    /// Further ways to send application metrics.
    pub struct Application {
        /// Interval at which samples of the metrics go to history and rules. Default: `collection_interval`.
        pub interval: Option<Spanned<HumanDuration>>,
        /// Receives `StatsD` and `DogStatsD` lines; without this section no port is open.
        pub statsd: Option<Statsd>,
    }
}

const DEFAULT_QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);

/// Resolves the enabled metrics, in their order. Every entry is checked, disabled ones too. Unique
/// names are checked with those of all other sections.
pub fn resolve(
    metrics: &[ApplicationMetric],
    defaults: MetricDefaults<'_>,
    problems: &mut Diagnostics,
) -> Vec<RecordedMetric> {
    metrics.iter().for_each(|metric| metric.check(problems));
    let enabled = metrics.iter().filter(|metric| metric.enabled);
    enabled.map(|metric| metric.resolve(defaults)).collect()
}

impl From<ApplicationType> for Kind {
    fn from(kind: ApplicationType) -> Self {
        match kind {
            ApplicationType::Counter => Kind::Counter,
            ApplicationType::Gauge => Kind::Gauge,
            ApplicationType::Histogram => Kind::Histogram,
            ApplicationType::Summary => Kind::Summary,
        }
    }
}

impl ApplicationMetric {
    fn resolve(&self, defaults: MetricDefaults<'_>) -> RecordedMetric {
        let kind = Kind::from(self.r#type);
        let numbers = |setting: &Option<Spanned<Vec<f64>>>, default: &[f64], of: Kind| {
            let numbers = setting
                .as_ref()
                .map_or(default, |setting| setting.value.as_slice());
            if kind == of {
                Arc::from(numbers)
            } else {
                Arc::from([])
            }
        };
        let def = MetricDef {
            help: self
                .help
                .as_deref()
                .unwrap_or("Recorded by applications.")
                .into(),
            labels: self
                .labels
                .iter()
                .map(|label| label.as_str().into())
                .collect(),
            buckets: numbers(&self.buckets, &DEFAULT_BUCKETS, Kind::Histogram),
            quantiles: numbers(&self.quantiles, &DEFAULT_QUANTILES, Kind::Summary),
            ..defaults.define(&self.name, kind)
        };
        RecordedMetric {
            def,
            max_series: *self.max_series as usize,
            max_age: self.max_age.as_ref().map_or(DEFAULT_MAX_AGE, |age| ***age),
            expire_after: self.expire_after.as_ref().map(|age| ***age),
        }
    }

    fn check(&self, problems: &mut Diagnostics) {
        check_label_names(&self.labels, problems);
        self.check_labels(problems);
        check_buckets(self.r#type.into(), self.buckets.as_ref(), problems);
        self.check_quantiles(problems);
        if *self.max_series == 0 {
            problems
                .error(&self.max_series.at, "must be at least 1: 0")
                .hint("or enabled: false");
        }
        for age in [&self.max_age, &self.expire_after].into_iter().flatten() {
            if age.is_zero() {
                problems.error(&age.at, "must be longer than 0s");
            }
        }
        if let Some(age) = self
            .max_age
            .as_ref()
            .filter(|_| self.r#type != ApplicationType::Summary)
        {
            problems.error(
                &age.at,
                format!("a {} has no max_age", self.r#type.as_str()),
            );
        }
    }

    /// Rejects `le` and `quantile`, which the exposition adds itself.
    fn check_labels(&self, problems: &mut Diagnostics) {
        let reserved = match self.r#type {
            ApplicationType::Histogram => "le",
            ApplicationType::Summary => "quantile",
            ApplicationType::Counter | ApplicationType::Gauge => "",
        };
        for label in self
            .labels
            .iter()
            .filter(|label| label.as_str() == reserved)
        {
            let kind = self.r#type.as_str();
            problems.error(
                &label.at,
                format!("a {kind} has the label {reserved:?} already"),
            );
        }
        if let Some(label) = self.labels.get(MAX_LABELS) {
            problems.error(&label.at, format!("more than {MAX_LABELS} labels"));
        }
    }

    fn check_quantiles(&self, problems: &mut Diagnostics) {
        let Some(quantiles) = &self.quantiles else {
            return;
        };
        if self.r#type != ApplicationType::Summary {
            let message = format!("a {} has no quantiles", self.r#type.as_str());
            problems.error(&quantiles.at, message).hint("type: summary");
        }
        for quantile in quantiles
            .iter()
            .filter(|quantile| !(0.0..=1.0).contains(*quantile))
        {
            let problem = problems.error(&quantiles.at, format!("not from 0 to 1: {quantile}"));
            problem.hint("0.95 for the 95th percentile");
        }
        for pair in quantiles.windows(2).filter(|pair| pair[0] >= pair[1]) {
            let message = format!(
                "quantiles must ascend: {} comes before {}",
                pair[0], pair[1]
            );
            problems.error(&quantiles.at, message);
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::Origin;
    use bellwether_schema::{Decode, DecodeContext};

    use super::*;

    fn check(yaml: &str) -> (Vec<RecordedMetric>, Vec<String>) {
        let mut problems = Diagnostics::default();
        let node = bellwether_schema::parse(yaml).unwrap();
        let decoded = Vec::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None))
            .unwrap_or_default();
        let defaults = MetricDefaults {
            origin: Origin::APPLICATION,
            prefix: "app",
            interval: Duration::from_secs(30),
        };
        let declared = resolve(&decoded, defaults, &mut problems);
        (
            declared,
            problems
                .into_sorted()
                .iter()
                .map(ToString::to_string)
                .collect(),
        )
    }

    #[test]
    fn the_core_document_s_histogram_resolves() {
        let (declared, problems) = check(
            "- {name: agent_execution_time, type: histogram, labels: [agent_name, status], \
             buckets: [0.1, 1.0, 5.0, 10.0], enabled: true}",
        );
        assert_eq!(problems, [""; 0]);
        let RecordedMetric {
            def,
            max_series,
            expire_after,
            ..
        } = &declared[0];
        assert_eq!(&*def.exported, "app_agent_execution_time");
        assert_eq!(
            (def.kind, def.width(), def.origin),
            (Kind::Histogram, 6, Origin::APPLICATION)
        );
        assert_eq!((*max_series, *expire_after), (10_000, None));
    }

    #[test]
    fn defaults_are_prometheus_s_and_disabled_ones_are_left_out() {
        let (declared, problems) = check(
            "- {name: a, type: histogram}\n- {name: b, type: summary}\n\
             - {name: c, type: gauge, enabled: false}",
        );
        assert_eq!(problems, [""; 0]);
        assert_eq!(declared.len(), 2);
        assert_eq!(*declared[0].def.buckets, DEFAULT_BUCKETS);
        assert!(declared[0].def.quantiles.is_empty());
        assert_eq!(*declared[1].def.quantiles, DEFAULT_QUANTILES);
        assert_eq!(declared[1].max_age, Duration::from_secs(600));
    }

    #[test]
    fn every_mistake_is_reported_also_of_disabled_metrics() {
        let cases = [
            (
                "name: a, type: gauge, labels: [__x]",
                "[0].labels[0]: not a label name",
            ),
            (
                "name: a, type: gauge, labels: [x, x]",
                "[0].labels[1]: label \"x\" is declared",
            ),
            (
                "name: a, type: histogram, labels: [le]",
                "a histogram has the label \"le\" already",
            ),
            (
                "name: a, type: summary, labels: [quantile]",
                "has the label \"quantile\" already",
            ),
            (
                "name: a, type: gauge, buckets: [1]",
                "[0].buckets: a gauge has no buckets",
            ),
            (
                "name: a, type: histogram, buckets: []",
                "at least one bucket is needed",
            ),
            (
                "name: a, type: histogram, buckets: [1, 1]",
                "must ascend: 1 comes before 1",
            ),
            (
                "name: a, type: histogram, buckets: [1, .inf]",
                "expected a number",
            ),
            (
                "name: a, type: counter, quantiles: [0.5]",
                "a counter has no quantiles",
            ),
            (
                "name: a, type: summary, quantiles: [95]",
                "not from 0 to 1: 95",
            ),
            (
                "name: a, type: summary, quantiles: [0.9, 0.5]",
                "0.9 comes before 0.5",
            ),
            (
                "name: a, type: counter, max_age: 5m",
                "a counter has no max_age",
            ),
            (
                "name: a, type: summary, max_age: 0",
                "must be longer than 0s",
            ),
            (
                "name: a, type: gauge, expire_after: 0",
                "must be longer than 0s",
            ),
            (
                "name: a, type: gauge, max_series: 0",
                "must be at least 1: 0",
            ),
        ];
        for (entry, expected) in cases {
            let (_, problems) = check(&format!("- {{{entry}, enabled: false}}"));
            assert_eq!(problems.len(), 1, "{entry}: {problems:?}");
            assert!(problems[0].contains(expected), "{entry}: {problems:?}");
        }
        let labels: Vec<String> = (0..=MAX_LABELS).map(|n| format!("l{n}")).collect();
        let (_, problems) = check(&format!(
            "- {{name: a, type: gauge, labels: [{}]}}",
            labels.join(",")
        ));
        assert!(problems[0].contains("more than 32 labels"), "{problems:?}");
    }
}
