//! Whether a value is going to be reached soon, and surely enough to wake somebody.
//!
//! A line alone is too little: each tooth of a saw is one. So it must have been seen for as long as
//! it looks ahead, which no saw is whose teeth are shorter; and what the series did before must not
//! tell otherwise: it rose as far and as fast and came back, or its days and weeks explain what it
//! does now and do not get there.
//!
//! Where the days before have a course in common, the line is drawn through what that leaves, and gets
//! there where line and course together do: a fill on top of day and night is told by neither slope
//! of the day.

use std::collections::VecDeque;
use std::time::Duration;

use bellwether_core::UnixMillis;

use super::course::Course;
use super::linear::{Direction, Drawn, NoForecast, Reach, Target, finite, linear};
use super::season::seasonal;
use super::words::span;

/// How much of the past tells what is usual.
const PAST: Duration = Duration::from_secs(21 * 86_400);
/// With so much of it before the line, a line that was seen for half as long will do: the days and
/// the week of the series are known.
const KNOWN: Duration = Duration::from_secs(8 * 86_400);
/// How far apart samples of the past are looked at.
const STEP: Duration = Duration::from_secs(900);
const HOUR: i64 = 3_600_000;
/// The past is asked about days only where the target is no further than this many times what the
/// values moved by of late.
const NEAR: f64 = 4.0;
/// Moments in a horizon at which line and course are added up.
const LOOKS: i64 = 96;
/// How many standard deviations of the values around a line count as where it is: of the many at the
/// top of a day some are further off.
const SPREAD: f64 = 1.0;
/// Horizons within which the late end of a band is looked for.
const LATEST: i64 = 4;

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
        (PAST, STEP)
    }

    /// The outlook at `now` by samples of the last [`Self::lookback`], ascending in time. `past`, the
    /// samples of [`Self::past`], is asked for only where it matters, and for `days` once an hour.
    #[must_use]
    pub fn outlook(
        &self,
        times_ms: &[i64],
        values: &[f64],
        now: UnixMillis,
        days: &mut Days,
        mut past: impl FnMut() -> (Vec<i64>, Vec<f64>),
    ) -> Outlook {
        let line = linear(times_ms, values, now, self.target);
        let (times, values) = finite(times_ms, values, now);
        let Some(last) = values.last().copied() else {
            return line.map_or_else(Outlook::None, Outlook::Later);
        };
        // Both by the line and from where it is, at the pace of the line.
        let soon = |reach: &Reach| {
            let left = (self.target.value - last) / reach.slope;
            let within = self.within;
            reach.reaches_at.since(now) <= within && left <= within.as_secs_f64()
        };
        let reach = match line {
            Err(
                reason @ (NoForecast::TooFewSamples { .. } | NoForecast::AlreadyReached { .. }),
            ) => {
                return Outlook::None(reason);
            }
            Ok(reach) if soon(&reach) => Ok(reach),
            other if !self.near(&values) => {
                return other.map_or_else(Outlook::None, Outlook::Later);
            }
            other => Err(other),
        };
        let mut past = || {
            let (times, values) = past();
            finite(&times, &values, now)
        };
        let asked = days.is_old(now).then(&mut past);
        if let Some((times, values)) = &asked {
            days.learn(now, times, values);
        }
        let recent = Seen {
            times: &times,
            values: &values,
        };
        let found = match (&days.course, reach) {
            (Some(course), _) => self.along(course, recent, now),
            (None, Ok(reach)) => Ok(Found {
                reach,
                target: self.target,
                rests: None,
            }),
            (None, Err(line)) => Err(line.map_or_else(Outlook::None, Outlook::Later)),
        };
        let found = match found {
            Ok(found) => found,
            Err(outlook) => return outlook,
        };
        let (times, values) = asked.unwrap_or_else(past);
        self.judged(
            &found,
            days,
            recent,
            Seen {
                times: &times,
                values: &values,
            },
            now,
        )
    }

    /// Whether the values moved enough of late for the target to matter.
    fn near(&self, values: &[f64]) -> bool {
        let (lowest, highest) = range(values.iter().copied());
        let nearest = if self.target.direction == Direction::Rising {
            highest
        } else {
            lowest
        };
        (self.target.value - nearest).abs() <= NEAR * (highest - lowest)
    }

    /// Where line and course together get to the target within the horizon.
    ///
    /// # Errors
    /// The outlook where they do not.
    fn along(&self, course: &Course, recent: Seen<'_>, now: UnixMillis) -> Result<Found, Outlook> {
        let Target {
            value: target,
            direction,
        } = self.target;
        let rests = course.off(recent.times, recent.values);
        let line = Drawn::new(recent.times, &rests, now, direction).map_err(Outlook::None)?;
        let within = i64::try_from(self.within.as_millis()).unwrap_or(i64::MAX / 8);
        let sign = if direction == Direction::Rising {
            1.0
        } else {
            -1.0
        };
        let after = |look: i64| UnixMillis(now.0.saturating_add(within / LOOKS * look));
        let missed = |at: UnixMillis| sign * (target - course.at(at.0) - line.at(at));
        // The one of the values around the line that gets there first.
        let spread = SPREAD * line.spread();
        let Some(reaches_at) = (0..=LOOKS).map(after).find(|at| missed(*at) <= spread) else {
            let (lowest, highest) = range(course.values());
            let top = if direction == Direction::Rising {
                highest
            } else {
                lowest
            };
            return Err(Outlook::Later(line.reach(line.when(target - top))));
        };
        let band = line.band(reaches_at);
        let earliest = (0..=LOOKS).map(after).find(|at| missed(*at) <= band(*at));
        let latest = (0..=LATEST * LOOKS)
            .map(after)
            .find(|at| missed(*at) <= -band(*at));
        let reach = Reach {
            earliest: earliest.unwrap_or(reaches_at),
            latest: latest.map(|latest| latest.max(reaches_at)),
            ..line.reach(reaches_at)
        };
        let target = Target {
            value: target - course.at(reaches_at.0),
            direction,
        };
        Ok(Found {
            reach,
            target,
            rests: Some(rests),
        })
    }

    /// What becomes of a line that gets there within the horizon, by what came before it.
    fn judged(
        &self,
        found: &Found,
        days: &Days,
        recent: Seen<'_>,
        whole: Seen<'_>,
        now: UnixMillis,
    ) -> Outlook {
        let &Found {
            reach,
            target,
            ref rests,
        } = found;
        let whole = whole.until(reach.since);
        let start = whole.times.first();
        let known = start.map_or(Duration::ZERO, |first| {
            reach.since.since(UnixMillis(*first))
        });
        let seen = now.since(reach.since);
        let needed = if known >= KNOWN {
            self.within / 2
        } else {
            self.within
        };
        if seen < needed {
            return Outlook::Young {
                reach,
                seen,
                needed,
            };
        }
        let level = recent.values.last().copied().unwrap_or_default();
        let values = rests.as_deref().unwrap_or(recent.values);
        let began = recent.times.partition_point(|time| *time < reach.since.0);
        let last = values.last().copied().unwrap_or(level);
        let first = values.get(began).copied().unwrap_or(last);
        let off = days
            .course
            .as_ref()
            .map(|course| course.off(whole.times, whole.values));
        let before = Seen {
            values: off.as_deref().unwrap_or(whole.values),
            ..whole
        };
        let past = Past {
            seen: before,
            target,
        };
        let rise = past.up(last) - past.up(first);
        let usual = rise > 0.0 && past.came_back(seen, rise) && !past.is_new(last, rise);
        let whole = Past {
            seen: whole,
            target: self.target,
        };
        if usual || whole.explains(level, now, self.within) {
            return Outlook::Usual(reach);
        }
        // More than it ever did; still it may come back where it did from half of that.
        let latest = reach.latest.filter(|_| !past.came_back(seen, rise / 2.0));
        let earliest = past.earliest(last, now, reach.earliest);
        Outlook::Soon(Reach {
            earliest,
            latest,
            ..reach
        })
    }
}

/// A line that gets to the target within the horizon.
struct Found {
    reach: Reach,
    /// The target at that time, of what the line is drawn through.
    target: Target,
    /// The recent values without the course of the day, where there is one.
    rests: Option<Vec<f64>>,
}

/// What is known of the days of a series; kept from one look to the next, it is learnt anew each hour.
#[derive(Clone, Debug, Default)]
pub struct Days {
    /// The hour in which it was learnt.
    hour: Option<i64>,
    course: Option<Course>,
}

impl Days {
    /// Hours of the clock, so that all series of a rule are learnt of at once.
    fn is_old(&self, now: UnixMillis) -> bool {
        self.hour != Some(now.0.div_euclid(HOUR))
    }

    fn learn(&mut self, now: UnixMillis, times: &[i64], values: &[f64]) {
        *self = Self {
            hour: Some(now.0.div_euclid(HOUR)),
            course: Course::of(times, values),
        };
    }
}

/// Samples, ascending in time and finite.
#[derive(Clone, Copy)]
struct Seen<'a> {
    times: &'a [i64],
    values: &'a [f64],
}

impl<'a> Seen<'a> {
    /// Those up to `end`.
    fn until(self, end: UnixMillis) -> Self {
        let end = self.times.partition_point(|time| *time <= end.0);
        Self {
            times: &self.times[..end],
            values: &self.values[..end],
        }
    }
}

/// The least and the greatest.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// What came before a line.
struct Past<'a> {
    seen: Seen<'a>,
    target: Target,
}

impl Past<'_> {
    /// The value so that more of it is nearer to the target.
    fn up(&self, value: f64) -> f64 {
        if self.target.direction == Direction::Rising {
            value
        } else {
            -value
        }
    }

    /// The values before, with their times.
    fn before(&self) -> impl Iterator<Item = (i64, f64)> {
        let Seen { times, values } = self.seen;
        times
            .iter()
            .copied()
            .zip(values.iter().map(|value| self.up(*value)))
    }

    /// How far above the least of the last `took` each value was, and the value.
    fn rises(&self, took: Duration) -> impl Iterator<Item = (f64, f64)> {
        let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        // The least values of the time before, ascending, the earliest first.
        let mut least: VecDeque<(i64, f64)> = VecDeque::new();
        self.before().map(move |(time, value)| {
            while least
                .front()
                .is_some_and(|(then, _)| time.saturating_sub(*then) > took)
            {
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
        let (lowest, highest) = range(self.before().map(|(_, value)| value));
        self.up(last) > highest + 0.1 * (highest - lowest).max(rise / 2.0)
    }

    /// When it may be there at the earliest, where it rose so much in less time before.
    fn earliest(&self, last: f64, now: UnixMillis, earliest: UnixMillis) -> UnixMillis {
        let missing = self.up(self.target.value) - self.up(last);
        let left = earliest.since(now);
        let rose = |took: Duration| self.rises(took).any(|(rose, _)| rose >= missing);
        let sooner = (1..8)
            .map(|eighth| left * eighth / 8)
            .find(|took| rose(*took));
        sooner.map_or(earliest, |took| {
            let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
            // Its pace now comes on top.
            UnixMillis(now.0.saturating_add(took / 2))
        })
    }

    /// Whether its days and weeks, as they were before the line, explain where it is now and stay off
    /// the target.
    fn explains(&self, last: f64, now: UnixMillis, within: Duration) -> bool {
        let Seen { times, values } = self.seen;
        let Some(end) = times.last() else {
            return false;
        };
        let Ok(told) = seasonal(times, values, UnixMillis(*end), 48) else {
            return false;
        };
        let hour =
            |at: i64| ((at.saturating_sub(told.from.0)) as f64 / HOUR as f64).max(0.0) as usize;
        let ahead = i64::try_from(within.as_millis()).unwrap_or(i64::MAX / 4);
        let rising = self.target.direction == Direction::Rising;
        let edge = |hour| {
            told.band(hour)
                .map(|(low, high)| if rising { high } else { low })
        };
        let (from, to) = (hour(now.0), hour(now.0.saturating_add(ahead)).min(47));
        let explained = edge(from).is_some_and(|edge| self.up(last) <= self.up(edge));
        let off = |hour| edge(hour).is_some_and(|edge| self.up(edge) < self.up(self.target.value));
        explained && (from..=to).all(off)
    }
}
