//! Start timestamps of counters, which remote write 2.0 has.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bellwether_core::LabelSet;
use bellwether_promql::SampledSeries;

use super::family::Counting;
use super::tail::TailSample;

/// Limit of series; the start of those beyond it is unknown.
const MAX_SERIES: usize = 100_000;

/// Counters that one destination was sent. It lives as long as the process.
#[derive(Debug, Default)]
pub(super) struct StartTimes(HashMap<LabelSet, Counter>);

#[derive(Debug)]
struct Counter {
    at: i64,
    value: f64,
    start: Option<i64>,
}

impl StartTimes {
    /// Returns the start of the counter of `sample`, in milliseconds since the epoch; 0 where it is
    /// unknown. A counter that decreased was reset after its last sample; its start is the earliest
    /// possible time of the reset.
    pub(super) fn start(&mut self, sample: &TailSample, counting: Counting) -> i64 {
        let TailSample { labels, at, value } = sample;
        if SampledSeries::is_stale(*value) {
            return 0;
        }
        // Samples before the start are of an earlier process, which counted from another start.
        let known_start = counting
            .start
            .map(|start| start.0)
            .filter(|start| start < at);
        let full = self.0.len() >= MAX_SERIES;
        let counter = match self.0.entry(labels.clone()) {
            Entry::Occupied(counter) => counter.into_mut(),
            Entry::Vacant(_) if full => return 0,
            Entry::Vacant(entry) => entry.insert(Counter {
                at: *at,
                value: *value,
                start: known_start,
            }),
        };
        counter.advance(*at, *value, known_start, counting.may_decrease);
        counter.start.filter(|start| start < at).unwrap_or(0)
    }
}

impl Counter {
    fn advance(&mut self, at: i64, value: f64, known_start: Option<i64>, may_decrease: bool) {
        // A sample that is sent again after a stop changes nothing.
        if at <= self.at {
            return;
        }
        let decreased = value < self.value;
        self.start = match (decreased, known_start) {
            (_, Some(start)) if start >= self.at => Some(start),
            (true, _) if may_decrease => None,
            (true, _) => Some(self.at.saturating_add(1)),
            (false, _) => self.start,
        };
        (self.at, self.value) = (at, value);
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::UnixMillis;

    use super::*;

    fn starts(counting: Counting, samples: &[(i64, f64)]) -> Vec<i64> {
        let mut starts = StartTimes::default();
        samples
            .iter()
            .map(|(at, value)| {
                let labels = LabelSet::new([("__name__", "a")]);
                starts.start(
                    &TailSample {
                        labels,
                        at: *at,
                        value: *value,
                    },
                    counting,
                )
            })
            .collect()
    }

    const OWN: Counting = Counting {
        start: Some(UnixMillis(100)),
        may_decrease: false,
    };
    const OTHER: Counting = Counting {
        start: None,
        may_decrease: false,
    };

    #[test]
    fn a_counter_of_this_process_began_with_it_and_again_where_it_fell() {
        let times = starts(OWN, &[(200, 5.0), (300, 5.0), (400, 1.0), (500, 2.0)]);
        assert_eq!(times, [100, 100, 301, 301]);
    }

    #[test]
    fn what_the_process_before_counted_has_no_start() {
        let times = starts(OWN, &[(80, 5.0), (100, 6.0), (200, 0.0), (300, 9.0)]);
        assert_eq!(times, [0, 0, 100, 100]);
        let higher = starts(OWN, &[(80, 5.0), (200, 7.0)]);
        assert_eq!(higher, [0, 100], "it counts anew, whatever it has reached");
    }

    #[test]
    fn the_start_of_a_counter_of_others_is_known_from_its_first_fall_on() {
        let times = starts(OTHER, &[(1, 5.0), (2, 6.0), (9, 3.0), (10, 4.0)]);
        assert_eq!(times, [0, 0, 3, 3]);
        let sum = Counting {
            may_decrease: true,
            ..OWN
        };
        let times = starts(sum, &[(200, 5.0), (300, 4.0), (400, 9.0)]);
        assert_eq!(
            times,
            [100, 0, 0],
            "a sum of negative values falls and goes on"
        );
    }

    #[test]
    fn repeats_and_markers_of_an_end_change_nothing() {
        let stale = SampledSeries::stale();
        let times = starts(OWN, &[(200, 5.0), (300, stale), (200, 5.0), (400, 6.0)]);
        assert_eq!(times, [100, 0, 100, 100]);
    }
}
