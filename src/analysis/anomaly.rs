//! Whether a value is odd, judged as it arrives and by what came before it alone.
//!
//! Pure and online: a [`Detector`] is fed one series in the order of time. It holds a bounded
//! sample of the past (see `sample`), so ten thousand of them are no burden, and is rebuilt by
//! feeding it history again.

mod sample;

use std::time::Duration;

use super::settings::{Algorithm, Deviation, Direction};
use crate::model::Wall;

use sample::Sample;

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
    /// For how long nothing more is reported after an anomaly was.
    pub cooldown: Duration,
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
            cooldown: Duration::ZERO,
            window: Duration::from_secs(7 * 86_400),
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
    /// Whether the value is odd.
    pub anomalous: bool,
    /// Whether it is odd and worth reporting: not within the cooldown of the last one reported.
    pub reported: bool,
    /// Whether there were too few samples to judge.
    pub warming: bool,
}

/// Judges one series, sample by sample.
#[derive(Clone, Debug)]
pub struct Detector {
    settings: Settings,
    sensitivity: f64,
    past: Sample,
    seen: u32,
    reported: Option<Wall>,
}

impl Detector {
    /// A detector that has seen nothing. `interval` is about how far apart samples will be.
    #[must_use]
    pub fn new(settings: &Settings, interval: Duration) -> Self {
        Self {
            sensitivity: settings
                .sensitivity
                .unwrap_or_else(|| settings.algorithm.usual_sensitivity()),
            past: Sample::new(settings.window, interval),
            settings: settings.clone(),
            seen: 0,
            reported: None,
        }
    }

    /// Judges `value` by what came before it, and remembers it. A value that is no finite number
    /// is not judged and not remembered.
    pub fn observe(&mut self, at: Wall, value: f64) -> Observation {
        let warming = self.seen < self.settings.min_samples;
        if !value.is_finite() {
            return Observation::nothing(warming);
        }
        let judged = if warming { Observation::nothing(true) } else { self.judge(at, value) };
        self.seen = self.seen.saturating_add(1);
        self.past.push(at, value);
        judged
    }

    fn judge(&mut self, at: Wall, value: f64) -> Observation {
        let Some((low, high, unit)) = self.usual() else { return Observation::nothing(false) };
        let far = self.sensitivity * unit;
        let (above, below) = (value - high, low - value);
        let distance = match self.settings.direction {
            Direction::Both => above.max(below),
            Direction::Above => above,
            Direction::Below => below,
        };
        let middle = low.midpoint(high);
        let score = (distance / unit).max(0.0);
        let anomalous =
            distance > far && (value - middle).abs() >= self.settings.min_deviation.least(middle);
        let quiet = self.reported.is_some_and(|last| at.since(last) < self.settings.cooldown);
        let reported = anomalous && !quiet;
        if reported {
            self.reported = Some(at);
        }
        let expected = Some((low - far, high + far));
        Observation { score, expected, anomalous, reported, warming: false }
    }

    /// Where values usually are, and the unit that distances from there are measured in.
    fn usual(&mut self) -> Option<(f64, f64, f64)> {
        let summary = self.past.summary()?;
        let (low, high, unit) = match self.settings.algorithm {
            Algorithm::ZScore => (summary.mean, summary.mean, summary.deviation),
            Algorithm::Iqr => (summary.q1, summary.q3, summary.q3 - summary.q1),
            Algorithm::Auto | Algorithm::Mad => {
                let floor = summary.deviation * 0.1;
                (summary.median, summary.median, (1.4826 * summary.mad).max(floor))
            }
        };
        // A constant series has no spread: anything else than that value is odd.
        let least = f64::EPSILON * 16.0 * low.abs().max(high.abs());
        Some((low, high, unit.max(least).max(f64::MIN_POSITIVE)))
    }
}

impl Observation {
    fn nothing(warming: bool) -> Self {
        Self { score: 0.0, expected: None, anomalous: false, reported: false, warming }
    }
}

#[cfg(test)]
mod tests;
