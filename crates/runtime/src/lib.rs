//! The clocks, and the mark of the process. Only this crate reads the clocks; other code has a [`Now`] as an argument.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bellwether_core::{MonoMillis, Now, UnixMillis};
use tokio::time::Instant;

/// Name of the HTTP header with the mark of the process that answers.
pub const PROCESS_HEADER: &str = "bellwether-process";

/// Mark of this process, another one in each. By it an agent that scrapes itself finds that out.
pub static PROCESS_MARK: LazyLock<String> =
    LazyLock::new(|| format!("{:016x}", RandomState::new().hash_one("process")));

/// Reads both clocks. Zero of the monotonic clock is a month before the start, so that times of
/// history before the process are not negative. Based on tokio's clock, so that tests can pause it.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
    /// Reading of the monotonic clock at the start.
    at_start: MonoMillis,
}

/// Monotonic clock at the start, in milliseconds.
const START_MS: u64 = 31 * 86_400_000;

impl Clock {
    /// Starts the monotonic clock.
    #[must_use]
    pub fn start() -> Self {
        Self {
            start: Instant::now(),
            at_start: MonoMillis(START_MS),
        }
    }

    /// Continues the monotonic clock that reads `now` at this moment.
    #[must_use]
    pub fn continuing(now: Now) -> Self {
        Self {
            start: Instant::now(),
            at_start: now.mono,
        }
    }

    /// Reads both clocks.
    #[must_use]
    pub fn now(&self) -> Now {
        let wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        Now {
            mono: self.at_start.after(self.start.elapsed()),
            wall: UnixMillis(i64::try_from(wall).unwrap_or(i64::MAX)),
        }
    }
}
