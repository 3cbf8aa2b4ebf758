//! What was left out of collections, for the self-metrics.

use std::collections::HashSet;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tracing::{info, warn};

use super::parse::BadLines;

/// What can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A mount point.
    Mount,
    /// A hardware sensor.
    Sensor,
    /// A line of a file.
    Line,
}

/// Why it was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// It did not answer in time.
    Timeout,
    /// We may not ask.
    Denied,
    /// It answered with an error.
    Io,
    /// Its text is not what it should be.
    Malformed,
}

impl Why {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::InvalidData => Self::Malformed,
            _ => Self::Io,
        }
    }
}

const WHAT: [&str; 3] = ["mount", "sensor", "line"];
const WHY: [&str; 4] = ["timeout", "denied", "io", "malformed"];

/// Most places that are named in the log; those beyond are only counted.
const MOST_NAMED: usize = 100;

/// Counts of what was left out, one for each collection it was left out of.
#[derive(Debug, Default)]
pub struct Skipped {
    counts: [[AtomicU64; WHY.len()]; WHAT.len()],
    /// Places that were named in the log: the path, and the line where it is one of a file.
    named: Mutex<HashSet<(PathBuf, usize)>>,
}

impl Skipped {
    /// Counts one, and names it in the log the first time.
    pub(super) fn count(&self, what: What, why: Why, path: &Path, detail: &dyn Display) {
        self.add(what, why, 1);
        if self.is_new(path, 0) {
            let (what, reason) = (WHAT[what as usize], WHY[why as usize]);
            info!(path = %path.display(), what, reason, %detail, "left out; said once");
        }
    }

    /// Counts the lines of the file at `path` that could not be read, and names them in the log
    /// the first time.
    pub(super) fn count_lines(&self, path: &Path, bad: &BadLines) {
        self.add(What::Line, Why::Malformed, bad.count());
        if bad.named().any(|(line, _)| self.is_new(path, line)) {
            let named: Vec<String> = bad.named().map(|(_, text)| text.to_string()).collect();
            let lines = named.join("; ");
            warn!(path = %path.display(), lines, "bad lines left out; said once");
        }
    }

    /// Says in the log, once, that a host has no file at `path`. Nothing is counted: no such thing
    /// is there that could be left out.
    pub(super) fn note_absent(&self, path: &Path) {
        if self.is_new(path, 0) {
            info!(path = %path.display(), "not on this host; its figures are not either");
        }
    }

    /// Goes on from the counts of `old`, after a reload.
    pub fn adopt(&self, old: &Self) {
        for (count, old) in self
            .counts
            .iter()
            .flatten()
            .zip(old.counts.iter().flatten())
        {
            count.fetch_add(old.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        self.named.lock().extend(old.named.lock().iter().cloned());
    }

    fn add(&self, what: What, why: Why, count: u64) {
        self.counts[what as usize][why as usize].fetch_add(count, Ordering::Relaxed);
    }

    fn is_new(&self, path: &Path, line: usize) -> bool {
        let mut named = self.named.lock();
        named.len() < MOST_NAMED && named.insert((path.to_owned(), line))
    }

    /// All counts with the words for their labels: what and why.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        WHAT.iter().zip(&self.counts).flat_map(|(what, row)| {
            let row = WHY.iter().zip(row);
            row.map(move |(why, count)| (*what, *why, count.load(Ordering::Relaxed)))
        })
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
        skipped.count(What::Mount, Why::Timeout, path, &"");
        for _ in 0..2 {
            let error = io::Error::from(io::ErrorKind::PermissionDenied);
            skipped.count(What::Sensor, Why::of(&error), path, &error);
        }
        let mut bad = BadLines::default();
        (1..=7).for_each(|line| bad.add(Malformed::line(line, "a number", b"x")));
        skipped.count_lines(path, &bad);
        let after_reload = Skipped::default();
        after_reload.adopt(&skipped);
        let counted: Vec<_> = after_reload
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
        let named = (0..2 * MOST_NAMED).filter(|line| skipped.is_new(Path::new("/y"), *line));
        assert_eq!(named.count(), MOST_NAMED - 1);
    }
}
