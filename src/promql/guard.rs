//! What keeps one query within its limits, and lets others end it.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering::Relaxed};

/// The limits of one query, shared by all that work on it. Whoever owns the clock calls
/// [`Guard::time_out`]; whoever loses interest calls [`Guard::cancel`].
#[derive(Debug)]
pub struct Guard {
    stopped: AtomicU8,
    samples: AtomicU64,
    max_samples: u64,
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
}

const RUNS: u8 = 0;
const CANCELLED: u8 = 1;
const TIMED_OUT: u8 = 2;

impl Guard {
    /// Limits a query to `max_samples` samples read and made.
    #[must_use]
    pub fn new(max_samples: u64) -> Self {
        Self { stopped: AtomicU8::new(RUNS), samples: AtomicU64::new(0), max_samples }
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
        self.stopped.compare_exchange(RUNS, why, Relaxed, Relaxed).ok();
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
        self.check()?;
        let held = self.samples.fetch_add(samples as u64, Relaxed) + samples as u64;
        if held > self.max_samples {
            return Err(Stopped::TooManySamples(self.max_samples));
        }
        Ok(())
    }

    /// Counts `samples` that the query gave back.
    pub fn release(&self, samples: usize) {
        self.samples.fetch_sub(samples as u64, Relaxed);
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
}
