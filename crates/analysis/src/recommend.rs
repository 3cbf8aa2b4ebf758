//! Recommends a threshold and a hold time from history.
//!
//! Candidates are values of the history, evaluated on it with the hold time of a rule. Of those
//! that fired rarely enough the most sensitive one is recommended. A value that a series reaches on
//! most days for more than an hour is no candidate, even if noise would have interrupted each hold
//! time.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bellwether_core::counted;
use bellwether_promql::SampledSeries;

use super::report::interval;

const WEEK: f64 = 7.0 * 86_400.0;
/// Minimum length of history.
const SHORTEST: Duration = Duration::from_secs(3600);
/// Minimum number of samples.
const FEWEST: usize = 100;
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Durations of the candidates, in seconds.
const DURATIONS: [u64; 5] = [0, 60, 300, 900, 1800];
/// Shares of samples beyond the thresholds of the candidates. No sample is beyond the last one.
const BEYOND: [f64; 8] = [0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.001, 0.0];

/// Side on which values are bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// High values are bad.
    Above,
    /// Low values are bad.
    Below,
}

/// A threshold with the alerts that it would have caused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    pub threshold: f64,
    /// Time beyond the threshold before an alert fires.
    pub hold: Duration,
    /// Number of alerts of all series.
    pub alerts: usize,
    /// Number of alerts per week.
    pub per_week: f64,
    /// Upper bound of the alerts per week with a confidence of 95 % (Byar's bound); high for a
    /// short history.
    pub at_most: f64,
}

/// A recommendation.
#[derive(Clone, Debug, PartialEq)]
pub struct Recommendation {
    /// Side of the threshold.
    pub side: Side,
    /// Recommended candidate.
    pub best: Candidate,
    /// For each hold time the most sensitive candidate that is rare enough, and the one before it.
    pub others: Vec<Candidate>,
    /// Length of the history.
    pub span: Duration,
    /// Number of series.
    pub series: usize,
    /// Number of samples of all series.
    pub samples: usize,
    /// Minimum, median and maximum.
    pub range: [f64; 3],
}

/// Reason for which there is no recommendation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRecommendation {
    /// There are too few samples.
    #[error("too little history: {} over {} s; {FEWEST} over an hour are needed", counted(*samples, "sample"), span.as_secs())]
    TooLittle {
        /// Number of finite samples.
        samples: usize,
        /// Time from the first to the last.
        span: Duration,
    },
    /// The values never changed.
    #[error("the values never changed, so history does not show which value is anomalous")]
    Constant,
}

/// Recommends the threshold and the hold time at which `series` would have fired at most `target`
/// times a week. Without a `side` the longer tail of the values counts.
///
/// # Errors
/// The history does not suffice.
pub fn recommend(
    series: &[SampledSeries],
    side: Option<Side>,
    target: f64,
) -> Result<Recommendation, NoRecommendation> {
    let runs: Vec<Run> = series
        .iter()
        .map(Run::new)
        .filter(|run| !run.values.is_empty())
        .collect();
    let mut sorted: Vec<f64> = runs
        .iter()
        .flat_map(|run| run.values.iter().copied())
        .collect();
    let span = span(&runs);
    if sorted.len() < FEWEST || span < SHORTEST {
        return Err(NoRecommendation::TooLittle {
            samples: sorted.len(),
            span,
        });
    }
    sorted.sort_by(f64::total_cmp);
    let range = [0.0, 0.5, 1.0].map(|share| quantile(&sorted, share));
    if range[0] == range[2] {
        return Err(NoRecommendation::Constant);
    }
    let side = side.unwrap_or_else(|| longer_tail(&sorted));
    let usual = runs
        .iter()
        .filter_map(|run| run.reaches(side))
        .map(|value| side.sign() * value)
        .fold(f64::NEG_INFINITY, f64::max);
    let thresholds = thresholds(&sorted, side, usual);
    let (mut fit, mut others) = (Vec::new(), Vec::new());
    for hold in DURATIONS.map(Duration::from_secs) {
        let mut before = None;
        for threshold in &thresholds {
            let tried = Candidate::new(&runs, side, *threshold, hold, span);
            // Beyond all values nothing fires, so each hold time has one.
            if tried.per_week <= target || tried.alerts == 0 {
                others.extend(before);
                others.push(tried);
                fit.push(tried);
                break;
            }
            before = Some(tried);
        }
    }
    let best = most_sensitive(&fit, side).ok_or(NoRecommendation::Constant)?;
    let samples = sorted.len();
    Ok(Recommendation {
        side,
        best,
        others,
        span,
        series: runs.len(),
        samples,
        range,
    })
}

/// Returns the candidate with the most sensitive threshold; of equal ones with the shortest hold
/// time.
fn most_sensitive(fit: &[Candidate], side: Side) -> Option<Candidate> {
    let order = |a: &&Candidate, b: &&Candidate| {
        (side.sign() * a.threshold)
            .total_cmp(&(side.sign() * b.threshold))
            .then(a.hold.cmp(&b.hold))
    };
    fit.iter().min_by(order).copied()
}

impl Side {
    fn sign(self) -> f64 {
        match self {
            Self::Above => 1.0,
            Self::Below => -1.0,
        }
    }

    /// Returns the rank of the quantile that this part of the values is beyond.
    fn quantile(self, beyond: f64) -> f64 {
        match self {
            Self::Above => 1.0 - beyond,
            Self::Below => beyond,
        }
    }

    /// Returns the condition of a rule.
    #[must_use]
    pub fn condition(self) -> &'static str {
        match self {
            Self::Above => ">",
            Self::Below => "<",
        }
    }
}

/// Finite samples of one series.
struct Run {
    times: Vec<i64>,
    values: Vec<f64>,
    /// Gap in milliseconds that does not count as held time, as in rules.
    silence: i64,
}

impl Run {
    fn new(series: &SampledSeries) -> Self {
        let samples = series.times.iter().zip(&series.values);
        let (times, values): (Vec<i64>, Vec<f64>) =
            samples.filter(|(_, value)| value.is_finite()).unzip();
        let usual = i64::try_from(interval(&times).as_millis()).unwrap_or(i64::MAX);
        Self {
            silence: usual.saturating_mul(3).max(60_000),
            times,
            values,
        }
    }

    /// Returns the value that is reached for a twentieth of the day on three of four days.
    fn reaches(&self, side: Side) -> Option<f64> {
        let [of_day, of_days] = [0.95, 0.75].map(|part| {
            if side == Side::Above {
                part
            } else {
                1.0 - part
            }
        });
        let first = *self.times.first()?;
        let mut days: Vec<f64> = Vec::new();
        let mut from = 0;
        while from < self.times.len() {
            let day = self.times[from].saturating_sub(first) / DAY;
            let end = first.saturating_add((day + 1).saturating_mul(DAY));
            let to = self.times.partition_point(|time| *time < end).max(from + 1);
            let mut values = self.values[from..to].to_vec();
            // The rest of a day shows little of it.
            let part = self.times[to - 1].saturating_sub(self.times[from]);
            if part > DAY / 2 || days.is_empty() {
                values.sort_by(f64::total_cmp);
                days.push(quantile(&values, of_day));
            }
            from = to;
        }
        days.sort_by(f64::total_cmp);
        Some(quantile(&days, of_days))
    }

    /// Returns the number of alerts of a rule with this threshold and hold time.
    fn alerts(&self, side: Side, threshold: f64, hold: Duration) -> usize {
        let hold = i64::try_from(hold.as_millis()).unwrap_or(i64::MAX);
        let (mut alerts, mut held, mut last): (usize, i64, Option<i64>) = (0, 0, None);
        let mut fired = false;
        for (time, value) in self.times.iter().zip(&self.values) {
            if side.sign() * value <= side.sign() * threshold {
                (held, last, fired) = (0, None, false);
                continue;
            }
            let passed = last.map_or(0, |last| time.saturating_sub(last));
            held += if passed <= self.silence { passed } else { 0 };
            last = Some(*time);
            if !fired && held >= hold {
                fired = true;
                alerts += 1;
            }
        }
        alerts
    }
}

impl Candidate {
    fn new(runs: &[Run], side: Side, threshold: f64, hold: Duration, span: Duration) -> Self {
        let alerts = runs
            .iter()
            .map(|run| run.alerts(side, threshold, hold))
            .sum();
        let weeks = span.as_secs_f64() / WEEK;
        let more = alerts as f64 + 1.0;
        let bound = more * (1.0 - 1.0 / (9.0 * more) + 1.645 / (3.0 * more.sqrt())).powi(3);
        Self {
            threshold,
            hold,
            alerts,
            per_week: alerts as f64 / weeks,
            at_most: bound / weeks,
        }
    }
}

/// Returns the time from the first sample of all series to the last.
fn span(runs: &[Run]) -> Duration {
    let first = runs.iter().filter_map(|run| run.times.first()).min();
    let last = runs.iter().filter_map(|run| run.times.last()).max();
    let millis = last
        .zip(first)
        .map_or(0, |(last, first)| last.saturating_sub(*first));
    Duration::from_millis(u64::try_from(millis).unwrap_or(0))
}

/// Returns a quantile of ascending values.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// Returns `Above`, unless the lower tail is clearly longer.
fn longer_tail(sorted: &[f64]) -> Side {
    let middle = quantile(sorted, 0.5);
    let (up, down) = (
        quantile(sorted, 0.999) - middle,
        middle - quantile(sorted, 0.001),
    );
    if down > 3.0 * up {
        Side::Below
    } else {
        Side::Above
    }
}

/// Returns rounded thresholds beyond `usual`, which has the sign of the side, the most sensitive
/// first; no sample is beyond the last one.
fn thresholds(sorted: &[f64], side: Side, usual: f64) -> Vec<f64> {
    let (middle, end) = (quantile(sorted, 0.5), quantile(sorted, side.quantile(0.0)));
    let far = quantile(sorted, 1.0) / 2.0 - quantile(sorted, 0.0) / 2.0;
    let beyond_all = end + (end - middle) / 10.0 + side.sign() * far / 50.0;
    let tried = BEYOND
        .map(|beyond| quantile(sorted, side.quantile(beyond)))
        .into_iter()
        .chain([side.sign() * usual]);
    let mut rounded: Vec<f64> = tried
        .filter(|value| side.sign() * value >= usual)
        .chain([beyond_all])
        .map(|value| round(value, far, side))
        .collect();
    rounded.sort_by(|a, b| (side.sign() * a).total_cmp(&(side.sign() * b)));
    rounded.dedup();
    rounded
}

/// Rounds away from the usual values, to a hundredth of the order of magnitude of their range.
fn round(value: f64, range: f64, side: Side) -> f64 {
    let step = 10_f64.powf((range.log10() - 1.0).floor());
    let steps = side.sign() * (side.sign() * value / step).ceil();
    // Dividing by a power of ten keeps 0.3 from becoming 0.30000000000000004.
    let rounded = if step < 1.0 {
        steps / (1.0 / step).round()
    } else {
        steps * step
    };
    if rounded.is_finite() && step > 0.0 {
        rounded
    } else {
        value
    }
}
