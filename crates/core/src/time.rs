//! The two clocks: one for durations, one for display.

use std::time::Duration;

/// Milliseconds of the monotonic clock. Durations are measured by it, so a wall clock that jumps
/// neither fires nor resolves an alert.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MonoMillis(pub u64);

impl MonoMillis {
    /// A time that is never reached.
    pub const NEVER: MonoMillis = MonoMillis(u64::MAX);

    /// Returns the time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: MonoMillis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// Returns the time `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> MonoMillis {
        MonoMillis(self.0.saturating_add(millis(span)))
    }

    /// Returns the time `span` earlier, but not below zero.
    #[must_use]
    pub fn before(self, span: Duration) -> MonoMillis {
        MonoMillis(self.0.saturating_sub(millis(span)))
    }
}

/// Milliseconds since the Unix epoch, for display and for data that leaves the process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct UnixMillis(pub i64);

impl UnixMillis {
    /// Earliest time.
    pub const MIN: UnixMillis = UnixMillis(i64::MIN);
    /// Latest time.
    pub const MAX: UnixMillis = UnixMillis(i64::MAX);

    /// Returns the time `span` later.
    #[must_use]
    pub fn after(self, span: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_add_unsigned(millis(span)))
    }

    /// Returns the time `span` earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> UnixMillis {
        UnixMillis(self.0.saturating_sub_unsigned(millis(span)))
    }

    /// Returns the time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: UnixMillis) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// One reading of both clocks, made at the edge of the program and passed on as an argument. Ordered
/// by the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Monotonic clock, for durations.
    pub mono: MonoMillis,
    /// Wall clock, for display.
    pub wall: UnixMillis,
}

impl Now {
    /// Returns both clocks `span` later, for virtual time.
    #[must_use]
    pub fn after(self, span: Duration) -> Now {
        Now {
            mono: self.mono.after(span),
            wall: self.wall.after(span),
        }
    }

    /// Returns both clocks at the wall time `wall`, for times from before this process. A time in the
    /// future counts as now, since the wall clock may have been set back.
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
