//! Disks that fill on top of a daily wave, the same disks without the fill, and how far ahead a
//! forecast rule warns of them.

#![allow(dead_code, reason = "tests and benches use their own part")]

use std::f64::consts::TAU;
use std::time::Duration;

use bellwether_analysis::forecast::{Days, Horizon, Outlook};
use bellwether_core::UnixMillis;

const MINUTE: i64 = 60_000;
/// Minutes of a day.
pub const DAY: usize = 1440;
/// A Monday.
const START: i64 = 1_700_438_400_000;
/// Usage in percent at which a disk counts as full.
pub const FULL: f64 = 95.0;
/// Minutes between two evaluations.
pub const EVERY: usize = 10;

/// Daily course of a disk without a fill.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Wave {
    DayAndNight,
    RotatedDaily,
    NightlyBurst,
    OfficeHours,
}

pub const WAVES: [Wave; 4] = [
    Wave::DayAndNight,
    Wave::RotatedDaily,
    Wave::NightlyBurst,
    Wave::OfficeHours,
];

impl Wave {
    /// Returns the height at a minute of the day, 0 to 1.
    fn at(self, of_day: usize) -> f64 {
        let day = of_day as f64 / DAY as f64;
        let hour = 24.0 * day;
        match self {
            Self::DayAndNight => 0.5 - 0.5 * (day * TAU).cos(),
            Self::RotatedDaily => day,
            Self::NightlyBurst if (2.0..5.0).contains(&hour) => (hour - 2.0) / 3.0,
            Self::NightlyBurst => 0.0,
            Self::OfficeHours => ((hour - 7.0) / 2.0)
                .min((19.0 - hour) / 2.0)
                .clamp(0.0, 1.0),
        }
    }
}

/// A disk that is used in a daily wave, and from some time on fills.
#[derive(Clone, Debug)]
pub struct Fill {
    pub wave: Wave,
    /// Height of the wave.
    pub height: f64,
    /// Lowest usage before the fill.
    pub base: f64,
    /// Standard deviation of the noise.
    pub noise: f64,
    /// Share by which the heights of days differ.
    pub unlike: f64,
    /// Height of days at the weekend as a share.
    pub weekend: f64,
    /// Minute at which the fill begins.
    pub onset: usize,
    /// Rise by the fill per hour.
    pub slope: f64,
    /// Horizon of the rule in hours.
    pub within: usize,
    pub seed: u64,
}

/// Outcome of a rule on a fill.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Alarms before the fill.
    pub false_alarms: usize,
    /// Minute of the first alarm after its beginning.
    pub alarm: Option<usize>,
    /// Minute at which the disk is full.
    pub full: usize,
    /// Minute at which an ideal observer knows of the fill.
    pub known: usize,
    /// Latest minute of a warning in time.
    pub due: usize,
}

impl Outcome {
    /// Returns the minutes by which the warning came later than half the horizon ahead, and later
    /// than an ideal observer knew of the fill.
    pub fn late(&self) -> usize {
        self.alarm.unwrap_or(self.full).saturating_sub(self.due)
    }
}

/// The made cases: each wave, low and high, slow and fast, from four times of the day on, for two
/// horizons.
pub fn grid(quiet_days: usize) -> Vec<Fill> {
    let mut fills = Vec::new();
    for wave in WAVES {
        for (within, hours) in [(4, 10.0), (4, 20.0), (24, 40.0), (24, 80.0)] {
            for height in [6.0, 18.0] {
                for phase in [0, 360, 720, 1080] {
                    fills.push(Fill {
                        wave,
                        height,
                        base: 55.0 - height / 2.0,
                        noise: 0.1,
                        unlike: 0.0,
                        weekend: 1.0,
                        onset: quiet_days * DAY + phase,
                        slope: 40.0 / hours,
                        within,
                        seed: fills.len() as u64,
                    });
                }
            }
        }
    }
    fills
}

/// Fills of random shapes.
pub fn random(seed: u64, count: usize) -> Vec<Fill> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut between = |low: f64, high: f64| low + (high - low) * random.f64();
    (0..count)
        .map(|number| {
            let within = [2, 4, 8, 12, 24, 48][number % 6];
            let height = between(3.0, 25.0);
            let base = between(10.0, 85.0 - height);
            // Between one and a half and five horizons from the middle of the wave on.
            let hours = within as f64 * between(1.5, 5.0);
            let slope = (FULL - base - height / 2.0) / hours;
            Fill {
                wave: WAVES[(between(0.0, 4.0)) as usize % 4],
                height,
                base,
                noise: between(0.05, 0.5),
                unlike: between(0.0, 0.2),
                weekend: if between(0.0, 1.0) < 0.3 {
                    between(0.3, 1.0)
                } else {
                    1.0
                },
                onset: (between(6.0, 20.0) * DAY as f64) as usize,
                slope,
                within,
                seed: seed * 1000 + number as u64,
            }
        })
        .collect()
}

impl Fill {
    /// Returns the usage by the minute without noise and fill, and the noise.
    fn usual(&self, minutes: usize) -> (Vec<f64>, Vec<f64>) {
        let mut random = fastrand::Rng::with_seed(self.seed);
        let mut normal = || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0;
        let days: Vec<f64> = (0..=minutes / DAY)
            .map(|day| self.week(day) * (1.0 + self.unlike * normal().clamp(-2.0, 2.0) / 2.0))
            .collect();
        let course = (0..minutes)
            .map(|minute| self.base + self.height * days[minute / DAY] * self.wave.at(minute % DAY))
            .collect();
        (
            course,
            (0..minutes).map(|_| self.noise * normal()).collect(),
        )
    }

    /// Returns the usage until the disk is full.
    pub fn values(&self) -> Vec<f64> {
        let most = self.onset + (60.0 * 100.0 / self.slope) as usize;
        let (course, noise) = self.usual(most);
        let values = (0..most).map(|minute| {
            let filled = minute.saturating_sub(self.onset) as f64 / 60.0 * self.slope;
            course[minute] + noise[minute] + filled
        });
        values.take_while(|value| *value < FULL).collect()
    }

    /// Returns the usage of three weeks without the fill.
    pub fn quiet(&self) -> Vec<f64> {
        let (course, noise) = self.usual(21 * DAY);
        course
            .iter()
            .zip(noise)
            .map(|(course, noise)| course + noise)
            .collect()
    }

    pub fn horizon(&self) -> Horizon {
        Horizon {
            target: FULL.into(),
            within: Duration::from_secs(self.within as u64 * 3600),
            window: Duration::from_secs(6 * 3600),
        }
    }

    /// Returns the minute at which an ideal observer knows that the disk is going to be full: one
    /// who knows the wave, noise, slope and beginning, but neither noise nor heights of days to
    /// come, and who waits as long as a rule does. It is full when the expected usage and one
    /// standard deviation are.
    fn known(&self) -> usize {
        let lasted = if self.onset >= 8 * DAY {
            self.within * 30
        } else {
            self.within * 60
        };
        // The slope's standard error over n minutes is noise / sqrt(n^3 / 12) per minute.
        let sure = (12.0 * (2.576 * self.noise * 60.0 / self.slope).powi(2)).cbrt();
        let expected = |minute: &usize| {
            let wave = self.height * self.week(minute / DAY) * self.wave.at(minute % DAY);
            let filled = (minute - self.onset) as f64 / 60.0 * self.slope;
            let spread = self.noise.hypot(self.unlike / 2.0 * wave);
            self.base + wave + filled + spread >= FULL
        };
        let full = (self.onset..).find(expected).unwrap_or(self.onset);
        let foreseen = full.saturating_sub(self.within * 60);
        foreseen.max(self.onset + lasted.max(sure.ceil() as usize))
    }

    /// Returns the height of a day as a share of a working day's.
    fn week(&self, day: usize) -> f64 {
        if day % 7 >= 5 { self.weekend } else { 1.0 }
    }

    /// Runs `warns` every ten minutes from a day before the fill on until its first alarm in it.
    pub fn run(&self, values: &[f64], mut warns: impl FnMut(usize) -> bool) -> Outcome {
        let full = values.len();
        let known = self.known();
        let mut outcome = Outcome {
            false_alarms: 0,
            alarm: None,
            full,
            known,
            due: known.max(full.saturating_sub(self.within * 30)),
        };
        for at in (self.onset.saturating_sub(DAY)..full).step_by(EVERY) {
            if !warns(at) {
                continue;
            }
            if at >= self.onset {
                outcome.alarm = Some(at);
                break;
            }
            outcome.false_alarms += 1;
        }
        outcome
    }
}

/// Evaluates a forecast rule at one minute after the other.
pub struct Rule<'a> {
    pub horizon: Horizon,
    pub values: &'a [f64],
    days: Days,
}

impl<'a> Rule<'a> {
    pub fn new(horizon: Horizon, values: &'a [f64]) -> Self {
        Self {
            horizon,
            values,
            days: Days::default(),
        }
    }

    pub fn outlook(&mut self, at: usize) -> Outlook {
        let lookback = self.horizon.lookback();
        let step = (lookback.as_secs() as usize / 60 / 360).max(1);
        let (times, recent) = spaced(self.values, at, lookback, step);
        let now = UnixMillis(START + at as i64 * MINUTE);
        let (span, step) = self.horizon.past();
        let past = || spaced(self.values, at, span, step.as_secs() as usize / 60);
        self.horizon
            .outlook(&times, &recent, now, &mut self.days, past)
    }

    pub fn fires(&mut self, at: usize) -> bool {
        matches!(self.outlook(at), Outlook::Soon(_))
    }
}

/// Returns the values of the last `span` until `at`, `step` minutes apart.
fn spaced(values: &[f64], at: usize, span: Duration, step: usize) -> (Vec<i64>, Vec<f64>) {
    let from = at.saturating_sub((span.as_secs() / 60) as usize);
    (from..=at)
        .filter(|index| (at - index).is_multiple_of(step))
        .map(|index| (START + index as i64 * MINUTE, values[index]))
        .unzip()
}

/// `predict_linear(usage[range], within) > FULL` of Prometheus, with a sample a minute.
pub fn predict_linear(values: &[f64], at: usize, range: usize, within: usize) -> bool {
    let from = (at + 1).saturating_sub(range);
    let here = &values[from..=at];
    let count = here.len() as f64;
    let centre = (count - 1.0) / 2.0;
    let mean = here.iter().sum::<f64>() / count;
    let (mut along, mut width) = (0.0, 0.0);
    for (x, y) in here.iter().enumerate() {
        along += (x as f64 - centre) * (y - mean);
        width += (x as f64 - centre).powi(2);
    }
    mean + along / width * (centre + within as f64) > FULL
}
