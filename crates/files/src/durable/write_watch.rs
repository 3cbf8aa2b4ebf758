//! The watch over writes: one that does not end is told, whoever writes.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// A write that takes longer than this is told. It is more than a block of history takes on a slow
/// host, and less than a look at the health of one.
const SLOW: Duration = Duration::from_secs(30);

/// Since when a write is under way.
#[derive(Debug, Default)]
pub struct WriteWatch(Mutex<Option<Instant>>);

impl WriteWatch {
    /// Does `write`, and watches how long it takes.
    pub fn during<T>(&self, write: impl FnOnce() -> T) -> T {
        *self.0.lock() = Some(Instant::now());
        let written = write();
        *self.0.lock() = None;
        written
    }

    /// The sentence about a write that does not end, if there is one.
    #[must_use]
    pub fn hangs(&self) -> Option<String> {
        self.hangs_at(Instant::now())
    }

    fn hangs_at(&self, now: Instant) -> Option<String> {
        let took = now.saturating_duration_since((*self.0.lock())?);
        (took >= SLOW).then(|| {
            let took = took.as_secs();
            format!("a write is under way for {took} s: the disk does not answer")
        })
    }
}

#[cfg(any(test, feature = "testing"))]
impl WriteWatch {
    /// Makes the write under way look as if it had begun long ago.
    pub fn overdue(&self) {
        let mut since = self.0.lock();
        *since = since.and_then(|since| since.checked_sub(2 * SLOW));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_does_not_end_is_told() {
        let watch = WriteWatch::default();
        let later = Instant::now() + 2 * SLOW;
        assert_eq!(watch.hangs_at(later), None);
        watch.during(|| {
            assert_eq!(watch.hangs_at(Instant::now()), None);
            let told = watch.hangs_at(later).unwrap();
            assert!(told.ends_with(" s: the disk does not answer"), "{told}");
        });
        assert_eq!(watch.hangs_at(later), None);
    }
}
