//! When a thing that fills reaches a value.
//!
//! The samples are thinned to at most 200 points, cut where one change of level or pace explains
//! nearly all that a line leaves unexplained, and get a Theil-Sen line. Its errors count points
//! that follow one another as related, so a wandering value is no trend, and for the band also how
//! the pace changed from quarter to quarter. When the line, with its band, crosses the target follows
//! from a quadratic equation (Fieller 1954).

use bellwether_core::UnixMillis;

use super::super::statistics::{chance_of_t, student};
use super::line::{Line, change, median};

/// Points that a line is drawn through at most; pairs grow with the square.
const POINTS: usize = 200;
/// Samples there must be at the least.
const FEWEST: usize = 10;
/// Points that must have followed a change before they are judged alone.
const AFTER_CHANGE: usize = 12;
/// Quantile of the normal distribution: a trend counts if chance makes one like it in 1 of 100.
const SIGNIFICANT: f64 = 2.576;
/// Quantile of the normal distribution: the band holds what comes 9 times of 10.
const BAND: f64 = 1.645;
/// How many times the time looked back on may be looked ahead.
const FURTHEST: f64 = 100.0;

/// From which side a value is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From below: a disk fills.
    Rising,
    /// From above: memory runs out.
    Falling,
}

/// What is to be reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// The value.
    pub value: f64,
    /// From which side.
    pub direction: Direction,
}

impl From<f64> for Target {
    /// Reached from below.
    fn from(value: f64) -> Self {
        Self {
            value,
            direction: Direction::Rising,
        }
    }
}

/// When a value is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reach {
    /// When the line gets there.
    pub reaches_at: UnixMillis,
    /// The early end of a band that holds 9 times of 10.
    pub earliest: UnixMillis,
    /// The late end; `None` if it may never be.
    pub latest: Option<UnixMillis>,
    /// Change per second.
    pub slope: f64,
    /// How sure it is that there is a trend, 0 to 1: one less the chance of such a slope without.
    pub confidence: f64,
    /// The level that the line starts from, now.
    pub level: f64,
    /// Since when the line holds: the first sample, or the last change of level or pace.
    pub since: UnixMillis,
}

/// Why there is no forecast.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum NoForecast {
    /// There is too little to judge by.
    #[error("too few samples: {have}; {need} are needed")]
    TooFewSamples {
        /// Samples that have a value.
        have: usize,
        /// Samples needed.
        need: usize,
    },
    /// It does not change, or no more than chance would have it.
    #[error("no trend that chance could not make")]
    NoTrend,
    /// It moves away from the target.
    #[error("it moves away from the target: {slope} a second")]
    MovesAway {
        /// Change per second.
        slope: f64,
    },
    /// It is there already.
    #[error("already reached: {value}")]
    AlreadyReached {
        /// The latest value.
        value: f64,
    },
    /// It gets there so late that the time looked back on says nothing about it.
    #[error("not within 100 times the time looked back on")]
    TooFarOff,
}

/// When the thing with these samples reaches `target`, seen from `now`. Times are milliseconds,
/// ascending; values that are no finite numbers are left out, and so is what comes after `now`.
///
/// # Errors
/// Why nothing can be said.
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

/// A line that tells a trend, with the points that it is drawn through.
pub(super) struct Drawn {
    frame: Frame,
    line: Line,
    x: Vec<f64>,
    y: Vec<f64>,
}

impl Drawn {
    /// Through finite samples up to `now`, at least three, of which the trend leads to where
    /// `direction` says.
    ///
    /// # Errors
    /// Why there is none.
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
        if let Some(at) = change(&x, &y, AFTER_CHANGE) {
            x.drain(..at);
            y.drain(..at);
        }
        let line = Line::through(&x, &y);
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
        Ok(Self { frame, line, x, y })
    }

    /// Where it gets to at that time, without a band.
    pub(super) fn reach(&self, reaches_at: UnixMillis) -> Reach {
        let Self { frame, line, x, .. } = self;
        Reach {
            reaches_at,
            earliest: reaches_at,
            latest: Some(reaches_at),
            slope: frame.slope(line.slope),
            confidence: confidence(line),
            level: frame.value(line.at(frame.now)),
            since: frame.wall(x[0]),
        }
    }

    /// When it has that value.
    pub(super) fn when(&self, value: f64) -> UnixMillis {
        let Self { frame, line, .. } = self;
        frame.wall(
            frame
                .now
                .max(line.centre + (frame.y(value) - line.level) / line.slope),
        )
    }

    /// Standard deviation of the points around it.
    pub(super) fn spread(&self) -> f64 {
        self.line.spread * self.frame.half_height * 2.0
    }

    /// The value of the line at that time.
    pub(super) fn at(&self, at: UnixMillis) -> f64 {
        self.frame.value(self.line.at(self.frame.x(at.0)))
    }

    /// How far it may be off at a time: 9 of 10 values are as near, its pace foreseen until `until`.
    pub(super) fn band(&self, until: UnixMillis) -> impl Fn(UnixMillis) -> f64 {
        let Self { frame, line, x, y } = self;
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

/// The samples' own scale: the first at x = 0 and the last at 1, values from 0 to 1. All
/// arithmetic happens in it, so that neither huge nor tiny values leave the range of floats.
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
    /// `None` if all samples have one time or one value.
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

    /// Change per second.
    pub(crate) fn slope(&self, slope: f64) -> f64 {
        slope / self.width * self.half_height * 2000.0
    }

    /// The samples thinned to the median of each of [`POINTS`] equal pieces of time, single
    /// spikes taken out.
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

/// One less the chance of a slope as steep where there is none.
pub(crate) fn confidence(line: &Line) -> f64 {
    if line.slope_error > 0.0 {
        1.0 - chance_of_t(line.slope / line.slope_error, line.freedom)
    } else {
        f64::from(line.slope != 0.0)
    }
}

/// Where the band around the line meets `goal`: `(level + slope d - goal)^2 = q^2 (level_error^2 +
/// spread^2 + slope_error^2 d^2)`, solved for the distance d from the centre.
fn band(line: &Line, goal: f64, now: f64) -> (f64, Option<f64>) {
    let quantile = student(BAND, line.freedom);
    let away = line.level - goal;
    let a = line.slope.powi(2) - (quantile * line.slope_error).powi(2);
    let b = line.slope * away;
    let c = away.powi(2) - quantile.powi(2) * (line.level_error.powi(2) + line.spread.powi(2));
    let root = (b * b - a * c).max(0.0).sqrt();
    let (early, late) = ((-b - root) / a, (-b + root) / a);
    let place = |distance: f64| now.max(line.centre + distance);
    // Where the pace may be none, or the other way, it may never be.
    (
        place(early),
        Some(place(late)).filter(|late| a > 0.0 && late.is_finite()),
    )
}
