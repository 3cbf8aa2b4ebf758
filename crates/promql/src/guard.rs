//! What keeps one query within its limits, and lets others end it.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicU8, AtomicU64};

/// The limits of one query, shared by all that work on it. Whoever owns the clock calls
/// [`Guard::time_out`]; whoever loses interest calls [`Guard::cancel`].
#[derive(Debug)]
pub struct Guard {
    stopped: AtomicU8,
    samples: AtomicU64,
    bytes: AtomicU64,
    max_samples: u64,
    max_bytes: u64,
    pool: Arc<Pool>,
}

/// What all queries of one kind may hold together.
#[derive(Debug)]
pub struct Pool {
    held: AtomicU64,
    max_bytes: u64,
}

/// What a query holds: charged while it is made, given back once it is used up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Samples, a time and a value each.
    pub samples: u64,
    /// Bytes of all else: labels, texts, regular expressions.
    pub bytes: u64,
}

/// Why a query was ended before its answer was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// Nobody wants the answer any more.
    #[error("query was canceled")]
    Cancelled,
    /// It took too long.
    #[error("query timed out")]
    TimedOut,
    /// It would hold too many samples in memory at once.
    #[error("query processing would load too many samples into memory: more than {0}")]
    TooManySamples(u64),
    /// It would hold too many labels, texts and regular expressions in memory at once.
    #[error(
        "query processing would hold too many bytes of labels and regular expressions in memory: more than {0}"
    )]
    TooManyBytes(u64),
    /// All queries together would hold too much.
    #[error("all queries together would hold too many bytes in memory: more than {0}")]
    TooManyTogether(u64),
    /// The labels of one series would be too long.
    #[error("the labels of one series would be longer than {0} bytes")]
    LabelsTooLong(usize),
}

impl Stopped {
    /// Whether the query needed more than it may have, and not only more time.
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
/// Longest text of the labels of one series that a query makes.
const MAX_LABELS: usize = 64 << 10;

impl Pool {
    /// Limits all queries that share it to `max_bytes` bytes, samples included.
    #[must_use]
    pub fn new(max_bytes: u64) -> Self {
        Self {
            held: AtomicU64::new(0),
            max_bytes,
        }
    }

    /// Bytes that its queries hold now.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.held.load(Relaxed)
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new(u64::MAX)
    }
}

impl Guard {
    /// Limits a query to `max_samples` samples read and made.
    #[must_use]
    pub fn new(max_samples: u64) -> Self {
        Self::within(max_samples, u64::MAX, Arc::default())
    }

    /// Limits a query to `max_samples` samples and `max_bytes` of all else, and to what others
    /// leave of `pool`.
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

    /// Ends the query: nobody waits for it.
    pub fn cancel(&self) {
        self.stop(CANCELLED);
    }

    /// Ends the query: it took too long.
    pub fn time_out(&self) {
        self.stop(TIMED_OUT);
    }

    fn stop(&self, why: u8) {
        self.stopped
            .compare_exchange(RUNS, why, Relaxed, Relaxed)
            .ok();
    }

    /// Whether the query may go on. Cheap: ask at least every few thousand samples.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self) -> Result<(), Stopped> {
        match self.stopped.load(Relaxed) {
            CANCELLED => Err(Stopped::Cancelled),
            TIMED_OUT => Err(Stopped::TimedOut),
            _ => Ok(()),
        }
    }

    /// Counts `samples` that the query now holds.
    ///
    /// # Errors
    /// They are too many, or the query was ended.
    pub fn charge(&self, samples: usize) -> Result<(), Stopped> {
        self.hold(Held {
            samples: samples as u64,
            bytes: 0,
        })
    }

    /// Counts `bytes` of labels, texts or regular expressions that the query now holds.
    ///
    /// # Errors
    /// They are too many, or the query was ended.
    pub fn charge_bytes(&self, bytes: usize) -> Result<(), Stopped> {
        self.hold(Held {
            samples: 0,
            bytes: bytes as u64,
        })
    }

    /// Counts the labels of one series, `length` bytes of text, before they are made.
    ///
    /// # Errors
    /// They are too long or too many, or the query was ended.
    pub fn charge_labels(&self, length: usize) -> Result<(), Stopped> {
        if length > MAX_LABELS {
            self.check()?;
            return Err(Stopped::LabelsTooLong(MAX_LABELS));
        }
        self.charge_bytes(length)
    }

    fn hold(&self, more: Held) -> Result<(), Stopped> {
        self.check()?;
        let Held { samples, bytes } = more;
        // The pool first: what is counted for the query is given back to the pool at its end.
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

    /// Counts `samples` that the query gave back.
    pub fn release(&self, samples: usize) {
        self.give_back(Held {
            samples: samples as u64,
            bytes: 0,
        });
    }

    fn give_back(&self, less: Held) {
        // No more than it has, should a source have charged less than it brought.
        let now = self.held();
        let (samples, bytes) = (less.samples.min(now.samples), less.bytes.min(now.bytes));
        let less = Held { samples, bytes };
        self.samples.fetch_sub(less.samples, Relaxed);
        self.bytes.fetch_sub(less.bytes, Relaxed);
        self.pool
            .held
            .fetch_sub(less.samples * SAMPLE + less.bytes, Relaxed);
    }

    /// What the query holds now.
    #[must_use]
    pub fn held(&self) -> Held {
        Held {
            samples: self.samples.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
        }
    }

    /// Sets what the query holds to `before` and `made`: what it needed to make that is gone.
    ///
    /// # Errors
    /// It is too much, or the query was ended.
    pub fn settle(&self, before: Held, made: Held) -> Result<(), Stopped> {
        let now = self.held();
        let (samples, bytes) = (before.samples + made.samples, before.bytes + made.bytes);
        self.give_back(Held {
            samples: now.samples.saturating_sub(samples),
            bytes: now.bytes.saturating_sub(bytes),
        });
        self.hold(Held {
            samples: samples.saturating_sub(now.samples),
            bytes: bytes.saturating_sub(now.bytes),
        })
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.give_back(self.held());
    }
}

/// No limit: for queries that the program makes of itself over data it bounds itself.
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
                Held::default(),
                Held {
                    samples: 20,
                    bytes: 400
                }
            ),
            Ok(())
        );
        assert_eq!(
            (first.held(), pool.held()),
            (
                Held {
                    samples: 20,
                    bytes: 400
                },
                720
            )
        );
        let second = Guard::within(100, 500, pool.clone());
        assert_eq!(second.charge(18), Err(Stopped::TooManyTogether(1_000)));
        drop(second);
        assert_eq!(pool.held(), 720);
        drop(first);
        assert_eq!(pool.held(), 0);
        let long = Guard::default().charge_labels(MAX_LABELS + 1);
        assert_eq!(long, Err(Stopped::LabelsTooLong(MAX_LABELS)));
    }
}
