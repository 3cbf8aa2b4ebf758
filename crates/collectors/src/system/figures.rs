//! The groups of figures: each reads its files, parses them and fills the batch.
//!
//! A group exists only where a declared metric needs it, so a file is read only for a reason.

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
pub(super) use sensors::Chip;

use super::catalogue::{Figure, Nature};
use super::file::HostFile;
use super::filter::Filter;
use super::parse::{BadLines, Malformed};
use super::probe::Prober;
use super::resolve::Declared;
use super::skipped::Skipped;
use super::totals::Totals;

/// A group of figures that come from the same place.
pub(super) trait Group: Send {
    /// Reads, and adds what was read.
    fn collect(&mut self, run: &mut Run<'_>);
}

/// One collection under way.
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

    /// What failed, all of it in one; the reason is that of the first.
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

    /// Accounts for the bad lines of the file at `path`: a file of which nothing was of use is a
    /// failure, single lines are counted and named once.
    fn account(&mut self, path: &Path, bad: &BadLines, usable: bool) {
        match bad.first() {
            None => {}
            Some(first) if !usable => self.malformed(path, first),
            Some(_) => self.skipped.count_lines(path, bad),
        }
    }

    /// A file that every host has.
    fn required<'f>(&mut self, file: &'f mut HostFile) -> Option<(&'f [u8], &'f Path)> {
        self.read(file, false)
    }

    /// A file that not every kernel, machine or container has, or has filled: without it there are
    /// no series.
    fn optional<'f>(&mut self, file: &'f mut HostFile) -> Option<(&'f [u8], &'f Path)> {
        self.read(file, true)
    }

    fn read<'f>(&mut self, file: &'f mut HostFile, may_lack: bool) -> Option<(&'f [u8], &'f Path)> {
        let absent = match file.read() {
            Ok(content) => content.trim_ascii().is_empty(),
            Err(error) if may_lack && is_absent(&error) => true,
            Err(error) => {
                self.fail("io", file.path(), &error);
                return None;
            }
        };
        if may_lack && absent {
            self.skipped.note_absent(file.path());
            return None;
        }
        Some(file.content())
    }
}

/// Whether the kernel says that it has no such thing. Pressure files that exist while the
/// accounting is off answer "not supported".
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::Unsupported
    )
}

/// One declared metric of a group, with what the group needs to pick its value.
pub(super) struct Metric<P> {
    id: MetricId,
    pick: P,
    filter: Filter,
    reading: Reading,
}

/// Way from a reading to the metric's value.
enum Reading {
    /// As it is.
    Level,
    /// A running total, exported as one.
    Counter(Totals),
    /// A running total, exported as its rate per second.
    Rate(Totals),
}

impl Reading {
    fn of(metric: &Declared) -> Self {
        match (metric.source.nature, metric.def.kind) {
            (Nature::Level, _) => Self::Level,
            (Nature::Total, Kind::Gauge) => Self::Rate(Totals::default()),
            (Nature::Total, _) => Self::Counter(Totals::default()),
        }
    }
}

impl<P> Metric<P> {
    /// The declared metrics for which `pick` finds something.
    pub(super) fn all(
        declared: &[(MetricId, Declared)],
        pick: impl Fn(Figure) -> Option<P>,
    ) -> Vec<Self> {
        let of = |(id, metric): &(MetricId, Declared)| {
            Some(Self {
                id: *id,
                pick: pick(metric.source.figure)?,
                filter: metric.filter.clone(),
                reading: Reading::of(metric),
            })
        };
        declared.iter().filter_map(of).collect()
    }

    /// Adds the value, or its rate where that is what was declared and there is one.
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

    /// Adds the value if its labels are wanted.
    fn push_if_admitted(&mut self, labels: &[&str], value: f64, run: &mut Run<'_>) {
        if self.filter.admits(labels) {
            self.push(labels, value, run);
        }
    }

    /// Ends a reading: series that were not in it are forgotten, at once where it was `complete`.
    fn finish(&mut self, run: &Run<'_>, complete: bool) {
        if let Reading::Counter(totals) | Reading::Rate(totals) = &mut self.reading {
            totals.keep_only(run.now.mono, complete);
        }
    }
}

/// What the groups ask on threads of their own.
pub(super) struct Probers {
    pub(super) usage: Prober<Usage>,
    pub(super) chip: Prober<Chip>,
}

/// Roots as the groups use them.
pub(super) struct Roots<'a> {
    pub(super) procfs: &'a Path,
    pub(super) sysfs: &'a Path,
    pub(super) rootfs: &'a Path,
}

impl Roots<'_> {
    fn proc(&self, path: &str) -> HostFile {
        HostFile::new(self.procfs.join(path))
    }

    /// A file of the network: with the host's /proc mounted elsewhere, `self` is still in our own
    /// network, and process 1 in that of the host.
    fn net(&self, path: &str) -> HostFile {
        let own = self.procfs.join("net").join(path);
        if self.procfs == Path::new("/proc") {
            return HostFile::new(own);
        }
        HostFile::first_of(vec![self.procfs.join("1/net").join(path), own])
    }
}

/// The groups that `declared` needs. Counters come first, so that the rates of one collection
/// span the time between two starts, however long the mounts and sensors behind them take.
pub(super) fn groups(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
    probers: Probers,
) -> Vec<Box<dyn Group>> {
    let groups = [
        cpu::group(roots, declared),
        disks::group(roots, declared),
        network::interfaces_group(roots, declared),
        pressure::group(roots, declared),
        one_file::paging_group(roots, declared),
        one_file::memory_group(roots, declared),
        one_file::load_group(roots, declared),
        one_file::descriptors_group(roots, declared),
        one_file::uptime_group(roots, declared),
        cpu::frequency_group(roots, declared),
        network::sockets_group(roots, declared),
        mounts::group(roots, declared, probers.usage),
        sensors::group(roots, declared, probers.chip),
    ];
    groups.into_iter().flatten().collect()
}
