//! Queue of records for the writer thread.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::record::Record;

/// Capacity in records. Half of it is reserved for transitions.
const CAPACITY: usize = 262_144;

#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Default)]
struct Waiting {
    records: Vec<Record>,
    syncs: Vec<mpsc::Sender<()>>,
    stop: bool,
    /// Numbers of transitions and notifications that did not fit.
    rejected: (u64, u64),
}

/// Everything that was queued, for the writer.
pub(super) struct Queued {
    pub records: Vec<Record>,
    /// Senders to the callers that wait for a sync.
    pub syncs: Vec<mpsc::Sender<()>>,
    /// True if the queue was stopped.
    pub stop: bool,
}

impl Queue {
    pub fn push(&self, records: impl IntoIterator<Item = Record>) {
        let mut records = records.into_iter().peekable();
        if records.peek().is_none() {
            // Nothing to wake the thread for: most turns of the rules have no transition.
            return;
        }
        let mut waiting = self.waiting.lock();
        for record in records {
            let transition = record.is_transition();
            let capacity = if transition { CAPACITY } else { CAPACITY / 2 };
            if waiting.records.len() < capacity && !waiting.stop {
                waiting.records.push(record);
            } else if transition {
                waiting.rejected.0 += 1;
            } else {
                waiting.rejected.1 += 1;
            }
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Returns the numbers of transitions and notifications that did not fit.
    pub fn rejected(&self) -> (u64, u64) {
        self.waiting.lock().rejected
    }

    /// Waits until the writer has written and synced all records so far.
    pub fn sync(&self) {
        let (sender, receiver) = mpsc::channel();
        {
            let mut waiting = self.waiting.lock();
            if waiting.stop {
                return;
            }
            waiting.syncs.push(sender);
        }
        self.wake.notify_one();
        receiver.recv().ok();
    }

    pub fn stop(&self) {
        self.waiting.lock().stop = true;
        self.wake.notify_one();
    }

    /// Returns whether nothing is queued.
    pub fn is_idle(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.records.is_empty() && waiting.syncs.is_empty() && !waiting.stop
    }

    /// Takes everything that is queued, as soon as there is anything, or after `timeout`.
    pub fn take(&self, timeout: Duration) -> Queued {
        let deadline = Instant::now() + timeout;
        let mut waiting = self.waiting.lock();
        while waiting.records.is_empty() && waiting.syncs.is_empty() && !waiting.stop {
            if self.wake.wait_until(&mut waiting, deadline).timed_out() {
                break;
            }
        }
        Queued {
            records: std::mem::take(&mut waiting.records),
            syncs: std::mem::take(&mut waiting.syncs),
            stop: waiting.stop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{delivered, fired};

    #[test]
    fn a_part_of_the_queue_is_reserved_for_transitions() {
        let queue = Queue::default();
        queue.push((0..CAPACITY).map(|_| delivered(1)));
        assert_eq!(queue.rejected(), (0, CAPACITY as u64 / 2));
        queue.push((0..CAPACITY).map(|_| fired(1)));
        assert_eq!(queue.rejected(), (CAPACITY as u64 / 2, CAPACITY as u64 / 2));
        assert_eq!(queue.take(Duration::ZERO).records.len(), CAPACITY);
        queue.push([delivered(1)]);
        assert_eq!(queue.take(Duration::ZERO).records.len(), 1);
    }
}
