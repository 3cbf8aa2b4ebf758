//! What remote write tells of itself, destination by destination.

use super::{Id, Out};

/// What one destination did.
#[derive(Clone, Debug, Default)]
pub struct RemoteFigures {
    /// Samples that the receiver took.
    pub sent: u64,
    /// Samples that it refused for good.
    pub failed: u64,
    /// Samples that were sent once more.
    pub retried: u64,
    /// Samples that were not sent, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Bytes of the requests that the receiver took.
    pub bytes: u64,
    /// The latest time that was sent, seconds since the epoch; 0 before the first.
    pub newest_sent: f64,
    /// Samples that wait.
    pub pending_samples: u64,
    /// Bytes of history's log that wait.
    pub pending_bytes: u64,
}

impl Out<'_> {
    pub(super) fn remote(&mut self, name: &str, figures: &RemoteFigures) {
        for (id, value) in [
            (Id::RemoteSamples, figures.sent as f64),
            (Id::RemoteFailed, figures.failed as f64),
            (Id::RemoteRetried, figures.retried as f64),
            (Id::RemoteBytes, figures.bytes as f64),
            (Id::RemoteNewest, figures.newest_sent),
            (Id::RemotePending, figures.pending_samples as f64),
            (Id::RemotePendingBytes, figures.pending_bytes as f64),
        ] {
            self.put(id, &[name], value);
        }
        for (reason, count) in &figures.dropped {
            self.put(Id::RemoteDropped, &[name, reason], *count as f64);
        }
    }
}
