//! How a thing with days and weeks goes on, hour by hour.
//!
//! Three forecasts are combined: the last day again, the mean of the last weeks, and an
//! autoregression over hours, days and weeks. Each weighs by how well it did where the end of the
//! samples was held back from it; how far the result may be off is told by what it was off there,
//! with weights that were chosen without those hours. `tests/m4.rs` and `benches/forecast.rs` compare the result with
//! the last day again, alone, on the hourly series of the M4 competition.

use bellwether_core::UnixMillis;

use super::autoregression::autoregression;

const HOUR: i64 = 3_600_000;
const DAY: usize = 24;
const WEEK: usize = 7 * DAY;
/// Hours told at most.
const AHEAD: usize = 2 * DAY;
/// Hours needed at the least.
const FEWEST: usize = 5 * DAY;
/// How many hours before the end each trial stops looking.
const TRIALS: [usize; 5] = [AHEAD, 2 * AHEAD, 3 * AHEAD, WEEK, 2 * WEEK];
/// Hours that a trial must be left with.
const LEFT: usize = 3 * DAY;
/// By how much more the hours that come are off than those held back were: the candidates were
/// learnt on the hours around these.
const WIDER: f64 = 1.25;
/// How strongly a smaller error counts.
const PREFERENCE: i32 = 8;

/// What comes, hour by hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Season {
    /// When the first hour begins.
    pub from: UnixMillis,
    /// Mean of each hour.
    pub values: Vec<f64>,
    /// How far below its value an hour may be, 19 of 20 times. Not positive.
    pub below: f64,
    /// How far above, 19 of 20 times. Not negative.
    pub above: f64,
    /// Values that the series cannot be below or above: 0 where it never was negative.
    pub bounds: (f64, f64),
    /// Mean absolute error where it was tried on hours held back.
    pub error: f64,
    /// The same of "each hour as a day before".
    pub error_of_last_day: f64,
}

/// Why there is no seasonal forecast.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoSeason {
    /// There is too little to judge by.
    #[error("too few hours: {have}; {FEWEST} are needed, half of them with samples")]
    TooFewHours {
        /// Hours with samples.
        have: usize,
    },
    /// The hours held back were told no better than by their mean level before.
    #[error("no daily or weekly pattern: a flat line tells the hours held back as well")]
    NoPattern,
}

/// What follows `values`, samples of `times_ms` (ascending), from the end of the last full hour
/// before `now` on, at most 48 hours.
///
/// # Errors
/// Why nothing can be said.
pub fn seasonal(
    times_ms: &[i64],
    values: &[f64],
    now: UnixMillis,
    ahead: usize,
) -> Result<Season, NoSeason> {
    let (from, hours) = hourly(times_ms, values, now)?;
    let told = continue_hours(&hours, ahead)?;
    Ok(Season { from, ..told })
}

/// As [`seasonal`] for values of one hour each; they begin at time 0 here.
///
/// # Errors
/// Why nothing can be said.
pub fn continue_hours(hours: &[f64], ahead: usize) -> Result<Season, NoSeason> {
    let ahead = ahead.min(AHEAD);
    if hours.len() < FEWEST {
        return Err(NoSeason::TooFewHours { have: hours.len() });
    }
    let trials: Vec<Trial<'_>> = TRIALS
        .iter()
        .filter_map(|back| Trial::new(hours, *back))
        .collect();
    let weights = weights(errors(&trials, usize::MAX));
    let mut misses: Vec<f64> = Vec::with_capacity(trials.len() * AHEAD);
    for (number, trial) in trials.iter().enumerate() {
        let others = if trials.len() > 1 { number } else { usize::MAX };
        let told = combine(&trial.told, &self::weights(errors(&trials, others)));
        misses.extend(trial.came.iter().zip(&told).map(|(came, told)| came - told));
    }
    let error = misses.iter().map(|miss| miss.abs()).sum::<f64>() / misses.len() as f64;
    // Not `>=`: a NaN of values too large for sums is no pattern either.
    let better = error < mean_error(trials.iter(), |trial, _| trial.flat) || error == 0.0;
    if !better {
        return Err(NoSeason::NoPattern);
    }
    misses.sort_by(f64::total_cmp);
    let quantile = |share: f64| misses[((misses.len() - 1) as f64 * share).round() as usize];
    let mut values = combine(&candidates(hours), &weights);
    values.truncate(ahead);
    let negative = hours.iter().any(|hour| *hour < 0.0);
    let season = Season {
        from: UnixMillis(0),
        values,
        below: (quantile(0.05) * WIDER).min(0.0),
        above: (quantile(0.95) * WIDER).max(0.0),
        bounds: (f64::NEG_INFINITY, f64::INFINITY),
        error,
        error_of_last_day: errors(&trials, usize::MAX)[0],
    };
    Ok(if negative {
        season
    } else {
        season.bounded(0.0, f64::INFINITY)
    })
}

impl Season {
    /// The same of a series that cannot be below `low` or above `high`.
    #[must_use]
    pub fn bounded(mut self, low: f64, high: f64) -> Self {
        self.bounds = (self.bounds.0.max(low), self.bounds.1.min(high));
        for value in &mut self.values {
            *value = value.min(high).max(low);
        }
        self
    }

    /// Where the hour with this number is 9 of 10 times; `None` beyond what was told.
    #[must_use]
    pub fn band(&self, hour: usize) -> Option<(f64, f64)> {
        let value = self.values.get(hour)?;
        let (low, high) = self.bounds;
        Some((
            (value + self.below).max(low),
            (value + self.above).min(high),
        ))
    }
}

/// Mean errors of the candidates over all trials but the one with this number.
fn errors(trials: &[Trial<'_>], left_out: usize) -> [f64; 3] {
    let kept = || {
        trials
            .iter()
            .enumerate()
            .filter(move |(number, _)| *number != left_out)
    };
    std::array::from_fn(|which| {
        mean_error(kept().map(|(_, trial)| trial), |trial, hour| {
            trial.told[which][hour]
        })
    })
}

/// The means of full hours before `now`, hours without samples filled from the day before or
/// after; and when the last of them ends.
fn hourly(
    times_ms: &[i64],
    values: &[f64],
    now: UnixMillis,
) -> Result<(UnixMillis, Vec<f64>), NoSeason> {
    let end = now.0.div_euclid(HOUR);
    let samples = times_ms
        .iter()
        .zip(values)
        .filter(|(_, value)| value.is_finite());
    let mut hours: Vec<(f64, u32)> = Vec::new();
    let mut first = None;
    for (time, value) in samples {
        let hour = time.div_euclid(HOUR);
        let Ok(index) = usize::try_from(hour - *first.get_or_insert(hour)) else {
            continue;
        };
        // Three years are more than any pattern here needs.
        if hour >= end || index >= 3 * 366 * DAY {
            break;
        }
        hours.resize(hours.len().max(index + 1), (0.0, 0));
        hours[index].0 += value;
        hours[index].1 += 1;
    }
    let have = hours.iter().filter(|(_, count)| *count > 0).count();
    let known = hours.len();
    let missing = usize::try_from(end.saturating_sub(first.unwrap_or(end))).unwrap_or(0);
    if have < FEWEST / 2 || have * 2 < missing || known < FEWEST {
        return Err(NoSeason::TooFewHours { have });
    }
    let means = hours.iter().map(|(sum, count)| sum / f64::from(*count));
    let mut means: Vec<f64> = means
        .chain(std::iter::repeat_n(f64::NAN, missing - known))
        .collect();
    fill(&mut means);
    Ok((UnixMillis(end * HOUR), means))
}

/// Puts into each NaN the value of a day before, else of a day after, else of the hour before.
fn fill(hours: &mut [f64]) {
    for at in DAY..hours.len() {
        if hours[at].is_nan() {
            hours[at] = hours[at - DAY];
        }
    }
    for at in (0..hours.len().saturating_sub(DAY)).rev() {
        if hours[at].is_nan() {
            hours[at] = hours[at + DAY];
        }
    }
    let mut last = 0.0;
    for hour in hours {
        if hour.is_nan() {
            *hour = last;
        }
        last = *hour;
    }
}

/// One look at how well the candidates do: what they told of hours held back, and what came.
struct Trial<'a> {
    told: [Vec<f64>; 3],
    /// The mean of the day before.
    flat: f64,
    came: &'a [f64],
}

impl<'a> Trial<'a> {
    /// `None` if too little is left to learn from.
    fn new(hours: &'a [f64], back: usize) -> Option<Self> {
        let known = hours.len().checked_sub(back).filter(|left| *left >= LEFT)?;
        let (before, after) = hours.split_at(known);
        let flat = before[known - DAY..]
            .iter()
            .map(|value| value / DAY as f64)
            .sum();
        let came = &after[..AHEAD.min(after.len())];
        Some(Self {
            told: candidates(before),
            flat,
            came,
        })
    }
}

fn mean_error<'t>(
    trials: impl Iterator<Item = &'t Trial<'t>>,
    of: impl Fn(&Trial<'_>, usize) -> f64,
) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for trial in trials {
        for (hour, came) in trial.came.iter().enumerate() {
            sum += (came - of(trial, hour)).abs();
            count += 1.0;
        }
    }
    sum / count
}

/// What each candidate tells of the hours after `hours`: the last day again, weeks, and the
/// autoregression.
fn candidates(hours: &[f64]) -> [Vec<f64>; 3] {
    [
        last_day(hours),
        last_weeks(hours),
        autoregression(hours, AHEAD),
    ]
}

/// Each hour as a day before.
#[must_use]
pub fn last_day(hours: &[f64]) -> Vec<f64> {
    let day = &hours[hours.len().saturating_sub(DAY)..];
    day.iter()
        .copied()
        .cycle()
        .take(if day.is_empty() { 0 } else { AHEAD })
        .collect()
}

/// Each hour as in the last three weeks, the last one counting twice as much as the one before it.
fn last_weeks(hours: &[f64]) -> Vec<f64> {
    if hours.len() < WEEK {
        return last_day(hours);
    }
    let of_hour = |ahead: usize| {
        let (mut sum, mut total) = (0.0, 0.0);
        for (week, weight) in [1.0, 0.5, 0.25].into_iter().enumerate() {
            if let Some(at) = (hours.len() + ahead).checked_sub(WEEK * (week + 1)) {
                sum += weight * hours[at];
                total += weight;
            }
        }
        sum / total
    };
    (0..AHEAD).map(of_hour).collect()
}

/// By the inverse of a power of the error; they sum up to 1.
fn weights(errors: [f64; 3]) -> [f64; 3] {
    let worst = errors.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let raw = errors.map(|error| (error / worst + 1e-3).powi(-PREFERENCE));
    let sum: f64 = raw.iter().sum();
    raw.map(|weight| weight / sum)
}

fn combine(told: &[Vec<f64>; 3], weights: &[f64; 3]) -> Vec<f64> {
    let of_hour = |hour| {
        told.iter()
            .zip(weights)
            .map(|(told, weight)| told[hour] * weight)
            .sum()
    };
    (0..AHEAD).map(of_hour).collect()
}
