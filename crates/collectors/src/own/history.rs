//! What history tells of itself.

use bellwether_core::UnixMillis;

use super::{Id, Out};

/// What history holds, and what became of what it was given.
#[derive(Clone, Debug, Default)]
pub struct HistoryFigures {
    /// Series in it.
    pub series: u64,
    /// Samples in it, by part: `head` (memory), `blocks`.
    pub samples: [(&'static str, u64); 2],
    /// Samples taken.
    pub appended: u64,
    /// Samples not taken, by reason.
    pub refused: Vec<(&'static str, u64)>,
    /// Samples that were taken and are lost, by reason.
    pub lost: Vec<(&'static str, u64)>,
    /// Damaged or missing pieces that were left out, by what they are.
    pub damage: Vec<(&'static str, u64)>,
    /// Bytes of unfinished writes that were cut off.
    pub torn_bytes: u64,
    /// Bytes of samples in memory.
    pub head_bytes: u64,
    /// Bytes on disk, by part: `wal`, `blocks`.
    pub disk_bytes: [(&'static str, u64); 2],
    /// Blocks on disk.
    pub blocks: u64,
    /// Writes that failed.
    pub write_failures: u64,
    /// The oldest sample.
    pub oldest: Option<UnixMillis>,
}

impl Out<'_> {
    pub(super) fn history(&mut self, figures: &HistoryFigures) {
        self.put(Id::HistorySeries, &[], figures.series as f64);
        self.put(Id::HistoryAppended, &[], figures.appended as f64);
        self.put(Id::HistoryTorn, &[], figures.torn_bytes as f64);
        self.put(Id::HistoryHead, &[], figures.head_bytes as f64);
        for (id, counts) in [
            (Id::HistorySamples, &figures.samples[..]),
            (Id::HistoryRefused, &figures.refused),
            (Id::HistoryLost, &figures.lost),
            (Id::HistoryDamage, &figures.damage),
            (Id::HistoryDisk, &figures.disk_bytes),
        ] {
            for (label, count) in counts {
                self.put(id, &[label], *count as f64);
            }
        }
        self.put(Id::HistoryBlocks, &[], figures.blocks as f64);
        self.put(Id::HistoryWriteFailures, &[], figures.write_failures as f64);
        if let Some(oldest) = figures.oldest {
            self.put(Id::HistoryOldest, &[], oldest.0 as f64 / 1000.0);
        }
    }
}
