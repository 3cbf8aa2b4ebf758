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
    /// In the order of the part; not all of them if a sample was rejected.
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
    /// Number of `slots` that are used.
    next: usize,
    rejected: u64,
}

impl<'a> PartRefresh<'a> {
    pub(super) fn new(family: &'a mut Family, part: usize, version: u64, now: MonoMillis) -> Self {
        let before = family.take_part(part);
        let same = before.version == version && before.generation == family.generation();
        let mut slots = before.slots;
        if !same {
            slots.clear();
        }
        Self {
            family,
            part,
            version,
            now,
            slots,
            next: 0,
            rejected: 0,
        }
    }

    /// Sets the current values of a series.
    #[inline]
    pub fn set(&mut self, sample: Sample<'_>) {
        match self.slots.get(self.next) {
            Some(slot) => self.family.overwrite(*slot, sample.values, self.now),
            None => self.find(sample),
        }
        self.next += 1;
    }

    fn find(&mut self, sample: Sample<'_>) {
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
