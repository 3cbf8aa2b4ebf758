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

use super::season::Season;
use super::tail::Tail;

/// Number of values of a run.
const RUN: usize = 12;
/// Minimum score of an anomalous value: with the fifth of the distances that are a tail, one in a
/// hundred is as far out.
const EDGE: f64 = 3.0;

/// State of one series: five tails of 256 distances and a season, about 14 KiB.
#[derive(Clone, Debug)]
pub(super) struct RarityScore {
    season: Season,
    from_level: Residuals,
    from_season: Residuals,
    steps: Run,
    activity: Tail,
    previous: Option<f64>,
    min_samples: usize,
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

    fn push(&mut self, at: UnixMillis, rest: f64) {
        let run = self.run.with(rest);
        self.run.push(rest);
        self.points.push(at, rest.abs());
        self.runs.push(at, run.abs());
        self.seen += 1;
    }

    /// Returns the score of the run that ends with `rest`.
    fn of_run(&self, rest: f64, least: f64) -> f64 {
        self.runs.rarity(self.run.with(rest).abs(), least)
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
            previous: None,
            min_samples: min_samples as usize,
        }
    }

    /// Returns the expected value, and the past residuals from such expectations.
    fn expected(&self, at: UnixMillis, value: f64) -> (&Residuals, f64) {
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
        self.from_level.push(at, value - level);
        if let Some(usual) = self.season.usual(at) {
            self.from_season.push(at, value - usual);
        }
        let step = self
            .previous
            .map_or(0.0, |previous| (value - previous).abs());
        self.activity.push(at, self.steps.with(step));
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
fn least(level: f64) -> f64 {
    1e-9 * level.abs() + f64::MIN_POSITIVE
}
