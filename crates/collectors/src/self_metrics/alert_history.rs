//! Self-metrics of the alert history.

use bellwether_core::UnixMillis;

use super::{Id, Writer};

/// Records, losses and size of the alert history.
#[derive(Clone, Debug, Default)]
pub struct AlertHistoryStats {
    /// Added records by kind: `transition`, `notification`.
    pub records: [(&'static str, u64); 2],
    /// Records lost, by reason.
    pub lost: [(&'static str, u64); 3],
    /// Lines that could not be read.
    pub damaged: u64,
    /// Bytes of unfinished writes that were cut off.
    pub torn_bytes: u64,
    /// Failed writes.
    pub write_failures: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes in memory that are not on disk.
    pub memory_bytes: u64,
    /// Time of the oldest record.
    pub oldest: Option<UnixMillis>,
}

impl Writer<'_> {
    pub(super) fn alert_history(&mut self, stats: &AlertHistoryStats) {
        for (kind, count) in stats.records {
            self.write(Id::AlertRecords, &[kind], count as f64);
        }
        for (reason, count) in stats.lost {
            self.write(Id::AlertRecordsLost, &[reason], count as f64);
        }
        self.write(Id::AlertRecordsDamaged, &[], stats.damaged as f64);
        self.write(Id::AlertHistoryTorn, &[], stats.torn_bytes as f64);
        self.write(Id::AlertHistoryFailures, &[], stats.write_failures as f64);
        self.write(Id::AlertHistoryBytes, &["disk"], stats.disk_bytes as f64);
        self.write(
            Id::AlertHistoryBytes,
            &["memory"],
            stats.memory_bytes as f64,
        );
        if let Some(oldest) = stats.oldest {
            self.write(Id::AlertHistoryOldest, &[], oldest.0 as f64 / 1000.0);
        }
    }
}
