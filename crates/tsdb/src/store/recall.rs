//! Windows filled from history, so that a rule that looks back does not begin blind.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bellwether_core::{LabelValues, MetricDef, MonoMillis, Now, UnixMillis};
use bellwether_exposition::SeriesNames;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};

use super::Store;
use super::window::Window;
use crate::history::History;

/// Windows by label values, for series that may or may not be there yet.
pub(super) type Recalled = HashMap<LabelValues, Window>;

/// Most samples that are read for one metric.
const MOST_SAMPLES: u64 = 5_000_000;

/// What is looked for: a metric that keeps a window, and how far back.
pub(super) struct Wanted {
    pub(super) def: MetricDef,
    pub(super) names: SeriesNames,
    pub(super) keep: Duration,
}

impl Store {
    /// Fills the windows with what history has of them: those of series that are there now, and
    /// those of series that come within three intervals. Nothing becomes a current value. Reads
    /// history, so never call it on an async thread; before the first commit, so that nothing is
    /// in between.
    ///
    /// # Errors
    /// History cannot be read; windows of the metrics read before are filled.
    pub fn recall(&self, now: Now) -> Result<(), StorageError> {
        let Some(history) = &self.history else {
            return Ok(());
        };
        let wanted: Vec<(usize, Wanted)> = {
            let inner = self.inner.read();
            let families = inner.families.iter().enumerate();
            families
                .filter_map(|(index, family)| Some((index, family.looks_back()?)))
                .collect()
        };
        for (index, wanted) in wanted {
            let recalled = read(history, &wanted, now)?;
            self.inner.write().families[index].recall(recalled, now.mono);
        }
        Ok(())
    }
}

/// The rows of one metric's series that history has whole, on the monotonic clock.
fn read(history: &History, wanted: &Wanted, now: Now) -> Result<Recalled, StorageError> {
    let guard = Guard::new(MOST_SAMPLES);
    let mut rows: HashMap<LabelValues, BTreeMap<i64, Row>> = HashMap::new();
    let from = now.wall.before(wanted.keep);
    for (index, number) in wanted.names.numbers().enumerate() {
        let matchers = wanted.names.matchers(index);
        for series in history.select(&matchers, from, UnixMillis(now.wall.0 - 1), &guard)? {
            let values: Vec<&str> = wanted
                .def
                .labels
                .iter()
                .map(|label| series.labels.get(label))
                .collect();
            let values = LabelValues::new(&values);
            // Another's series of the same name, or of other default labels.
            if wanted.names.label_set(index, &values) != series.labels {
                continue;
            }
            let times = rows.entry(values).or_default();
            for (time, value) in series.times.iter().zip(&series.values) {
                times
                    .entry(*time)
                    .or_insert_with(|| Row::new(wanted.def.width()))
                    .set(number, *value);
            }
        }
    }
    let recalled = rows
        .into_iter()
        .map(|(values, rows)| (values, window(rows, wanted.keep, now)));
    Ok(recalled.collect())
}

fn window(rows: BTreeMap<i64, Row>, keep: Duration, now: Now) -> Window {
    let mut window = Window::default();
    for (time, row) in rows {
        let ago = now.wall.since(UnixMillis(time));
        if let Some(numbers) = row.whole()
            && now.mono.since(MonoMillis(0)) > ago
        {
            window.push(now.mono.before(ago), &numbers, now.mono.before(keep));
        }
    }
    window
}

/// Numbers of one moment, as they are found.
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
