//! Whether a value is odd, judged as it arrives and by what came before it alone.
//!
//! Pure and online: a [`Detector`] is fed one series in the order of time. It holds a bounded
//! sample of the past (see `sample`), so ten thousand of them are no burden, and is rebuilt by
//! feeding it history again.

mod sample;
mod season;
mod surprise;
mod tail;

use std::time::Duration;

use bellwether_core::UnixMillis;
use sample::{Sample, Summary};
use season::Season;
use surprise::Surprise;

use super::settings::{Algorithm, Deviation, Direction};

/// How one series is judged.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// How odd a value is.
    pub algorithm: Algorithm,
    /// The score from which a value is anomalous; what is usual for the algorithm if not given.
    pub sensitivity: Option<f64>,
    /// Samples before anything is judged.
    pub min_samples: u32,
    /// Which side counts.
    pub direction: Direction,
    /// Least distance from the middle of the expected range that counts.
    pub min_deviation: Deviation,
    /// An event is over once there was no anomalous value for so long.
    pub cooldown: Duration,
    /// How long values must be anomalous without a break before the event is reported.
    pub hold: Duration,
    /// The time after which values are expected to repeat themselves.
    pub season: Duration,
    /// What a value is compared with: this much of the past.
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

/// What one value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// How odd, in the measure of the algorithm, 0 or more; 0 while warming up and for NaN.
    pub score: f64,
    /// The range in which the value would not have been odd; `None` while there is none to tell.
    pub expected: Option<(f64, f64)>,
    /// Whether the value is odd; then it is outside of the range.
    pub anomalous: bool,
    /// Whether an event is reported by it: once for each.
    pub reported: bool,
    /// Whether it belongs to an event that was reported by an earlier value.
    pub repeated: bool,
    /// Whether there were too few samples to judge.
    pub warming: bool,
}

/// Judges one series, sample by sample.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: Settings,
    sensitivity: f64,
    model: Model,
    seen: u32,
    event: Option<Event>,
    habit: Habit,
}

/// Anomalous values that belong together: with less than the cooldown between them.
#[derive(Clone, Copy, Debug)]
struct Event {
    /// Where the values have been anomalous without a break until now: since when, and how far from
    /// the middle of what is expected a value must be to end that.
    run: Option<(UnixMillis, f64)>,
    /// When the last anomalous one was.
    last: UnixMillis,
    reported: bool,
}

/// How much odder than the sensitivity says a value must be, for the events there were of late: each
/// one in the window asks of the next to be e times as seldom.
#[derive(Clone, Copy, Debug, Default)]
struct Habit {
    more: f64,
    at: UnixMillis,
}

impl Habit {
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

/// What a detector knows of the past.
#[derive(Clone, Debug)]
enum Model {
    /// The values.
    Values(Sample),
    /// What time of the day has which value, and how far off values were.
    Rests(Season, Sample),
    /// All that the default looks at.
    Surprise(Box<Surprise>),
}

/// Where one value stands.
struct Judgement {
    score: f64,
    low: f64,
    high: f64,
}

impl Detector {
    /// A detector that has seen nothing. `interval` is about how far apart samples will be.
    #[must_use]
    pub fn new(settings: &Settings, interval: Duration) -> Self {
        let &Settings {
            window,
            season,
            min_samples,
            ..
        } = settings;
        let millis = i64::try_from(window.as_millis()).unwrap_or(i64::MAX).max(1);
        let model = match settings.algorithm {
            Algorithm::Auto => {
                Model::Surprise(Box::new(Surprise::new(season, millis, min_samples)))
            }
            Algorithm::Seasonal => {
                Model::Rests(Season::new(season, millis), Sample::new(window, interval))
            }
            Algorithm::ZScore | Algorithm::Iqr | Algorithm::Mad => {
                Model::Values(Sample::new(window, interval))
            }
        };
        let usual = settings.algorithm.usual_sensitivity();
        Self {
            sensitivity: settings.sensitivity.unwrap_or(usual),
            model,
            settings: settings.clone(),
            seen: 0,
            event: None,
            habit: Habit::default(),
        }
    }

    /// Judges `value` by what came before it, and remembers it. A value that is no finite number
    /// is neither judged nor remembered.
    pub fn observe(&mut self, at: UnixMillis, value: f64) -> Observation {
        /// So that squares of differences are floats.
        const LARGEST: f64 = 1e150;
        let warming = self.seen < self.settings.min_samples;
        if !value.is_finite() {
            return Observation::nothing(warming);
        }
        let value = value.clamp(-LARGEST, LARGEST);
        let seen = if warming { None } else { self.judge(at, value) };
        let seen = seen.unwrap_or(Observation::nothing(warming));
        self.seen = self.seen.saturating_add(1);
        self.model.push(at, value);
        seen
    }

    fn judge(&mut self, at: UnixMillis, value: f64) -> Option<Observation> {
        let Settings {
            algorithm,
            direction,
            min_deviation,
            cooldown,
            window,
            hold,
            ..
        } = self.settings;
        if self
            .event
            .is_some_and(|event| event.run.is_none() && at.since(event.last) >= cooldown)
        {
            let reported = self.event.take().is_some_and(|event| event.reported);
            // In the other measures 1 more is no certain share.
            if reported && algorithm == Algorithm::Auto {
                self.habit.grow(at, window);
            }
        }
        let limit = self.sensitivity + self.habit.at(at, window);
        let Judgement { score, low, high } = self.model.judge(at, value, algorithm, limit)?;
        let (middle, mut reach) = (low.midpoint(high), high / 2.0 - low / 2.0);
        let run = self.event.and_then(|event| event.run);
        let run = run.filter(|(since, _)| at.since(*since) <= cooldown + hold);
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
        let odd = (value < low || value > high) && (run.is_some() || score > limit);
        let anomalous = odd && counts && matters;
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

    /// Takes a value into the event there is, or begins one, if it is anomalous by so far as
    /// `reach`; whether that is reported now, and whether it was before.
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
    fn judge(
        &mut self,
        at: UnixMillis,
        value: f64,
        by: Algorithm,
        limit: f64,
    ) -> Option<Judgement> {
        match self {
            Self::Values(past) => Some(plain(&past.summary()?, by, value, limit)),
            Self::Rests(season, past) => {
                let usual = season.usual(at).unwrap_or_else(|| season.level(value));
                let rest = plain(&past.summary()?, Algorithm::Mad, value - usual, limit);
                let (low, high) = (usual + rest.low, usual + rest.high);
                Some(Judgement { low, high, ..rest })
            }
            Self::Surprise(surprise) => {
                let surprise::Judgement {
                    score,
                    usual,
                    reach,
                } = surprise.judge(at, value, limit);
                Some(Judgement {
                    score,
                    low: usual - reach,
                    high: usual + reach,
                })
            }
        }
    }

    fn push(&mut self, at: UnixMillis, value: f64) {
        match self {
            Self::Values(past) => past.push(at, value),
            Self::Rests(season, past) => {
                past.push(
                    at,
                    value - season.usual(at).unwrap_or_else(|| season.level(value)),
                );
                season.push(at, value);
            }
            Self::Surprise(surprise) => surprise.push(at, value),
        }
    }
}

/// Judges by where values usually are and the unit that distances from there are measured in.
fn plain(summary: &Summary, by: Algorithm, value: f64, limit: f64) -> Judgement {
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
        // The floor: more than half of the values may be alike without the rest being odd.
        _ => (median, median, (1.4826 * mad).max(0.1 * deviation)),
    };
    // A constant series has no spread: anything else than that value is odd.
    let least = f64::EPSILON * 16.0 * low.abs().max(high.abs());
    let unit = unit.max(least).max(f64::MIN_POSITIVE);
    let score = ((value - high).max(low - value) / unit).max(0.0);
    Judgement {
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
