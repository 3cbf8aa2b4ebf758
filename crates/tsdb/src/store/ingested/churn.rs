//! Churn: series that come and go.

use std::fmt;

use bellwether_core::MonoMillis;

/// Length of the time over which new series are counted.
const WINDOW_SECONDS: u64 = 3600;
/// Number of new series in this time that is usual for any source.
const USUAL: u64 = 1000;

/// Count of the new series of a source, over consecutive hours.
#[derive(Clone, Debug, Default)]
pub(super) struct NewSeries {
    /// New series ever.
    pub(super) total: u64,
    /// Start of this hour; `None` before the first ingestion, whose series are all new.
    start: Option<MonoMillis>,
    in_window: u64,
    in_last_window: u64,
}

/// Series of a source that come and go too often: new ones by far outnumber those that it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Churn {
    new: u64,
    current: usize,
}

impl NewSeries {
    /// Counts the new series of an ingestion.
    pub(super) fn add(&mut self, new: u64, now: MonoMillis) {
        self.total += new;
        let Some(start) = self.start else {
            self.start = Some(now);
            return;
        };
        let age = now.since(start).as_secs();
        if age >= WINDOW_SECONDS {
            let is_next = age < 2 * WINDOW_SECONDS;
            self.in_last_window = if is_next { self.in_window } else { 0 };
            self.in_window = 0;
            self.start = Some(now);
        }
        self.in_window += new;
    }

    /// Returns the churn of a source that has `current` series: in this hour or the one before, more than 1,000 and
    /// more than twice the current number of series were new.
    pub(super) fn churn(&self, current: usize) -> Option<Churn> {
        let new = self.in_window.max(self.in_last_window);
        (new > USUAL.max(2 * current as u64)).then_some(Churn { new, current })
    }
}

impl fmt::Display for Churn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { new, current } = self;
        write!(
            f,
            "churn: {new} new series in an hour, and {current} current: a label changes too often; `bellwether \
             cardinality` shows which, and metric_relabel_configs drop it",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: u64) -> MonoMillis {
        MonoMillis(minute * 60_000)
    }

    #[test]
    fn a_source_that_keeps_its_series_has_no_churn() {
        let mut new = NewSeries::default();
        new.add(5000, at(0));
        assert_eq!((new.total, new.churn(0)), (5000, None));
        new.add(1001, at(30));
        assert_eq!(new.churn(501), None);
        let (new_series, current) = (1001, 500);
        let churn = Churn {
            new: new_series,
            current,
        };
        assert_eq!(new.churn(500), Some(churn));
    }

    #[test]
    fn churn_is_reported_for_an_hour_after_its_hour() {
        let mut new = NewSeries::default();
        for minute in 0..=59 {
            new.add(20, at(minute));
        }
        let churn = new.churn(20).unwrap();
        let text = churn.to_string();
        assert!(
            text.starts_with("churn: 1180 new series in an hour, and 20 current"),
            "{text}"
        );
        new.add(0, at(60));
        assert_eq!(new.churn(20), Some(churn));
        new.add(0, at(120));
        assert_eq!(new.churn(20), None);
        assert_eq!(new.total, 1200);
    }

    #[test]
    fn a_pause_of_hours_is_no_churn() {
        let mut new = NewSeries::default();
        new.add(0, at(0));
        new.add(1500, at(1));
        new.add(1, at(500));
        assert_eq!(new.churn(1), None);
    }
}
