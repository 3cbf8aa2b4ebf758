//! Limits and cancellation of queries.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};

/// Limits of one query, shared by all threads that work on it.
///
/// [`Guard::cancel`] and [`Guard::time_out`] stop the query from another thread. The guard reads no
/// clock: its owner decides when the time is over.
#[derive(Debug)]
pub struct Guard {
    stopped: AtomicU8,
    samples: AtomicU64,
    bytes: AtomicU64,
    max_samples: u64,
    max_bytes: u64,
    pool: Arc<Pool>,
}

/// Limit of the memory that several queries hold together.
#[derive(Debug)]
pub struct Pool {
    held: AtomicU64,
    max_bytes: u64,
}

/// Memory that a query holds: charged when it is allocated, released when it is freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of samples, each a timestamp and a value.
    pub samples: u64,
    /// Bytes of everything else: labels, texts, regular expressions.
    pub bytes: u64,
}

/// Reason for stopping a query before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The query was cancelled.
    #[error("query was canceled")]
    Cancelled,
    /// The query took too long.
    #[error("query timed out")]
    TimedOut,
    /// The query would hold more samples than its limit.
    #[error("query processing would load too many samples into memory: more than {0}")]
    TooManySamples(u64),
    /// The query would hold more bytes of labels, texts and regular expressions than its limit.
    #[error(
        "query processing would hold too many bytes of labels and regular expressions in memory: more than {0}"
    )]
    TooManyBytes(u64),
    /// All queries of the pool together would hold more bytes than its limit.
    #[error("all queries together would hold too many bytes in memory: more than {0}")]
    TooManyTogether(u64),
    /// The labels of one series would be longer than the limit.
    #[error("the labels of one series would be longer than {0} bytes")]
    LabelsTooLong(usize),
}

impl Stopped {
    /// Returns whether the query was stopped for a limit of memory.
    #[must_use]
    pub fn is_limit(self) -> bool {
        !matches!(self, Self::Cancelled | Self::TimedOut)
    }
}

const RUNS: u8 = 0;
const CANCELLED: u8 = 1;
const TIMED_OUT: u8 = 2;

/// Bytes of a sample: a time and a value.
const SAMPLE: u64 = 16;
/// Longest labels of one series that a query creates, in bytes.
const MAX_LABELS: usize = 64 << 10;

impl Pool {
    /// Creates a pool that limits its queries together to `max_bytes`, samples included.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self {
            held: AtomicU64::new(0),
            max_bytes,
        }
    }

    /// Returns the bytes that the queries of the pool hold.
    #[must_use]
    pub fn usage(&self) -> u64 {
        self.held.load(Relaxed)
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl Guard {
    /// Creates a guard that limits a query to holding `max_samples` samples at once.
    #[must_use]
    pub fn new(max_samples: u64) -> Self {
        Self::within(max_samples, u64::MAX, Arc::default())
    }

    /// Creates a guard that limits a query to `max_samples` samples and `max_bytes` of everything
    /// else, and to the bytes that other queries leave of `pool`.
    #[must_use]
    pub fn within(max_samples: u64, max_bytes: u64, pool: Arc<Pool>) -> Self {
        let (stopped, samples, bytes) = (AtomicU8::new(RUNS), AtomicU64::new(0), AtomicU64::new(0));
        Self {
            stopped,
            samples,
            bytes,
            max_samples,
            max_bytes,
            pool,
        }
    }

    /// Stops the query with [`Stopped::Cancelled`].
    pub fn cancel(&self) {
        self.stop(CANCELLED);
    }

    /// Stops the query with [`Stopped::TimedOut`].
    pub fn time_out(&self) {
        self.stop(TIMED_OUT);
    }

    fn stop(&self, why: u8) {
        self.stopped
            .compare_exchange(RUNS, why, Relaxed, Relaxed)
            .ok();
    }

    /// Returns an error if the query was stopped. Cheap: call it at least every few thousand samples.
    ///
    /// # Errors
    /// The reason for stopping.
    pub fn check(&self) -> Result<(), Stopped> {
        match self.stopped.load(Relaxed) {
            CANCELLED => Err(Stopped::Cancelled),
            TIMED_OUT => Err(Stopped::TimedOut),
            _ => Ok(()),
        }
    }

    /// Charges `samples` that the query now holds.
    ///
    /// # Errors
    /// A limit is exceeded, or the query was stopped.
    pub fn charge(&self, samples: usize) -> Result<(), Stopped> {
        self.add(Usage {
            samples: samples as u64,
            bytes: 0,
        })
    }

    /// Charges `bytes` of labels, texts or regular expressions that the query now holds.
    ///
    /// # Errors
    /// A limit is exceeded, or the query was stopped.
    pub fn charge_bytes(&self, bytes: usize) -> Result<(), Stopped> {
        self.add(Usage {
            samples: 0,
            bytes: bytes as u64,
        })
    }

    /// Charges the labels of one series, `length` bytes, before they are created.
    ///
    /// # Errors
    /// They are too long, another limit is exceeded, or the query was stopped.
    pub(super) fn charge_labels(&self, length: usize) -> Result<(), Stopped> {
        if length > MAX_LABELS {
            self.check()?;
            return Err(Stopped::LabelsTooLong(MAX_LABELS));
        }
        self.charge_bytes(length)
    }

    fn add(&self, more: Usage) -> Result<(), Stopped> {
        self.check()?;
        let Usage { samples, bytes } = more;
        // The pool first: the usage of the query is subtracted from the pool at its end.
        let weight = samples.saturating_mul(SAMPLE).saturating_add(bytes);
        let before = self.pool.held.fetch_add(weight, Relaxed);
        let samples = self.samples.fetch_add(samples, Relaxed) + samples;
        let bytes = self.bytes.fetch_add(bytes, Relaxed) + bytes;
        if samples > self.max_samples {
            Err(Stopped::TooManySamples(self.max_samples))
        } else if bytes > self.max_bytes {
            Err(Stopped::TooManyBytes(self.max_bytes))
        } else if before.saturating_add(weight) > self.pool.max_bytes {
            Err(Stopped::TooManyTogether(self.pool.max_bytes))
        } else {
            Ok(())
        }
    }

    /// Releases `samples` that the query no longer holds.
    pub fn release(&self, samples: usize) {
        self.subtract(Usage {
            samples: samples as u64,
            bytes: 0,
        });
    }

    fn subtract(&self, less: Usage) {
        // Never below zero, in case a source charged less than it returned.
        let now = self.usage();
        let (samples, bytes) = (less.samples.min(now.samples), less.bytes.min(now.bytes));
        let less = Usage { samples, bytes };
        self.samples.fetch_sub(less.samples, Relaxed);
        self.bytes.fetch_sub(less.bytes, Relaxed);
        self.pool
            .held
            .fetch_sub(less.samples * SAMPLE + less.bytes, Relaxed);
    }

    /// Returns the current usage of the query.
    #[must_use]
    pub fn usage(&self) -> Usage {
        Usage {
            samples: self.samples.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// Sets the usage to `before` plus `result`, at the end of a step of evaluation that has freed its
    /// temporary memory.
    ///
    /// # Errors
    /// A limit is exceeded, or the query was stopped.
    pub fn settle(&self, before: Usage, result: Usage) -> Result<(), Stopped> {
        let now = self.usage();
        let (samples, bytes) = (before.samples + result.samples, before.bytes + result.bytes);
        self.subtract(Usage {
            samples: now.samples.saturating_sub(samples),
            bytes: now.bytes.saturating_sub(bytes),
        });
        self.add(Usage {
            samples: samples.saturating_sub(now.samples),
            bytes: bytes.saturating_sub(now.bytes),
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.subtract(self.usage());
    }
}

/// A guard without limits, for queries over data that is bounded otherwise.
impl Default for Guard {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_ends_for_the_first_reason_given() {
        let guard = Guard::new(10);
        assert_eq!(guard.charge(10), Ok(()));
        assert_eq!(guard.charge(1), Err(Stopped::TooManySamples(10)));
        guard.release(2);
        assert_eq!(guard.charge(1), Ok(()));
        guard.time_out();
        guard.cancel();
        assert_eq!(
            (guard.check(), guard.charge(0)),
            (Err(Stopped::TimedOut), Err(Stopped::TimedOut))
        );
    }

    #[test]
    fn bytes_are_limited_for_one_query_and_for_all() {
        let pool = Arc::new(Pool::new(1_000));
        let first = Guard::within(100, 500, pool.clone());
        assert_eq!(first.charge_bytes(501), Err(Stopped::TooManyBytes(500)));
        assert_eq!(
            first.settle(
                Usage::default(),
                Usage {
                    samples: 20,
                    bytes: 400
                }
            ),
            Ok(())
        );
        assert_eq!(
            (first.usage(), pool.usage()),
            (
                Usage {
                    samples: 20,
                    bytes: 400
                },
                720
            )
        );
        let second = Guard::within(100, 500, pool.clone());
        assert_eq!(second.charge(18), Err(Stopped::TooManyTogether(1_000)));
        drop(second);
        assert_eq!(pool.usage(), 720);
        drop(first);
        assert_eq!(pool.usage(), 0);
        let long = Guard::default().charge_labels(MAX_LABELS + 1);
        assert_eq!(long, Err(Stopped::LabelsTooLong(MAX_LABELS)));
    }
}
