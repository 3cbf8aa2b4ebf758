//! Counts of skipped parts of the host, and their self-metric.

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};
use parking_lot::Mutex;
use tracing::{info, warn};

use super::parse::BadLines;

self_metrics! {
    SKIPPED = "bellwether_system_skipped_total" Counter ["part", "reason"]
        "Parts of the host that could not be read and were skipped.";
}

/// Kind of a skipped part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkippedPart {
    /// A mount point.
    Mount,
    /// A hardware sensor.
    Sensor,
    /// A line of a file.
    Line,
}

/// Reason why a part was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkipReason {
    /// No answer in time.
    Timeout,
    /// Permission denied.
    Denied,
    /// Any other error.
    Io,
    /// Its text is malformed.
    Malformed,
}

impl SkipReason {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::InvalidData => Self::Malformed,
            _ => Self::Io,
        }
    }
}

const PARTS: [&str; 3] = ["mount", "sensor", "line"];
const REASONS: [&str; 4] = ["timeout", "denied", "io", "malformed"];

/// Maximum number of paths that are logged; further ones are only counted.
const MAX_LOGGED: usize = 100;

/// Counts of skipped parts; a part counts once per collection.
#[derive(Debug, Default)]
pub struct Skipped {
    counts: [[AtomicU64; REASONS.len()]; PARTS.len()],
    /// Logged paths, with the number of the line or 0.
    logged: Mutex<HashSet<(PathBuf, usize)>>,
}

impl Skipped {
    /// Counts a part, and logs it the first time.
    pub(super) fn count(
        &self,
        what: SkippedPart,
        why: SkipReason,
        path: &Path,
        detail: &dyn Display,
    ) {
        self.add(what, why, 1);
        if self.is_new(path, 0) {
            let (what, reason) = (PARTS[what as usize], REASONS[why as usize]);
            info!(path = %path.display(), what, reason, %detail, "skipped; logged once");
        }
    }

    /// Counts the bad lines of the file at `path`, and logs them the first time.
    pub(super) fn count_lines(&self, path: &Path, bad: &BadLines) {
        self.add(SkippedPart::Line, SkipReason::Malformed, bad.count());
        if bad.named().any(|(line, _)| self.is_new(path, line)) {
            let named: Vec<String> = bad.named().map(|(_, text)| text.to_string()).collect();
            let lines = named.join("; ");
            warn!(path = %path.display(), lines, "bad lines skipped; logged once");
        }
    }

    /// Logs once that the host has no file at `path`. This does not count as skipped.
    pub(super) fn note_absent(&self, path: &Path) {
        if self.is_new(path, 0) {
            info!(path = %path.display(), "no such file on this host; its metrics are left out");
        }
    }

    fn add(&self, what: SkippedPart, why: SkipReason, count: u64) {
        self.counts[what as usize][why as usize].fetch_add(count, Ordering::Relaxed);
    }

    fn is_new(&self, path: &Path, line: usize) -> bool {
        let mut named = self.logged.lock();
        named.len() < MAX_LOGGED && named.insert((path.to_owned(), line))
    }

    /// Returns all counts with their part and reason.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        PARTS.iter().zip(&self.counts).flat_map(|(what, row)| {
            let row = REASONS.iter().zip(row);
            row.map(move |(why, count)| (*what, *why, count.load(Ordering::Relaxed)))
        })
    }
}

impl SelfMetrics for Skipped {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        for (what, reason, count) in self.counts() {
            batch.push(&SKIPPED, &[what, reason], count as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse::Malformed;
    use super::*;

    #[test]
    fn counts_stand_under_their_words() {
        let skipped = Skipped::default();
        let path = Path::new("/x");
        skipped.count(SkippedPart::Mount, SkipReason::Timeout, path, &"");
        for _ in 0..2 {
            let error = io::Error::from(io::ErrorKind::PermissionDenied);
            skipped.count(SkippedPart::Sensor, SkipReason::of(&error), path, &error);
        }
        let mut bad = BadLines::default();
        (1..=7).for_each(|line| bad.add(Malformed::line(line, "a number", b"x")));
        skipped.count_lines(path, &bad);
        let counted: Vec<_> = skipped
            .counts()
            .filter(|(_, _, count)| *count > 0)
            .collect();
        let expected = [
            ("mount", "timeout", 1),
            ("sensor", "denied", 2),
            ("line", "malformed", 7),
        ];
        assert_eq!(counted, expected);
    }

    #[test]
    fn a_place_is_named_once_and_only_so_many_are() {
        let skipped = Skipped::default();
        assert!(skipped.is_new(Path::new("/x"), 1));
        assert!(!skipped.is_new(Path::new("/x"), 1));
        let named = (0..2 * MAX_LOGGED).filter(|line| skipped.is_new(Path::new("/y"), *line));
        assert_eq!(named.count(), MAX_LOGGED - 1);
    }
}
