//! Trend of a series over a window, and its significance.

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

/// Minimum number of samples.
const FEWEST: usize = 10;

/// Direction of a trend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    /// Significant and relevant rise.
    Increasing,
    /// Significant and relevant fall.
    Decreasing,
    /// No trend and little variation.
    Stable,
    /// No trend and much variation.
    Volatile,
}

impl Movement {
    /// Returns `improving` or `degrading` for a trend, if it is known whether more is worse.
    #[must_use]
    pub fn verdict(self, more_is_worse: Option<bool>) -> Option<&'static str> {
        let worse = match (self, more_is_worse) {
            (Self::Increasing, Some(worse)) => worse,
            (Self::Decreasing, Some(worse)) => !worse,
            _ => return None,
        };
        Some(if worse { "degrading" } else { "improving" })
    }

    /// Returns the name for the API.
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

/// Criteria of a trend.
#[derive(Clone, Debug, PartialEq)]
pub struct Options {
    /// Maximum p-value of a significant slope.
    pub significance: f64,
    /// Minimum change over the window that is relevant; a percentage is of the mean size.
    pub least_change: Deviation,
    /// Standard deviation around the line, as a share of the mean size, from which a series is
    /// volatile.
    pub volatile_from: f64,
    /// Quantiles to compute, 0 to 1.
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

/// Trend of one series over a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Trend {
    /// Time of the first sample.
    pub from: UnixMillis,
    /// Time of the last sample.
    pub to: UnixMillis,
    /// Statistics of the values.
    pub statistics: Statistics,
    /// Change per second: the median of the slopes between all pairs of points (Theil-Sen).
    pub slope: f64,
    /// Standard error of the slope, with autocorrelated points.
    pub slope_error: f64,
    /// p-value of the slope.
    pub p_value: f64,
    /// Change over the window along the line.
    pub change: f64,
    /// Standard deviation around the line, as a share of the mean size of the values.
    pub volatility: f64,
    /// Direction by all of these.
    pub movement: Movement,
    /// True for a significant trend that is too small to be relevant.
    pub slight: bool,
}

/// Too few samples for a trend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too few samples: {have}; {FEWEST} are needed, at different times")]
pub struct TooFewSamples {
    /// Number of finite samples.
    pub have: usize,
}

/// Computes the trend of the samples up to `now`. Times are in milliseconds, ascending; values that
/// are not finite are ignored. The line is fitted to the medians of 200 equal parts of time, so its
/// cost does not grow with the square of the samples.
///
/// # Errors
/// There are too few samples.
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
            trend.classify(&frame, &Line::through(&x, &y), options);
        }
    }
    Ok(trend)
}

impl Trend {
    fn classify(&mut self, frame: &Frame, line: &Line, options: &Options) {
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
