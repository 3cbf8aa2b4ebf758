//! The default algorithm: how surprising a value is in several respects together.
//!
//! Looked at are the distance of the value from what it should be, the same of the mean of the
//! last few, that mean's distance from the level, and the mean of the last steps. Each distance is
//! judged by how seldom it was as large in the series itself ([`Tail`]), so a calm series and one
//! full of spikes have one measure, and the surprises add up. What a value should be is what the
//! time of the day has, where that explained the series better so far, else its level.
//!
//! However much the run and the steps surprise, a value within [`EDGE`] is expected: what follows
//! a spike is not anomalous for having followed it; and a value beyond moves what is expected no
//! further than the edge would.

use std::time::Duration;

use bellwether_core::UnixMillis;

use super::season::Season;
use super::tail::Tail;

/// Values of a run.
const RUN: usize = 12;
/// The surprise from which a value may be anomalous at all: with the fifth of the distances that
/// are a tail, one in a hundred is as far out.
const EDGE: f64 = 3.0;

/// State of one series: five tails of 256 distances and a season, about 14 KiB.
#[derive(Clone, Debug)]
pub(super) struct Surprise {
    season: Season,
    from_level: Course,
    from_season: Course,
    steps: Run,
    activity: Tail,
    previous: Option<f64>,
    min_samples: usize,
}

/// The distances from one idea of what values should be.
#[derive(Clone, Debug)]
struct Course {
    run: Run,
    points: Tail,
    runs: Tail,
    seen: usize,
}

/// The mean of the last values.
#[derive(Clone, Debug, Default)]
struct Run {
    held: [f64; RUN],
    seen: usize,
}

/// How surprising one value is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Judgement {
    /// All surprises together.
    pub score: f64,
    /// What the value should be.
    pub usual: f64,
    /// How far from that a value may be before the score reaches the one asked for.
    pub reach: f64,
}

impl Run {
    fn push(&mut self, value: f64) {
        self.held[self.seen % RUN] = value;
        self.seen += 1;
    }

    /// The mean with `value` as the next.
    fn with(&self, value: f64) -> f64 {
        let mut next = self.clone();
        next.push(value);
        let count = next.seen.min(RUN);
        next.held[..count].iter().sum::<f64>() / count as f64
    }
}

impl Course {
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

    /// How surprising the run is that ends with `rest`.
    fn of_run(&self, rest: f64, least: f64) -> f64 {
        self.runs.surprise(self.run.with(rest).abs(), least)
    }
}

impl Surprise {
    pub(super) fn new(season: Duration, window: i64, min_samples: u32) -> Self {
        Self {
            season: Season::new(season, window),
            from_level: Course::new(window),
            from_season: Course::new(window),
            steps: Run::default(),
            activity: Tail::new(window),
            previous: None,
            min_samples: min_samples as usize,
        }
    }

    /// What the value should be, and the distances from it that were.
    fn expected(&self, at: UnixMillis, value: f64) -> (&Course, f64) {
        let seasonal = self
            .season
            .usual(at)
            .filter(|_| self.season.explains() && self.from_season.seen >= self.min_samples);
        match seasonal {
            Some(usual) => (&self.from_season, usual),
            None => (&self.from_level, self.season.level(value)),
        }
    }

    /// Judges `value` by what came before it; `sensitivity` is the score asked for.
    pub(super) fn judge(&self, at: UnixMillis, value: f64, sensitivity: f64) -> Judgement {
        let level = self.season.level(value);
        let least = least(level);
        let (course, usual) = self.expected(at, value);
        let rest = value - usual;
        let step = self
            .previous
            .map_or(0.0, |previous| (value - previous).abs());
        let others = course.of_run(rest, least)
            + self.from_level.of_run(value - level, least)
            + self.activity.surprise(self.steps.with(step), least);
        let point = course.points.surprise(rest.abs(), least);
        let reach = course
            .points
            .distance((sensitivity - others).max(EDGE), least);
        Judgement {
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

    /// The value, or the edge of what is expected if that is nearer.
    fn within_edge(&self, at: UnixMillis, value: f64, level: f64) -> f64 {
        let (course, usual) = self.expected(at, value);
        if course.seen < self.min_samples {
            return value;
        }
        let edge = course.points.distance(EDGE, least(level));
        usual + (value - usual).clamp(-edge, edge)
    }
}

/// A distance too small to matter.
fn least(level: f64) -> f64 {
    1e-9 * level.abs() + f64::MIN_POSITIVE
}
