//! Refreshes of series that come in the same order each time: their slots are remembered.

use bellwether_core::{MonoMillis, Sample};

use super::family::Family;

/// Slots of the series of one part of a source.
#[derive(Debug, Default)]
pub(super) struct PartSlots {
    /// Version of the part.
    version: u64,
    /// Generation of the family.
    generation: u64,
    /// In the order of the part.
    slots: Vec<u32>,
}

/// Refresh of one part; see [`Refresh::set_part`](super::Refresh::set_part).
#[derive(Debug)]
pub struct PartRefresh<'a> {
    family: &'a mut Family,
    part: usize,
    version: u64,
    now: MonoMillis,
    slots: Vec<u32>,
    /// True if `slots` are those of the last refresh, and the part has the same series.
    is_same: bool,
    rejected: u64,
}

impl<'a> PartRefresh<'a> {
    pub(super) fn new(family: &'a mut Family, part: usize, version: u64, now: MonoMillis) -> Self {
        let before = family.take_part(part);
        let is_same = before.version == version && before.generation == family.generation();
        let mut slots = before.slots;
        if !is_same {
            slots.clear();
        }
        Self {
            family,
            part,
            version,
            now,
            slots,
            is_same,
            rejected: 0,
        }
    }

    /// Returns whether the part has the same series, in the same order, as at the last refresh.
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.is_same
    }

    /// Sets the current values of all series, which are [the same](PartRefresh::is_same): row by row in
    /// their order.
    pub fn set_all(&mut self, values: &[f64]) {
        self.family.overwrite_all(&self.slots, values, self.now);
    }

    /// Sets the current values of a series, which is looked up; all series of the part must follow.
    pub fn set(&mut self, sample: Sample<'_>) {
        if std::mem::take(&mut self.is_same) {
            self.slots.clear();
        }
        let slot = self
            .family
            .set(sample.labels, sample.values, self.now, false);
        match slot {
            Some(slot) => self.slots.push(slot as u32),
            None => self.rejected += 1,
        }
    }

    /// Remembers the slots. Returns the number of rejected samples.
    pub(super) fn finish(mut self) -> u64 {
        if self.rejected == 0 {
            self.slots.shrink_to_fit();
            let slots = PartSlots {
                version: self.version,
                generation: self.family.generation(),
                slots: self.slots,
            };
            self.family.put_part(self.part, slots);
        }
        self.rejected
    }
}
