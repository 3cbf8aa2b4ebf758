//! Online anomaly detection: evaluates each value by the values before it.
//!
//! Pure: a [`Detector`] receives the samples of one series in order of time. Its memory is bounded
//! (see `sample`), so ten thousand detectors are affordable, and it is rebuilt from history.

mod rarity;
mod sample;
mod season;
mod slow;
mod tail;
mod week;

use std::time::Duration;

use bellwether_core::UnixMillis;
use rarity::RarityScore;
use sample::{Sample, Summary};
use season::Season;
use slow::Slow;

use super::settings::{Algorithm, Deviation, Direction};

/// Settings of a detector.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Algorithm of the score.
    pub algorithm: Algorithm,
    /// Score from which a value is anomalous; `None`: the default of the algorithm.
    pub sensitivity: Option<f64>,
    /// Number of samples before values are evaluated.
    pub min_samples: u32,
    /// Direction of anomalies.
    pub direction: Direction,
    /// Minimum distance of an anomaly from the middle of the expected range.
    pub min_deviation: Deviation,
    /// Time without an anomalous value after which an event ends.
    pub cooldown: Duration,
    /// Time that values must be anomalous without interruption before the event is reported.
    pub hold: Duration,
    /// Period of the seasonality.
    pub season: Duration,
    /// Length of the past that a value is compared with.
    pub window: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::Auto,
            sensitivity: None,
            min_samples: 100,
            direction: Direction::Both,
            min_deviation: Deviation::Absolute(0.0),
            cooldown: Duration::from_secs(3600),
            hold: Duration::ZERO,
            season: Duration::from_secs(86_400),
            window: Duration::from_secs(14 * 86_400),
        }
    }
}

/// Result for one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Score in the unit of the algorithm, 0 or more; 0 while warming up and for NaN.
    pub score: f64,
    /// Expected range; `None` while it is unknown.
    pub expected: Option<(f64, f64)>,
    /// True if the value is anomalous; then it is outside of the expected range.
    pub anomalous: bool,
    /// True if the value reports an event; once per event.
    pub reported: bool,
    /// True if an earlier value has reported the event.
    pub repeated: bool,
    /// True if there were too few samples to evaluate the value.
    pub warming: bool,
}

/// Evaluates one series, sample by sample.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: Settings,
    sensitivity: f64,
    model: Model,
    seen: u32,
    /// Time of the last value.
    last: UnixMillis,
    event: Option<Event>,
    adaptation: Adaptation,
}

/// Group of anomalous values with less than the cooldown between them.
#[derive(Clone, Copy, Debug)]
struct Event {
    /// Current uninterrupted run of anomalous values: its start, and the distance from the middle
    /// of the expected range below which a value ends it.
    run: Option<(UnixMillis, f64)>,
    /// Time of the last anomalous value.
    last: UnixMillis,
    reported: bool,
}

/// Raises the sensitivity for recent events: each event in the window requires the next to be e
/// times as rare.
#[derive(Clone, Copy, Debug, Default)]
struct Adaptation {
    more: f64,
    at: UnixMillis,
}

impl Adaptation {
    fn at(&self, at: UnixMillis, window: Duration) -> f64 {
        self.more * (-at.since(self.at).as_secs_f64() / window.as_secs_f64()).exp()
    }

    fn grow(&mut self, at: UnixMillis, window: Duration) {
        *self = Self {
            more: self.at(at, window) + 1.0,
            at,
        };
    }
}

/// State of a detector.
#[derive(Clone, Debug)]
enum Model {
    /// Recent values.
    Values(Sample),
    /// Seasonality, and recent residuals.
    Residuals(Season, Sample),
    /// State of the default algorithm, for values and for hours.
    Rarity(Box<RarityScore>, Box<Slow>),
}

/// Score and expected range of one value.
struct Evaluation {
    score: f64,
    low: f64,
    high: f64,
}

impl Detector {
    /// Creates a detector without samples. `interval` is the approximate time between samples.
    #[must_use]
    pub fn new(settings: &Settings, interval: Duration) -> Self {
        let &Settings {
            window,
            season,
            min_samples,
            ..
        } = settings;
        let millis = i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1);
        let usual = settings.algorithm.usual_sensitivity();
        let sensitivity = settings.sensitivity.unwrap_or(usual);
        let model = match settings.algorithm {
            Algorithm::Auto => Model::Rarity(
                Box::new(RarityScore::new(season, millis, min_samples)),
                Box::new(Slow::new(season, millis, sensitivity)),
            ),
            Algorithm::Seasonal => {
                Model::Residuals(Season::new(season, millis), Sample::new(window, interval))
            }
            Algorithm::ZScore | Algorithm::Iqr | Algorithm::Mad => {
                Model::Values(Sample::new(window, interval))
            }
        };
        Self {
            sensitivity,
            model,
            settings: settings.clone(),
            seen: 0,
            last: UnixMillis::default(),
            event: None,
            adaptation: Adaptation::default(),
        }
    }

    /// Evaluates `value` by the samples before it, and stores it. A value that is not finite is
    /// neither evaluated nor stored.
    pub fn observe(&mut self, at: UnixMillis, value: f64) -> Observation {
        /// Limit so that squares of differences are finite.
        const LARGEST: f64 = 1e150;
        let warming = self.seen < self.settings.min_samples;
        self.last = at;
        if !value.is_finite() {
            return Observation::nothing(warming);
        }
        let value = value.clamp(-LARGEST, LARGEST);
        let seen = if warming {
            None
        } else {
            self.evaluate(at, value)
        };
        let seen = seen.unwrap_or(Observation::nothing(warming));
        self.seen = self.seen.saturating_add(1);
        self.model.push(at, value);
        seen
    }

    /// Returns whether the last value is older than the window and than eight days, so that a series of a weekly job is
    /// known when it comes back.
    #[must_use]
    pub fn is_outdated(&self, at: UnixMillis) -> bool {
        const WEEK_AND_A_DAY: Duration = Duration::from_secs(8 * 86_400);
        at.since(self.last) > self.settings.window.max(WEEK_AND_A_DAY)
    }

    fn evaluate(&mut self, at: UnixMillis, value: f64) -> Option<Observation> {
        let Settings {
            algorithm,
            direction,
            min_deviation,
            cooldown,
            window,
            hold,
            ..
        } = self.settings;
        if !self.model.is_in_excursion(at)
            && self
                .event
                .is_some_and(|event| event.run.is_none() && at.since(event.last) >= cooldown)
        {
            let reported = self.event.take().is_some_and(|event| event.reported);
            // In the other measures 1 more is no certain share.
            if reported && algorithm == Algorithm::Auto {
                self.adaptation.grow(at, window);
            }
        }
        let limit = self.sensitivity + self.adaptation.at(at, window);
        let Evaluation { score, low, high } = self.model.evaluate(at, value, algorithm, limit)?;
        let (middle, mut reach) = (low.midpoint(high), high / 2.0 - low / 2.0);
        let run = self
            .event
            .and_then(|event| event.run)
            .filter(|(since, _)| at.since(*since) <= cooldown + hold);
        if let Some((_, before)) = run {
            reach = reach.min(before);
        }
        let (low, high) = (middle - reach, middle + reach);
        let counts = match direction {
            Direction::Both => true,
            Direction::Above => value > middle,
            Direction::Below => value < middle,
        };
        let matters = (value - middle).abs() >= min_deviation.least(middle);
        let outside = (value < low || value > high) && (run.is_some() || score > limit);
        let anomalous = outside && counts && matters;
        let (reported, repeated) = self.follow(at, anomalous.then_some(reach));
        let expected = Some((low, high));
        Some(Observation {
            score,
            expected,
            anomalous,
            reported,
            repeated,
            warming: false,
        })
    }

    /// Adds a value to the current event or starts one; `reach` is set if the value is anomalous.
    /// Returns whether the event is reported now, and whether it was before.
    fn follow(&mut self, at: UnixMillis, reach: Option<f64>) -> (bool, bool) {
        let Some(reach) = reach else {
            if let Some(event) = &mut self.event {
                event.run = None;
            }
            return (false, false);
        };
        let event = self.event.get_or_insert(Event {
            run: None,
            last: at,
            reported: false,
        });
        let since = event.run.map_or(at, |(since, _)| since);
        event.run = Some((since, reach));
        event.last = at;
        let before = event.reported;
        event.reported = before || at.since(since) >= self.settings.hold;
        (event.reported && !before, before)
    }
}

impl Model {
    fn evaluate(
        &mut self,
        at: UnixMillis,
        value: f64,
        by: Algorithm,
        limit: f64,
    ) -> Option<Evaluation> {
        match self {
            Self::Values(past) => Some(plain(&past.summary()?, by, value, limit)),
            Self::Residuals(season, past) => {
                let usual = season.usual(at).unwrap_or_else(|| season.level(value));
                let rest = plain(&past.summary()?, Algorithm::Mad, value - usual, limit);
                let (low, high) = (usual + rest.low, usual + rest.high);
                Some(Evaluation { low, high, ..rest })
            }
            Self::Rarity(rarity, slow) => {
                let now = rarity.evaluate(at, value, limit);
                let rarity::Evaluation {
                    score,
                    usual,
                    reach,
                } = slow
                    .evaluate(at, value)
                    .filter(|slow| slow.score > limit && !now.is_anomaly(value, limit))
                    .unwrap_or(now);
                Some(Evaluation {
                    score,
                    low: usual - reach,
                    high: usual + reach,
                })
            }
        }
    }

    /// Returns whether values are part of one event though those between them are as expected.
    fn is_in_excursion(&self, at: UnixMillis) -> bool {
        matches!(self, Self::Rarity(_, slow) if slow.is_in_excursion(at))
    }

    fn push(&mut self, at: UnixMillis, value: f64) {
        match self {
            Self::Values(past) => past.push(at, value),
            Self::Residuals(season, past) => {
                past.push(
                    at,
                    value - season.usual(at).unwrap_or_else(|| season.level(value)),
                );
                season.push(at, value);
            }
            Self::Rarity(rarity, slow) => {
                rarity.push(at, value);
                slow.push(at, value);
            }
        }
    }
}

/// Evaluates a value by its distance from a center, in units of the spread.
fn plain(summary: &Summary, by: Algorithm, value: f64, limit: f64) -> Evaluation {
    let Summary {
        mean,
        deviation,
        median,
        q1,
        q3,
        mad,
    } = *summary;
    let (low, high, unit) = match by {
        Algorithm::ZScore => (mean, mean, deviation),
        Algorithm::Iqr => (q1, q3, q3 - q1),
        // The floor: more than half of the values may be alike without the rest being anomalous.
        _ => (median, median, (1.4826 * mad).max(0.1 * deviation)),
    };
    // A constant series has no spread: any other value is anomalous.
    let least = f64::EPSILON * 16.0 * low.abs().max(high.abs());
    let unit = unit.max(least).max(f64::MIN_POSITIVE);
    let score = ((value - high).max(low - value) / unit).max(0.0);
    Evaluation {
        score,
        low: low - limit * unit,
        high: high + limit * unit,
    }
}

impl Observation {
    fn nothing(warming: bool) -> Self {
        Self {
            score: 0.0,
            expected: None,
            anomalous: false,
            reported: false,
            repeated: false,
            warming,
        }
    }
}

#[cfg(test)]
mod tests;
