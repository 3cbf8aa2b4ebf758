//! Counters of one destination.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64};

use parking_lot::Mutex;

use super::start_times::StartTimes;

/// Counters of one destination, and start times of the counters that it is sent; they outlive a reload.
#[derive(Debug, Default)]
pub struct Stats {
    pub(super) sent: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) retried: AtomicU64,
    /// Samples of series that relabeling dropped.
    pub(super) relabelled: AtomicU64,
    /// Samples that were deleted from the log before they were sent.
    pub(super) lost: AtomicU64,
    pub(super) bytes: AtomicU64,
    /// Milliseconds since the epoch.
    pub(super) newest_sent: AtomicI64,
    pub(super) pending_samples: AtomicU64,
    pub(super) pending_bytes: AtomicU64,
    pub(super) fell_back: AtomicBool,
    pub(super) last_error: Mutex<Option<String>>,
    pub(super) start_times: Mutex<StartTimes>,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WriteStats {
    /// Samples that the receiver accepted.
    pub sent: u64,
    /// Samples that it rejected for good.
    pub failed: u64,
    /// Samples that were sent again after a retryable error.
    pub retried: u64,
    /// Samples that were not sent, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Bytes of accepted requests, compressed.
    pub bytes: u64,
    /// Latest sample time that was sent, in seconds since the epoch; 0 before the first.
    pub newest_sent: f64,
    /// Samples in the log that were not sent.
    pub pending_samples: u64,
    /// Bytes of the log that were not sent.
    pub pending_bytes: u64,
    /// True if it is sent version 1.0 because it does not support 2.0.
    pub fell_back: bool,
    /// Last error, until the next success.
    pub last_error: Option<String>,
}

impl Stats {
    /// Returns the counters now.
    #[must_use]
    pub fn snapshot(&self) -> WriteStats {
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
