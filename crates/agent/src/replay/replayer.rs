//! Recorded series to collections: maps each series to a metric, row and value, and each sample to
//! a collection.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Batch, LabelSet, LabelValues, METRIC_NAME, MetricDef, MetricId, Origin, UnixMillis,
};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};

use super::Setup;
use super::part::Part;

/// Samples of one collector belong to one collection if they are closer than its interval divided
/// by this: other programs scrape targets one after the other.
const TOGETHER: u32 = 2;

/// Series of one metric and label set, with the samples of the current page.
struct Row {
    metric: MetricId,
    labels: LabelValues,
    /// Columns by their index in the row.
    columns: Vec<Column>,
    values: Vec<f64>,
}

#[derive(Default)]
struct Column {
    times: Vec<i64>,
    values: Vec<f64>,
    next: usize,
    /// Recorded series of this column; samples of a second one at the same times are ignored.
    from: Option<LabelSet>,
}

impl Column {
    fn peek(&self) -> Option<i64> {
        self.times.get(self.next).copied()
    }
}

/// Rows of one collector.
#[derive(Default)]
struct CollectorTrack {
    rows: Vec<Row>,
    by_labels: HashMap<(MetricId, LabelValues), usize>,
    together: i64,
    /// Time of the next sample.
    next: Option<i64>,
}

/// Converts pages of recorded series to batches.
pub(super) struct Replayer {
    metrics: Arc<[MetricDef]>,
    parts: Vec<Part>,
    matchers: Vec<LabelMatcher>,
    tracks: BTreeMap<Origin, CollectorTrack>,
    batch: Batch,
    last: i64,
    samples: u64,
    found: Vec<bool>,
    mixed: BTreeMap<MetricId, (String, String)>,
    wanted: Vec<MetricId>,
}

impl Replayer {
    pub(super) fn new(setup: &Setup<'_>, wanted: Vec<MetricId>) -> Self {
        let parts = wanted.iter().flat_map(|id| {
            let def = &setup.metrics[id.0 as usize];
            Part::all(*id, def, &def.exported)
        });
        let mut tracks = BTreeMap::<Origin, CollectorTrack>::new();
        for id in &wanted {
            let def = &setup.metrics[id.0 as usize];
            let together = i64::try_from((def.interval / TOGETHER).as_millis()).unwrap_or(i64::MAX);
            let track = tracks.entry(def.origin).or_default();
            track.together = match track.together {
                0 => together,
                other => other.min(together),
            };
        }
        Self {
            parts: parts.collect(),
            matchers: setup.matchers.to_vec(),
            tracks,
            batch: Batch::default(),
            last: i64::MIN,
            samples: 0,
            found: vec![false; setup.metrics.len()],
            mixed: BTreeMap::new(),
            metrics: Arc::clone(&setup.metrics),
            wanted,
        }
    }

    /// Reads `from..=to` and returns the number of samples.
    pub(super) fn load(
        &mut self,
        source: &dyn Queryable,
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<usize, StorageError> {
        for row in self.tracks.values_mut().flat_map(|track| &mut track.rows) {
            for column in &mut row.columns {
                (column.next, column.from) = (0, None);
                column.times.clear();
                column.values.clear();
            }
        }
        let mut read = 0;
        for index in 0..self.parts.len() {
            let mut matchers = vec![LabelMatcher::equal(METRIC_NAME, &self.parts[index].name)];
            matchers.extend(self.matchers.iter().cloned());
            for series in source.select(&matchers, from, to, guard)? {
                read += series.times.len();
                self.load_series(index, series);
            }
        }
        self.samples += read as u64;
        for track in self.tracks.values_mut() {
            track.next = earliest(&track.rows);
        }
        Ok(read)
    }

    fn load_series(&mut self, part: usize, series: SampledSeries) {
        let part = &self.parts[part];
        let def = &self.metrics[part.metric.0 as usize];
        let Some(number) = part.number(def, &series.labels) else {
            return;
        };
        self.found[part.metric.0 as usize] = true;
        let values: Vec<&str> = def
            .labels
            .iter()
            .map(|name| series.labels.get(name))
            .collect();
        let labels = LabelValues::new(&values);
        let track = self.tracks.entry(def.origin).or_default();
        let key = (part.metric, labels);
        let row = *track
            .by_labels
            .entry(key)
            .or_insert_with_key(|(metric, labels)| {
                let mut columns = Vec::new();
                columns.resize_with(def.width(), Column::default);
                let values = vec![f64::NAN; def.width()];
                track.rows.push(Row {
                    metric: *metric,
                    labels: labels.clone(),
                    columns,
                    values,
                });
                track.rows.len() - 1
            });
        let column = &mut track.rows[row].columns[number];
        match &column.from {
            None => {
                column.from = Some(series.labels);
                (column.times, column.values) = (series.times, series.values);
            }
            Some(other) => {
                let both = (other.to_string(), series.labels.to_string());
                if overlap(&column.times, &series.times) {
                    self.mixed.entry(part.metric).or_insert(both);
                } else {
                    column.join(series);
                }
            }
        }
    }

    /// Advances to the next collection and returns its collector and time; [`Replayer::batch`] has
    /// its samples. Returns `None` at the end of the page.
    pub(super) fn collect(&mut self) -> Option<(Origin, UnixMillis)> {
        let due = self
            .tracks
            .iter()
            .filter_map(|(origin, track)| Some((track.next?, *origin)));
        let (first, origin) = due.min()?;
        let track = self.tracks.get_mut(&origin)?;
        self.batch.clear();
        let (mut at, mut next) = (first, None);
        for row in &mut track.rows {
            let newest = row.advance(first, track.together);
            if let Some(time) = newest {
                at = at.max(time);
                self.batch
                    .push_packed(row.metric, row.labels.packed(), &row.values);
            }
            next = sooner(next, row.columns.iter().filter_map(Column::peek).min());
        }
        track.next = next;
        // Two collectors may have been under way at once; time never goes back.
        self.last = self.last.max(at);
        Some((origin, UnixMillis(self.last)))
    }

    /// Returns the collectors of the metrics that are read.
    pub(super) fn origins(&self) -> Vec<Origin> {
        self.tracks.keys().copied().collect()
    }

    pub(super) fn batch(&self) -> &Batch {
        &self.batch
    }

    pub(super) fn series(&self) -> usize {
        let rows = self.tracks.values().flat_map(|track| &track.rows);
        rows.map(|row| row.columns.len()).sum()
    }

    pub(super) fn samples(&self) -> u64 {
        self.samples
    }

    pub(super) fn warnings(&self) -> Vec<String> {
        let missing = self
            .wanted
            .iter()
            .filter(|id| !self.found[id.0 as usize])
            .map(|id| {
                let def = &self.metrics[id.0 as usize];
                format!("no samples of {}, recorded as {}", def.name, def.exported)
            });
        let mixed = self.mixed.iter().map(|(id, (a, b))| {
            let name = &self.metrics[id.0 as usize].name;
            format!("several recorded series are one of {name}, only the first counts: {a} and {b}; choose with --match")
        });
        missing.chain(mixed).collect()
    }
}

impl Row {
    /// Moves on over the values within `together` of `first`, in milliseconds. Returns the time of
    /// the last.
    fn advance(&mut self, first: i64, together: i64) -> Option<i64> {
        let mut newest = None;
        for (column, number) in self.columns.iter_mut().zip(&mut self.values) {
            let Some(time) = column
                .peek()
                .filter(|time| *time <= first.saturating_add(together))
            else {
                continue;
            };
            let value = column.values[column.next];
            column.next += 1;
            // The end of a series is the store's to find, as it was when it was recorded.
            if !SampledSeries::is_stale(value) {
                *number = value;
                newest = newest.max(Some(time));
            }
        }
        newest
    }
}

impl Column {
    /// Adds samples of other times.
    fn join(&mut self, series: SampledSeries) {
        if series.times.first() < self.times.first() {
            let times = std::mem::replace(&mut self.times, series.times);
            let values = std::mem::replace(&mut self.values, series.values);
            self.times.extend(times);
            self.values.extend(values);
        } else {
            self.times.extend(series.times);
            self.values.extend(series.values);
        }
    }
}

fn overlap(a: &[i64], b: &[i64]) -> bool {
    match (a.first(), a.last(), b.first(), b.last()) {
        (Some(a0), Some(a1), Some(b0), Some(b1)) => a0 <= b1 && b0 <= a1,
        _ => false,
    }
}

fn sooner(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn earliest(rows: &[Row]) -> Option<i64> {
    rows.iter()
        .flat_map(|row| &row.columns)
        .filter_map(Column::peek)
        .min()
}

/// Returns the median time between samples of the metrics in the last day before `to`; `None` if
/// there are too few. With a shorter configured interval, series would become stale in between.
///
/// # Errors
/// `source` cannot be read.
pub fn observed_interval(
    source: &dyn Queryable,
    metrics: &[MetricDef],
    matchers: &[LabelMatcher],
    to: UnixMillis,
    guard: &Guard,
) -> Result<Option<Duration>, StorageError> {
    const ENOUGH: usize = 10;
    let mut gaps = Vec::new();
    for (id, def) in (0..).map(MetricId).zip(metrics) {
        for part in Part::all(id, def, &def.exported) {
            let mut all = vec![LabelMatcher::equal(METRIC_NAME, &part.name)];
            all.extend(matchers.iter().cloned());
            let from = to.before(Duration::from_secs(86_400));
            let series = source.select(&all, from, to, guard)?;
            guard.release(series.iter().map(|series| series.times.len()).sum());
            if let Some(one) = series.first() {
                gaps.extend(one.times.windows(2).map(|two| two[1] - two[0]));
            }
        }
    }
    if gaps.len() < ENOUGH {
        return Ok(None);
    }
    gaps.sort_unstable();
    let median = u64::try_from(gaps[gaps.len() / 2]).unwrap_or_default();
    Ok(Some(Duration::from_millis(median)))
}
