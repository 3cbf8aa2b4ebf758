//! Packed label values of many series in one buffer.

use super::labels::PackedLabels;

/// Packed label values by slot, in one buffer: less memory than an allocation for each series, and
/// neighbours are read without a miss of the cache. The space of removed ones is reclaimed once it is
/// more than a half.
#[derive(Clone, Debug, Default)]
pub struct LabelTable {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Bytes that belong to no slot.
    unused: usize,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    /// Index of the first byte; `FREE` if the slot is.
    start: u32,
    length: u32,
}

const FREE: Place = Place {
    start: u32::MAX,
    length: 0,
};

impl LabelTable {
    /// Returns the number of slots, free ones included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.places.len()
    }

    /// Returns the labels in `slot`; `None` if it is free.
    #[inline]
    #[must_use]
    pub fn get(&self, slot: usize) -> Option<PackedLabels<'_>> {
        let place = self.places.get(slot)?;
        let start = place.start as usize;
        let bytes = self.bytes.get(start..start + place.length as usize)?;
        Some(PackedLabels::new(bytes))
    }

    /// Puts labels into `slot`, which is free or behind the last one. Returns false, and changes nothing,
    /// if the buffer would have more than 4 GiB.
    #[must_use]
    pub fn set(&mut self, slot: usize, labels: PackedLabels<'_>) -> bool {
        let packed = labels.packed();
        let start = self.bytes.len();
        if start + packed.len() >= u32::MAX as usize {
            return false;
        }
        reserve_tightly(&mut self.bytes, packed.len());
        self.bytes.extend_from_slice(packed);
        if slot >= self.places.len() {
            let missing = slot + 1 - self.places.len();
            reserve_tightly(&mut self.places, missing);
            self.places.resize(slot + 1, FREE);
        }
        self.places[slot] = Place {
            start: start as u32,
            length: packed.len() as u32,
        };
        true
    }

    /// Frees `slot`.
    pub fn remove(&mut self, slot: usize) {
        if let Some(place) = self.places.get_mut(slot) {
            self.unused += place.length as usize;
            *place = FREE;
        }
        if self.unused > self.bytes.len() / 2 {
            self.reclaim();
        }
    }

    fn reclaim(&mut self) {
        let mut bytes = Vec::with_capacity(self.bytes.len() - self.unused);
        for place in &mut self.places {
            let range = place.start as usize..(place.start + place.length) as usize;
            if let Some(labels) = self.bytes.get(range) {
                place.start = bytes.len() as u32;
                bytes.extend_from_slice(labels);
            }
        }
        self.bytes = bytes;
        self.unused = 0;
    }
}

/// Reserves room for `additional` items. Grows by a quarter where `Vec::reserve` doubles: a large vector
/// that is filled once has less unused memory, and growth still costs O(1) an item.
pub fn reserve_tightly<T>(items: &mut Vec<T>, additional: usize) {
    if items.capacity() - items.len() < additional {
        items.reserve_exact(additional.max(items.len() / 4));
    }
}

#[cfg(test)]
mod tests {
    use super::super::labels::LabelValues;
    use super::*;

    fn set(table: &mut LabelTable, slot: usize, value: &str) {
        assert!(table.set(slot, LabelValues::new(&[value]).as_packed()));
    }

    fn get(table: &LabelTable, slot: usize) -> Option<&str> {
        table.get(slot)?.get(0)
    }

    #[test]
    fn labels_stay_in_their_slots_while_others_come_and_go() {
        let mut table = LabelTable::default();
        for slot in 0..100 {
            set(&mut table, slot, &format!("host-{slot}"));
        }
        for slot in (0..100).filter(|slot| slot % 10 != 0) {
            table.remove(slot);
        }
        assert!(table.bytes.len() < 200, "{} bytes", table.bytes.len());
        set(&mut table, 7, "new");
        set(&mut table, 102, "last");
        for slot in (0..100).step_by(10) {
            assert_eq!(get(&table, slot), Some(&*format!("host-{slot}")));
        }
        assert_eq!((get(&table, 7), get(&table, 8)), (Some("new"), None));
        assert_eq!((get(&table, 101), get(&table, 102)), (None, Some("last")));
        assert_eq!(table.slots(), 103);
    }

    #[test]
    fn no_labels_are_labels() {
        let mut table = LabelTable::default();
        assert!(table.set(0, PackedLabels::new(&[])));
        assert!(table.get(0).is_some() && table.get(1).is_none());
        table.remove(0);
        assert!(table.get(0).is_none());
    }

    #[test]
    fn growth_leaves_at_most_a_quarter_unused() {
        let mut items = Vec::new();
        for item in 0..10_000 {
            reserve_tightly(&mut items, 1);
            items.push(item);
            assert!(items.capacity() <= items.len() + items.len() / 4 + 1);
        }
    }
}
