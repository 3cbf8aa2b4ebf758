//! The only place that reads the clocks; everything else is handed a [`Now`].

use std::time::{SystemTime, UNIX_EPOCH};

use bellwether_core::{MonoMillis, Now, UnixMillis};
use tokio::time::Instant;

/// Reads both clocks. Its monotonic zero is a month before it was made, so that "a week ago", which
/// history may know, can be said from the start. Built on tokio's clock, so tests can pause it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

/// Where the monotonic clock stands at the start, in milliseconds.
const START_MS: u64 = 31 * 86_400_000;

impl Clock {
    /// Starts the monotonic clock.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Both clocks now.
    #[must_use]
    pub fn now(&self) -> Now {
        let elapsed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Now {
            mono: MonoMillis(START_MS.saturating_add(elapsed)),
            wall: UnixMillis(i64::try_from(wall).unwrap_or(i64::MAX)),
        }
    }
}
