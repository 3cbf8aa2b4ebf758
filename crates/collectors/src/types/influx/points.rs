//! From points to samples: a metric for each field.

use std::time::Duration;

use bellwether_core::{LabelSet, METRIC_NAME, Rejected, Rejection, SeriesBatch, UnixMillis};

use super::protocol::{Field, Point, lines};
use crate::name_mapping::escaped;

/// Longest part of a line that an error shows, in characters.
const SHOWN: usize = 80;

/// Precision of timestamps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Precision {
    /// A timestamp is a number of these nanoseconds.
    nanoseconds: i64,
}

impl Precision {
    /// Parses the word of a request; empty: nanoseconds.
    pub(super) fn parse(word: &str) -> Option<Self> {
        let nanoseconds = match word {
            "" | "n" | "ns" => 1,
            "u" | "us" | "\u{b5}" | "%C2%B5" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        Some(Self { nanoseconds })
    }

    fn time(self, timestamp: i64) -> UnixMillis {
        let nanoseconds = i128::from(timestamp) * i128::from(self.nanoseconds);
        let millis = nanoseconds.div_euclid(1_000_000);
        UnixMillis(i64::try_from(millis).unwrap_or(if millis < 0 { i64::MIN } else { i64::MAX }))
    }
}

/// Reads the points of a request.
pub(super) struct Reader {
    precision: Precision,
    ttl: Duration,
    now: UnixMillis,
    batch: SeriesBatch,
}

impl Reader {
    /// Creates a reader of points that are not older than `ttl`. The labels of their series may have `limit` bytes in all.
    pub(super) fn new(precision: Precision, ttl: Duration, limit: u64, now: UnixMillis) -> Self {
        Self {
            precision,
            ttl,
            now,
            batch: SeriesBatch::within(limit),
        }
    }

    /// Returns the samples, and those that were rejected.
    pub(super) fn batch(&self) -> &SeriesBatch {
        &self.batch
    }

    /// Reads all points, and returns the first error.
    pub(super) fn read(&mut self, text: &str) -> Option<String> {
        let (mut points, mut rejected, mut first) = (Vec::new(), Rejected::default(), None);
        for (number, line) in lines(text) {
            match Point::parse(line) {
                Ok(point) => {
                    let time = point.timestamp.map(|time| self.precision.time(time));
                    points.push((time.unwrap_or(self.now), point));
                }
                Err(error) => {
                    let shown: String = line.chars().take(SHOWN).collect();
                    first.get_or_insert_with(|| {
                        format!("line {number}: {error}: unable to parse '{shown}'")
                    });
                    rejected.add(Rejection::Malformed, 1, || shown);
                }
            }
        }
        // The newest value of a series is the last one.
        points.sort_by_key(|(time, _)| *time);
        for (time, point) in points {
            match self.now.since(time) > self.ttl {
                true => rejected.add(Rejection::TooOld, 1, || point.measurement.to_string()),
                false => self.add(&point),
            }
        }
        self.batch.reject(&rejected);
        first
    }

    /// Adds a sample for each field that is a number.
    fn add(&mut self, point: &Point<'_>) {
        let tags = point.tags.iter();
        let tags = tags.map(|(name, value)| (name_of(name), value.as_ref()));
        let tags: Vec<(String, &str)> = tags.filter(|(name, _)| !name.starts_with("__")).collect();
        for (field, value) in &point.fields {
            // A text is no sample, as in influxdb_exporter.
            let Field::Number(value) = value else {
                continue;
            };
            if self.batch.is_full() {
                let first = || "a field of a large request".to_owned();
                self.batch.reject_samples(Rejection::Limit, 1, first);
                continue;
            }
            let name = match &**field {
                "value" => name_of(&point.measurement),
                field => name_of(&format!("{}_{field}", point.measurement)),
            };
            let labels = tags.iter().map(|(name, value)| (name.as_str(), *value));
            let set = LabelSet::new(labels.chain([(METRIC_NAME, name.as_str())]));
            self.batch.begin(&name, None, "");
            self.batch.push_packed(set.packed(), *value);
        }
    }
}

/// Returns a valid name of a metric or a label.
fn name_of(text: &str) -> String {
    escaped(text).replace(':', "_")
}
