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

use crate::pushed::Intake;

/// Suffix of counters.
const TOTAL: &str = "_total";

/// Reads a message into a batch: the newest sample of each series, unless it is too old.
pub(super) struct Reader {
    /// Series of the message.
    pub(super) batch: SeriesBatch,
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
    pub(super) fn new(ttl: Duration, now: UnixMillis) -> Self {
        Self {
            batch: SeriesBatch::default(),
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
                let count = series.samples.len() + series.histograms.len();
                self.written.samples += series.samples.len() as u64;
                self.reject(Rejection::Invalid, count as u64, "a reference to no symbol");
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

    fn push(
        &mut self,
        series: &Series<'_>,
        (family, kind, help): (&str, Option<Kind>, &str),
        samples: &[Sample],
        histograms: &[Histogram],
    ) {
        self.written.samples += samples.len() as u64;
        self.written.histograms += histograms.len() as u64;
        if let Some(newest) = samples.last()
            && self.is_young(newest.timestamp, newest.value, series.name, samples.len())
        {
            self.begin(family, kind, help);
            let suffix = series.name.strip_prefix(family).unwrap_or_default();
            self.batch
                .push_suffixed(suffix, &series.labels, newest.value);
        }
        if let Some(newest) = histograms.last()
            && self.is_young(newest.timestamp, newest.sum, series.name, histograms.len())
        {
            self.begin(series.name, Some(Kind::Histogram), help);
            if is_staleness_marker(newest.sum) {
                return self
                    .batch
                    .push_suffixed("_count", &series.labels, newest.sum);
            }
            let (buckets, count) = (newest.classic(), newest.count());
            self.batch
                .push_histogram(&series.labels, buckets, count, newest.sum);
        }
    }

    /// Returns whether a sample is not too old; else it is rejected, with those before it. The end of a series is never
    /// too old.
    fn is_young(&mut self, timestamp: i64, value: f64, name: &str, count: usize) -> bool {
        let young = self.now.since(UnixMillis(timestamp)) <= self.ttl;
        if !young && !is_staleness_marker(value) {
            self.reject(Rejection::TooOld, count as u64, name);
            return false;
        }
        true
    }

    fn reject(&mut self, reason: Rejection, count: u64, first: &str) {
        let mut rejected = Rejected::default();
        rejected.add(reason, count, || first.to_owned());
        self.batch.reject(&rejected);
    }

    /// Begins the family, unless the series before has the same one.
    fn begin(&mut self, family: &str, kind: Option<Kind>, help: &str) {
        if self.family != family || self.batch.is_empty() {
            self.batch.begin(family, kind, help);
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
        if let Some((known, help)) = self.by_name.get_mut(name) {
            self.bytes -= name.len() + help.len();
            *known = kind;
            *help = metric.help.as_str().into();
        } else if self.by_name.len() < limits.series
            && (self.bytes + bytes) as u64 <= limits.bytes.0
        {
            let help = metric.help.as_str().into();
            self.by_name.insert(name.into(), (kind, help));
        } else {
            return;
        }
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
