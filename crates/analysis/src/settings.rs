//! Settings of anomaly detection.

use std::fmt;
use std::time::Duration;

use bellwether_core::{Kind, MetricDef};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, HumanDuration, Node, Shape, Spanned, did_you_mean,
    json_schema, section, string_enum,
};

use super::anomaly;

string_enum! {
    /// Algorithm of anomaly detection.
    pub enum Algorithm {
        /// Rareness in the series itself of the distance of a value, of a run of values and of
        /// their steps from the daily seasonality, or from the level if there is none.
        Auto = "auto",
        /// Distance from the mean in standard deviations.
        ZScore = "zscore",
        /// Distance beyond the nearer quartile in interquartile ranges.
        Iqr = "iqr",
        /// Distance from the median in robust standard deviations.
        Mad = "mad",
        /// Distance from the value of the daily seasonality in robust standard deviations.
        Seasonal = "seasonal",
    }
}

string_enum! {
    /// Direction of anomalies.
    pub enum Direction {
        /// Values above and below the expected range.
        Both = "both",
        /// Values above only.
        Above = "above",
        /// Values below only.
        Below = "below",
    }
}

/// Minimum distance from the middle of the expected range: `5` or `10%` of that middle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deviation {
    /// In the unit of the metric.
    Absolute(f64),
    /// In percent of the middle of the expected range.
    Percent(f64),
}

impl Deviation {
    /// Parses `5` or `10%`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim().strip_suffix('%') {
            Some(percent) => number(percent).map(Self::Percent),
            None => number(text).map(Self::Absolute),
        }
    }

    /// Returns the minimum distance from `middle`.
    #[must_use]
    pub fn least(self, middle: f64) -> f64 {
        match self {
            Self::Absolute(least) => least,
            Self::Percent(percent) => middle.abs() * percent / 100.0,
        }
    }
}

/// Parses a number that is not negative.
fn number(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite() && *number >= 0.0)
}

impl Decode for Deviation {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(node, "a distance such as 5 or 10%", Self::parse)
    }
    fn shape() -> Shape {
        Shape::Word("number or percentage", || {
            json_schema::number_or(f64::MAX, r"[0-9.eE+]+\s*%")
        })
    }
}

impl fmt::Display for Deviation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absolute(least) => write!(out, "{least}"),
            Self::Percent(percent) => write!(out, "{percent}%"),
        }
    }
}

impl serde::Serialize for Deviation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Algorithm {
    /// Returns the default sensitivity.
    #[must_use]
    pub fn usual_sensitivity(self) -> f64 {
        match self {
            Self::ZScore | Self::Iqr => 3.0,
            Self::Mad | Self::Seasonal => 6.0,
            Self::Auto => 10.0,
        }
    }
}

section! {
    /// Anomaly detection.
    pub struct AnomalyDetection {
        /// Enables anomaly detection.
        pub enabled: bool = true,
        /// Gauges to monitor as they are collected, reported in `bellwether_anomaly` and
        /// `bellwether_anomaly_score`. Default: `cpu_percent` and `memory_percent`, if they are
        /// collected. Rules have their own detectors.
        pub metrics: Option<Vec<Spanned<String>>> = None,
        /// Algorithm.
        pub algorithm: Algorithm = Algorithm::Auto,
        /// Score from which a value is anomalous, in the unit of the algorithm; a higher one
        /// reports fewer values. Default: 3 for `zscore` and `iqr`, 6 for `mad` and `seasonal`, 10
        /// for `auto`, where 1 more is e times as rare. With `auto` each event in the window raises
        /// it by 1 for the next.
        pub sensitivity: Option<Spanned<f64>> = None,
        /// Minimum number of samples before values are evaluated.
        pub min_samples: Spanned<u32> = Spanned::nowhere(100),
        /// Direction of anomalies.
        pub direction: Direction = Direction::Both,
        /// Minimum distance of an anomaly from the middle of the expected range: `5`, or `10%` of
        /// that middle.
        pub min_deviation: Deviation = Deviation::Absolute(0.0),
        /// Anomalous values with less than this time between them are one event, which is reported
        /// once.
        pub cooldown: HumanDuration = HumanDuration::secs(3600),
        /// Period of the seasonality: a day, or `1w`.
        pub season: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(86_400)),
        /// Length of the past that a value is compared with.
        pub window: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(14 * 86_400)),
    }
}

/// Lower limit of `min_samples`; fewer do not show what is rare.
const FEWEST_SAMPLES: u32 = 10;
/// Metrics that are monitored by default.
const USUALLY_WATCHED: [&str; 2] = ["cpu_percent", "memory_percent"];

impl AnomalyDetection {
    /// Returns the names of the monitored metrics; they need not be configured.
    pub fn watched(&self) -> impl Iterator<Item = &str> {
        let usual: &[&str] = if self.metrics.is_none() {
            &USUALLY_WATCHED
        } else {
            &[]
        };
        let said = self
            .metrics
            .iter()
            .flatten()
            .map(|name| name.value.as_str());
        let names = said.chain(usual.iter().copied());
        names.take(if self.enabled { usize::MAX } else { 0 })
    }

    /// Reports invalid values.
    pub fn check_values(&self, problems: &mut Diagnostics) {
        if let Some(least) = self.sensitivity.as_ref().filter(|least| least.value <= 0.0) {
            let usual = self.algorithm.usual_sensitivity();
            problems
                .error(&least.at, format!("must be above 0: {}", least.value))
                .hint(format!(
                    "{usual} is usual for `{}`",
                    self.algorithm.as_str()
                ));
        }
        if *self.min_samples < FEWEST_SAMPLES {
            problems
                .error(
                    &self.min_samples.at,
                    format!("too few: {}", self.min_samples.value),
                )
                .hint(format!("{FEWEST_SAMPLES} at the least; 100 is usual"));
        }
        for (span, usual) in [(&self.season, "1d"), (&self.window, "14d")] {
            if span.value < HumanDuration::minutes(1) {
                problems
                    .error(&span.at, format!("too short: {}", span.value))
                    .hint(format!("a minute at the least; {usual} is usual"));
            }
        }
    }

    /// Reports invalid values, and metrics that cannot be monitored.
    pub fn check(&self, metrics: &[MetricDef], problems: &mut Diagnostics) {
        self.check_values(problems);
        for name in self.metrics.iter().flatten() {
            match metrics.iter().find(|def| *def.name == **name) {
                None => {
                    let known = metrics.iter().map(|def| &*def.name);
                    problems
                        .error(&name.at, format!("no such metric: {:?}", name.value))
                        .hint_if(did_you_mean(name, known));
                }
                Some(def) if def.kind != Kind::Gauge => {
                    let kind = def.kind.as_str();
                    problems
                        .error(
                            &name.at,
                            format!("only gauges are watched, this is a {kind}"),
                        )
                        .hint("a rule with `promql: rate(...)` watches how fast a counter grows");
                }
                Some(_) => {}
            }
        }
    }

    /// Returns the settings of a detector.
    #[must_use]
    pub fn detector(&self) -> anomaly::Settings {
        anomaly::Settings {
            algorithm: self.algorithm,
            sensitivity: self.sensitivity.as_ref().map(|least| least.value),
            min_samples: *self.min_samples,
            direction: self.direction,
            min_deviation: self.min_deviation,
            cooldown: *self.cooldown,
            hold: Duration::ZERO,
            season: **self.season,
            window: **self.window,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ships_is_what_is_scored() {
        assert_eq!(
            AnomalyDetection::default().detector(),
            anomaly::Settings::default()
        );
    }
}
