//! Reads ahead for rules that query repeatedly: reads a longer range of each selector at once, and
//! answers the queries of many ticks from it.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use parking_lot::Mutex;

/// Length of the range that is read ahead.
const AHEAD: Duration = Duration::from_secs(3_600);

/// Source for queries at ascending times.
pub(super) struct FutureView<'a> {
    source: &'a dyn Queryable,
    /// Time of the last query.
    end: UnixMillis,
    /// Samples by the text of the matchers.
    loaded: Mutex<HashMap<String, Loaded>>,
}

/// Samples of one selector.
struct Loaded {
    from: UnixMillis,
    to: UnixMillis,
    series: Vec<SampledSeries>,
}

impl<'a> FutureView<'a> {
    pub(super) fn new(source: &'a dyn Queryable, end: UnixMillis) -> Self {
        Self {
            source,
            end,
            loaded: Mutex::default(),
        }
    }
}

impl Queryable for FutureView<'_> {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let key = matchers.iter().fold(String::new(), |key, matcher| {
            key + &matcher.name + matcher.test.operator() + matcher.test.operand() + "\u{0}"
        });
        let mut loaded = self.loaded.lock();
        if !loaded
            .get(&key)
            .is_some_and(|loaded| loaded.from <= from && to <= loaded.to)
        {
            let until = UnixMillis(to.0.saturating_add_unsigned(AHEAD.as_millis() as u64))
                .min(self.end)
                .max(to);
            let series = self
                .source
                .select(matchers, from, until, &Guard::default())?;
            loaded.insert(
                key.clone(),
                Loaded {
                    from,
                    to: until,
                    series,
                },
            );
        }
        let Some(loaded) = loaded.get(&key) else {
            return Ok(Vec::new());
        };
        let mut series_in_range = Vec::new();
        for series in &loaded.series {
            let start = series.times.partition_point(|time| *time < from.0);
            let end = series.times.partition_point(|time| *time <= to.0);
            if start < end {
                guard.charge(end - start)?;
                series_in_range.push(SampledSeries {
                    labels: series.labels.clone(),
                    times: series.times[start..end].to_vec(),
                    values: series.values[start..end].to_vec(),
                });
            }
        }
        Ok(series_in_range)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        self.source.series(matchers, from, to, guard)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::atomic::Ordering::Relaxed;

    use bellwether_tsdb::history::History;

    use super::*;

    /// Counts its queries.
    struct Counted(History, AtomicUsize);

    impl Queryable for Counted {
        fn select(
            &self,
            matchers: &[LabelMatcher],
            from: UnixMillis,
            to: UnixMillis,
            guard: &Guard,
        ) -> Result<Vec<SampledSeries>, StorageError> {
            self.1.fetch_add(1, Relaxed);
            self.0.select(matchers, from, to, guard)
        }

        fn series(
            &self,
            matchers: &[LabelMatcher],
            from: UnixMillis,
            to: UnixMillis,
            guard: &Guard,
        ) -> Result<Vec<LabelSet>, StorageError> {
            self.0.series(matchers, from, to, guard)
        }
    }

    #[test]
    fn it_answers_as_the_source_and_asks_it_rarely() {
        let history = History::in_memory(10);
        let series = history
            .series_id(&LabelSet::new([("__name__", "up")]))
            .unwrap();
        for minute in 0..600 {
            history.append(UnixMillis(minute * 60_000), &[(series, minute as f64)]);
        }
        let source = Counted(history, AtomicUsize::new(0));
        let view = FutureView::new(&source, UnixMillis(600 * 60_000));
        let matchers = [LabelMatcher::equal("__name__", "up")];
        let guard = Guard::default();
        for minute in 0..600 {
            let (from, to) = (
                UnixMillis((minute - 5) * 60_000 + 1),
                UnixMillis(minute * 60_000),
            );
            let got = view.select(&matchers, from, to, &guard);
            assert_eq!(got, source.0.select(&matchers, from, to, &guard));
        }
        assert!(
            source.1.load(Relaxed) <= 12,
            "asked {} times",
            source.1.load(Relaxed)
        );
    }
}
