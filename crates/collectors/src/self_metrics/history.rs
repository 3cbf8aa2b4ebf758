//! Self-metrics of history.

use bellwether_core::UnixMillis;

use super::{Id, Writer};

/// Samples, losses and size of history.
#[derive(Clone, Debug, Default)]
pub struct HistoryStats {
    /// Series.
    pub series: u64,
    /// Samples by part: `head` (memory), `blocks`.
    pub samples: [(&'static str, u64); 2],
    /// Appended samples.
    pub appended: u64,
    /// Rejected samples by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Appended samples that were lost, by reason.
    pub lost: Vec<(&'static str, u64)>,
    /// Damaged or missing parts that are left out, by kind.
    pub damage: Vec<(&'static str, u64)>,
    /// Bytes of unfinished writes that were cut off.
    pub torn_bytes: u64,
    /// Bytes of samples in memory.
    pub head_bytes: u64,
    /// Bytes on disk, by part: `wal`, `blocks`.
    pub disk_bytes: [(&'static str, u64); 2],
    /// Blocks on disk.
    pub blocks: u64,
    /// Failed writes.
    pub write_failures: u64,
    /// Time of the oldest sample.
    pub oldest: Option<UnixMillis>,
}

impl Writer<'_> {
    pub(super) fn history(&mut self, stats: &HistoryStats) {
        self.write(Id::HistorySeries, &[], stats.series as f64);
        self.write(Id::HistoryAppended, &[], stats.appended as f64);
        self.write(Id::HistoryTorn, &[], stats.torn_bytes as f64);
        self.write(Id::HistoryHead, &[], stats.head_bytes as f64);
        for (id, counts) in [
            (Id::HistorySamples, &stats.samples[..]),
            (Id::HistoryRefused, &stats.refused),
            (Id::HistoryLost, &stats.lost),
            (Id::HistoryDamage, &stats.damage),
            (Id::HistoryDisk, &stats.disk_bytes),
        ] {
            for (label, count) in counts {
                self.write(id, &[label], *count as f64);
            }
        }
        self.write(Id::HistoryBlocks, &[], stats.blocks as f64);
        self.write(Id::HistoryWriteFailures, &[], stats.write_failures as f64);
        if let Some(oldest) = stats.oldest {
            self.write(Id::HistoryOldest, &[], oldest.0 as f64 / 1000.0);
        }
    }
}
