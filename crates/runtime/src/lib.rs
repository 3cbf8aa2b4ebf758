//! The clocks. Only this crate reads them; other code has a [`Now`] as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use bellwether_core::{MonoMillis, Now, UnixMillis};
use tokio::time::Instant;

/// Reads both clocks. Zero of the monotonic clock is a month before the start, so that times of
/// history before the process are not negative. Based on tokio's clock, so that tests can pause it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

/// Monotonic clock at the start, in milliseconds.
const START_MS: u64 = 31 * 86_400_000;

impl Clock {
    /// Starts the monotonic clock.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Reads both clocks.
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
