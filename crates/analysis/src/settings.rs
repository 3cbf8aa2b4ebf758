//! How anomalies are found, as the YAML file declares it.

use std::fmt;
use std::time::Duration;

use bellwether_core::{Kind, MetricDef};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostics, HumanDuration, Node, Shape, Spanned, did_you_mean, section,
    string_enum,
};

use super::anomaly;

string_enum! {
    /// How anomalies are found.
    pub enum Algorithm {
        /// How seldom it was, in the series itself, that a value, a run of values and their steps
        /// were as far from what the time of the day has, or from the level where it has nothing.
        Auto = "auto",
        /// Distance from the mean in standard deviations.
        ZScore = "zscore",
        /// Distance beyond the nearer quartile in interquartile ranges.
        Iqr = "iqr",
        /// Distance from the median in robust standard deviations.
        Mad = "mad",
        /// Distance from what the time of the day had before, in robust standard deviations.
        Seasonal = "seasonal",
    }
}

string_enum! {
    /// Which side counts.
    pub enum Direction {
        /// Values above and below what is expected.
        Both = "both",
        /// Values above only.
        Above = "above",
        /// Values below only.
        Below = "below",
    }
}

/// Least distance from the expected range that matters in practice: `5` or `10%` of the middle of
/// that range.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deviation {
    /// In the unit of the metric.
    Absolute(f64),
    /// In percent of the middle of the expected range.
    Percent(f64),
}

impl Deviation {
    /// Reads `5` or `10%`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            text.trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite() && *number >= 0.0)
        };
        match text.trim().strip_suffix('%') {
            Some(percent) => number(percent).map(Self::Percent),
            None => number(text).map(Self::Absolute),
        }
    }

    /// The least distance from `middle` that matters.
    #[must_use]
    pub fn least(self, middle: f64) -> f64 {
        match self {
            Self::Absolute(least) => least,
            Self::Percent(percent) => middle.abs() * percent / 100.0,
        }
    }
}

impl Decode for Deviation {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        cx.parsed(node, "a distance such as 5 or 10%", Self::parse)
    }
    fn shape() -> Shape {
        Shape::Word("number or percentage")
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
    /// The sensitivity of a detector that is told none.
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
    /// How anomalies are found.
    pub struct AnomalyDetection {
        /// Whether they are looked for.
        pub enabled: bool = true,
        /// The gauges that are watched as they are collected, told of in `bellwether_anomaly` and
        /// `bellwether_anomaly_score`; by default `cpu_percent` and `memory_percent`, where they
        /// are collected. Rules watch for themselves.
        pub metrics: Option<Vec<Spanned<String>>> = None,
        /// How.
        pub algorithm: Algorithm = Algorithm::Auto,
        /// From which score a value is odd, in the algorithm's own measure; the higher, the fewer.
        /// By default 3 for `zscore` and `iqr`, 6 for `mad` and `seasonal`, 10 for `auto`, where 1
        /// more is e times as seldom. With `auto` each event in the window asks for 1 more of the
        /// next.
        pub sensitivity: Option<Spanned<f64>> = None,
        /// Fewest samples to judge by.
        pub min_samples: Spanned<u32> = Spanned::nowhere(100),
        /// Which side counts.
        pub direction: Direction = Direction::Both,
        /// Least distance from the middle of the expected range that matters: `5`, or `10%` of
        /// that middle.
        pub min_deviation: Deviation = Deviation::Absolute(0.0),
        /// Odd values with less than this between them are one event, and an event is reported
        /// once.
        pub cooldown: HumanDuration = HumanDuration::secs(3600),
        /// The time after which values are expected to repeat themselves: a day, or `1w`.
        pub season: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(86_400)),
        /// How much of the past a value is compared with.
        pub window: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::secs(14 * 86_400)),
    }
}

/// Fewer samples than this tell nothing of what is seldom.
const FEWEST_SAMPLES: u32 = 10;
/// What is watched if nothing is said.
const USUALLY_WATCHED: [&str; 2] = ["cpu_percent", "memory_percent"];

impl AnomalyDetection {
    /// The names of the metrics that are watched; not all need be declared.
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

    /// Notes values that nothing can be judged by.
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

    /// Notes values that nothing can be judged by, and metrics that cannot be watched.
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

    /// What a detector needs to know of it.
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
