//! Detection of writes that do not end.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Duration after which a write is reported. Longer than a block of history takes on a slow host,
/// and shorter than usual health checks.
const SLOW: Duration = Duration::from_secs(30);

/// Start of the current write, if there is one.
#[derive(Debug, Default)]
pub struct WriteWatch(Mutex<Option<Instant>>);

impl WriteWatch {
    /// Runs `write` as the current write.
    pub fn during<T>(&self, write: impl FnOnce() -> T) -> T {
        *self.0.lock() = Some(Instant::now());
        let written = write();
        *self.0.lock() = None;
        written
    }

    /// Returns a message if the current write has taken too long.
    #[must_use]
    pub fn stall_message(&self) -> Option<String> {
        self.stall_message_at(Instant::now())
    }

    fn stall_message_at(&self, now: Instant) -> Option<String> {
        let took = now.saturating_duration_since((*self.0.lock())?);
        (took >= SLOW).then(|| {
            let took = took.as_secs();
            format!("a write has taken {took} s: the disk does not answer")
        })
    }
}

#[cfg(any(test, feature = "testing"))]
impl WriteWatch {
    /// Moves the start of the current write to long ago.
    pub fn overdue(&self) {
        let mut since = self.0.lock();
        *since = since.and_then(|since| since.checked_sub(2 * SLOW));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_does_not_end_is_reported() {
        let watch = WriteWatch::default();
        let later = Instant::now() + 2 * SLOW;
        assert_eq!(watch.stall_message_at(later), None);
        watch.during(|| {
            assert_eq!(watch.stall_message_at(Instant::now()), None);
            let message = watch.stall_message_at(later).unwrap();
            assert!(
                message.ends_with(" s: the disk does not answer"),
                "{message}"
            );
        });
        assert_eq!(watch.stall_message_at(later), None);
    }
}
