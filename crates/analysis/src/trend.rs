//! Where a series went over a window of time, and whether that is more than chance.

mod baseline;
mod statistics;
#[cfg(test)]
mod tests;
mod worse;

pub use baseline::{Baselines, Departure, Slot};
use bellwether_core::UnixMillis;
pub use statistics::Statistics;
pub use worse::more_is_worse;

use super::forecast::{Frame, Line, confidence, finite};
use super::settings::Deviation;

/// Samples there must be at the least.
const FEWEST: usize = 10;

/// Which way a series goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// Up, by more than chance and by enough to matter.
    Increasing,
    /// Down, by more than chance and by enough to matter.
    Decreasing,
    /// Neither, and it keeps near its level.
    Stable,
    /// Neither, and it swings widely.
    Volatile,
}

impl Movement {
    /// `improving` or `degrading`, where it goes anywhere and it is known whether more is worse.
    #[must_use]
    pub fn verdict(self, more_is_worse: Option<bool>) -> Option<&'static str> {
        let worse = match (self, more_is_worse) {
            (Self::Increasing, Some(worse)) => worse,
            (Self::Decreasing, Some(worse)) => !worse,
            _ => return None,
        };
        Some(if worse { "degrading" } else { "improving" })
    }

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Increasing => "increasing",
            Self::Decreasing => "decreasing",
            Self::Stable => "stable",
            Self::Volatile => "volatile",
        }
    }
}

/// By what a movement is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// The largest chance, of a slope like it where there is none, that still makes a trend.
    pub significance: f64,
    /// The least change over the window that matters; a percentage is of the mean size.
    pub least_change: Deviation,
    /// The spread around the line, as part of the mean size, from which a series is volatile.
    pub volatile_from: f64,
    /// Which quantiles to tell, 0 to 1.
    pub quantiles: Vec<f64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            significance: 0.01,
            least_change: Deviation::Percent(5.0),
            volatile_from: 0.3,
            quantiles: vec![0.5, 0.9, 0.95, 0.99],
        }
    }
}

/// The course of one series over a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Time of the first sample.
    pub from: UnixMillis,
    /// Time of the last sample.
    pub to: UnixMillis,
    /// What the values are, without regard to their order.
    pub statistics: Statistics,
    /// Change per second: the median of the slopes between all pairs of points (Theil-Sen).
    pub slope: f64,
    /// Standard error of the slope, points that follow one another counted as related.
    pub slope_error: f64,
    /// Chance of a slope as steep where there is none.
    pub p_value: f64,
    /// Change over the window along the line.
    pub change: f64,
    /// Standard deviation around the line, as part of the mean size of the values.
    pub volatility: f64,
    /// Which way it goes, judged by all of these.
    pub movement: Movement,
    /// Whether it goes somewhere by more than chance, and by too little to matter.
    pub slight: bool,
}

/// There is too little to judge by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too few samples: {have}; {FEWEST} are needed, at different times")]
pub struct TooFewSamples {
    /// Samples that have a value.
    pub have: usize,
}

/// The course of the samples up to `now`. Times are milliseconds, ascending; values that are no
/// finite numbers are left out. The line is drawn through the medians of 200 equal pieces of
/// time, so its cost does not grow with the square of the samples.
///
/// # Errors
/// There is too little to judge by.
pub fn trend(
    times_ms: &[i64],
    values: &[f64],
    now: UnixMillis,
    options: &Options,
) -> Result<Trend, TooFewSamples> {
    let (times, values) = finite(times_ms, values, now);
    let too_few = TooFewSamples { have: values.len() };
    let ([from, .., to], true) = (&times[..], values.len() >= FEWEST) else {
        return Err(too_few);
    };
    if from == to {
        return Err(too_few);
    }
    let statistics = Statistics::of(&values, &options.quantiles).ok_or(too_few)?;
    let mut trend = Trend {
        from: UnixMillis(*from),
        to: UnixMillis(*to),
        statistics,
        slope: 0.0,
        slope_error: 0.0,
        p_value: 1.0,
        change: 0.0,
        volatility: 0.0,
        movement: Movement::Stable,
        slight: false,
    };
    // No frame: all values are the same.
    if let Some(frame) = Frame::new(&times, &values, now) {
        let (x, y) = frame.points(&times, &values);
        if x.len() >= 3 {
            trend.judge(&frame, &Line::through(&x, &y), options);
        }
    }
    Ok(trend)
}

impl Trend {
    fn judge(&mut self, frame: &Frame, line: &Line, options: &Options) {
        let seconds = self.to.since(self.from).as_secs_f64();
        self.slope = frame.slope(line.slope);
        self.slope_error = frame.slope(line.slope_error);
        self.p_value = 1.0 - confidence(line);
        self.change = self.slope * seconds;
        // Of the samples, not of the points: those are medians, which swing less.
        let around = (self.statistics.deviation.powi(2) - self.change.powi(2) / 12.0).max(0.0);
        let size = self.statistics.mean_size;
        self.volatility = if size > 0.0 {
            around.sqrt() / size
        } else {
            0.0
        };
        let matters = self.change.abs() >= options.least_change.least(size);
        let sure = self.p_value <= options.significance;
        let goes = matters && sure;
        self.slight = sure && !matters && self.slope != 0.0;
        self.movement = match () {
            () if goes && self.slope > 0.0 => Movement::Increasing,
            () if goes && self.slope < 0.0 => Movement::Decreasing,
            () if self.volatility >= options.volatile_from => Movement::Volatile,
            () => Movement::Stable,
        };
    }
}
