//! The two clocks: one for durations, one for display.

use std::time::Duration;

/// Milliseconds of the monotonic clock since the process started. Durations are judged by it,
/// so a wall clock that jumps neither fires nor resolves anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoMillis(pub u64);

impl MonoMillis {
    /// The end of time.
    pub const NEVER: MonoMillis = MonoMillis(u64::MAX);

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: MonoMillis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The point `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> MonoMillis {
        MonoMillis(self.0.saturating_add(millis(span)))
    }

    /// The point `span` earlier, zero at the least.
    #[must_use]
    pub fn before(self, span: Duration) -> MonoMillis {
        MonoMillis(self.0.saturating_sub(millis(span)))
    }
}

/// Milliseconds since the Unix epoch, for display and for what leaves the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// The point `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_sub_unsigned(millis(span)))
    }

    /// Time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// One reading of both clocks, taken at the edge and passed inwards. In the order of the monotonic one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// For durations.
    pub mono: MonoMillis,
    /// For display.
    pub wall: UnixMillis,
}

impl Now {
    /// Both clocks `span` later; what virtual time in tests is made of.
    #[must_use]
    pub fn after(self, span: Duration) -> Now {
        Now {
            mono: self.mono.after(span),
            wall: UnixMillis(self.wall.0.saturating_add_unsigned(millis(span))),
        }
    }

    /// Both clocks when the wall clock showed `wall`, as far as it can be trusted: for what is known
    /// from before this process. What is ahead of the wall clock counts as now.
    #[must_use]
    pub fn at(self, wall: UnixMillis) -> Now {
        Now {
            mono: self.mono.before(self.wall.since(wall)),
            wall,
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
