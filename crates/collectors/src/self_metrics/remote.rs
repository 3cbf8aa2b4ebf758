//! Self-metrics of remote write, by destination.

use super::{Id, Writer};

/// Samples of one destination.
#[derive(Clone, Debug, Default)]
pub struct RemoteStats {
    /// Accepted samples.
    pub sent: u64,
    /// Rejected samples.
    pub failed: u64,
    /// Samples that were sent again.
    pub retried: u64,
    /// Samples that were not sent, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Bytes of the accepted requests, compressed.
    pub bytes: u64,
    /// Time of the newest accepted sample in seconds since the epoch; 0 before the first.
    pub newest_sent: f64,
    /// Samples that wait to be sent.
    pub pending_samples: u64,
    /// Bytes of the write-ahead log that wait to be sent.
    pub pending_bytes: u64,
}

impl Writer<'_> {
    pub(super) fn remote(&mut self, name: &str, stats: &RemoteStats) {
        for (id, value) in [
            (Id::RemoteSamples, stats.sent as f64),
            (Id::RemoteFailed, stats.failed as f64),
            (Id::RemoteRetried, stats.retried as f64),
            (Id::RemoteBytes, stats.bytes as f64),
            (Id::RemoteNewest, stats.newest_sent),
            (Id::RemotePending, stats.pending_samples as f64),
            (Id::RemotePendingBytes, stats.pending_bytes as f64),
        ] {
            self.write(id, &[name], value);
        }
        for (reason, count) in &stats.dropped {
            self.write(Id::RemoteDropped, &[name, reason], *count as f64);
        }
    }
}
