//! Runs the analyses over series in a store: one result per series, sorted by labels.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use jiff::tz::TimeZone;

use super::anomaly::{self, Detector, Observation};
use super::trend::{self, Baselines, Departure, Options, TooFewSamples, Trend};

/// Selection of series and time range.
#[derive(Clone, Copy)]
pub struct SeriesQuery<'a> {
    /// Matchers of the series.
    pub matchers: &'a [LabelMatcher],
    /// Length of the window before `now`.
    pub window: Duration,
    /// The end of the window.
    pub now: UnixMillis,
    /// Guard that can stop the query.
    pub guard: &'a Guard,
}

impl SeriesQuery<'_> {
    fn start(&self) -> UnixMillis {
        self.now.before(self.window)
    }

    /// Returns the series with samples from `earlier` before the window on.
    fn select(
        &self,
        source: &dyn Queryable,
        earlier: Duration,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let from = self.start().before(earlier);
        let mut series = source.select(self.matchers, from, self.now, self.guard)?;
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(series)
    }
}

/// The trend of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesTrend {
    pub labels: LabelSet,
    /// Trend over the window, or the reason for which there is none.
    pub trend: Result<Trend, TooFewSamples>,
    /// Last finite sample.
    pub latest: Option<(UnixMillis, f64)>,
    /// Baselines by hour and weekday, over the baseline period and the window.
    pub baselines: Baselines,
    /// Departure of the latest sample from the baseline of its hour.
    pub from_hour: Option<Departure>,
    /// Departure of the latest sample from the baseline of its weekday.
    pub from_weekday: Option<Departure>,
}

/// Computes the trends of the series over the window, with baselines from `baseline` before the
/// window on in the time zone `zone`.
///
/// # Errors
/// The samples could not be read.
pub fn trend(
    source: &dyn Queryable,
    query: &SeriesQuery<'_>,
    options: &Options,
    baseline: Duration,
    zone: &TimeZone,
) -> Result<Vec<SeriesTrend>, StorageError> {
    let all = query.select(source, baseline)?;
    let results = all.into_iter().map(|series| {
        query.guard.check()?;
        let SampledSeries {
            labels,
            times,
            values,
        } = series;
        let from = times.partition_point(|time| *time < query.start().0);
        let baselines = Baselines::of(&times, &values, zone.clone());
        let numbers = times
            .iter()
            .zip(&values)
            .rev()
            .filter(|(_, value)| value.is_finite());
        let latest = numbers
            .map(|(time, value)| (UnixMillis(*time), *value))
            .next();
        Ok(SeriesTrend {
            labels,
            trend: trend::trend(&times[from..], &values[from..], query.now, options),
            latest,
            from_hour: latest.and_then(|(at, value)| baselines.from_hour(at, value)),
            from_weekday: latest.and_then(|(at, value)| baselines.from_weekday(at, value)),
            baselines,
        })
    });
    results.collect()
}

/// A run of consecutive anomalous samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anomaly {
    /// Time of the first.
    pub from: UnixMillis,
    /// Time of the last.
    pub to: UnixMillis,
    /// Number of samples.
    pub samples: usize,
    /// Time of the sample with the highest score.
    pub at: UnixMillis,
    /// Its value.
    pub value: f64,
    /// Score in the unit of the algorithm.
    pub score: f64,
    /// Expected range.
    pub expected: Option<(f64, f64)>,
    /// True if the first sample reported an event; false if it belongs to the event before.
    pub reported: bool,
}

/// The anomalies of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAnomalies {
    pub labels: LabelSet,
    /// Number of samples of the window that were evaluated.
    pub evaluated: usize,
    /// Number of samples of the window before there were enough to evaluate.
    pub warming: usize,
    /// Anomalies, oldest first.
    pub anomalies: Vec<Anomaly>,
}

/// Returns the anomalies of the series in the window, as a detector with these settings would have
/// found them online; it is trained with the samples of its own window before.
///
/// # Errors
/// The samples could not be read.
pub fn anomalies(
    source: &dyn Queryable,
    query: &SeriesQuery<'_>,
    settings: &anomaly::Settings,
) -> Result<Vec<SeriesAnomalies>, StorageError> {
    let all = query.select(source, settings.window)?;
    let results = all.into_iter().map(|series| {
        query.guard.check()?;
        Ok(anomalies_of(series, settings, query.start()))
    });
    results.collect()
}

fn anomalies_of(
    series: SampledSeries,
    settings: &anomaly::Settings,
    start: UnixMillis,
) -> SeriesAnomalies {
    let mut detector = Detector::new(settings, interval(&series.times));
    let mut result = SeriesAnomalies {
        labels: series.labels,
        evaluated: 0,
        warming: 0,
        anomalies: Vec::new(),
    };
    let mut ongoing = false;
    for (time, value) in series.times.iter().zip(&series.values) {
        let at = UnixMillis(*time);
        let seen = detector.observe(at, *value);
        if at < start || !value.is_finite() {
            continue;
        }
        result.warming += usize::from(seen.warming);
        result.evaluated += usize::from(!seen.warming);
        match result.anomalies.last_mut() {
            Some(last) if seen.anomalous && ongoing => last.extend(at, *value, &seen),
            _ if seen.anomalous => result.anomalies.push(Anomaly::new(at, *value, &seen)),
            _ => {}
        }
        ongoing = seen.anomalous;
    }
    result
}

impl Anomaly {
    fn new(at: UnixMillis, value: f64, seen: &Observation) -> Self {
        Self {
            from: at,
            to: at,
            samples: 1,
            at,
            value,
            score: seen.score,
            expected: seen.expected,
            reported: seen.reported,
        }
    }

    fn extend(&mut self, at: UnixMillis, value: f64, seen: &Observation) {
        if seen.score > self.score {
            let first = *self;
            *self = Self::new(at, value, seen);
            self.from = first.from;
            self.reported = first.reported;
            self.samples = first.samples;
        }
        self.to = at;
        self.samples += 1;
    }
}

/// Returns the median time between samples.
#[must_use]
pub fn interval(times_ms: &[i64]) -> Duration {
    let mut steps: Vec<i64> = times_ms
        .windows(2)
        .map(|two| two[1].saturating_sub(two[0]))
        .collect();
    if steps.is_empty() {
        return Duration::ZERO;
    }
    let middle = steps.len() / 2;
    let (_, step, _) = steps.select_nth_unstable(middle);
    Duration::from_millis(u64::try_from(*step).unwrap_or(0))
}
