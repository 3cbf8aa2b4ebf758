//! Messages of remote write as series.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_core::{
    Kind, METRIC_NAME, Rejected, Rejection, SeriesBatch, UnixMillis, is_staleness_marker,
};
use bellwether_exposition::remote_write::{
    Histogram, MetricMetadata, Request, Sample, WriteRequest, kind_of_number,
};
use parking_lot::Mutex;
use prost::Message;

use crate::pushed::Intake;

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
            now,
            family: String::new(),
        }
    }

    pub(super) fn read_v1(&mut self, request: &WriteRequest, metadata: &Metadata, intake: &Intake) {
        let mut types = metadata.0.lock();
        for metric in &request.metadata {
            types.add(metric, intake);
        }
        for series in &request.timeseries {
            let labels = series.labels.iter();
            let labels = labels.map(|label| (label.name.as_str(), label.value.as_str()));
            let of = Series::new(labels);
            let (family, kind, help) = types.family(of.name);
            self.push(
                &of,
                (family, kind, help),
                &series.samples,
                &series.histograms,
            );
        }
    }

    pub(super) fn read_v2(&mut self, request: &Request) {
        let text = |index: u32| request.symbols.get(index as usize).map(String::as_str);
        for series in &request.timeseries {
            let (pairs, rest) = series.labels_refs.as_chunks::<2>();
            let labels: Option<Vec<_>> = pairs
                .iter()
                .map(|[name, value]| Some((text(*name)?, text(*value)?)))
                .collect();
            let Some(labels) = labels.filter(|_| rest.is_empty()) else {
                self.reject_all(series.samples.len(), series.histograms.len());
                continue;
            };
            let of = Series::new(labels.into_iter());
            let metadata = series.metadata.as_ref();
            let kind = metadata.and_then(|metadata| kind_of_number(metadata.r#type));
            let help = metadata.and_then(|metadata| text(metadata.help_ref));
            let head = (family_name(of.name, kind), kind, help.unwrap_or_default());
            self.push(&of, head, &series.samples, &series.histograms);
        }
    }

    /// Rejects the samples and histograms of a series without labels.
    fn reject_all(&mut self, samples: usize, histograms: usize) {
        self.written.samples += samples as u64;
        self.written.histograms += histograms as u64;
        for (batch, count) in [
            (&mut self.samples, samples),
            (&mut self.histograms, histograms),
        ] {
            if count > 0 {
                let first = || "a reference to no symbol".to_owned();
                batch.reject_samples(Rejection::Invalid, count as u64, first);
            }
        }
    }

    fn push(
        &mut self,
        series: &Series<'_>,
        (family, kind, help): (&str, Option<Kind>, &str),
        samples: &[Sample],
        histograms: &[Vec<u8>],
    ) {
        self.written.samples += samples.len() as u64;
        self.written.histograms += histograms.len() as u64;
        if let Some(newest) = samples.last() {
            if self.is_old(newest.timestamp, newest.value) {
                let count = samples.len() as u64;
                let first = || series.name.to_owned();
                self.samples.reject_samples(Rejection::TooOld, count, first);
            } else {
                self.begin(family, kind, help);
                let suffix = series.name.strip_prefix(family).unwrap_or_default();
                self.samples
                    .push_suffixed(suffix, &series.labels, newest.value);
            }
        }
        if let Some(newest) = histograms.last() {
            self.push_histogram(series, help, newest, histograms.len() as u64);
        }
    }

    /// Pushes the newest of `count` native histograms.
    fn push_histogram(&mut self, series: &Series<'_>, help: &str, message: &[u8], count: u64) {
        let newest = Histogram::decode(message).map_err(|_| Rejection::Malformed);
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
    fn new(labels: impl Iterator<Item = (&'a str, &'a str)>) -> Self {
        let (names, labels): (Vec<_>, Vec<_>) = labels.partition(|(name, _)| *name == METRIC_NAME);
        let name = names.first().map_or("", |(_, name)| *name);
        Self { name, labels }
    }
}

impl Types {
    /// Keeps the type of a metric, within the limits of its series.
    fn add(&mut self, metric: &MetricMetadata, intake: &Intake) {
        let name = metric.metric_family_name.as_str();
        let Some(kind) = kind_of_number(metric.r#type) else {
            return;
        };
        // A counter of OpenMetrics comes without its suffix.
        if !intake.accepts_family(name, Some(kind)) && !intake.accepts(&format!("{name}{TOTAL}")) {
            return;
        }
        let bytes = name.len() + metric.help.len();
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
        let help = metric.help.as_str().into();
        self.by_name.insert(name.into(), (kind, help));
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

/// Returns the name of the family of a series: that of a histogram or a summary has no suffix.
fn family_name(series: &str, kind: Option<Kind>) -> &str {
    let suffixes = kind.map_or(&[][..], Kind::suffixes).iter();
    let mut stems = suffixes.filter(|suffix| !suffix.is_empty());
    let stem = stems.find_map(|suffix| series.strip_suffix(suffix));
    stem.filter(|stem| !stem.is_empty()).unwrap_or(series)
}
