//! Messages of remote write as series.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_core::{
    Kind, METRIC_NAME, Rejected, Rejection, SeriesBatch, UnixMillis, is_staleness_marker,
};
use bellwether_exposition::remote_write::{Histogram, kind_of_number};
use parking_lot::Mutex;
use prost::Message as _;

use super::message::field;
use crate::pushed::{Intake, MOST_LABELS};
use crate::wire::Message;

/// Suffix of counters.
const TOTAL: &str = "_total";

/// Reads a message into a batch: the newest sample of each series, unless it is too old.
pub(super) struct Reader {
    /// Series of the samples.
    pub(super) samples: SeriesBatch,
    /// Series of the native histograms.
    pub(super) histograms: SeriesBatch,
    /// Numbers of what is in the message.
    pub(super) written: Written,
    ttl: Duration,
    limit: u64,
    now: UnixMillis,
    family: String,
}

/// Numbers of what was read, for the answer.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) samples: u64,
    pub(super) histograms: u64,
}

impl Written {
    /// Returns the numbers without those that were rejected.
    pub(super) fn without(&self, samples: &Rejected, histograms: &Rejected) -> Self {
        let count = |rejected: &Rejected| rejected.iter().map(|(_, count, _)| count).sum();
        Self {
            samples: self.samples.saturating_sub(count(samples)),
            histograms: self.histograms.saturating_sub(count(histograms)),
        }
    }
}

/// Types and help texts of remote write 1.0, which come in other requests than the samples.
#[derive(Debug, Default)]
pub(super) struct Metadata(Mutex<Types>);

#[derive(Debug, Default)]
struct Types {
    by_name: HashMap<Box<str>, (Kind, Box<str>)>,
    bytes: usize,
}

/// Samples and native histograms of a series: numbers, and the newest ones.
struct Points<'a> {
    samples: u64,
    newest: Option<Message<'a>>,
    histograms: u64,
    newest_histogram: Option<Message<'a>>,
}

/// A series, without its samples.
struct Series<'a> {
    name: &'a str,
    /// Labels without the name.
    labels: Vec<(&'a str, &'a str)>,
}

impl Reader {
    /// Creates a reader of samples that are not older than `ttl`. Their labels may have `limit` bytes in all.
    pub(super) fn new(ttl: Duration, limit: u64, now: UnixMillis) -> Self {
        Self {
            samples: SeriesBatch::within(limit),
            histograms: SeriesBatch::within(limit),
            written: Written::default(),
            ttl,
            limit,
            now,
            family: String::new(),
        }
    }

    pub(super) fn read_v1(&mut self, request: Message<'_>, metadata: &Metadata, intake: &Intake) {
        let mut types = metadata.0.lock();
        for metric in request.all(field::METADATA_V1) {
            types.add(metric, intake);
        }
        for series in request.all(field::TIMESERIES_V1) {
            let labels = series.all(field::LABELS);
            let labels = labels.map(|label| Some(label.texts([field::NAME, field::TEXT]).into()));
            let points = Points::of(series, field::HISTOGRAMS_V1);
            match Series::new(labels, self.limit) {
                Ok(of) => self.push(&of, types.family(of.name), &points),
                Err(reason) => self.reject_all(reason, &points),
            }
        }
    }

    pub(super) fn read_v2(&mut self, request: Message<'_>) {
        let symbols = request.all(field::SYMBOLS);
        let mut texts = Vec::with_capacity(symbols.clone().count());
        texts.extend(symbols.map(Message::as_text));
        let text = |index: u64| texts.get(usize::try_from(index).ok()?).copied();
        for series in request.all(field::TIMESERIES_V2) {
            let points = Points::of(series, field::HISTOGRAMS_V2);
            let mut indices = series.varints(field::LABELS);
            let labels = std::iter::from_fn(|| {
                let name = indices.next()?;
                Some(
                    indices
                        .next()
                        .and_then(|value| Some((text(name)?, text(value)?))),
                )
            });
            let of = match Series::new(labels, self.limit) {
                Ok(of) => of,
                Err(reason) => {
                    self.reject_all(reason, &points);
                    continue;
                }
            };
            let metadata = series.all(field::METADATA_V2).last();
            let kind = metadata.and_then(|metadata| kind(metadata.number(field::TYPE)));
            let help = metadata.and_then(|metadata| text(metadata.number(field::HELP_REF)));
            let head = (family_name(of.name, kind), kind, help.unwrap_or_default());
            self.push(&of, head, &points);
        }
    }

    /// Rejects the samples and histograms of a series without labels.
    fn reject_all(&mut self, reason: Rejection, points: &Points<'_>) {
        self.written.samples += points.samples;
        self.written.histograms += points.histograms;
        for (batch, count) in [
            (&mut self.samples, points.samples),
            (&mut self.histograms, points.histograms),
        ] {
            if count > 0 {
                let first = match reason {
                    Rejection::Limit => "a series with too many labels",
                    _ => "a reference to no symbol",
                };
                batch.reject_samples(reason, count, || first.to_owned());
            }
        }
    }

    fn push(
        &mut self,
        series: &Series<'_>,
        (family, kind, help): (&str, Option<Kind>, &str),
        points: &Points<'_>,
    ) {
        self.written.samples += points.samples;
        self.written.histograms += points.histograms;
        if let Some(newest) = points.newest {
            let [value, timestamp] = newest.get_all([field::VALUE, field::TIMESTAMP]);
            let value = f64::from_bits(value.unwrap_or_default());
            if self.is_old(timestamp.unwrap_or_default() as i64, value) {
                let first = || series.name.to_owned();
                self.samples
                    .reject_samples(Rejection::TooOld, points.samples, first);
            } else {
                self.begin(family, kind, help);
                let suffix = series.name.strip_prefix(family).unwrap_or_default();
                self.samples.push_suffixed(suffix, &series.labels, value);
            }
        }
        if let Some(newest) = points.newest_histogram {
            self.push_histogram(series, help, newest, points.histograms);
        }
    }

    /// Pushes the newest of `count` native histograms.
    fn push_histogram(
        &mut self,
        series: &Series<'_>,
        help: &str,
        message: Message<'_>,
        count: u64,
    ) {
        let newest = Histogram::decode(message.as_bytes()).map_err(|_| Rejection::Malformed);
        let newest = newest.and_then(|newest| match self.is_old(newest.timestamp, newest.sum) {
            true => Err(Rejection::TooOld),
            false => Ok(newest),
        });
        let newest = match newest {
            Ok(newest) => newest,
            Err(reason) => {
                let first = || series.name.to_owned();
                return self.histograms.reject_samples(reason, count, first);
            }
        };
        let (batch, labels) = (&mut self.histograms, &series.labels);
        batch.begin(series.name, Some(Kind::Histogram), help);
        if is_staleness_marker(newest.sum) {
            return batch.push_suffixed("_count", labels, newest.sum);
        }
        let (buckets, count) = (newest.classic(), newest.count());
        batch.push_histogram(labels, buckets, count, Some(newest.sum));
    }

    /// Returns whether a sample is too old. The end of a series never is.
    fn is_old(&self, timestamp: i64, value: f64) -> bool {
        let is_old = self.now.since(UnixMillis(timestamp)) > self.ttl;
        is_old && !is_staleness_marker(value)
    }

    /// Begins the family, unless the series before has the same one.
    fn begin(&mut self, family: &str, kind: Option<Kind>, help: &str) {
        if self.family != family || self.samples.is_empty() {
            self.samples.begin(family, kind, help);
            family.clone_into(&mut self.family);
        }
    }
}

impl<'a> Series<'a> {
    /// Reads labels; `None`: a label that cannot be read.
    ///
    /// # Errors
    /// A label cannot be read, or they have more than `limit` bytes: by reference, a text may be there many times.
    fn new(
        labels: impl Iterator<Item = Option<(&'a str, &'a str)>>,
        limit: u64,
    ) -> Result<Self, Rejection> {
        let mut series = Self {
            name: "",
            labels: Vec::new(),
        };
        let mut bytes = 0;
        for label in labels {
            let (name, value) = label.ok_or(Rejection::Invalid)?;
            bytes += name.len() + value.len();
            if series.labels.len() == MOST_LABELS || bytes as u64 > limit {
                return Err(Rejection::Limit);
            }
            match name {
                METRIC_NAME => series.name = value,
                _ => series.labels.push((name, value)),
            }
        }
        Ok(series)
    }
}

impl<'a> Points<'a> {
    fn of(series: Message<'a>, histograms: u32) -> Self {
        let mut points = Self {
            samples: 0,
            newest: None,
            histograms: 0,
            newest_histogram: None,
        };
        for (number, message) in series.messages() {
            if number == field::SAMPLES {
                points.samples += 1;
                points.newest = Some(message);
            } else if number == histograms {
                points.histograms += 1;
                points.newest_histogram = Some(message);
            }
        }
        points
    }
}

impl Types {
    /// Keeps the type of a metric, within the limits of its series.
    fn add(&mut self, metric: Message<'_>, intake: &Intake) {
        let (name, help) = (metric.text(field::FAMILY), metric.text(field::HELP));
        let Some(kind) = kind(metric.number(field::TYPE)) else {
            return;
        };
        // A counter of OpenMetrics comes without its suffix.
        if !intake.accepts_family(name, Some(kind)) && !intake.accepts(&format!("{name}{TOTAL}")) {
            return;
        }
        let bytes = name.len() + help.len();
        let limits = intake.limits();
        // Metadata have no target: where two disagree, the first one counts.
        if self.by_name.contains_key(name) || bytes as u64 > limits.bytes.0 {
            return;
        }
        let is_full =
            self.by_name.len() >= limits.series || (self.bytes + bytes) as u64 > limits.bytes.0;
        if is_full {
            // Clients repeat what they have.
            *self = Self::default();
        }
        self.by_name.insert(name.into(), (kind, help.into()));
        self.bytes += bytes;
    }

    /// Returns name, type and help of the family of a series.
    fn family<'a>(&'a self, series: &'a str) -> (&'a str, Option<Kind>, &'a str) {
        let known = |name: &str| self.by_name.get(name);
        if let Some((kind, help)) = known(series) {
            return (series, Some(*kind), help);
        }
        let counter = series.strip_suffix(TOTAL).and_then(known);
        if let Some((Kind::Counter, help)) = counter {
            return (series, Some(Kind::Counter), help);
        }
        let stems = [Kind::Histogram, Kind::Summary].into_iter().find_map(|of| {
            let stem = family_name(series, Some(of));
            let (kind, help) = known(stem).filter(|(kind, _)| *kind == of)?;
            Some((stem, Some(*kind), &**help))
        });
        stems.unwrap_or((series, None, ""))
    }
}

fn kind(number: u64) -> Option<Kind> {
    kind_of_number(i32::try_from(number).ok()?)
}

/// Returns the name of the family of a series: that of a histogram or a summary has no suffix.
fn family_name(series: &str, kind: Option<Kind>) -> &str {
    let suffixes = kind.map_or(&[][..], Kind::suffixes).iter();
    let mut stems = suffixes.filter(|suffix| !suffix.is_empty());
    let stem = stems.find_map(|suffix| series.strip_suffix(suffix));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(series)
}
