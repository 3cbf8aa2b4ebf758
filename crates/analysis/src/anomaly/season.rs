//! Expected value of a series: its level, or its value at this time of the day or week.

use std::time::Duration;

use bellwether_core::UnixMillis;

/// Weight of the last season in the value of a slot, after a few seasons.
const NEWEST: f64 = 0.3;
/// Number of slots of a season: one per hour of a day or a week.
const FEWEST_SLOTS: u64 = 24;
const MOST_SLOTS: u64 = 168;

/// Level of a series, and its values over a season in slots. About 3 KiB for a week.
#[derive(Clone, Debug)]
pub(super) struct Season {
    length: i64,
    window: f64,
    slots: Vec<Slot>,
    /// Current slot, with sum and count of its values.
    visit: Option<(usize, f64, f64)>,
    level: Fading,
    /// Mean absolute residuals of the level and of the season.
    rests: [Fading; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    visits: f64,
    value: f64,
}

/// Mean over a window, weighted by age.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Fading {
    pub(super) mean: f64,
    count: f64,
    last: Option<UnixMillis>,
}

impl Fading {
    pub(super) fn push(&mut self, at: UnixMillis, value: f64, window: f64) {
        let passed = self
            .last
            .map_or(0.0, |last| at.since(last).as_millis() as f64);
        self.count += 1.0;
        self.last = Some(at);
        // Until the window is full every value weighs the same.
        let share = (passed / window).clamp(1.0 / self.count, 1.0);
        self.mean += share * (value - self.mean);
    }
}

impl Season {
    pub(super) fn new(length: Duration, window: i64) -> Self {
        let millis = i64::try_from(length.as_millis()).unwrap_or(i64::MAX).max(1);
        let hours = length.as_secs() / 3600;
        let slots = usize::try_from(hours.clamp(FEWEST_SLOTS, MOST_SLOTS)).unwrap_or(24);
        Self {
            length: millis,
            window: window as f64,
            slots: vec![Slot::default(); slots],
            visit: None,
            level: Fading::default(),
            rests: [Fading::default(); 2],
        }
    }

    /// Returns the mean over the window; `value` if there were no values.
    pub(super) fn level(&self, value: f64) -> f64 {
        if self.level.count > 0.0 {
            self.level.mean
        } else {
            value
        }
    }

    /// Returns the value of earlier seasons at the time of `at`, interpolated between the middles
    /// of two slots; `None` without earlier seasons.
    pub(super) fn usual(&self, at: UnixMillis) -> Option<f64> {
        let (slot, part) = self.place(at);
        let here = self.slots[slot];
        if here.visits == 0.0 {
            return None;
        }
        let count = self.slots.len();
        let other = if part > 0.5 {
            slot + 1
        } else {
            slot + count - 1
        } % count;
        let beside = self.slots[other];
        let share = if beside.visits > 0.0 {
            (part - 0.5).abs()
        } else {
            0.0
        };
        Some(here.value * (1.0 - share) + beside.value * share)
    }

    /// Returns whether the season explained the values better than the level.
    pub(super) fn explains(&self) -> bool {
        let [level, season] = &self.rests;
        season.count > 0.0 && season.mean < level.mean
    }

    pub(super) fn push(&mut self, at: UnixMillis, value: f64) {
        if let Some(usual) = self.usual(at) {
            self.rests[0].push(at, (value - self.level(value)).abs(), self.window);
            self.rests[1].push(at, (value - usual).abs(), self.window);
        }
        self.level.push(at, value, self.window);
        let (slot, _) = self.place(at);
        match &mut self.visit {
            Some((current, sum, count)) if *current == slot => {
                *sum += value;
                *count += 1.0;
            }
            visit => {
                if let Some((left, sum, count)) = visit.replace((slot, value, 1.0)) {
                    let left = &mut self.slots[left];
                    left.visits += 1.0;
                    left.value += NEWEST.max(1.0 / left.visits) * (sum / count - left.value);
                }
            }
        }
    }

    /// Returns the slot of `at` and the position in it, 0 to 1.
    fn place(&self, at: UnixMillis) -> (usize, f64) {
        let count = self.slots.len();
        let phase = at.0.rem_euclid(self.length) as f64 / self.length as f64 * count as f64;
        let slot = (phase as usize).min(count - 1);
        (slot, phase - slot as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);
    const MINUTES: i64 = 60_000;

    /// Trains a season on days with a sample every ten minutes.
    fn after(days: i64, length: Duration, value: fn(i64) -> f64) -> Season {
        let mut season = Season::new(length, 14 * 86_400_000);
        for step in 0..days * 144 {
            season.push(UnixMillis(step * 10 * MINUTES), value(step * 10));
        }
        season
    }

    fn hour(minute: i64) -> f64 {
        (minute / 60 % 24) as f64
    }

    #[test]
    fn the_time_of_day_is_known_after_a_day() {
        let season = after(3, DAY, hour);
        let at = |hour: i64, minute: i64| {
            season.usual(UnixMillis((3 * 1440 + hour * 60 + minute) * MINUTES))
        };
        assert_eq!(at(9, 30), Some(9.0));
        // Between the middles of two slots it is in between.
        assert!(
            at(10, 0).is_some_and(|usual| (usual - 9.5).abs() < 1e-9),
            "{:?}",
            at(10, 0)
        );
        assert!(season.explains());
        assert_eq!(
            after(1, DAY, hour).usual(UnixMillis(23 * 60 * MINUTES)),
            None,
            "is under way"
        );
    }

    #[test]
    fn a_season_that_is_none_explains_nothing() {
        let season = after(4, DAY, |minute| (minute * 7919 % 101) as f64);
        assert!(!season.explains());
        assert!((season.level(0.0) - 50.0).abs() < 5.0);
        assert_eq!(Season::new(DAY, 1000).level(7.0), 7.0);
    }

    #[test]
    fn a_week_has_its_days() {
        let season = after(21, 7 * DAY, |minute| {
            if minute / 1440 % 7 == 3 { 0.0 } else { 100.0 }
        });
        let noons = [3, 4].map(|day| UnixMillis((21 * 1440 + day * 1440 + 720) * MINUTES));
        assert_eq!(
            noons.map(|noon| season.usual(noon)),
            [Some(0.0), Some(100.0)]
        );
    }
}
