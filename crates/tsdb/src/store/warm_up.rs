//! Warm-up: windows are filled from history at the start, so that rules have their lookback immediately.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bellwether_core::{LabelValues, MetricDef, MonoMillis, Now, UnixMillis};
use bellwether_exposition::SeriesNames;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};

use super::Store;
use super::window::Window;
use crate::history::History;

/// Windows from history by label values, for series that may not exist yet.
pub(super) type Backfill = HashMap<LabelValues, Window>;

/// Maximum number of samples that are read for one metric.
const MAX_SAMPLES: u64 = 5_000_000;

/// Query for a backfill: a metric with a window, and the length of the window.
pub(super) struct BackfillQuery {
    pub(super) def: MetricDef,
    pub(super) names: SeriesNames,
    pub(super) keep: Duration,
}

impl Store {
    /// Fills the windows from history, for existing series and for series that appear within three intervals.
    /// Sets no current values. Call it before the first commit. Blocks: not for async threads.
    ///
    /// # Errors
    /// History cannot be read; windows of earlier metrics are filled.
    pub fn warm_up(&self, now: Now) -> Result<(), StorageError> {
        let Some(history) = &self.history else {
            return Ok(());
        };
        let wanted: Vec<(usize, BackfillQuery)> = {
            let inner = self.inner.read();
            let families = inner.families.iter().enumerate();
            families
                .filter_map(|(index, family)| Some((index, family.backfill_query()?)))
                .collect()
        };
        for (index, wanted) in wanted {
            let backfill = read(history, &wanted, now)?;
            self.inner.write().families[index].warm_up(backfill, now.mono);
        }
        Ok(())
    }
}

/// Reads the complete rows of a metric from history, with their times on the monotonic clock.
fn read(history: &History, wanted: &BackfillQuery, now: Now) -> Result<Backfill, StorageError> {
    let guard = Guard::new(MAX_SAMPLES);
    let mut rows: HashMap<LabelValues, BTreeMap<UnixMillis, Row>> = HashMap::new();
    let from = now.wall.before(wanted.keep);
    for (index, number) in wanted.names.value_indices().enumerate() {
        let matchers = wanted.names.matchers(index);
        for series in history.select(&matchers, from, UnixMillis(now.wall.0 - 1), &guard)? {
            let values: Vec<&str> = wanted
                .def
                .labels
                .iter()
                .map(|label| series.labels.get(label))
                .collect();
            let values = LabelValues::new(&values);
            // A series of another source with the same name, or with other default labels.
            if wanted.names.label_set(index, values.as_packed()) != series.labels {
                continue;
            }
            let times = rows.entry(values).or_default();
            for (time, value) in series.times.iter().zip(&series.values) {
                times
                    .entry(UnixMillis(*time))
                    .or_insert_with(|| Row::new(wanted.def.width()))
                    .set(number, *value);
            }
        }
    }
    let backfill = rows
        .into_iter()
        .map(|(values, rows)| (values, window(rows, wanted.keep, now)));
    Ok(backfill.collect())
}

fn window(rows: BTreeMap<UnixMillis, Row>, keep: Duration, now: Now) -> Window {
    let mut window = Window::default();
    for (time, row) in rows {
        let ago = now.wall.since(time);
        if let Some(values) = row.whole()
            && now.mono.since(MonoMillis(0)) > ago
        {
            window.push(now.mono.before(ago), &values, now.mono.before(keep));
        }
    }
    window
}

/// Numbers of one time, as far as they are known.
struct Row(Vec<Option<f64>>);

impl Row {
    fn new(width: usize) -> Self {
        Self(vec![None; width])
    }

    fn set(&mut self, number: usize, value: f64) {
        if !SampledSeries::is_stale(value) {
            self.0[number] = Some(value);
        }
    }

    fn whole(self) -> Option<Vec<f64>> {
        self.0.into_iter().collect()
    }
}
