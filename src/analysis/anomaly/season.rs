//! What a value should be: its level, or what it is at this time of the day or week.

use std::time::Duration;

use crate::model::Wall;

/// How much of a slot's value is of the last season, once there were a few.
const NEWEST: f64 = 0.3;
/// Slots of a season: an hour each in a day and a week.
const FEWEST_SLOTS: u64 = 24;
const MOST_SLOTS: u64 = 168;

/// The level of a series, and its course over a season in slots. About 3 KiB for a week.
#[derive(Clone, Debug)]
pub(super) struct Season {
    length: i64,
    window: f64,
    slots: Vec<Slot>,
    /// The slot that values are of now, their sum and count.
    visit: Option<(usize, f64, f64)>,
    level: Fading,
    /// Mean sizes of what the level and what the season leave unexplained.
    rests: [Fading; 2],
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    visits: f64,
    value: f64,
}

/// A mean over a window in which the old fade.
#[derive(Clone, Copy, Debug, Default)]
struct Fading {
    mean: f64,
    count: f64,
    last: Option<Wall>,
}

impl Fading {
    fn push(&mut self, at: Wall, value: f64, window: f64) {
        let passed = self.last.map_or(0.0, |last| at.since(last).as_millis() as f64);
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

    /// The mean over the window; of nothing yet it is the first value that comes.
    pub(super) fn level(&self, value: f64) -> f64 {
        if self.level.count > 0.0 { self.level.mean } else { value }
    }

    /// What earlier seasons had at the time of `at`, in between the middles of two slots in
    /// proportion; `None` while there were none.
    pub(super) fn usual(&self, at: Wall) -> Option<f64> {
        let (slot, part) = self.place(at);
        let here = self.slots[slot];
        if here.visits == 0.0 {
            return None;
        }
        let count = self.slots.len();
        let other = if part > 0.5 { slot + 1 } else { slot + count - 1 } % count;
        let beside = self.slots[other];
        let share = if beside.visits > 0.0 { (part - 0.5).abs() } else { 0.0 };
        Some(here.value * (1.0 - share) + beside.value * share)
    }

    /// Whether the season explained the values better than the level did.
    pub(super) fn explains(&self) -> bool {
        let [level, season] = &self.rests;
        season.count > 0.0 && season.mean < level.mean
    }

    pub(super) fn push(&mut self, at: Wall, value: f64) {
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

    /// The slot of `at`, and where in it, 0 to 1.
    fn place(&self, at: Wall) -> (usize, f64) {
        let count = self.slots.len();
        let phase = at.0.rem_euclid(self.length) as f64 / self.length as f64 * count as f64;
        let slot = (phase as usize).min(count - 1);
        (slot, phase - slot as f64)
    }
}
