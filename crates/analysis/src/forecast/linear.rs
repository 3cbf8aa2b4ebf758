//! Linear forecast of the time at which a metric reaches a value.
//!
//! The samples are thinned to at most 200 points, cut where one change of level or slope explains
//! nearly all that a line leaves unexplained, and fitted by Theil-Sen. Its errors treat successive
//! points as related, so a random walk is no trend, and the prediction interval includes how the
//! slope changed between quarters of the points. The crossing of line and interval with the target
//! follows from a quadratic equation (Fieller 1954).

use bellwether_core::UnixMillis;

use super::super::statistics::{p_value_of_t, student};
use super::line::{Line, change, median};

/// Maximum number of points; pairs grow with the square.
const POINTS: usize = 200;
/// Minimum number of samples.
const FEWEST: usize = 10;
/// Minimum number of points after a change to fit them alone.
const AFTER_CHANGE: usize = 12;
/// Quantile of the normal distribution for a trend with a p-value of 0.01.
const SIGNIFICANT: f64 = 2.576;
/// Quantile of the normal distribution for a prediction interval of 90 %.
const BAND: f64 = 1.645;
/// Maximum horizon as a multiple of the lookback.
const FURTHEST: f64 = 100.0;

/// Direction in which a value is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Rising, such as disk usage.
    Rising,
    /// Falling, such as free memory.
    Falling,
}

/// Target of a forecast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Value to reach.
    pub value: f64,
    /// Direction in which it is reached.
    pub direction: Direction,
}

impl From<f64> for Target {
    /// Creates a target for a rising value.
    fn from(value: f64) -> Self {
        Self {
            value,
            direction: Direction::Rising,
        }
    }
}

/// Forecast of the time at which a value is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// Time at which the line reaches the value.
    pub reaches_at: UnixMillis,
    /// Early end of the prediction interval of 90 %.
    pub earliest: UnixMillis,
    /// Late end of the interval; `None` if the value may never be reached.
    pub latest: Option<UnixMillis>,
    /// Change per second.
    pub slope: f64,
    /// Confidence that there is a trend, 0 to 1: one minus the p-value.
    pub confidence: f64,
    /// Current value of the line.
    pub level: f64,
    /// Start of the trend: the first sample, or the last change of level or slope.
    pub since: UnixMillis,
}

/// Reason for which there is no forecast.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoForecast {
    /// There are too few samples.
    #[error("too few samples: {have}; {need} are needed")]
    TooFewSamples {
        /// Number of finite samples.
        have: usize,
        /// Number of samples needed.
        need: usize,
    },
    /// There is no significant trend.
    #[error("no significant trend")]
    NoTrend,
    /// The trend leads away from the target.
    #[error("it moves away from the target: {slope} a second")]
    MovesAway {
        /// Change per second.
        slope: f64,
    },
    /// The target is already reached.
    #[error("already reached: {value}")]
    AlreadyReached {
        /// The latest value.
        value: f64,
    },
    /// The target is beyond the maximum horizon.
    #[error("not within 100 times the window")]
    TooFarOff,
}

/// Forecasts when the series reaches `target`. Times are in milliseconds, ascending; values that
/// are not finite are ignored, and so are samples after `now`.
///
/// # Errors
/// The reason for which there is no forecast.
pub fn linear(
    times_ms: &[i64],
    values: &[f64],
    now: UnixMillis,
    target: impl Into<Target>,
) -> Result<Reach, NoForecast> {
    let Target {
        value: target,
        direction,
    } = target.into();
    let (times, values) = finite(times_ms, values, now);
    let have = times.len();
    let (Some(last), true) = (values.last().copied(), have >= FEWEST) else {
        return Err(NoForecast::TooFewSamples { have, need: FEWEST });
    };
    let sign = if direction == Direction::Rising {
        1.0
    } else {
        -1.0
    };
    if sign * last >= sign * target {
        return Err(NoForecast::AlreadyReached { value: last });
    }
    let drawn = Drawn::new(&times, &values, now, direction)?;
    let Drawn {
        frame, line, x, y, ..
    } = &drawn;
    let goal = frame.y(target);
    let furthest = FURTHEST * (frame.now - x[0]);
    let reaches = frame
        .now
        .max(line.centre + (goal - line.level) / line.slope);
    if reaches - frame.now > furthest {
        return Err(NoForecast::TooFarOff);
    }
    let (earliest, latest) = band(&line.at_its_paces(x, y, reaches), goal, frame.now);
    Ok(Reach {
        earliest: frame.wall(earliest.min(reaches)),
        latest: latest
            .filter(|latest| latest - frame.now <= furthest)
            .map(|x| frame.wall(x)),
        ..drawn.reach(frame.wall(reaches))
    })
}

/// A line with a significant trend, and its points.
pub(super) struct Drawn {
    frame: Frame,
    line: Line,
    x: Vec<f64>,
    y: Vec<f64>,
    /// Beginning of the trend.
    since: f64,
}

impl Drawn {
    /// Fits a line to at least three finite samples up to `now`, whose trend leads in `direction`.
    ///
    /// # Errors
    /// The reason for which there is no trend.
    pub(super) fn new(
        times: &[i64],
        values: &[f64],
        now: UnixMillis,
        direction: Direction,
    ) -> Result<Self, NoForecast> {
        let sign = if direction == Direction::Rising {
            1.0
        } else {
            -1.0
        };
        let last = values.last().copied().ok_or(NoForecast::NoTrend)?;
        let frame = Frame::new(times, values, now).ok_or(NoForecast::NoTrend)?;
        let (mut x, mut y) = frame.points(times, values);
        let changed = change(&x, &y, AFTER_CHANGE).unwrap_or(0);
        let (x_before, y_before): (Vec<f64>, Vec<f64>) =
            (x.drain(..changed).collect(), y.drain(..changed).collect());
        let line = Line::through(&x, &y);
        // Where a rise begins, some of it may count to what was before.
        let on_the_line = x_before.iter().zip(&y_before).rev();
        let on_the_line = on_the_line.take_while(|(x, y)| line.holds(**x, **y));
        let since = on_the_line.last().map_or(x[0], |(x, _)| *x);
        let least = student(SIGNIFICANT, line.freedom) * line.slope_error;
        if line.slope == 0.0 || line.slope.abs() < least {
            return Err(NoForecast::NoTrend);
        }
        if sign * line.slope < 0.0 {
            return Err(NoForecast::MovesAway {
                slope: frame.slope(line.slope),
            });
        }
        if line.left_by(&x, &y, frame.y(last), sign) {
            return Err(NoForecast::NoTrend);
        }
        Ok(Self {
            frame,
            line,
            x,
            y,
            since,
        })
    }

    /// Returns the forecast for that time, without an interval.
    pub(super) fn reach(&self, reaches_at: UnixMillis) -> Reach {
        let Self {
            frame, line, since, ..
        } = self;
        Reach {
            reaches_at,
            earliest: reaches_at,
            latest: Some(reaches_at),
            slope: frame.slope(line.slope),
            confidence: confidence(line),
            level: frame.value(line.at(frame.now)),
            since: frame.wall(*since),
        }
    }

    /// Returns the time at which the line has that value.
    pub(super) fn when(&self, value: f64) -> UnixMillis {
        let Self { frame, line, .. } = self;
        frame.wall(
            frame
                .now
                .max(line.centre + (frame.y(value) - line.level) / line.slope),
        )
    }

    /// Returns the standard deviation of the points around the line.
    pub(super) fn spread(&self) -> f64 {
        self.line.spread * self.frame.half_height * 2.0
    }

    /// Returns the value of the line at that time.
    pub(super) fn at(&self, at: UnixMillis) -> f64 {
        self.frame.value(self.line.at(self.frame.x(at.0)))
    }

    /// Returns the half width of the prediction interval of 90 % at a time, for slope changes until
    /// `until`.
    pub(super) fn band(&self, until: UnixMillis) -> impl Fn(UnixMillis) -> f64 {
        let Self {
            frame, line, x, y, ..
        } = self;
        let line = line.at_its_paces(x, y, frame.x(until.0));
        let quantile = student(BAND, line.freedom);
        move |at| {
            let away = frame.x(at.0) - line.centre;
            let error = line
                .level_error
                .hypot(line.spread)
                .hypot(line.slope_error * away);
            quantile * error * frame.half_height * 2.0
        }
    }
}

pub(crate) fn finite(times_ms: &[i64], values: &[f64], now: UnixMillis) -> (Vec<i64>, Vec<f64>) {
    let samples = times_ms.iter().copied().zip(values.iter().copied());
    samples
        .filter(|(time, value)| value.is_finite() && *time <= now.0)
        .unzip()
}

/// Normalized scale: x from 0 at the first to 1 at the last sample, values from 0 to 1. All
/// arithmetic uses it, so that neither huge nor tiny values overflow.
pub(crate) struct Frame {
    start: i64,
    /// Milliseconds of one unit of x.
    width: f64,
    base: f64,
    /// Half of one unit of y: a whole one may be no float.
    half_height: f64,
    now: f64,
}

impl Frame {
    /// Creates the scale; `None` if all samples have one time or one value.
    pub(crate) fn new(times: &[i64], values: &[f64], now: UnixMillis) -> Option<Self> {
        let (start, end) = (*times.first()?, *times.last()?);
        let base = values.iter().copied().fold(f64::INFINITY, f64::min);
        let top = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let half_height = top / 2.0 - base / 2.0;
        let width = end.saturating_sub(start) as f64;
        let since = now.0.saturating_sub(start) as f64;
        let varies = width > 0.0 && half_height > 0.0;
        varies.then(|| Self {
            start,
            width,
            base,
            half_height,
            now: since / width,
        })
    }

    fn x(&self, time: i64) -> f64 {
        time.saturating_sub(self.start) as f64 / self.width
    }

    fn wall(&self, x: f64) -> UnixMillis {
        // A float too large becomes the last time there is.
        UnixMillis(self.start.saturating_add((x * self.width).round() as i64))
    }

    fn y(&self, value: f64) -> f64 {
        (value / 2.0 - self.base / 2.0) / self.half_height
    }

    fn value(&self, y: f64) -> f64 {
        y * self.half_height + self.base + y * self.half_height
    }

    /// Converts a slope to change per second.
    pub(crate) fn slope(&self, slope: f64) -> f64 {
        slope / self.width * self.half_height * 2000.0
    }

    /// Thins the samples to the median of each of [`POINTS`] equal parts of time, without single
    /// spikes.
    pub(crate) fn points(&self, times: &[i64], values: &[f64]) -> (Vec<f64>, Vec<f64>) {
        let (mut x, mut y) = (Vec::with_capacity(POINTS), Vec::with_capacity(POINTS));
        let piece = |time: i64| ((self.x(time) * POINTS as f64) as usize).min(POINTS - 1);
        let mut from = 0;
        while from < times.len() {
            let here = piece(times[from]);
            let more = times[from..]
                .iter()
                .take_while(|time| piece(**time) == here)
                .count();
            let range = from..from + more;
            x.push(
                times[range.clone()]
                    .iter()
                    .map(|time| self.x(*time))
                    .sum::<f64>()
                    / more as f64,
            );
            y.push(median(
                &mut values[range].iter().map(|v| self.y(*v)).collect::<Vec<_>>(),
            ));
            from += more;
        }
        let smooth = y
            .windows(3)
            .map(|three| median(&mut three.to_vec()))
            .collect::<Vec<_>>();
        let inner = y.len() - 1;
        y.get_mut(1..inner)
            .unwrap_or_default()
            .copy_from_slice(&smooth);
        (x, y)
    }
}

/// Returns one minus the p-value of the slope.
pub(crate) fn confidence(line: &Line) -> f64 {
    if line.slope_error > 0.0 {
        1.0 - p_value_of_t(line.slope / line.slope_error, line.freedom)
    } else {
        f64::from(line.slope != 0.0)
    }
}

/// Returns where the interval around the line meets `goal`: `(level + slope d - goal)^2 = q^2
/// (level_error^2 + spread^2 + slope_error^2 d^2)`, solved for the distance d from the center.
fn band(line: &Line, goal: f64, now: f64) -> (f64, Option<f64>) {
    let quantile = student(BAND, line.freedom);
    let away = line.level - goal;
    let a = line.slope.powi(2) - (quantile * line.slope_error).powi(2);
    let b = line.slope * away;
    let c = away.powi(2) - quantile.powi(2) * (line.level_error.powi(2) + line.spread.powi(2));
    let root = (b * b - a * c).max(0.0).sqrt();
    let (early, late) = ((-b - root) / a, (-b + root) / a);
    // Where the pace may be none, or the other way, it may never be.
    (
        now.max(line.centre + early),
        Some(now.max(line.centre + late)).filter(|late| a > 0.0 && late.is_finite()),
    )
}
