//! Index of series by the value of one label, built once per generation of a family and shared by
//! all rules.
//!
//! Without it ten thousand rules on one metric would each search all its series whenever one is
//! added or removed.

use std::collections::HashMap;

use bellwether_core::MetricId;
use bellwether_tsdb::store::{Family, Slot};

/// Slots by metric, label and value.
#[derive(Debug, Default)]
pub struct Index {
    labels: HashMap<(MetricId, usize), Entry>,
}

#[derive(Debug)]
struct Entry {
    generation: u64,
    by_value: HashMap<Box<str>, Vec<Slot>>,
}

impl Index {
    /// Returns the slots of `family` whose label at index `label` has this value.
    pub fn slots(
        &mut self,
        metric: MetricId,
        family: &Family,
        label: usize,
        value: &str,
    ) -> &[Slot] {
        let generation = family.generation();
        let fresh = || Entry {
            generation,
            by_value: by_value(family, label),
        };
        let entry = self.labels.entry((metric, label)).or_insert_with(fresh);
        if entry.generation != generation {
            *entry = fresh();
        }
        entry.by_value.get(value).map_or(&[], Vec::as_slice)
    }
}

fn by_value(family: &Family, label: usize) -> HashMap<Box<str>, Vec<Slot>> {
    let mut by_value: HashMap<Box<str>, Vec<Slot>> = HashMap::new();
    for (slot, series) in family.series() {
        let value = series.labels().get(label).unwrap_or_default();
        match by_value.get_mut(value) {
            Some(slots) => slots.push(slot),
            None => {
                by_value.insert(value.into(), vec![slot]);
            }
        }
    }
    by_value
}
