//! Groups of metrics: each reads its files, parses them and fills the batch.
//!
//! A group exists only if a configured metric needs it, so no file is read without need.

mod cpu;
mod disks;
mod mounts;
mod network;
mod one_file;
mod pressure;
mod sensors;

use std::io;
use std::path::Path;

use bellwether_core::{Batch, Failure, Kind, MetricId, Now};
pub(super) use mounts::Usage;
pub use mounts::may_hang;
pub(super) use sensors::Chip;

use super::catalogue::{Measurement, Nature};
use super::file::HostFile;
use super::filter::Filter;
use super::parse::{BadLines, Malformed};
use super::probe::Prober;
use super::resolve::ResolvedMetric;
use super::skipped::Skipped;
use super::totals::Totals;

/// A group of metrics from the same files.
pub(super) trait Group: Send {
    /// Reads the files and adds their samples.
    fn collect(&mut self, run: &mut Run<'_>);
}

/// A running collection.
pub(super) struct Run<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) now: Now,
    pub(super) skipped: &'a Skipped,
    failure: Option<Failure>,
}

impl<'a> Run<'a> {
    pub(super) fn new(batch: &'a mut Batch, now: Now, skipped: &'a Skipped) -> Self {
        Self {
            batch,
            now,
            skipped,
            failure: None,
        }
    }

    /// Returns all failures as one, with the reason of the first.
    pub(super) fn result(self) -> Result<(), Failure> {
        self.failure.map_or(Ok(()), Err)
    }

    fn fail(&mut self, reason: &'static str, path: &Path, what: &dyn std::fmt::Display) {
        let text = format!("{}: {what}", path.display());
        match &mut self.failure {
            None => self.failure = Some(Failure::new(reason, text)),
            Some(failure) => {
                failure.detail.push_str("; ");
                failure.detail.push_str(&text);
            }
        }
    }

    fn malformed(&mut self, path: &Path, what: &Malformed) {
        self.fail("parse", path, what);
    }

    /// Records the bad lines of the file at `path`: a file without a usable line is a failure, single
    /// lines are counted and logged once.
    fn record_bad_lines(&mut self, path: &Path, bad: &BadLines, usable: bool) {
        match bad.first() {
            None => {}
            Some(first) if !usable => self.malformed(path, first),
            Some(_) => self.skipped.count_lines(path, bad),
        }
    }

    /// Reads a file that every host has.
    fn required<'f>(&mut self, file: &'f mut HostFile) -> Option<(&'f [u8], &'f Path)> {
        self.read(file, false)
    }

    /// Reads a file that is missing or empty with some kernels, machines or containers: without it
    /// there are no series.
    fn optional<'f>(&mut self, file: &'f mut HostFile) -> Option<(&'f [u8], &'f Path)> {
        self.read(file, true)
    }

    fn read<'f>(
        &mut self,
        file: &'f mut HostFile,
        is_optional: bool,
    ) -> Option<(&'f [u8], &'f Path)> {
        let absent = match file.read() {
            Ok(content) => content.trim_ascii().is_empty(),
            Err(error) if is_optional && is_absent(&error) => true,
            Err(error) => {
                self.fail("io", file.path(), &error);
                return None;
            }
        };
        if is_optional && absent {
            self.skipped.note_absent(file.path());
            return None;
        }
        Some(file.content())
    }
}

/// Returns whether the kernel does not have the file. Pressure files that exist while the
/// accounting is off fail with "not supported".
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::Unsupported
    )
}

/// A configured metric of a group, with `pick` to find its value.
pub(super) struct Metric<P> {
    id: MetricId,
    pick: P,
    filter: Filter,
    reading: Reading,
}

/// Conversion of a reading to the metric's value.
enum Reading {
    /// The reading as it is.
    Level,
    /// A total, exported as a counter.
    Counter(Totals),
    /// A total, exported as its rate per second.
    Rate(Totals),
}

impl Reading {
    fn of(metric: &ResolvedMetric) -> Self {
        match (metric.source.nature, metric.def.kind) {
            (Nature::Level, _) => Self::Level,
            (Nature::Total, Kind::Gauge) => Self::Rate(Totals::default()),
            (Nature::Total, _) => Self::Counter(Totals::default()),
        }
    }
}

impl<P> Metric<P> {
    /// Returns the configured metrics for which `pick` returns a value.
    pub(super) fn all(
        configured: &[(MetricId, ResolvedMetric)],
        pick: impl Fn(Measurement) -> Option<P>,
    ) -> Vec<Self> {
        let metrics = configured.iter().filter_map(|(id, metric)| {
            Some(Self {
                id: *id,
                pick: pick(metric.source.measurement)?,
                filter: metric.filter.clone(),
                reading: Reading::of(metric),
            })
        });
        metrics.collect()
    }

    /// Adds the value; for a rate, only if there was a reading before.
    fn push(&mut self, labels: &[&str], value: f64, run: &mut Run<'_>) {
        let value = match &mut self.reading {
            Reading::Level => Some(value),
            Reading::Counter(totals) => Some(totals.counter(labels, value, run.now.mono)),
            Reading::Rate(totals) => totals.rate(labels, value, run.now.mono),
        };
        if let Some(value) = value {
            run.batch.push(self.id, labels, value);
        }
    }

    /// Adds the value if the filter admits its labels.
    fn push_if_admitted(&mut self, labels: &[&str], value: f64, run: &mut Run<'_>) {
        if self.filter.admits(labels) {
            self.push(labels, value, run);
        }
    }

    /// Ends a reading: deletes the totals of series that were not in it, at once if it was `complete`.
    fn finish(&mut self, run: &Run<'_>, complete: bool) {
        if let Reading::Counter(totals) | Reading::Rate(totals) = &mut self.reading {
            totals.keep_only(run.now.mono, complete);
        }
    }
}

/// Probers of the groups, with threads of their own.
pub(super) struct Probers {
    pub(super) usage: Prober<Usage>,
    pub(super) chip: Prober<Chip>,
}

/// Directories of the host's files.
pub(super) struct Roots<'a> {
    pub(super) procfs: &'a Path,
    pub(super) sysfs: &'a Path,
    pub(super) rootfs: &'a Path,
}

impl Roots<'_> {
    fn proc(&self, path: &str) -> HostFile {
        HostFile::new(self.procfs.join(path))
    }

    fn net(&self, path: &str) -> HostFile {
        HostFile::of_network(self.procfs, path)
    }
}

/// Creates the groups that `configured` needs. Counters come first, so that the rates of one collection
/// span the time between two starts, however long the mounts and sensors after them take.
pub(super) fn groups(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
    probers: Probers,
) -> Vec<Box<dyn Group>> {
    let groups = [
        cpu::group(roots, configured),
        disks::group(roots, configured),
        network::interfaces_group(roots, configured),
        pressure::group(roots, configured),
        one_file::paging_group(roots, configured),
        one_file::memory_group(roots, configured),
        one_file::load_group(roots, configured),
        one_file::descriptors_group(roots, configured),
        one_file::uptime_group(roots, configured),
        cpu::frequency_group(roots, configured),
        network::sockets_group(roots, configured),
        mounts::group(roots, configured, probers.usage),
        sensors::group(roots, configured, probers.chip),
    ];
    groups.into_iter().flatten().collect()
}
