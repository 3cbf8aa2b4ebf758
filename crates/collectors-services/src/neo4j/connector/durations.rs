//! Durations of Bellwether's own statements, and their quantiles.
//!
//! Pure: time comes in as an argument.

use std::collections::VecDeque;
use std::time::Duration;

use bellwether_core::MonoMillis;

/// Window of the quantiles.
const WINDOW: Duration = Duration::from_secs(300);
/// Maximum number of durations in memory; the oldest are dropped.
const MOST: usize = 4096;

/// Durations of the last five minutes.
#[derive(Debug, Default)]
pub(super) struct Durations(VecDeque<(MonoMillis, f64)>);

impl Durations {
    /// Adds a statement that ended at `now`.
    pub(super) fn record(&mut self, now: MonoMillis, duration: Duration) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((now, duration.as_secs_f64() * 1000.0));
    }

    /// Returns the durations of the window in milliseconds, ascending.
    pub(super) fn sorted(&mut self, now: MonoMillis) -> Vec<f64> {
        while self
            .0
            .front()
            .is_some_and(|(at, _)| now.since(*at) > WINDOW)
        {
            self.0.pop_front();
        }
        let mut sorted: Vec<f64> = self.0.iter().map(|(_, duration)| *duration).collect();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

/// Returns the quantile by nearest rank: the smallest value that at least `share` of the values do not
/// exceed.
pub(super) fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_by_nearest_rank() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        for (share, expect) in [
            (0.5, 50.0),
            (0.95, 95.0),
            (0.99, 99.0),
            (1.0, 100.0),
            (0.0, 1.0),
        ] {
            assert_eq!(quantile(&hundred, share), Some(expect), "{share}");
        }
        assert_eq!(quantile(&[7.0], 0.99), Some(7.0));
        assert_eq!(quantile(&[1.0, 2.0], 0.5), Some(1.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn old_durations_leave_and_memory_is_bounded() {
        let mut durations = Durations::default();
        durations.record(MonoMillis(0), Duration::from_millis(9));
        durations.record(MonoMillis(200_000), Duration::from_micros(1500));
        assert_eq!(durations.sorted(MonoMillis(300_000)), [1.5, 9.0]);
        assert_eq!(durations.sorted(MonoMillis(300_001)), [1.5]);
        for _ in 0..2 * MOST {
            durations.record(MonoMillis(300_001), Duration::from_millis(1));
        }
        assert_eq!(durations.sorted(MonoMillis(300_001)).len(), MOST);
    }
}
