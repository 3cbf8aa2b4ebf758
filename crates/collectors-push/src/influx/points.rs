//! From points to samples: a metric for each field.

use std::borrow::Cow;
use std::time::Duration;

use bellwether_core::{Rejected, Rejection, SeriesBatch, UnixMillis};

use super::protocol::{Field, Point, lines, timestamp};
use crate::name_mapping::escaped_label;

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
    /// Buffer for names of metrics.
    name: String,
}

impl Reader {
    /// Creates a reader of points that are not older than `ttl`. The labels of their series may have `limit` bytes in all.
    pub(super) fn new(precision: Precision, ttl: Duration, limit: u64, now: UnixMillis) -> Self {
        Self {
            precision,
            ttl,
            now,
            batch: SeriesBatch::within(limit),
            name: String::new(),
        }
    }

    /// Returns the samples, and those that were rejected.
    pub(super) fn batch(&self) -> &SeriesBatch {
        &self.batch
    }

    /// Reads all points, and returns the first error.
    pub(super) fn read(&mut self, text: &str) -> Option<String> {
        let mut read = Read::default();
        // The newest value of a series is the last one.
        if lines(text).is_sorted_by_key(|(_, line)| self.time(line)) {
            lines(text).for_each(|(number, line)| self.line(number, line, &mut read));
        } else {
            let mut sorted: Vec<_> = lines(text).collect();
            sorted.sort_by_key(|(_, line)| self.time(line));
            for (number, line) in sorted {
                self.line(number, line, &mut read);
            }
        }
        self.batch.reject(&read.rejected);
        read.first.map(|(_, error)| error)
    }

    /// Returns the time of a line, which is now if there is none.
    fn time(&self, line: &str) -> UnixMillis {
        let timestamp = timestamp(line);
        timestamp.map_or(self.now, |timestamp| self.precision.time(timestamp))
    }

    fn line(&mut self, number: usize, line: &str, read: &mut Read) {
        match Point::parse(line) {
            Ok(point) => match self.now.since(self.time(line)) > self.ttl {
                true => {
                    let first = || point.measurement.to_string();
                    read.rejected.add(Rejection::TooOld, 1, first);
                }
                false => self.add(&point),
            },
            Err(error) => {
                let shown: String = line.chars().take(SHOWN).collect();
                if read.first.as_ref().is_none_or(|(first, _)| number < *first) {
                    let error = format!("line {number}: {error}: unable to parse '{shown}'");
                    read.first = Some((number, error));
                }
                read.rejected.add(Rejection::Malformed, 1, || shown);
            }
        }
    }

    /// Adds a sample for each field that is a number.
    fn add(&mut self, point: &Point<'_>) {
        let labels = labels(point);
        let labels: Vec<(&str, &str)> = labels
            .iter()
            .map(|(name, value)| (&**name, *value))
            .collect();
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
            self.name.clear();
            self.name.push_str(&point.measurement);
            if field != "value" {
                self.name.push('_');
                self.name.push_str(field);
            }
            self.batch.begin(&escaped_label(&self.name), None, "");
            self.batch.push(&labels, *value);
        }
    }
}

/// Errors of a request.
#[derive(Default)]
struct Read {
    rejected: Rejected,
    /// Number of the first line with an error, and the error.
    first: Option<(usize, String)>,
}

/// Returns the tags as labels, sorted by name. Of several with one name the last one counts.
fn labels<'p>(point: &'p Point<'_>) -> Vec<(Cow<'p, str>, &'p str)> {
    let tags = point.tags.iter();
    let labels = tags.map(|(name, value)| (escaped_label(name), &**value));
    let mut labels: Vec<_> = labels.filter(|(name, _)| !name.starts_with("__")).collect();
    labels.sort_by(|a, b| a.0.cmp(&b.0));
    labels.dedup_by(|next, before| {
        let is_same = next.0 == before.0;
        if is_same {
            before.1 = next.1;
        }
        is_same
    });
    labels
}
