//! Slow deviations: hours that are anomalous as a whole.
//!
//! The mean of each hour is evaluated as a value is, with two differences ([`RarityScore::limited`]): the
//! time of the week is known, and what was anomalous before does not widen the scale. After an
//! anomalous hour, each value that is outside of the usual range is anomalous. Such an excursion is
//! one event of a day at the most, and the next one begins after a day without.

use std::time::Duration;

use bellwether_core::UnixMillis;

use super::rarity::{EDGE, Evaluation, RarityScore, least};
use super::tail::Tail;

const HOUR: i64 = 3_600_000;
const DAY: Duration = Duration::from_secs(86_400);
/// Number of hours before one is evaluated: two weeks, so that the week is known and is usual.
const FEWEST: u32 = 336;

/// State of one series: eight tails of 256 distances, a season and a week, about 22 KiB.
#[derive(Clone, Debug)]
pub(super) struct Slow {
    hours: RarityScore,
    seen: u32,
    /// Current hour since the epoch, with sum and count of its values.
    visit: Option<(i64, f64, f64)>,
    /// Distances of values from what is expected.
    distances: Tail,
    sensitivity: f64,
    excursion: Option<Excursion>,
}

#[derive(Clone, Copy, Debug)]
struct Excursion {
    begin: UnixMillis,
    /// Time of the last anomalous hour.
    last: UnixMillis,
    /// Score of the last hour; `None` if it was as expected.
    score: Option<f64>,
}

impl Slow {
    pub(super) fn new(season: Duration, window: i64, sensitivity: f64) -> Self {
        Self {
            hours: RarityScore::limited(season, window, FEWEST / 2),
            seen: 0,
            visit: None,
            distances: Tail::new(window),
            sensitivity,
            excursion: None,
        }
    }

    /// Evaluates `value`; `None` unless it continues an anomalous hour.
    pub(super) fn evaluate(&self, at: UnixMillis, value: f64) -> Option<Evaluation> {
        let excursion = self.excursion.as_ref()?;
        let score = excursion.score?;
        let usual = self.hours.usual(at, value);
        let reach = self.distances.distance(EDGE, least(usual));
        let outside = (value - usual).abs() > reach;
        outside.then_some(Evaluation {
            score,
            usual,
            reach,
        })
    }

    /// Returns whether there was an anomalous hour within a day, in an excursion of a day at the most.
    pub(super) fn is_in_excursion(&self, at: UnixMillis) -> bool {
        self.excursion
            .is_some_and(|excursion| at.since(excursion.begin) <= DAY)
    }

    pub(super) fn push(&mut self, at: UnixMillis, value: f64) {
        let distance = (value - self.hours.usual(at, value)).abs();
        self.distances.push_limited(at, distance, EDGE);
        let hour = at.0.div_euclid(HOUR);
        match &mut self.visit {
            Some((current, sum, count)) if *current == hour => {
                *sum += value;
                *count += 1.0;
            }
            visit => {
                if let Some((left, sum, count)) = visit.replace((hour, value, 1.0)) {
                    let middle = left.saturating_mul(HOUR).saturating_add(HOUR / 2);
                    self.end_hour(UnixMillis(middle), sum / count);
                }
            }
        }
    }

    fn end_hour(&mut self, at: UnixMillis, mean: f64) {
        let hour = self.hours.evaluate(at, mean, self.sensitivity);
        self.hours.push(at, mean);
        self.seen = self.seen.saturating_add(1);
        if self.seen > FEWEST && hour.is_anomaly(mean, self.sensitivity) {
            self.extend(at, hour.score);
        } else if let Some(excursion) = &mut self.excursion {
            excursion.score = None;
        }
    }

    /// Adds an anomalous hour to the excursion, or starts one.
    fn extend(&mut self, at: UnixMillis, score: f64) {
        let begin = self
            .excursion
            .filter(|excursion| at.since(excursion.last) <= DAY)
            .map_or(at, |excursion| excursion.begin);
        self.excursion = Some(Excursion {
            begin,
            last: at,
            score: (at.since(begin) <= DAY).then_some(score),
        });
    }
}
