//! Spans of time, and the blocks that divide time.

use std::ops::Range;
use std::time::Duration;

use bellwether_core::UnixMillis;

/// Length of a block.
const BLOCK: Duration = Duration::from_secs(2 * 3600);

/// Returns the start of the block of `at`.
pub(super) fn block_start(at: UnixMillis) -> UnixMillis {
    let length = BLOCK.as_millis() as i64;
    UnixMillis(at.0.div_euclid(length).saturating_mul(length))
}

/// Returns the end of the block that starts at `start`.
pub(super) fn block_end(start: UnixMillis) -> UnixMillis {
    start.after(BLOCK)
}

/// Returns the range of the block of `at`.
pub(super) fn block_of(at: UnixMillis) -> Range<UnixMillis> {
    let start = block_start(at);
    start..block_end(start)
}

/// Times from the first to the last, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct TimeSpan {
    pub first: UnixMillis,
    pub last: UnixMillis,
}

impl TimeSpan {
    /// All times.
    pub const ALL: Self = Self {
        first: UnixMillis::MIN,
        last: UnixMillis::MAX,
    };

    /// No time.
    pub const NONE: Self = Self {
        first: UnixMillis::MAX,
        last: UnixMillis::MIN,
    };

    /// Returns the span of `times`, which are milliseconds, ascending.
    pub fn of(times: &[i64]) -> Option<Self> {
        Some(Self {
            first: UnixMillis(*times.first()?),
            last: UnixMillis(*times.last()?),
        })
    }

    /// Returns the indices of those `times` that are in the span; `times` are milliseconds, ascending.
    pub fn range_of(self, times: &[i64]) -> Range<usize> {
        let start = times.partition_point(|time| *time < self.first.0);
        let end = times.partition_point(|time| *time <= self.last.0);
        start..end.max(start)
    }

    pub fn overlaps(self, other: Self) -> bool {
        self.first <= other.last && self.last >= other.first
    }

    /// Returns the span from the first to the last time of both.
    pub fn join(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

impl From<UnixMillis> for TimeSpan {
    fn from(at: UnixMillis) -> Self {
        Self {
            first: at,
            last: at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: i64, last: i64) -> TimeSpan {
        TimeSpan {
            first: UnixMillis(first),
            last: UnixMillis(last),
        }
    }

    #[test]
    fn both_ends_of_a_span_are_in_it() {
        assert_eq!(TimeSpan::of(&[1, 3, 5]), Some(span(1, 5)));
        assert_eq!(TimeSpan::of(&[]), None);
        assert!(span(1, 5).overlaps(span(5, 9)) && span(5, 9).overlaps(span(1, 5)));
        assert!(!span(1, 5).overlaps(span(6, 9)) && !TimeSpan::NONE.overlaps(span(1, 9)));
        assert_eq!(span(1, 5).join(span(3, 9)), span(1, 9));
        assert_eq!(TimeSpan::NONE.join(span(3, 9)), span(3, 9));
        for (first, last, part) in [(1, 5, 0..3), (2, 4, 1..2), (4, 4, 2..2), (9, 9, 3..3)] {
            assert_eq!(span(first, last).range_of(&[1, 3, 5]), part);
        }
    }

    #[test]
    fn blocks_begin_every_two_hours_before_1970_too() {
        const BLOCK: i64 = 7_200_000;
        for (at, start) in [(0, 0), (BLOCK - 1, 0), (BLOCK, BLOCK), (-1, -BLOCK)] {
            let range = block_of(UnixMillis(at));
            assert_eq!(range, UnixMillis(start)..UnixMillis(start + BLOCK));
        }
    }
}
