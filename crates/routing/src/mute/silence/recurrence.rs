//! Recurring times of silences.

use bellwether_calendar::Location;
use bellwether_schema::{Diagnostics, Spanned, did_you_mean, section};

use crate::mute::time_interval::{RecurringSettings, TimeInterval, TimeIntervals};

section! {
    /// Recurring times of a silence. Without any it is in force all the time.
    pub struct Recurs {
        /// Recurring times; the silence is in force within any of them or of `intervals`.
        pub times: Vec<RecurringSettings> = Vec::new(),
        /// Names of time intervals; the silence is in force within any of them or of `times`.
        pub intervals: Vec<Spanned<String>> = Vec::new(),
        /// Time zone of those `times` that have no location.
        pub location: Location = Location::default(),
    }
}

impl Recurs {
    /// Returns whether there are no recurring times.
    #[must_use]
    pub fn is_always(&self) -> bool {
        self.times.is_empty() && self.intervals.is_empty()
    }

    /// Returns the number of times and intervals.
    pub(crate) fn len(&self) -> usize {
        self.times.len() + self.intervals.len()
    }

    /// Returns the names that are not in `all`.
    pub(crate) fn unknown<'a>(
        &'a self,
        all: &'a TimeIntervals,
    ) -> impl Iterator<Item = &'a Spanned<String>> {
        self.intervals
            .iter()
            .filter(|name| !all.contains_name(name))
    }

    /// Compiles the times and intervals; errors go to `diagnostics`.
    pub(crate) fn compile(
        &self,
        all: &TimeIntervals,
        diagnostics: &mut Diagnostics,
    ) -> Vec<TimeInterval> {
        for name in self.unknown(all) {
            diagnostics
                .error(&name.at, format!("unknown time interval {:?}", name.value))
                .hint_if(did_you_mean(name, all.names()));
        }
        let mut compiled: Vec<TimeInterval> = self
            .times
            .iter()
            .map(|time| TimeInterval::compile(time, &self.location, diagnostics))
            .collect();
        for name in &self.intervals {
            compiled.extend_from_slice(all.get(name));
        }
        compiled
    }
}
