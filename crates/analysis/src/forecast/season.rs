//! Seasonal forecast by hour.
//!
//! Three forecasts are combined: the last day, the mean of the last weeks, and an autoregression
//! over hours, days and weeks. Each is weighted by its error on hours at the end of the samples
//! that were withheld from it; the prediction interval follows from the errors of the combination
//! there, with weights chosen without those hours. `tests/library/forecast_scores.rs` and `benches/forecast.rs` compare
//! the result with the last day alone, on the hourly series of the M4 competition.

use bellwether_core::UnixMillis;

use super::autoregression::autoregression;

const HOUR: i64 = 3_600_000;
const DAY: usize = 24;
const WEEK: usize = 7 * DAY;
/// Maximum number of hours.
const AHEAD: usize = 2 * DAY;
/// Minimum number of hours of samples.
const FEWEST: usize = 5 * DAY;
/// Offsets of the trials from the end, in hours.
const TRIALS: [usize; 5] = [AHEAD, 2 * AHEAD, 3 * AHEAD, WEEK, 2 * WEEK];
/// Minimum number of hours to learn from in a trial.
const MIN_TRAINING: usize = 3 * DAY;
/// Factor by which errors of a forecast exceed those of the trials: the candidates have learnt from
/// the hours around these.
const WIDER: f64 = 1.25;
/// Exponent by which a smaller error counts.
const PREFERENCE: i32 = 8;

/// Forecast by hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Season {
    /// Start of the first hour.
    pub from: UnixMillis,
    /// Mean of each hour.
    pub values: Vec<f64>,
    /// Lower end of the prediction interval of 95 % relative to the value of each hour. Not
    /// positive.
    pub below: f64,
    /// Upper end, likewise. Not negative.
    pub above: f64,
    /// Limits of the values: the lower is 0 if the series was never negative.
    pub bounds: (f64, f64),
    /// Mean absolute error of the trials.
    pub error: f64,
    /// Mean absolute error of the last day as a forecast.
    pub error_of_last_day: f64,
}

/// Reason for which there is no seasonal forecast.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoSeason {
    /// There are too few samples.
    #[error("too few hours: {have}; {FEWEST} are needed, half of them with samples")]
    TooFewHours {
        /// Number of hours with samples.
        have: usize,
    },
    /// The forecast was no better than the mean of the past.
    #[error("no daily or weekly seasonality: a constant forecast is as good")]
    NoPattern,
}

/// Forecasts up to 48 hours after the last full hour before `now`, from samples at `times_ms`
/// (ascending).
///
/// # Errors
/// The reason for which there is no forecast.
pub fn seasonal(
    times_ms: &[i64],
    values: &[f64],
    now: UnixMillis,
    ahead: usize,
) -> Result<Season, NoSeason> {
    let (from, hours) = hourly(times_ms, values, now)?;
    let forecast = continue_hours(&hours, ahead)?;
    Ok(Season { from, ..forecast })
}

/// Like [`seasonal`] for hourly values; they begin at time 0.
///
/// # Errors
/// The reason for which there is no forecast.
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
        let forecast = combine(&trial.forecasts, &self::weights(errors(&trials, others)));
        misses.extend(
            trial
                .came
                .iter()
                .zip(&forecast)
                .map(|(came, forecast)| came - forecast),
        );
    }
    let error = misses.iter().map(|miss| miss.abs()).sum::<f64>() / misses.len() as f64;
    // Not `>=`: a NaN of values too large for sums is no pattern either.
    let better = error < mean_error(trials.iter(), |trial, _| trial.flat) || error == 0.0;
    if !better {
        return Err(NoSeason::NoPattern);
    }
    misses.sort_by(f64::total_cmp);
    let [low, high] =
        [0.05, 0.95].map(|share| misses[((misses.len() - 1) as f64 * share).round() as usize]);
    let mut values = combine(&candidates(hours), &weights);
    values.truncate(ahead);
    let negative = hours.iter().any(|hour| *hour < 0.0);
    let season = Season {
        from: UnixMillis(0),
        values,
        below: (low * WIDER).min(0.0),
        above: (high * WIDER).max(0.0),
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
    /// Limits the values to `low` and `high`.
    #[must_use]
    pub fn bounded(mut self, low: f64, high: f64) -> Self {
        self.bounds = (self.bounds.0.max(low), self.bounds.1.min(high));
        for value in &mut self.values {
            *value = value.min(high).max(low);
        }
        self
    }

    /// Returns the prediction interval of 90 % of this hour; `None` beyond the forecast.
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

/// Returns the mean errors of the candidates over all trials but this one.
fn errors(trials: &[Trial<'_>], left_out: usize) -> [f64; 3] {
    std::array::from_fn(|which| {
        let selected = trials
            .iter()
            .enumerate()
            .filter(|(number, _)| *number != left_out)
            .map(|(_, trial)| trial);
        mean_error(selected, |trial, hour| trial.forecasts[which][hour])
    })
}

/// Returns the means of full hours before `now`, with missing hours filled from the day before or
/// after, and the end of the last hour.
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
    let mut means: Vec<f64> = hours
        .iter()
        .map(|(sum, count)| sum / f64::from(*count))
        .chain(std::iter::repeat_n(f64::NAN, missing - known))
        .collect();
    fill(&mut means);
    Ok((UnixMillis(end * HOUR), means))
}

/// Fills each NaN with the value of a day before, else of a day after, else of the hour before.
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

/// One trial: forecasts of the candidates for withheld hours, and the actual values.
struct Trial<'a> {
    forecasts: [Vec<f64>; 3],
    /// The mean of the day before.
    flat: f64,
    came: &'a [f64],
}

impl<'a> Trial<'a> {
    /// Runs a trial; `None` if too few hours remain.
    fn new(hours: &'a [f64], back: usize) -> Option<Self> {
        let known = hours
            .len()
            .checked_sub(back)
            .filter(|left| *left >= MIN_TRAINING)?;
        let (before, after) = hours.split_at(known);
        let flat = before[known - DAY..]
            .iter()
            .map(|value| value / DAY as f64)
            .sum();
        let came = &after[..AHEAD.min(after.len())];
        Some(Self {
            forecasts: candidates(before),
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

/// Returns the forecasts of all candidates for the hours after `hours`: the last day, weeks, and
/// the autoregression.
fn candidates(hours: &[f64]) -> [Vec<f64>; 3] {
    [
        last_day(hours),
        last_weeks(hours),
        autoregression(hours, AHEAD),
    ]
}

/// Forecasts the value of a day before.
#[must_use]
pub fn last_day(hours: &[f64]) -> Vec<f64> {
    let day = &hours[hours.len().saturating_sub(DAY)..];
    day.iter()
        .copied()
        .cycle()
        .take(if day.is_empty() { 0 } else { AHEAD })
        .collect()
}

/// Forecasts the mean of the last three weeks, each weighted twice as much as the one before.
fn last_weeks(hours: &[f64]) -> Vec<f64> {
    if hours.len() < WEEK {
        return last_day(hours);
    }
    (0..AHEAD)
        .map(|ahead| {
            let (mut sum, mut total) = (0.0, 0.0);
            for (week, weight) in [1.0, 0.5, 0.25].into_iter().enumerate() {
                if let Some(at) = (hours.len() + ahead).checked_sub(WEEK * (week + 1)) {
                    sum += weight * hours[at];
                    total += weight;
                }
            }
            sum / total
        })
        .collect()
}

/// Weights by the inverse of a power of the error; the sum is 1.
fn weights(errors: [f64; 3]) -> [f64; 3] {
    let worst = errors.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    let raw = errors.map(|error| (error / worst + 1e-3).powi(-PREFERENCE));
    let sum: f64 = raw.iter().sum();
    raw.map(|weight| weight / sum)
}

fn combine(forecasts: &[Vec<f64>; 3], weights: &[f64; 3]) -> Vec<f64> {
    (0..AHEAD)
        .map(|hour| {
            forecasts
                .iter()
                .zip(weights)
                .map(|(forecast, weight)| forecast[hour] * weight)
                .sum()
        })
        .collect()
}
