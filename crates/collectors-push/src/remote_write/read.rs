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

/// Largest age of samples for history: clients keep what they could not send for hours.
pub(super) const OLDEST: Duration = Duration::from_secs(24 * 3600);
/// Time by which the clock of a client may be ahead, as in Prometheus.
const AHEAD: Duration = Duration::from_secs(600);

/// Reads a message into batches of samples with their times, unless these are too old or ahead.
pub(super) struct Reader {
    /// Series of the samples.
    pub(super) samples: SeriesBatch,
    /// Series of the native histograms.
    pub(super) histograms: SeriesBatch,
    /// Numbers of what is in the message.
    pub(super) written: Written,
    oldest: Duration,
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

/// Samples and native histograms of a series, among its other fields.
#[derive(Clone, Copy)]
struct Points<'a> {
    series: Message<'a>,
    /// Number of the field of the histograms.
    histograms: u32,
}

/// Name, type and help text of a family.
type Head<'a> = (&'a str, Option<Kind>, &'a str);

/// A series, without its samples.
struct Series<'a> {
    name: &'a str,
    /// Labels without the name.
    labels: Vec<(&'a str, &'a str)>,
}

impl Reader {
    /// Creates a reader of samples that are not older than `oldest`. Their labels may have `limit` bytes in all.
    pub(super) fn new(oldest: Duration, limit: u64, now: UnixMillis) -> Self {
        let batch = || {
            let mut batch = SeriesBatch::within(limit);
            batch.set_time(now);
            batch
        };
        Self {
            samples: batch(),
            histograms: batch(),
            written: Written::default(),
            oldest,
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
            let points = Points {
                series,
                histograms: field::HISTOGRAMS_V1,
            };
            match Series::new(labels, self.limit) {
                Ok(of) => self.push(&of, types.family(of.name), points),
                Err(reason) => self.reject_all(reason, points),
            }
        }
    }

    pub(super) fn read_v2(&mut self, request: Message<'_>) {
        let symbols = request.all(field::SYMBOLS);
        let mut texts = Vec::with_capacity(symbols.clone().count());
        texts.extend(symbols.map(Message::as_text));
        let text = |index: u64| texts.get(usize::try_from(index).ok()?).copied();
        for series in request.all(field::TIMESERIES_V2) {
            let points = Points {
                series,
                histograms: field::HISTOGRAMS_V2,
            };
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
                    self.reject_all(reason, points);
                    continue;
                }
            };
            let metadata = series.all(field::METADATA_V2).last();
            let kind = metadata.and_then(|metadata| kind(metadata.number(field::TYPE)));
            let help = metadata.and_then(|metadata| text(metadata.number(field::HELP_REF)));
            let head = (family_name(of.name, kind), kind, help.unwrap_or_default());
            self.push(&of, head, points);
        }
    }

    /// Rejects the samples and histograms of a series without labels.
    fn reject_all(&mut self, reason: Rejection, points: Points<'_>) {
        let count = |field| points.series.all(field).count() as u64;
        let (samples, histograms) = (count(field::SAMPLES), count(points.histograms));
        self.written.samples += samples;
        self.written.histograms += histograms;
        for (batch, count) in [
            (&mut self.samples, samples),
            (&mut self.histograms, histograms),
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

    fn push(&mut self, series: &Series<'_>, head: Head<'_>, points: Points<'_>) {
        let mut is_first = true;
        for (number, message) in points.series.messages() {
            let (batch, result) = if number == field::SAMPLES {
                self.written.samples += 1;
                let result = self.push_sample(series, head, message, &mut is_first);
                (&mut self.samples, result)
            } else if number == points.histograms {
                self.written.histograms += 1;
                let result = self.push_histogram(series, head, message);
                (&mut self.histograms, result)
            } else {
                continue;
            };
            if let Err(reason) = result {
                batch.reject_samples(reason, 1, || series.name.to_owned());
            }
        }
    }

    /// Pushes a sample, of which the first one has the labels.
    ///
    /// # Errors
    /// It is too old or ahead.
    fn push_sample(
        &mut self,
        series: &Series<'_>,
        (family, kind, help): Head<'_>,
        message: Message<'_>,
        is_first: &mut bool,
    ) -> Result<(), Rejection> {
        let [value, time] = message.get_all([field::VALUE, field::TIMESTAMP]);
        let value = f64::from_bits(value.unwrap_or_default());
        let time = UnixMillis(time.unwrap_or_default() as i64);
        self.check_time(time)?;
        self.samples.set_time(time);
        if std::mem::take(is_first) {
            self.begin(family, kind, help);
            let suffix = series.name.strip_prefix(family).unwrap_or_default();
            self.samples.push_suffixed(suffix, &series.labels, value);
        } else {
            self.samples.push_again(value);
        }
        Ok(())
    }

    /// Pushes a native histogram.
    ///
    /// # Errors
    /// It cannot be read, or it is too old or ahead.
    fn push_histogram(
        &mut self,
        series: &Series<'_>,
        (_, _, help): Head<'_>,
        message: Message<'_>,
    ) -> Result<(), Rejection> {
        let histogram = Histogram::decode(message.as_bytes()).map_err(|_| Rejection::Malformed)?;
        let time = UnixMillis(histogram.timestamp);
        self.check_time(time)?;
        let (batch, labels) = (&mut self.histograms, &series.labels);
        batch.begin(series.name, Some(Kind::Histogram), help);
        batch.set_time(time);
        if is_staleness_marker(histogram.sum) {
            batch.push_suffixed("_count", labels, histogram.sum);
            return Ok(());
        }
        let (buckets, count) = (histogram.classic(), histogram.count());
        batch.push_histogram(labels, buckets, count, Some(histogram.sum));
        Ok(())
    }

    /// Checks the time of a sample.
    ///
    /// # Errors
    /// It is too old or ahead.
    fn check_time(&self, time: UnixMillis) -> Result<(), Rejection> {
        if self.now.since(time) > self.oldest {
            return Err(Rejection::TooOld);
        }
        match time.since(self.now) > AHEAD {
            true => Err(Rejection::TooNew),
            false => Ok(()),
        }
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
    fn family<'a>(&'a self, series: &'a str) -> Head<'a> {
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
