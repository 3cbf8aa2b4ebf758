//! Reads ahead for rules that ask again and again: of each selector a span at once, from which the
//! questions of many ticks are answered.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use parking_lot::Mutex;

/// How far it reads beyond what is asked.
const AHEAD: Duration = Duration::from_secs(3_600);

/// A source that is asked at times that only go on.
pub(super) struct Ahead<'a> {
    source: &'a dyn Queryable,
    /// Later than this nothing is asked.
    end: UnixMillis,
    /// By the text of the matchers.
    kept: Mutex<HashMap<String, Kept>>,
}

/// What was read of one selector.
struct Kept {
    from: UnixMillis,
    to: UnixMillis,
    series: Vec<SampledSeries>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(source: &'a dyn Queryable, end: UnixMillis) -> Self {
        Self {
            source,
            end,
            kept: Mutex::default(),
        }
    }
}

impl Queryable for Ahead<'_> {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let key = matchers.iter().fold(String::new(), |key, one| {
            key + &one.name + one.test.operator() + one.test.operand() + "\u{0}"
        });
        let mut kept = self.kept.lock();
        if !kept
            .get(&key)
            .is_some_and(|kept| kept.from <= from && to <= kept.to)
        {
            let until = UnixMillis(to.0.saturating_add_unsigned(AHEAD.as_millis() as u64));
            let until = until.min(self.end).max(to);
            let series = self
                .source
                .select(matchers, from, until, &Guard::default())?;
            kept.insert(
                key.clone(),
                Kept {
                    from,
                    to: until,
                    series,
                },
            );
        }
        let Some(kept) = kept.get(&key) else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for series in &kept.series {
            let start = series.times.partition_point(|time| *time < from.0);
            let end = series.times.partition_point(|time| *time <= to.0);
            if start < end {
                guard.charge(end - start)?;
                found.push(SampledSeries {
                    labels: series.labels.clone(),
                    times: series.times[start..end].to_vec(),
                    values: series.values[start..end].to_vec(),
                });
            }
        }
        Ok(found)
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

    /// Counts how often it is asked.
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
            .series_ref(&LabelSet::new([("__name__", "up")]))
            .unwrap();
        for minute in 0..600 {
            history.append(UnixMillis(minute * 60_000), &[(series, minute as f64)]);
        }
        let source = Counted(history, AtomicUsize::new(0));
        let ahead = Ahead::new(&source, UnixMillis(600 * 60_000));
        let matchers = [LabelMatcher::equal("__name__", "up")];
        let guard = Guard::default();
        for minute in 0..600 {
            let (from, to) = (
                UnixMillis((minute - 5) * 60_000 + 1),
                UnixMillis(minute * 60_000),
            );
            let got = ahead.select(&matchers, from, to, &guard);
            assert_eq!(got, source.0.select(&matchers, from, to, &guard));
        }
        assert!(
            source.1.load(Relaxed) <= 12,
            "asked {} times",
            source.1.load(Relaxed)
        );
    }
}
