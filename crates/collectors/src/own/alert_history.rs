//! What the history of alerts tells of itself.

use bellwether_core::UnixMillis;

use super::{Id, Out};

/// What the history of alerts holds, and what became of what it was given.
#[derive(Clone, Debug, Default)]
pub struct AlertHistoryFigures {
    /// Records taken, by kind: `transition`, `notification`.
    pub records: [(&'static str, u64); 2],
    /// Records lost, by reason.
    pub lost: [(&'static str, u64); 3],
    /// Lines that could not be read.
    pub damaged: u64,
    /// Bytes of unfinished writes that were cut off.
    pub torn_bytes: u64,
    /// Writes that failed.
    pub write_failures: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes in memory that are not on disk.
    pub memory_bytes: u64,
    /// The oldest record.
    pub oldest: Option<UnixMillis>,
}

impl Out<'_> {
    pub(super) fn alert_history(&mut self, figures: &AlertHistoryFigures) {
        for (kind, count) in figures.records {
            self.put(Id::AlertRecords, &[kind], count as f64);
        }
        for (reason, count) in figures.lost {
            self.put(Id::AlertRecordsLost, &[reason], count as f64);
        }
        self.put(Id::AlertRecordsDamaged, &[], figures.damaged as f64);
        self.put(Id::AlertHistoryTorn, &[], figures.torn_bytes as f64);
        self.put(Id::AlertHistoryFailures, &[], figures.write_failures as f64);
        self.put(Id::AlertHistoryBytes, &["disk"], figures.disk_bytes as f64);
        self.put(
            Id::AlertHistoryBytes,
            &["memory"],
            figures.memory_bytes as f64,
        );
        if let Some(oldest) = figures.oldest {
            self.put(Id::AlertHistoryOldest, &[], oldest.0 as f64 / 1000.0);
        }
    }
}
