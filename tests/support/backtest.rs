//! Forecasts of rules, made all along recorded series and compared with what came then.

#![allow(dead_code, reason = "tests and benches use their own part")]

use std::time::Duration;

use bellwether_analysis::forecast::{Days, Direction, Horizon, Outlook, Target};
use bellwether_core::UnixMillis;

/// Outcomes of the forecasts that would have fired.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Forecasts that would have made an alert fire.
    pub fired: usize,
    /// Those whose band holds what happened.
    pub held: usize,
}

impl Tally {
    pub fn add(&mut self, other: Tally) {
        self.fired += other.fired;
        self.held += other.held;
    }

    /// In percent; NaN of none.
    pub fn share(&self) -> f64 {
        100.0 * self.held as f64 / self.fired as f64
    }
}

/// One series with even steps, and what is foreseen of it.
pub struct Backtest<'a> {
    /// Milliseconds between two values.
    pub step: i64,
    pub values: &'a [f64],
    pub target: f64,
    pub within: Duration,
}

impl Backtest<'_> {
    /// Looks each `every` values.
    pub fn run(&self, every: usize) -> Tally {
        let target = Target {
            value: self.target,
            direction: Direction::Rising,
        };
        let horizon = Horizon {
            target,
            within: self.within,
            window: Duration::from_secs(21_600),
        };
        let (mut tally, mut days) = (Tally::default(), Days::default());
        for at in (10..self.values.len()).step_by(every) {
            let now = UnixMillis(at as i64 * self.step);
            let lookback = horizon.lookback();
            let (times, values) = self.before(at, lookback, lookback / 360);
            let past = || {
                let (span, step) = horizon.past();
                self.before(at, span, step)
            };
            let Outlook::Soon(reach) = horizon.outlook(&times, &values, now, &mut days, past)
            else {
                continue;
            };
            tally.fired += 1;
            let came = self.values[at..]
                .iter()
                .position(|value| *value >= self.target);
            let held = match came {
                Some(later) => {
                    let came = UnixMillis((at + later) as i64 * self.step);
                    // The value is looked at each step only.
                    let earliest = UnixMillis(reach.earliest.0 - self.step);
                    let latest = reach.latest.map(|latest| UnixMillis(latest.0 + self.step));
                    earliest <= came && latest.is_none_or(|latest| came <= latest)
                }
                None => {
                    let end = UnixMillis(self.values.len() as i64 * self.step);
                    reach.latest.is_none_or(|latest| latest > end)
                }
            };
            tally.held += usize::from(held);
        }
        tally
    }

    /// The values of the last `span` until `at`, about `step` apart.
    fn before(&self, at: usize, span: Duration, step: Duration) -> (Vec<i64>, Vec<f64>) {
        let steps = |span: Duration| (span.as_millis() as i64 / self.step).max(1) as usize;
        let every = steps(step);
        let from = at.saturating_sub(steps(span));
        let picked = (from..=at).filter(|index| (at - index).is_multiple_of(every));
        picked
            .map(|index| (index as i64 * self.step, self.values[index]))
            .unzip()
    }
}

/// Disks of two weeks by the minute, with what they are: usage in percent that fills for real at the
/// end, in as many hours.
pub fn disks(hours: usize) -> Vec<(&'static str, Vec<f64>)> {
    const DAY: usize = 1440;
    let names = ["steady", "bursty", "log rotated daily", "backup at night"];
    let disk = |name: &'static str| {
        let mut random = fastrand::Rng::with_seed(name.len() as u64);
        let mut burst = 0.0;
        let (quiet, fill) = (14 * DAY, hours * 60);
        let value = |minute: usize| {
            let of_day = minute % DAY;
            let noise = (0..4).map(|_| random.f64() - 0.5).sum::<f64>() * 0.2;
            let own = match name {
                "bursty" => {
                    burst *= 0.99;
                    if random.f64() < 0.005 {
                        burst += 6.0 * random.f64();
                    }
                    burst
                }
                "log rotated daily" => 15.0 * of_day as f64 / DAY as f64,
                "backup at night" if (120..300).contains(&of_day) => {
                    15.0 * (of_day - 120) as f64 / 180.0
                }
                _ => 0.0,
            };
            let filled = minute.saturating_sub(quiet) as f64 / fill as f64;
            60.0 + own + noise + 40.0 * filled
        };
        (name, (0..quiet + fill).map(value).collect())
    };
    names.map(disk).into()
}
