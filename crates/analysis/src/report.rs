//! What the analyses say of series in a store: one answer per series, sorted by labels.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use jiff::tz::TimeZone;

use super::anomaly::{self, Detector, Observation};
use super::trend::{self as course, Baselines, Departure, Options, TooFewSamples, Trend};

/// Which series are looked at, and which time.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// What selects them.
    pub matchers: &'a [LabelMatcher],
    /// How far back from `now`.
    pub window: Duration,
    /// The end of the window.
    pub now: UnixMillis,
    /// What ends the question early.
    pub guard: &'a Guard,
}

impl Question<'_> {
    fn start(&self) -> UnixMillis {
        self.now.before(self.window)
    }

    /// The series with their samples from `earlier` before the window on.
    fn ask(
        &self,
        source: &dyn Queryable,
        earlier: Duration,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let from = self.start().before(earlier);
        let mut found = source.select(self.matchers, from, self.now, self.guard)?;
        found.sort_by(|a, b| a.labels.cmp(&b.labels));
        Ok(found)
    }
}

/// The trend of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesTrend {
    /// Which series.
    pub labels: LabelSet,
    /// Its course over the window, or why there is none to tell.
    pub trend: Result<Trend, TooFewSamples>,
    /// The last sample that is a number.
    pub latest: Option<(UnixMillis, f64)>,
    /// What is usual by hour and weekday, from the time asked for and the window.
    pub baselines: Baselines,
    /// How far the latest sample is from what is usual at its hour.
    pub from_hour: Option<Departure>,
    /// How far it is from what is usual on its day of the week.
    pub from_weekday: Option<Departure>,
}

/// The trends of the series over the window, with baselines from `baseline` before the window on
/// in the time zone `zone`.
///
/// # Errors
/// The samples could not be had.
pub fn trend(
    source: &dyn Queryable,
    question: &Question<'_>,
    options: &Options,
    baseline: Duration,
    zone: &TimeZone,
) -> Result<Vec<SeriesTrend>, StorageError> {
    let found = question.ask(source, baseline)?;
    let told = found.into_iter().map(|series| {
        question.guard.check()?;
        let SampledSeries {
            labels,
            times,
            values,
        } = series;
        let from = times.partition_point(|time| *time < question.start().0);
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
            trend: course::trend(&times[from..], &values[from..], question.now, options),
            latest,
            from_hour: latest.and_then(|(at, value)| baselines.from_hour(at, value)),
            from_weekday: latest.and_then(|(at, value)| baselines.from_weekday(at, value)),
            baselines,
        })
    });
    told.collect()
}

/// A run of samples that were anomalous one after another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Anomaly {
    /// Time of the first.
    pub from: UnixMillis,
    /// Time of the last.
    pub to: UnixMillis,
    /// How many.
    pub samples: usize,
    /// Time of the one with the highest score.
    pub at: UnixMillis,
    /// Its value.
    pub value: f64,
    /// Its score, in the measure of the algorithm.
    pub score: f64,
    /// The range in which it would not have been anomalous.
    pub expected: Option<(f64, f64)>,
    /// Whether the first was reported: it began an event, and was not of the one before.
    pub reported: bool,
}

/// The anomalies of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesAnomalies {
    /// Which series.
    pub labels: LabelSet,
    /// Samples of the window that were judged.
    pub judged: usize,
    /// Samples of the window that came before there were enough to judge by.
    pub warming: usize,
    /// What was found, oldest first.
    pub found: Vec<Anomaly>,
}

/// The anomalies of the series in the window, found as a detector with these settings would have
/// found them as the samples came; it sees the samples of its own window before too.
///
/// # Errors
/// The samples could not be had.
pub fn anomalies(
    source: &dyn Queryable,
    question: &Question<'_>,
    settings: &anomaly::Settings,
) -> Result<Vec<SeriesAnomalies>, StorageError> {
    let found = question.ask(source, settings.window)?;
    let told = found.into_iter().map(|series| {
        question.guard.check()?;
        Ok(watched(series, settings, question.start()))
    });
    told.collect()
}

fn watched(
    series: SampledSeries,
    settings: &anomaly::Settings,
    start: UnixMillis,
) -> SeriesAnomalies {
    let mut detector = Detector::new(settings, interval(&series.times));
    let mut told = SeriesAnomalies {
        labels: series.labels,
        judged: 0,
        warming: 0,
        found: Vec::new(),
    };
    let mut running = false;
    for (time, value) in series.times.iter().zip(&series.values) {
        let at = UnixMillis(*time);
        let seen = detector.observe(at, *value);
        if at < start || !value.is_finite() {
            continue;
        }
        told.warming += usize::from(seen.warming);
        told.judged += usize::from(!seen.warming);
        match told.found.last_mut() {
            Some(last) if seen.anomalous && running => last.extend(at, *value, &seen),
            _ if seen.anomalous => told.found.push(Anomaly::new(at, *value, &seen)),
            _ => {}
        }
        running = seen.anomalous;
    }
    told
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

/// The usual time between samples: the median of the steps.
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
