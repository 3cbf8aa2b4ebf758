//! Messages of remote write as series.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_core::{
    Kind, METRIC_NAME, Rejected, Rejection, SeriesBatch, SeriesFamily, UnixMillis,
    is_staleness_marker,
};
use bellwether_exposition::remote_write::{
    Histogram, MetricMetadata, Request, Sample, WriteRequest, kind_of_number,
};
use indexmap::IndexMap;
use parking_lot::Mutex;
use prost::Message;

use crate::pushed::Intake;

/// Suffix of counters.
const TOTAL: &str = "_total";

/// Age of samples that go to history at most: clients keep what they could not send for hours.
const OLDEST: Duration = Duration::from_secs(24 * 3600);
/// Time by which the clock of a client may be ahead, as in Prometheus.
const AHEAD: Duration = Duration::from_secs(600);

/// Reads a message into batches: all samples with their times, and the newest one of each series, unless it is older than
/// the time to live.
pub(super) struct Reader<'i> {
    intake: &'i Intake,
    /// Series of the samples.
    pub(super) samples: SeriesBatch,
    /// Series of the native histograms.
    pub(super) histograms: SeriesBatch,
    /// Numbers of what is in the message.
    pub(super) written: Written,
    now: UnixMillis,
    /// Family of the series before, and whether it is accepted.
    family: (String, Option<Kind>, bool),
    /// Name of the family that `samples` began last.
    begun: String,
    /// One series at a time, to pack its labels.
    scratch: SeriesBatch,
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

impl<'i> Reader<'i> {
    pub(super) fn new(intake: &'i Intake, now: UnixMillis) -> Self {
        let batch = || {
            let mut batch = SeriesBatch::within(intake.limits().bytes.0);
            batch.begin_timed();
            batch
        };
        Self {
            intake,
            samples: batch(),
            histograms: batch(),
            written: Written::default(),
            now,
            family: (String::new(), None, false),
            begun: String::new(),
            scratch: SeriesBatch::default(),
        }
    }

    pub(super) fn read_v1(&mut self, request: &WriteRequest, metadata: &Metadata) {
        let mut types = metadata.0.lock();
        for metric in &request.metadata {
            types.add(metric, self.intake);
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
        if !self.accepts(family, kind) {
            let first = || series.name.to_owned();
            let counts = [samples.len(), histograms.len()];
            for (batch, count) in [&mut self.samples, &mut self.histograms]
                .into_iter()
                .zip(counts)
            {
                if count > 0 {
                    batch.reject_samples(Rejection::NotAccepted, count as u64, first);
                }
            }
            return;
        }
        self.push_samples(series, (family, kind, help), samples);
        self.push_histograms(series, help, histograms);
    }

    fn accepts(&mut self, family: &str, kind: Option<Kind>) -> bool {
        let (name, its_kind, _) = &self.family;
        if name != family || *its_kind != kind {
            let accepts = self.intake.accepts_family(family, kind);
            self.family = (family.to_owned(), kind, accepts);
        }
        self.family.2
    }

    fn push_samples(
        &mut self,
        series: &Series<'_>,
        (family, kind, help): (&str, Option<Kind>, &str),
        samples: &[Sample],
    ) {
        let mut timed = Vec::with_capacity(samples.len());
        for sample in samples {
            let at = UnixMillis(sample.timestamp);
            match check_time(at, self.now) {
                Ok(()) => timed.push((at, sample.value)),
                Err(reason) => {
                    let first = || series.name.to_owned();
                    self.samples.reject_samples(reason, 1, first);
                }
            }
        }
        let Some((newest, value)) = timed.last().copied() else {
            return;
        };
        self.scratch.clear();
        self.scratch.begin(family, kind, "");
        let suffix = series.name.strip_prefix(family).unwrap_or_default();
        self.scratch.push_suffixed(suffix, &series.labels, value);
        let is_current = self.is_current(newest, value);
        let Self {
            scratch,
            samples,
            begun,
            ..
        } = self;
        for (packed, value) in scratch.families().flat_map(SeriesFamily::samples) {
            if is_current {
                // Unless the series before has the same one.
                if begun != family || samples.is_empty() {
                    samples.begin(family, kind, help);
                    family.clone_into(begun);
                }
                samples.push_packed(packed, value);
            }
            samples.push_timed(packed, &timed);
        }
    }

    fn push_histograms(&mut self, series: &Series<'_>, help: &str, messages: &[Vec<u8>]) {
        // Samples of the classic series, by packed labels.
        let mut timed: IndexMap<Box<[u8]>, Vec<(UnixMillis, f64)>> = IndexMap::new();
        let mut newest = None;
        for message in messages {
            let histogram = Histogram::decode(&**message).map_err(|_| Rejection::Malformed);
            let histogram = histogram.and_then(|histogram| {
                check_time(UnixMillis(histogram.timestamp), self.now).map(|()| histogram)
            });
            let histogram = match histogram {
                Ok(histogram) => histogram,
                Err(reason) => {
                    let first = || series.name.to_owned();
                    self.histograms.reject_samples(reason, 1, first);
                    continue;
                }
            };
            self.scratch.clear();
            push_classic(&mut self.scratch, series, "", &histogram);
            let at = UnixMillis(histogram.timestamp);
            for (packed, value) in self.scratch.families().flat_map(SeriesFamily::samples) {
                match timed.get_mut(packed) {
                    Some(samples) => samples.push((at, value)),
                    None => drop(timed.insert(packed.into(), vec![(at, value)])),
                }
            }
            newest = Some(histogram);
        }
        let newest =
            newest.filter(|newest| self.is_current(UnixMillis(newest.timestamp), newest.sum));
        if let Some(newest) = newest {
            push_classic(&mut self.histograms, series, help, &newest);
        }
        for (packed, samples) in &timed {
            self.histograms.push_timed(packed, samples);
        }
    }

    /// Returns whether a sample is a current value. The end of a series always is.
    fn is_current(&self, at: UnixMillis, value: f64) -> bool {
        self.now.since(at) <= self.intake.ttl() || is_staleness_marker(value)
    }
}

/// Adds a native histogram as a classic one.
fn push_classic(batch: &mut SeriesBatch, series: &Series<'_>, help: &str, histogram: &Histogram) {
    batch.begin(series.name, Some(Kind::Histogram), help);
    let labels = &series.labels;
    if is_staleness_marker(histogram.sum) {
        return batch.push_suffixed("_count", labels, histogram.sum);
    }
    let (buckets, count) = (histogram.classic(), histogram.count());
    batch.push_histogram(labels, buckets, count, Some(histogram.sum));
}

/// Checks the time of a sample.
///
/// # Errors
/// It is not for history.
fn check_time(at: UnixMillis, now: UnixMillis) -> Result<(), Rejection> {
    if now.since(at) > OLDEST {
        return Err(Rejection::TooOld);
    }
    match at.since(now) > AHEAD {
        true => Err(Rejection::TooNew),
        false => Ok(()),
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
