//! Whether a value is going to be reached soon, and surely enough to wake somebody.
//!
//! A line alone is too little: each tooth of a saw is one. So it must have been seen for as long as
//! it looks ahead, which no saw is whose teeth are shorter; and what the series did before must not
//! tell otherwise: it rose as far and as fast and came back, or its days and weeks explain what it
//! does now and do not get there.

use std::collections::VecDeque;
use std::time::Duration;

use super::linear::{Direction, NoForecast, Reach, Target, finite, linear};
use super::season::seasonal;
use super::words::span;
use bellwether_core::Wall;

/// How much of the past tells what is usual.
const PAST: Duration = Duration::from_secs(21 * 86_400);
/// With so much of it before the line, a line that was seen for half as long will do: the days and
/// the week of the series are known.
const KNOWN: Duration = Duration::from_secs(8 * 86_400);
/// How far apart samples of the past are looked at.
const STEPS: [Duration; 2] = [Duration::from_secs(900), Duration::from_secs(3600)];
const HOUR: f64 = 3_600_000.0;

/// What is foreseen, and how far ahead.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Horizon {
    /// What is reached.
    pub target: Target,
    /// How soon it must be reached to matter.
    pub within: Duration,
    /// How far it is looked back at the least.
    pub window: Duration,
}

/// What can be said of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outlook {
    /// It gets there within the horizon.
    Soon(Reach),
    /// By its line it does, and that is too young.
    Young {
        /// The line.
        reach: Reach,
        /// How long it was seen.
        seen: Duration,
        /// How long it must have been.
        needed: Duration,
    },
    /// By its line it does, and it has done the same before without getting there.
    Usual(Reach),
    /// It gets there later.
    Later(Reach),
    /// There is no line, or it is there already.
    None(NoForecast),
}

impl Outlook {
    /// Why no rule fires by a line that gets there in time.
    #[must_use]
    pub fn held_back(&self) -> Option<String> {
        match self {
            Self::Young { seen, needed, .. } => {
                let (seen, needed) = (span(*seen), span(*needed));
                Some(format!("its line was seen for {seen}, it takes {needed}"))
            }
            Self::Usual(_) => Some("it did the same before without getting there".to_owned()),
            Self::Soon(_) | Self::Later(_) | Self::None(_) => None,
        }
    }
}

impl Horizon {
    /// How far samples must reach back: `window`, or a quarter more than it is looked ahead.
    #[must_use]
    pub fn lookback(&self) -> Duration {
        self.window.max(self.within + self.within / 4)
    }

    /// How far the past is looked at, and in which steps.
    #[must_use]
    pub fn past(&self) -> (Duration, Duration) {
        let [least, most] = STEPS;
        (PAST, (self.within / 16).clamp(least, most))
    }

    /// The outlook at `now` by samples of the last [`Self::lookback`], ascending in time. `past`, the
    /// samples of [`Self::past`], is asked for only where it matters.
    #[must_use]
    pub fn outlook(
        &self,
        times_ms: &[i64],
        values: &[f64],
        now: Wall,
        past: impl FnOnce() -> (Vec<i64>, Vec<f64>),
    ) -> Outlook {
        let reach = match linear(times_ms, values, now, self.target) {
            Ok(reach) => reach,
            Err(reason) => return Outlook::None(reason),
        };
        let (times, values) = finite(times_ms, values, now);
        let Some(last) = values.last().copied() else { return Outlook::Later(reach) };
        // Both by the line and from where it is, at the pace of the line.
        let left = (self.target.value - last) / reach.slope;
        let soon = reach.reaches_at.since(now) <= self.within && left <= self.within.as_secs_f64();
        if !soon {
            return Outlook::Later(reach);
        }
        let (before, values_before) = past();
        let (before, values_before) = finite(&before, &values_before, reach.since);
        let known = before.first().map_or(Duration::ZERO, |first| reach.since.since(Wall(*first)));
        let seen = now.since(reach.since);
        let needed = if known >= KNOWN { self.within / 2 } else { self.within };
        if seen < needed {
            return Outlook::Young { reach, seen, needed };
        }
        let began = times.partition_point(|time| *time < reach.since.0);
        let first = values.get(began).copied().unwrap_or(last);
        let past = Past { times: &before, values: &values_before, target: self.target };
        let rise = past.up(last) - past.up(first);
        let usual = rise > 0.0 && past.came_back(seen, rise) && !past.is_new(last, rise);
        let usual = usual || past.explains(last, now, self.within);
        if usual {
            return Outlook::Usual(reach);
        }
        // More than it ever did; still it may come back where it did from half of that.
        let latest = reach.latest.filter(|_| !past.came_back(seen, rise / 2.0));
        let earliest = past.earliest(last, now, reach.earliest);
        Outlook::Soon(Reach { earliest, latest, ..reach })
    }
}

/// What came before a line.
struct Past<'a> {
    times: &'a [i64],
    values: &'a [f64],
    target: Target,
}

impl Past<'_> {
    /// The value so that more of it is nearer to the target.
    fn up(&self, value: f64) -> f64 {
        if self.target.direction == Direction::Rising { value } else { -value }
    }

    /// The values before, with their times.
    fn before(&self) -> impl Iterator<Item = (i64, f64)> {
        self.times.iter().copied().zip(self.values.iter().map(|value| self.up(*value)))
    }

    /// How far above the least of the last `took` each value was, and the value.
    fn rises(&self, took: Duration) -> impl Iterator<Item = (f64, f64)> {
        let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        // The least values of the time before, ascending, the earliest first.
        let mut least: VecDeque<(i64, f64)> = VecDeque::new();
        self.before().map(move |(time, value)| {
            while least.front().is_some_and(|(then, _)| time.saturating_sub(*then) > took) {
                least.pop_front();
            }
            while least.back().is_some_and(|(_, other)| *other >= value) {
                least.pop_back();
            }
            least.push_back((time, value));
            (value - least.front().map_or(value, |(_, low)| *low), value)
        })
    }

    /// Whether the series rose by as much in as much time before, and came back without getting there.
    fn came_back(&self, took: Duration, rise: f64) -> bool {
        let mut peak: Option<f64> = None;
        for (rose, value) in self.rises(took + took / 4) {
            peak = match peak {
                _ if value >= self.up(self.target.value) => None,
                Some(peak) if value <= peak - rise / 2.0 => return true,
                Some(peak) => Some(peak.max(value)),
                None => (rose >= 0.8 * rise).then_some(value),
            };
        }
        false
    }

    /// Whether it is clearly further than it ever was.
    fn is_new(&self, last: f64, rise: f64) -> bool {
        let (lowest, highest) =
            self.before().fold((f64::INFINITY, f64::NEG_INFINITY), |range, at| {
                (range.0.min(at.1), range.1.max(at.1))
            });
        self.up(last) > highest + 0.1 * (highest - lowest).max(rise / 2.0)
    }

    /// When it may be there at the earliest, where it rose so much in less time before.
    fn earliest(&self, last: f64, now: Wall, earliest: Wall) -> Wall {
        let missing = self.up(self.target.value) - self.up(last);
        let left = earliest.since(now);
        let rose = |took: Duration| self.rises(took).any(|(rose, _)| rose >= missing);
        let sooner = (1..8).map(|eighth| left * eighth / 8).find(|took| rose(*took));
        sooner.map_or(earliest, |took| {
            let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
            // Its pace now comes on top.
            Wall(now.0.saturating_add(took / 2))
        })
    }

    /// Whether its days and weeks, as they were before the line, explain where it is now and stay off
    /// the target.
    fn explains(&self, last: f64, now: Wall, within: Duration) -> bool {
        let Some(end) = self.times.last() else { return false };
        let Ok(told) = seasonal(self.times, self.values, Wall(*end), 48) else { return false };
        let hour = |at: i64| ((at.saturating_sub(told.from.0)) as f64 / HOUR).max(0.0) as usize;
        let ahead = i64::try_from(within.as_millis()).unwrap_or(i64::MAX / 4);
        let rising = self.target.direction == Direction::Rising;
        let edge = |hour| told.band(hour).map(|(low, high)| if rising { high } else { low });
        let (from, to) = (hour(now.0), hour(now.0.saturating_add(ahead)).min(47));
        let explained = edge(from).is_some_and(|edge| self.up(last) <= self.up(edge));
        let off = |hour| edge(hour).is_some_and(|edge| self.up(edge) < self.up(self.target.value));
        explained && (from..=to).all(off)
    }
}
