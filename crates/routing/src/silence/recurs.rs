//! Silences that recur: when, as it is said and as it is judged.

use bellwether_schema::{Diagnostics, Spanned, did_you_mean, section};

use crate::time_interval::{Location, RecurringSettings, TimeInterval, TimeIntervals};

section! {
    /// Recurring times of a silence. None: all the time.
    pub struct Recurs {
        /// Recurring times; one of them, or of `intervals`, must hold.
        pub times: Vec<RecurringSettings> = Vec::new(),
        /// Names of time intervals; one of them, or of `times`, must hold.
        pub intervals: Vec<Spanned<String>> = Vec::new(),
        /// Whose clocks count for those `times` that have no location.
        pub location: Location = Location::default(),
    }
}

impl Recurs {
    /// Whether nothing recurs: it is all the time.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.times.is_empty() && self.intervals.is_empty()
    }

    /// How many times and intervals are named.
    pub(super) fn len(&self) -> usize {
        self.times.len() + self.intervals.len()
    }

    /// The names that are none of `all`.
    pub(super) fn unknown<'a>(
        &'a self,
        all: &'a TimeIntervals,
    ) -> impl Iterator<Item = &'a Spanned<String>> {
        self.intervals
            .iter()
            .filter(|name| !all.contains_name(name))
    }

    /// The times; what is wrong goes to `problems`.
    pub(super) fn compile(
        &self,
        all: &TimeIntervals,
        problems: &mut Diagnostics,
    ) -> Vec<TimeInterval> {
        for name in self.unknown(all) {
            problems
                .error(&name.at, format!("unknown time interval {:?}", name.value))
                .hint_if(did_you_mean(name, all.names()));
        }
        let own = self
            .times
            .iter()
            .map(|time| TimeInterval::compile(time, &self.location, problems));
        let own: Vec<TimeInterval> = own.collect();
        let named = self
            .intervals
            .iter()
            .flat_map(|name| all.get(name).iter().cloned());
        own.into_iter().chain(named).collect()
    }
}
