//! Aggregations of the samples of one series to one value.
//!
//! Owns their names and arithmetic. Which of them a metric type allows is in `reading`.

use std::time::Duration;

use bellwether_core::MonoMillis;
use bellwether_schema::json_schema::{self, Json};
use bellwether_schema::{Decode, DecodeContext, Node, Shape, did_you_mean, parse_duration};
use serde::{Serialize, Serializer};

/// Aggregation of the samples of a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregate {
    /// Current value.
    Last,
    /// Arithmetic mean.
    Mean,
    Max,
    Min,
    Sum,
    /// Number of samples.
    Count,
    /// Quantile, 0 to 1.
    Quantile(f64),
    /// Increase per second.
    Rate,
    /// Growth of a counter, over its resets too.
    Increase,
    /// Last less first.
    Delta,
    /// Population standard deviation.
    Stddev,
}

/// Names, canonical first.
const NAMES: [(&str, Aggregate); 12] = [
    ("mean", Aggregate::Mean),
    ("avg", Aggregate::Mean),
    ("max", Aggregate::Max),
    ("min", Aggregate::Min),
    ("sum", Aggregate::Sum),
    ("count", Aggregate::Count),
    ("last", Aggregate::Last),
    ("rate", Aggregate::Rate),
    ("increase", Aggregate::Increase),
    ("delta", Aggregate::Delta),
    ("stddev", Aggregate::Stddev),
    ("median", Aggregate::Quantile(0.5)),
];

/// Names in error messages.
const EXPECTED: &str =
    "mean (avg), max, min, sum, count, last, pNN, rate, increase, delta or stddev";

impl Aggregate {
    /// Parses a name without a window: `mean`, `p99`, `p99.9`.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let plain = NAMES
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, aggregate)| *aggregate);
        plain.or_else(|| {
            let digits = text.strip_prefix('p')?;
            let numeric = digits.starts_with(|c: char| c.is_ascii_digit())
                && digits
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.');
            let percent: f64 = digits.parse().ok().filter(|_| numeric)?;
            (percent <= 100.0).then_some(Self::Quantile(percent / 100.0))
        })
    }

    /// Returns the canonical name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Quantile(q) => format!("p{}", (q * 1e8).round() / 1e6),
            plain => NAMES
                .iter()
                .find(|(_, aggregate)| *aggregate == plain)
                .map_or_else(String::new, |(name, _)| (*name).to_owned()),
        }
    }

    /// Returns names similar to `text`, or all of them.
    #[must_use]
    pub fn hint(text: &str) -> String {
        if text
            .strip_prefix('p')
            .is_some_and(|rest| rest.parse::<f64>().is_ok())
        {
            return "percentiles go from p0 to p100; write p99.9 for the 99.9th".into();
        }
        did_you_mean(text, NAMES.iter().map(|(name, _)| *name))
            .unwrap_or_else(|| format!("one of {EXPECTED}"))
    }
}

/// Aggregation of a setting: a name and, in names such as `rate_5m`, a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Aggregation {
    pub aggregate: Aggregate,
    /// Window in the name.
    pub window: Option<Duration>,
}

impl Aggregation {
    /// Parses `mean`, `p95` or `rate_5m`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(aggregate) = Aggregate::named(text) {
            return Some(Self {
                aggregate,
                window: None,
            });
        }
        let (name, window) = text.rsplit_once('_')?;
        let window = parse_duration(window).filter(|window| !window.is_zero())?;
        Some(Self {
            aggregate: Aggregate::named(name)?,
            window: Some(window),
        })
    }
}

/// Returns the JSON Schema: the names, or a percentile, each also with a window.
fn schema() -> Json {
    let names = NAMES.map(|(name, _)| name);
    let pattern = format!("(?:{}|p[0-9][0-9.]*)(?:_[0-9].*)?", names.join("|"));
    json_schema::pattern_with_words(&names, &pattern)
}

impl Decode for Aggregation {
    fn decode(node: &Node, cx: &mut DecodeContext<'_>) -> Option<Self> {
        let text = cx.text(node)?;
        let aggregation = Self::parse(text.trim());
        if aggregation.is_none() {
            let hint = Aggregate::hint(text.trim());
            cx.error(node.pos, format!("unknown aggregation {text:?}"))
                .hint(hint);
        }
        aggregation
    }

    fn shape() -> Shape {
        Shape::Word(
            "`mean` (`avg`), `max`, `min`, `sum`, `count`, `last`, `pNN`, `rate`, `increase`, `delta` or `stddev`, also with its window as in `rate_5m`",
            schema,
        )
    }
}

impl Serialize for Aggregation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let name = self.aggregate.name();
        match self.window {
            Some(window) => serializer.collect_str(&format_args!(
                "{name}_{}",
                bellwether_schema::HumanDuration(window)
            )),
            None => serializer.collect_str(&name),
        }
    }
}

/// Sample: time and value.
pub type Sample = (MonoMillis, f64);

/// Aggregates the samples later than `start`, oldest first; NaN if there are too few.
///
/// Rates, increases and deltas also use the last sample at or before `start`, so that they cover
/// the window whole instead of losing the step into it.
pub fn over(aggregate: Aggregate, start: MonoMillis, samples: impl Iterator<Item = Sample>) -> f64 {
    match aggregate {
        Aggregate::Rate | Aggregate::Increase => {
            let mut growth = Growth::default();
            samples.for_each(|sample| growth.add(start, sample));
            if aggregate == Aggregate::Rate {
                growth.per_second()
            } else {
                growth.total()
            }
        }
        Aggregate::Delta => delta(start, samples),
        _ => inside(
            aggregate,
            samples
                .filter(|(at, _)| *at > start)
                .map(|(_, value)| value),
        ),
    }
}

/// Aggregates values regardless of their times.
fn inside(aggregate: Aggregate, values: impl Iterator<Item = f64>) -> f64 {
    match aggregate {
        Aggregate::Mean => {
            let (count, sum) = values.fold((0_u32, 0.0), |(n, sum), value| (n + 1, sum + value));
            sum / f64::from(count)
        }
        Aggregate::Max => values.fold(f64::NAN, f64::max),
        Aggregate::Min => values.fold(f64::NAN, f64::min),
        Aggregate::Sum => values.reduce(|sum, value| sum + value).unwrap_or(f64::NAN),
        Aggregate::Count => match values.count() {
            0 => f64::NAN,
            count => count as f64,
        },
        Aggregate::Quantile(q) => quantile(q, &mut values.collect::<Vec<_>>()),
        Aggregate::Stddev => stddev(values),
        _ => values.last().unwrap_or(f64::NAN),
    }
}

/// Returns the `q`-quantile with linear interpolation between the two nearest ranks, as
/// Prometheus's `quantile_over_time`; sorts `values`.
pub fn quantile(q: f64, values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    values.sort_unstable_by(f64::total_cmp);
    let rank = q * (values.len() - 1) as f64;
    let (below, above) = (rank.floor() as usize, rank.ceil() as usize);
    let weight = rank - rank.floor();
    let (low, high) = (values[below], values[above.min(values.len() - 1)]);
    low * (1.0 - weight) + high * weight
}

/// Welford's algorithm: one pass, and no cancellation for large values close together.
fn stddev(values: impl Iterator<Item = f64>) -> f64 {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for value in values {
        count += 1.0;
        let off = value - mean;
        mean += off / count;
        squares += off * (value - mean);
    }
    (squares / count).sqrt()
}

fn delta(start: MonoMillis, samples: impl Iterator<Item = Sample>) -> f64 {
    let (mut first, mut last) = (None, None);
    for sample @ (at, _) in samples {
        if at <= start || first.is_none() {
            first = Some(sample);
        }
        last = Some(sample);
    }
    match (first, last) {
        (Some((from, first)), Some((to, last))) if to > from && to > start => last - first,
        _ => f64::NAN,
    }
}

/// Growth of one counter over a window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Growth {
    first: Option<MonoMillis>,
    last: Option<Sample>,
    total: f64,
}

impl Growth {
    /// Adds the next sample; samples at or before `start` are only the base.
    pub fn add(&mut self, start: MonoMillis, (at, value): Sample) {
        match self.last {
            Some((_, before)) if at > start => {
                // A counter that went down was reset; its value is the growth since.
                self.total += if value < before {
                    value
                } else {
                    value - before
                };
            }
            _ => self.first = Some(at),
        }
        self.last = Some((at, value));
    }

    /// Returns the total growth; NaN with fewer than two samples.
    #[must_use]
    pub fn total(&self) -> f64 {
        if self.seconds() > 0.0 {
            self.total
        } else {
            f64::NAN
        }
    }

    /// Returns the growth per second between the first and the last sample; NaN with fewer than
    /// two.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        self.total() / self.seconds()
    }

    fn seconds(&self) -> f64 {
        match (self.first, self.last) {
            (Some(first), Some((last, _))) => last.since(first).as_secs_f64(),
            _ => 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(aggregate: Aggregate, start: u64, samples: &[(u64, f64)]) -> f64 {
        over(
            aggregate,
            MonoMillis(start),
            samples.iter().map(|(at, value)| (MonoMillis(*at), *value)),
        )
    }

    #[test]
    fn names_with_and_without_a_window() {
        let parsed = |text| Aggregation::parse(text).map(|a| (a.aggregate.name(), a.window));
        let minutes = |n: u64| Some(Duration::from_secs(60 * n));
        assert_eq!(parsed("avg"), Some(("mean".into(), None)));
        assert_eq!(parsed("rate_5m"), Some(("rate".into(), minutes(5))));
        assert_eq!(parsed("p95"), Some(("p95".into(), None)));
        assert_eq!(parsed("p99.9_1h"), Some(("p99.9".into(), minutes(60))));
        for wrong in [
            "", "p", "p101", "p-1", "p1e1", "rate_", "rate_0s", "_5m", "speed", "pinf",
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
        assert_eq!(Aggregate::hint("rat"), "did you mean \"rate\"?");
        assert!(Aggregate::hint("p999").contains("p99.9"));
    }

    #[test]
    fn values_of_the_window_only() {
        let samples = [(0, 100.0), (10, 1.0), (20, 2.0), (30, 6.0)];
        for (name, expected) in [
            ("mean", 3.0),
            ("max", 6.0),
            ("min", 1.0),
            ("sum", 9.0),
            ("count", 3.0),
            ("last", 6.0),
            ("median", 2.0),
            ("p75", 4.0),
            ("p100", 6.0),
            ("p0", 1.0),
            ("stddev", (14.0_f64 / 3.0).sqrt()),
        ] {
            let found = apply(Aggregate::named(name).unwrap(), 0, &samples);
            assert!((found - expected).abs() < 1e-12, "{name}: {found}");
        }
    }

    #[test]
    fn growth_counts_over_resets_and_from_the_sample_before_the_window() {
        let samples = [
            (0, 5.0),
            (10_000, 10.0),
            (20_000, 16.0),
            (30_000, 3.0),
            (40_000, 4.0),
        ];
        assert_eq!(apply(Aggregate::Increase, 10_000, &samples), 10.0);
        assert_eq!(apply(Aggregate::Rate, 10_000, &samples), 10.0 / 30.0);
        assert_eq!(apply(Aggregate::Delta, 10_000, &samples), -6.0);
    }

    #[test]
    fn too_few_samples_are_no_number() {
        for name in [
            "mean", "max", "min", "sum", "count", "last", "p50", "stddev",
        ] {
            assert!(
                apply(Aggregate::named(name).unwrap(), 10, &[(10, 1.0)]).is_nan(),
                "{name}"
            );
        }
        for name in ["rate", "increase", "delta"] {
            let aggregate = Aggregate::named(name).unwrap();
            assert!(apply(aggregate, 0, &[]).is_nan(), "{name}");
            assert!(apply(aggregate, 0, &[(10, 1.0)]).is_nan(), "{name}");
            assert!(
                apply(aggregate, 20, &[(10, 1.0), (15, 2.0)]).is_nan(),
                "{name}: too old"
            );
        }
    }

    #[test]
    fn the_deviation_of_large_close_values_keeps_its_digits() {
        let found = apply(
            Aggregate::Stddev,
            0,
            &[(1, 1e9), (2, 1e9 + 1.0), (3, 1e9 + 2.0)],
        );
        assert!((found - (2.0_f64 / 3.0).sqrt()).abs() < 1e-9, "{found}");
    }
}
