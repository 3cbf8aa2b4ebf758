//! What one destination did.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use parking_lot::Mutex;

use super::starts::Starts;

/// Counters of one destination, and what is known of those it is sent; they live over reloads.
#[derive(Debug, Default)]
pub struct Stats {
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) retried: AtomicU64,
    /// Samples of series that relabelling dropped.
    pub(super) relabelled: AtomicU64,
    /// Samples that left the log before they could be sent.
    pub(super) lost: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Milliseconds since the epoch.
    pub(super) newest_sent: AtomicI64,
    pub(super) pending_samples: AtomicU64,
    pub(super) pending_bytes: AtomicU64,
    pub(super) fell_back: AtomicBool,
    pub(super) last_error: Mutex<Option<String>>,
    /// Of the counters it is sent.
    pub(super) starts: Mutex<Starts>,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteStats {
    /// Samples that the receiver took.
    pub sent: u64,
    /// Samples that it refused for good.
    pub failed: u64,
    /// Samples that were sent once more after a failure that may pass.
    pub retried: u64,
    /// Samples that were not sent, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Bytes of requests that the receiver took, as they went over the wire.
    pub bytes: u64,
    /// The latest time that was sent, seconds since the epoch; 0 before the first.
    pub newest_sent: f64,
    /// Samples that wait.
    pub pending_samples: u64,
    /// Bytes of the log that wait.
    pub pending_bytes: u64,
    /// Whether it is sent version 1.0 because it does not know 2.0.
    pub fell_back: bool,
    /// What went wrong last, until something goes well again.
    pub last_error: Option<String>,
}

impl Stats {
    /// The counters now.
    #[must_use]
    pub fn figures(&self) -> WriteStats {
        WriteStats {
            sent: self.sent.load(Relaxed),
            failed: self.failed.load(Relaxed),
            retried: self.retried.load(Relaxed),
            dropped: vec![
                ("relabelling", self.relabelled.load(Relaxed)),
                ("lost", self.lost.load(Relaxed)),
            ],
            bytes: self.bytes.load(Relaxed),
            newest_sent: self.newest_sent.load(Relaxed) as f64 / 1000.0,
            pending_samples: self.pending_samples.load(Relaxed),
            pending_bytes: self.pending_bytes.load(Relaxed),
            fell_back: self.fell_back.load(Relaxed),
            last_error: self.last_error.lock().clone(),
        }
    }
}
