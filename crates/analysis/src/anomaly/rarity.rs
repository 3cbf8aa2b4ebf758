//! The default algorithm: how rare a value is in several respects together.
//!
//! It evaluates the distance of the value from its expectation, that of the mean of the last few
//! values, that mean's distance from the level, and the mean of the last steps. Each distance is
//! measured by how rarely it was as large in the series itself ([`Tail`]), so a calm series and one
//! full of spikes have the same scale, and the scores add up. The expectation is the value of the
//! season if that has explained the series better so far, else the level.
//!
//! Regardless of the run and the steps, a value within [`EDGE`] is expected: the values after a
//! spike are not anomalous for following it; and a value beyond changes the expectation no more
//! than the edge would.

use std::time::Duration;

use bellwether_core::UnixMillis;

use super::season::{Fading, Season};
use super::tail::Tail;
use super::week::Week;

/// Number of values of a run.
const RUN: usize = 12;
/// Minimum score of an anomalous value: with the fifth of the distances that are a tail, one in a
/// hundred is as far out.
pub(super) const EDGE: f64 = 3.0;
/// Maximum ratio of the distances from the value of the week to those from another expectation, for
/// the week to be the expectation.
const WEEKLY: f64 = 0.8;

/// State of one series: five tails of 256 distances and a season, about 14 KiB.
#[derive(Clone, Debug)]
pub(super) struct RarityScore {
    season: Season,
    from_level: Residuals,
    from_season: Residuals,
    steps: Run,
    activity: Tail,
    weekly: Option<Box<Weekly>>,
    previous: Option<f64>,
    min_samples: usize,
    /// Score to which the distances are limited that others are measured by.
    limit: f64,
}

/// Expectation by the hour of the week.
#[derive(Clone, Debug)]
struct Weekly {
    week: Week,
    residuals: Residuals,
    /// Mean distances from the value of the week, and from what is expected without it.
    rests: [Fading; 2],
    window: f64,
}

/// Residuals from one expectation.
#[derive(Clone, Debug)]
struct Residuals {
    run: Run,
    points: Tail,
    runs: Tail,
    seen: usize,
}

/// Mean of the last values.
#[derive(Clone, Debug, Default)]
struct Run {
    held: [f64; RUN],
    seen: usize,
}

/// Evaluation of one value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evaluation {
    /// Sum of all scores.
    pub score: f64,
    /// Expected value.
    pub usual: f64,
    /// Distance from it at which the score reaches the sensitivity.
    pub reach: f64,
}

impl Evaluation {
    pub(super) fn is_anomaly(&self, value: f64, sensitivity: f64) -> bool {
        self.score > sensitivity && (value - self.usual).abs() > self.reach
    }
}

impl Run {
    fn push(&mut self, value: f64) {
        self.held[self.seen % RUN] = value;
        self.seen += 1;
    }

    /// Returns the mean with `value` as the next one.
    fn with(&self, value: f64) -> f64 {
        let mut next = self.clone();
        next.push(value);
        let count = next.seen.min(RUN);
        next.held[..count].iter().sum::<f64>() / count as f64
    }
}

impl Residuals {
    fn new(window: i64) -> Self {
        Self {
            run: Run::default(),
            points: Tail::new(window),
            runs: Tail::new(window),
            seen: 0,
        }
    }

    fn push(&mut self, at: UnixMillis, rest: f64, limit: f64) {
        let run = self.run.with(rest);
        self.run.push(rest);
        self.points.push_limited(at, rest.abs(), limit);
        self.runs.push_limited(at, run.abs(), limit);
        self.seen += 1;
    }

    /// Returns the score of the run that ends with `rest`.
    fn of_run(&self, rest: f64, least: f64) -> f64 {
        self.runs.rarity(self.run.with(rest).abs(), least)
    }
}

impl Weekly {
    fn new(window: i64) -> Self {
        Self {
            week: Week::default(),
            residuals: Residuals::new(window),
            rests: [Fading::default(); 2],
            window: window as f64,
        }
    }

    /// Returns the value of the week if it has explained the series better.
    fn usual(&self, at: UnixMillis, value: f64, min_samples: usize) -> Option<f64> {
        let [week, rival] = &self.rests;
        let explains = week.mean < WEEKLY * rival.mean && self.residuals.seen >= min_samples;
        self.week.usual(at, value).filter(|_| explains)
    }

    /// Adds a value; `rival` is what is expected without the week.
    fn push(&mut self, at: UnixMillis, value: f64, rival: f64, limit: f64) {
        if let Some(usual) = self.week.usual(at, value) {
            self.residuals.push(at, value - usual, limit);
            for (rest, expected) in self.rests.iter_mut().zip([usual, rival]) {
                rest.push(at, (value - expected).abs(), self.window);
            }
        }
        self.week.push(at, value);
    }
}

impl RarityScore {
    pub(super) fn new(season: Duration, window: i64, min_samples: u32) -> Self {
        Self {
            season: Season::new(season, window),
            from_level: Residuals::new(window),
            from_season: Residuals::new(window),
            steps: Run::default(),
            activity: Tail::new(window),
            weekly: None,
            previous: None,
            min_samples: min_samples as usize,
            limit: f64::INFINITY,
        }
    }

    /// Creates one that also knows the week, and that measures by what is usual alone: a distance
    /// beyond [`EDGE`] counts as the edge, so one that lasted a day hides none after it.
    pub(super) fn limited(season: Duration, window: i64, min_samples: u32) -> Self {
        const DAY: Duration = Duration::from_secs(86_400);
        Self {
            weekly: (season == DAY).then(|| Box::new(Weekly::new(window))),
            limit: EDGE,
            ..Self::new(season, window, min_samples)
        }
    }

    /// Returns the expected value.
    pub(super) fn usual(&self, at: UnixMillis, value: f64) -> f64 {
        self.expected(at, value).1
    }

    /// Returns the expected value, and the past residuals from such expectations.
    fn expected(&self, at: UnixMillis, value: f64) -> (&Residuals, f64) {
        let weekly = self.weekly.as_ref();
        let usual = weekly.and_then(|weekly| {
            let usual = weekly.usual(at, value, self.min_samples)?;
            Some((&weekly.residuals, usual))
        });
        usual.unwrap_or_else(|| self.expected_without_week(at, value))
    }

    fn expected_without_week(&self, at: UnixMillis, value: f64) -> (&Residuals, f64) {
        let seasonal = self
            .season
            .usual(at)
            .filter(|_| self.season.explains() && self.from_season.seen >= self.min_samples);
        match seasonal {
            Some(usual) => (&self.from_season, usual),
            None => (&self.from_level, self.season.level(value)),
        }
    }

    /// Evaluates `value` by the samples before it; `sensitivity` is the score of an anomaly.
    pub(super) fn evaluate(&self, at: UnixMillis, value: f64, sensitivity: f64) -> Evaluation {
        let level = self.season.level(value);
        let least = least(level);
        let (residuals, usual) = self.expected(at, value);
        let rest = value - usual;
        let step = self
            .previous
            .map_or(0.0, |previous| (value - previous).abs());
        let others = residuals.of_run(rest, least)
            + self.from_level.of_run(value - level, least)
            + self.activity.rarity(self.steps.with(step), least);
        let point = residuals.points.rarity(rest.abs(), least);
        let reach = residuals
            .points
            .distance((sensitivity - others).max(EDGE), least);
        Evaluation {
            score: point + others,
            usual,
            reach,
        }
    }

    pub(super) fn push(&mut self, at: UnixMillis, value: f64) {
        let level = self.season.level(value);
        let counted = self.within_edge(at, value, level);
        let (_, rival) = self.expected_without_week(at, value);
        if let Some(weekly) = &mut self.weekly {
            weekly.push(at, value, rival, self.limit);
        }
        self.from_level.push(at, value - level, self.limit);
        if let Some(usual) = self.season.usual(at) {
            self.from_season.push(at, value - usual, self.limit);
        }
        let step = self
            .previous
            .map_or(0.0, |previous| (value - previous).abs());
        self.activity
            .push_limited(at, self.steps.with(step), self.limit);
        self.steps.push(step);
        self.previous = Some(value);
        self.season.push(at, counted);
    }

    /// Returns the value, limited to the edge of the expected range.
    fn within_edge(&self, at: UnixMillis, value: f64, level: f64) -> f64 {
        let (residuals, usual) = self.expected(at, value);
        if residuals.seen < self.min_samples {
            return value;
        }
        let edge = residuals.points.distance(EDGE, least(level));
        usual + (value - usual).clamp(-edge, edge)
    }
}

/// Returns a distance too small to matter.
pub(super) fn least(level: f64) -> f64 {
    1e-9 * level.abs() + f64::MIN_POSITIVE
}
