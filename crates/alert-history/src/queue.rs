//! Records on their way to the thread that writes them.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::entry::Record;

/// Records that may wait. Of anything but transitions half as many: their room is reserved.
const ROOM: usize = 262_144;

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
    /// Transitions and notifications that found no room.
    refused: (u64, u64),
}

/// What the writer takes at a time.
pub(super) struct Taken {
    pub records: Vec<Record>,
    /// Who waits until they are on disk.
    pub syncs: Vec<mpsc::Sender<()>>,
    /// Nothing comes any more.
    pub stop: bool,
}

impl Queue {
    pub fn push(&self, records: impl IntoIterator<Item = Record>) {
        let mut waiting = self.waiting.lock();
        for record in records {
            let transition = record.is_transition();
            let room = if transition { ROOM } else { ROOM / 2 };
            if waiting.records.len() < room && !waiting.stop {
                waiting.records.push(record);
            } else if transition {
                waiting.refused.0 += 1;
            } else {
                waiting.refused.1 += 1;
            }
        }
        drop(waiting);
        self.wake.notify_one();
    }

    /// Transitions and notifications that found no room.
    pub fn refused(&self) -> (u64, u64) {
        self.waiting.lock().refused
    }

    /// Waits until all that was pushed so far went through the writer's hands.
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

    /// Whether anything waits.
    pub fn is_idle(&self) -> bool {
        let waiting = self.waiting.lock();
        waiting.records.is_empty() && waiting.syncs.is_empty() && !waiting.stop
    }

    /// All that waits, as soon as there is anything, or after `patience`.
    pub fn take(&self, patience: Duration) -> Taken {
        let until = Instant::now() + patience;
        let mut waiting = self.waiting.lock();
        while waiting.records.is_empty() && waiting.syncs.is_empty() && !waiting.stop {
            if self.wake.wait_until(&mut waiting, until).timed_out() {
                break;
            }
        }
        Taken {
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
    fn transitions_have_room_that_nothing_else_may_take() {
        let queue = Queue::default();
        queue.push((0..ROOM).map(|_| delivered(1)));
        assert_eq!(queue.refused(), (0, ROOM as u64 / 2));
        queue.push((0..ROOM).map(|_| fired(1)));
        assert_eq!(queue.refused(), (ROOM as u64 / 2, ROOM as u64 / 2));
        assert_eq!(queue.take(Duration::ZERO).records.len(), ROOM);
        queue.push([delivered(1)]);
        assert_eq!(queue.take(Duration::ZERO).records.len(), 1);
    }
}
