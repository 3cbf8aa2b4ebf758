//! What was left out of collections, for the self-metrics.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

/// What can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A mount point.
    Mount,
    /// A hardware sensor.
    Sensor,
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
}

impl Why {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::PermissionDenied => Self::Denied,
            _ => Self::Io,
        }
    }
}

const WHAT: [&str; 2] = ["mount", "sensor"];
const WHY: [&str; 3] = ["timeout", "denied", "io"];

/// Counts of what was left out, one for each collection it was left out of.
#[derive(Debug, Default)]
pub struct Skipped([[AtomicU64; WHY.len()]; WHAT.len()]);

impl Skipped {
    /// Counts one.
    pub(super) fn count(&self, what: What, why: Why) {
        self.0[what as usize][why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// All counts with the words for their labels: what and why.
    pub fn counts(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        WHAT.iter().zip(&self.0).flat_map(|(what, row)| {
            let row = WHY.iter().zip(row);
            row.map(move |(why, count)| (*what, *why, count.load(Ordering::Relaxed)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_stand_under_their_words() {
        let skipped = Skipped::default();
        skipped.count(What::Mount, Why::Timeout);
        skipped.count(What::Sensor, Why::of(&io::ErrorKind::PermissionDenied.into()));
        skipped.count(What::Sensor, Why::of(&io::ErrorKind::PermissionDenied.into()));
        let counted: Vec<_> = skipped.counts().filter(|(_, _, count)| *count > 0).collect();
        assert_eq!(counted, [("mount", "timeout", 1), ("sensor", "denied", 2)]);
    }
}
