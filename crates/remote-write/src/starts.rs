//! Since when the counters count that are sent: the start timestamps of remote write 2.0.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use bellwether_core::LabelSet;
use bellwether_promql::SampledSeries;

use super::family::Counting;
use super::tail::TailSample;

/// Most series remembered; of those beyond it the start is not known.
const MOST_KNOWN: usize = 100_000;

/// The counters of one destination, as far as they were sent. It lives as long as the process.
#[derive(Debug, Default)]
pub(super) struct Starts(HashMap<LabelSet, Counter>);

#[derive(Debug)]
struct Counter {
    at: i64,
    value: f64,
    since: Option<i64>,
}

impl Starts {
    /// Since when the counter counts that `sample` is of, milliseconds since the epoch; 0 where
    /// nobody knows. One that fell began again behind its last sample; what is said of it is the
    /// earliest moment of that.
    pub(super) fn of(&mut self, sample: &TailSample, counting: Counting) -> i64 {
        let TailSample { labels, at, value } = sample;
        if SampledSeries::is_stale(*value) {
            return 0;
        }
        // Samples of the process before this one were counted from elsewhere.
        let began = counting
            .since
            .map(|since| since.0)
            .filter(|since| since < at);
        let full = self.0.len() >= MOST_KNOWN;
        let counter = match self.0.entry(labels.clone()) {
            Entry::Occupied(counter) => counter.into_mut(),
            Entry::Vacant(_) if full => return 0,
            Entry::Vacant(place) => place.insert(Counter {
                at: *at,
                value: *value,
                since: began,
            }),
        };
        counter.advance(*at, *value, began, counting.falls);
        counter.since.filter(|since| since < at).unwrap_or(0)
    }
}

impl Counter {
    fn advance(&mut self, at: i64, value: f64, began: Option<i64>, falls: bool) {
        // What comes again, after a stop, says nothing new.
        if at <= self.at {
            return;
        }
        let fell = value < self.value;
        self.since = match (fell, began) {
            (_, Some(began)) if began >= self.at => Some(began),
            (true, _) if falls => None,
            (true, _) => Some(self.at.saturating_add(1)),
            (false, _) => self.since,
        };
        (self.at, self.value) = (at, value);
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::UnixMillis;

    use super::*;

    fn starts(counting: Counting, samples: &[(i64, f64)]) -> Vec<i64> {
        let mut starts = Starts::default();
        let sample = |(at, value): &(i64, f64)| {
            let labels = LabelSet::new([("__name__", "a")]);
            starts.of(
                &TailSample {
                    labels,
                    at: *at,
                    value: *value,
                },
                counting,
            )
        };
        samples.iter().map(sample).collect()
    }

    const OURS: Counting = Counting {
        since: Some(UnixMillis(100)),
        falls: false,
    };
    const ANOTHERS: Counting = Counting {
        since: None,
        falls: false,
    };

    #[test]
    fn a_counter_of_this_process_began_with_it_and_again_where_it_fell() {
        let told = starts(OURS, &[(200, 5.0), (300, 5.0), (400, 1.0), (500, 2.0)]);
        assert_eq!(told, [100, 100, 301, 301]);
    }

    #[test]
    fn what_the_process_before_counted_has_no_start() {
        let told = starts(OURS, &[(80, 5.0), (100, 6.0), (200, 0.0), (300, 9.0)]);
        assert_eq!(told, [0, 0, 100, 100]);
        let higher = starts(OURS, &[(80, 5.0), (200, 7.0)]);
        assert_eq!(higher, [0, 100], "it counts anew, whatever it has reached");
    }

    #[test]
    fn the_start_of_a_counter_of_others_is_known_from_its_first_fall_on() {
        let told = starts(ANOTHERS, &[(1, 5.0), (2, 6.0), (9, 3.0), (10, 4.0)]);
        assert_eq!(told, [0, 0, 3, 3]);
        let sum = Counting {
            falls: true,
            ..OURS
        };
        let told = starts(sum, &[(200, 5.0), (300, 4.0), (400, 9.0)]);
        assert_eq!(
            told,
            [100, 0, 0],
            "a sum of negative values falls and goes on"
        );
    }

    #[test]
    fn repeats_and_markers_of_an_end_change_nothing() {
        let stale = SampledSeries::stale();
        let told = starts(OURS, &[(200, 5.0), (300, stale), (200, 5.0), (400, 6.0)]);
        assert_eq!(told, [100, 0, 100, 100]);
    }
}
