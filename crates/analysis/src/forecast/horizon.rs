//! Forecasts whether a value is reached soon, with enough confidence for an alert.
//!
//! A linear trend alone is too little: every tooth of a sawtooth is one. So it must have lasted as
//! long as the horizon, which excludes sawtooths with shorter teeth; and the past must not
//! contradict it: the series rose as far and as fast and came back, or its days and weeks explain
//! the current trend and do not reach the target.
//!
//! If the past has a daily profile, the trend is fitted to the residuals, and the target is reached
//! when trend and profile together do: the slope of a part of the day does not show a trend on top
//! of it.

use std::collections::VecDeque;
use std::time::Duration;

use bellwether_core::UnixMillis;

use super::linear::{Direction, Drawn, NoForecast, Reach, Target, finite, linear};
use super::profile::Profile;
use super::season::seasonal;
use super::words::span;

/// Length of the past that shows the usual behavior.
const PAST: Duration = Duration::from_secs(21 * 86_400);
/// With this much past before the trend, half the duration of the trend is enough: days and week of
/// the series are known.
const KNOWN: Duration = Duration::from_secs(8 * 86_400);
/// Step of past samples.
const STEP: Duration = Duration::from_secs(900);
const HOUR: i64 = 3_600_000;
/// The past is queried for the daily profile only if the target is no further than this many times
/// the recent range of values.
const NEAR: f64 = 4.0;
/// Number of times in a horizon at which trend and profile are added.
const CHECKED_TIMES: i64 = 96;
/// Standard deviations around the trend that count as reached: at the peak of a day some values are
/// higher.
const SPREAD: f64 = 1.0;
/// Number of horizons in which the late end of the prediction interval is searched.
const LATEST: i64 = 4;

/// Target and horizon of a forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Horizon {
    /// Target to reach.
    pub target: Target,
    /// Horizon of the forecast.
    pub within: Duration,
    /// Minimum lookback.
    pub window: Duration,
}

/// Result of a forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Outlook {
    /// The target is reached within the horizon.
    Soon(Reach),
    /// The trend reaches the target, but has not lasted long enough.
    Young {
        /// Forecast of the trend.
        reach: Reach,
        /// Duration of the trend so far.
        seen: Duration,
        /// Required duration.
        needed: Duration,
    },
    /// The trend reaches the target, but similar ones in the past did not.
    Usual(Reach),
    /// The target is reached after the horizon.
    Later(Reach),
    /// There is no trend, or the target is already reached.
    None(NoForecast),
}

impl Outlook {
    /// Returns why no rule fires although the trend reaches the target in time.
    #[must_use]
    pub fn not_firing_reason(&self) -> Option<String> {
        match self {
            Self::Young { seen, needed, .. } => {
                let (seen, needed) = (span(*seen), span(*needed));
                Some(format!("its trend has lasted {seen}, {needed} are needed"))
            }
            Self::Usual(_) => Some("similar trends before did not reach the target".to_owned()),
            Self::Soon(_) | Self::Later(_) | Self::None(_) => None,
        }
    }
}

impl Horizon {
    /// Returns the lookback for samples: `window`, or the horizon and a quarter.
    #[must_use]
    pub fn lookback(&self) -> Duration {
        self.window.max(self.within + self.within / 4)
    }

    /// Returns length and step of the past to query.
    #[must_use]
    pub fn past(&self) -> (Duration, Duration) {
        (PAST, STEP)
    }

    /// Returns the outlook at `now` from samples of the last [`Self::lookback`], in ascending order
    /// of time. `past` returns the samples of [`Self::past`]; it is called only if needed, and for
    /// `days` once an hour.
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
        let reach = match line {
            Err(
                reason @ (NoForecast::TooFewSamples { .. } | NoForecast::AlreadyReached { .. }),
            ) => {
                return Outlook::None(reason);
            }
            Ok(reach) if self.is_soon(&reach, last, now) => Ok(reach),
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
        let recent = Samples {
            times: &times,
            values: &values,
        };
        let candidate = match (&days.profile, reach) {
            (Some(profile), _) => self.with_profile(profile, recent, now),
            (None, Ok(reach)) => Ok(CandidateLine {
                reach,
                target: self.target,
                rests: None,
            }),
            (None, Err(line)) => Err(line.map_or_else(Outlook::None, Outlook::Later)),
        };
        let candidate = match candidate {
            Ok(candidate) => candidate,
            Err(outlook) => return outlook,
        };
        let (times, values) = asked.unwrap_or_else(past);
        self.classify(
            &candidate,
            days,
            recent,
            Samples {
                times: &times,
                values: &values,
            },
            now,
        )
    }

    /// Returns whether the target is within reach, both by the line and from the last value at the pace of
    /// the line.
    fn is_soon(&self, reach: &Reach, last: f64, now: UnixMillis) -> bool {
        let left = (self.target.value - last) / reach.slope;
        reach.reaches_at.since(now) <= self.within && left <= self.within.as_secs_f64()
    }

    /// Returns whether the recent range of values is large enough for the target to matter.
    fn near(&self, values: &[f64]) -> bool {
        let (lowest, highest) = range(values.iter().copied());
        let nearest = if self.target.direction == Direction::Rising {
            highest
        } else {
            lowest
        };
        (self.target.value - nearest).abs() <= NEAR * (highest - lowest)
    }

    /// Returns where trend and daily profile together reach the target within the horizon.
    ///
    /// # Errors
    /// The outlook if they do not reach it.
    fn with_profile(
        &self,
        profile: &Profile,
        recent: Samples<'_>,
        now: UnixMillis,
    ) -> Result<CandidateLine, Outlook> {
        let Target {
            value: target,
            direction,
        } = self.target;
        let rests = profile.residuals(recent.times, recent.values);
        let line = Drawn::new(recent.times, &rests, now, direction).map_err(Outlook::None)?;
        let within = i64::try_from(self.within.as_millis()).unwrap_or(i64::MAX / 8);
        let sign = if direction == Direction::Rising {
            1.0
        } else {
            -1.0
        };
        let after = |look: i64| UnixMillis(now.0.saturating_add(within / CHECKED_TIMES * look));
        let missed = |at: UnixMillis| sign * (target - profile.crest(at.0, sign) - line.at(at));
        // The one of the values around the line that gets there first.
        let spread = SPREAD * line.spread();
        let Some(reaches_at) = (0..=CHECKED_TIMES)
            .map(after)
            .find(|at| missed(*at) <= spread)
        else {
            let (lowest, highest) = range(profile.values());
            let top = if direction == Direction::Rising {
                highest
            } else {
                lowest
            };
            return Err(Outlook::Later(line.reach(line.when(target - top))));
        };
        let band = line.band(reaches_at);
        let earliest = (0..=CHECKED_TIMES)
            .map(after)
            .find(|at| missed(*at) <= band(*at));
        let latest = (0..=LATEST * CHECKED_TIMES)
            .map(after)
            .find(|at| missed(*at) <= -band(*at));
        let reach = Reach {
            earliest: earliest.unwrap_or(reaches_at),
            latest: latest.map(|latest| latest.max(reaches_at)),
            ..line.reach(reaches_at)
        };
        let target = Target {
            value: target - profile.at(reaches_at.0),
            direction,
        };
        Ok(CandidateLine {
            reach,
            target,
            rests: Some(rests),
        })
    }

    /// Classifies a trend that reaches the target within the horizon by the past of the series.
    fn classify(
        &self,
        candidate: &CandidateLine,
        days: &Days,
        recent: Samples<'_>,
        whole: Samples<'_>,
        now: UnixMillis,
    ) -> Outlook {
        let &CandidateLine {
            reach,
            target,
            ref rests,
        } = candidate;
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
            .profile
            .as_ref()
            .map(|profile| profile.residuals(whole.times, whole.values));
        let before = Samples {
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

/// A trend that reaches the target within the horizon.
struct CandidateLine {
    reach: Reach,
    /// Target for the values that the trend is fitted to.
    target: Target,
    /// Recent residuals without the daily profile, if there is one.
    rests: Option<Vec<f64>>,
}

/// Daily profile of a series, cached between evaluations and recomputed every hour.
#[derive(Clone, Debug, Default)]
pub struct Days {
    /// Hour in which it was computed.
    hour: Option<i64>,
    profile: Option<Profile>,
}

impl Days {
    /// Returns whether a new hour of the clock began; so all series of a rule are computed
    /// together.
    fn is_old(&self, now: UnixMillis) -> bool {
        self.hour != Some(now.0.div_euclid(HOUR))
    }

    fn learn(&mut self, now: UnixMillis, times: &[i64], values: &[f64]) {
        *self = Self {
            hour: Some(now.0.div_euclid(HOUR)),
            profile: Profile::from_samples(times, values),
        };
    }
}

/// Finite samples in ascending order of time.
#[derive(Clone, Copy)]
struct Samples<'a> {
    times: &'a [i64],
    values: &'a [f64],
}

impl<'a> Samples<'a> {
    /// Returns the samples up to `end`.
    fn until(self, end: UnixMillis) -> Self {
        let end = self.times.partition_point(|time| *time <= end.0);
        Self {
            times: &self.times[..end],
            values: &self.values[..end],
        }
    }
}

/// Returns minimum and maximum.
fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    })
}

/// Samples before a trend.
struct Past<'a> {
    seen: Samples<'a>,
    target: Target,
}

impl Past<'_> {
    /// Returns the value with its sign such that higher is nearer to the target.
    fn up(&self, value: f64) -> f64 {
        if self.target.direction == Direction::Rising {
            value
        } else {
            -value
        }
    }

    /// Returns the samples with that sign.
    fn before(&self) -> impl Iterator<Item = (i64, f64)> {
        let Samples { times, values } = self.seen;
        times
            .iter()
            .copied()
            .zip(values.iter().map(|value| self.up(*value)))
    }

    /// Returns for each value its rise above the minimum of the last `took`, and the value.
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

    /// Returns whether the series rose as far in as much time before, and came back without
    /// reaching the target.
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

    /// Returns whether the value is clearly beyond all before.
    fn is_new(&self, last: f64, rise: f64) -> bool {
        let (lowest, highest) = range(self.before().map(|(_, value)| value));
        self.up(last) > highest + 0.1 * (highest - lowest).max(rise / 2.0)
    }

    /// Returns the earliest time to reach the target, given that it rose as far in less time
    /// before.
    fn earliest(&self, last: f64, now: UnixMillis, earliest: UnixMillis) -> UnixMillis {
        let missing = self.up(self.target.value) - self.up(last);
        let left = earliest.since(now);
        let sooner = (1..8)
            .map(|eighth| left * eighth / 8)
            .find(|took| self.rises(*took).any(|(rose, _)| rose >= missing));
        sooner.map_or(earliest, |took| {
            let took = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
            // Its pace now comes on top.
            UnixMillis(now.0.saturating_add(took / 2))
        })
    }

    /// Returns whether the seasonality before the trend explains the current value and does not
    /// reach the target.
    fn explains(&self, last: f64, now: UnixMillis, within: Duration) -> bool {
        let Samples { times, values } = self.seen;
        let Some(end) = times.last() else {
            return false;
        };
        let Ok(forecast) = seasonal(times, values, UnixMillis(*end), 48) else {
            return false;
        };
        let hour =
            |at: i64| ((at.saturating_sub(forecast.from.0)) as f64 / HOUR as f64).max(0.0) as usize;
        let ahead = i64::try_from(within.as_millis()).unwrap_or(i64::MAX / 4);
        let rising = self.target.direction == Direction::Rising;
        let edge = |hour| {
            forecast
                .band(hour)
                .map(|(low, high)| if rising { high } else { low })
        };
        let (from, to) = (hour(now.0), hour(now.0.saturating_add(ahead)).min(47));
        let explained = edge(from).is_some_and(|edge| self.up(last) <= self.up(edge));
        explained
            && (from..=to).all(|hour| {
                edge(hour).is_some_and(|edge| self.up(edge) < self.up(self.target.value))
            })
    }
}
