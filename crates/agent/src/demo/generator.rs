//! From the world to batches, as a collector fills them.

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Collecting, Collector};
use bellwether_collectors::neo4j::QueryStats;
use bellwether_core::{
    Batch, Failure, Kind, LabelValues, MetricDef, MetricId, Now, Origin, UnixMillis,
};
use parking_lot::Mutex;

use super::noise::Noise;
use super::series::{Model, Series, database_runs};
use super::world::Moment;

/// Time that a query of the database takes, as a collector sees it.
const DATABASE_TIME: Duration = Duration::from_millis(23);

/// Samples of one collector. Counters go on from call to call, so calls are in the order of time.
pub(super) struct Generator {
    seed: u64,
    start: UnixMillis,
    origin: Origin,
    rows: Vec<Row>,
    last: Option<UnixMillis>,
}

/// One series with its state.
struct Row {
    metric: MetricId,
    labels: LabelValues,
    model: Model,
    noise: Noise,
    /// Resolution of a counter: whole numbers, or hundredths of a second.
    resolution: f64,
    /// Upper bounds of the buckets of a histogram.
    bounds: Arc<[f64]>,
    /// Totals: one of a counter; the cumulative buckets, count and sum of a histogram.
    totals: Vec<f64>,
}

impl Generator {
    /// Creates the generator of the `series` whose metrics are in `metrics`. Counters
    /// begin at 0.
    pub(super) fn new(
        seed: u64,
        start: UnixMillis,
        origin: Origin,
        metrics: &[MetricDef],
        series: Vec<Series>,
    ) -> Self {
        let rows = series.into_iter().filter_map(|series| {
            let index = metrics.iter().position(|def| *def.name == *series.metric)?;
            let def = &metrics[index];
            let is_wide = matches!(def.kind, Kind::Histogram);
            Some(Row {
                metric: MetricId(index as u32),
                labels: LabelValues::new(&series.labels),
                noise: Noise::new(seed, &series.key()),
                resolution: if series.metric.ends_with("_seconds") {
                    0.01
                } else {
                    1.0
                },
                model: series.model,
                bounds: def.buckets.clone(),
                totals: vec![0.0; if is_wide { def.width() } else { 1 }],
            })
        });
        Self {
            seed,
            start,
            origin,
            rows: rows.collect(),
            last: None,
        }
    }

    /// Collector that the samples are of.
    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Returns the world at a time.
    fn moment(&self, at: UnixMillis) -> Moment {
        Moment::new(self.seed, at, self.start)
    }

    /// Adds the samples of `at` to `batch`.
    ///
    /// # Errors
    /// The database is down; what is collected then is in `batch`.
    pub(super) fn fill(&mut self, batch: &mut Batch, at: UnixMillis) -> Result<(), Failure> {
        let now = self.moment(at);
        let passed = self.last.map_or(0.0, |last| at.since(last).as_secs_f64());
        self.last = Some(at);
        for row in &mut self.rows {
            row.add(batch, &now, passed);
        }
        if now.database_up || self.origin.as_str() != "neo4j" {
            return Ok(());
        }
        Err(Failure::new(
            "connect",
            "bolt://127.0.0.1:7687: connection refused",
        ))
    }
}

impl Row {
    fn add(&mut self, batch: &mut Batch, now: &Moment, passed: f64) {
        let noise = self.noise.at(now.seconds);
        match &self.model {
            Model::Gauge(value) => {
                if let Some(value) = value(now, noise) {
                    batch.push_packed(self.metric, self.labels.packed(), &[value]);
                }
            }
            Model::PerSecond(value) => {
                let Some(value) = value(now, noise) else {
                    return;
                };
                self.totals[0] += (value * passed).max(0.0);
                let total = (self.totals[0] / self.resolution).floor() * self.resolution;
                batch.push_packed(self.metric, self.labels.packed(), &[total]);
            }
            Model::Durations {
                per_second,
                median,
                spread,
            } => {
                let (Some(rate), Some(median)) = (per_second(now, noise), median(now, noise))
                else {
                    return;
                };
                let count = (rate * passed).max(0.0);
                observe(&mut self.totals, &self.bounds, count, median, *spread);
                batch.push_packed(self.metric, self.labels.packed(), &whole(&self.totals));
            }
        }
    }
}

/// Adds `count` log-normal observations to the cumulative buckets, the count and the sum in `totals`.
fn observe(totals: &mut [f64], bounds: &[f64], count: f64, median: f64, spread: f64) {
    for (total, bound) in totals.iter_mut().zip(bounds) {
        *total += count * logistic((bound / median).ln() / spread);
    }
    totals[bounds.len()] += count;
    // The mean of a log-normal distribution.
    totals[bounds.len() + 1] += count * median * (spread * spread / 2.0).exp();
}

/// Distribution function of the normal distribution, by the logistic one (Bowling et al., 2009; within
/// 0.0002).
fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-0.07056 * x.powi(3) - 1.5976 * x).exp())
}

/// Counts are whole numbers; the sum, which is last, is none.
fn whole(totals: &[f64]) -> Vec<f64> {
    let mut whole: Vec<f64> = totals.iter().map(|total| total.floor()).collect();
    if let (Some(whole), Some(sum)) = (whole.last_mut(), totals.last()) {
        *whole = *sum;
    }
    whole
}

/// Collector of live samples, which goes on where the past ends.
pub(super) struct LiveCollector {
    pub(super) generator: Arc<Mutex<Generator>>,
    pub(super) queries: Arc<QueryStats>,
}

impl Collector for LiveCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let result = self.generator.lock().fill(batch, now.wall);
            if self.generator.lock().origin().as_str() == "neo4j" {
                tokio::time::sleep(DATABASE_TIME).await;
                let moment = self.generator.lock().moment(now.wall);
                for (query, run) in database_runs(&moment) {
                    self.queries.record(query, run);
                }
            }
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_meet_the_median() {
        let bounds = [0.1, 0.2, 0.4, 1.0];
        let mut totals = vec![0.0; 6];
        observe(&mut totals, &bounds, 1000.0, 0.2, 0.5);
        assert!(
            totals.windows(2).take(4).all(|two| two[0] <= two[1]),
            "{totals:?}"
        );
        assert!((totals[1] - 500.0).abs() < 1.0, "{totals:?}");
        assert_eq!(totals[4], 1000.0);
        assert!(totals[5] > 200.0 && totals[5] < 240.0, "{totals:?}");
    }
}
