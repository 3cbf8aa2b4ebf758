//! Packed label values of many series, in few allocations.

use super::labels::PackedLabels;

/// Packed label values by slot, in blocks: less memory than an allocation for each series, and
/// neighbours are read without a miss of the cache. A block never grows, so that many tables which fill up
/// leave no outgrown buffers behind. The space of removed labels is reclaimed once it is more than a half.
#[derive(Clone, Debug, Default)]
pub struct LabelTable {
    blocks: Vec<Vec<u8>>,
    /// Index of the block, and index of the first byte in it in the lowest [`BLOCK_BITS`], by slot; `FREE` if the slot is.
    starts: Vec<u32>,
    /// Bytes, by slot; `WHOLE_BLOCK` for a label set with a block of its own.
    lengths: Vec<u16>,
    /// Bytes in the blocks, and those of them that belong to no slot.
    used: usize,
    unused: usize,
}

const FREE: u32 = u32::MAX;
const WHOLE_BLOCK: u16 = u16::MAX;

const BLOCK_BITS: u32 = 12;

/// Bytes of the smallest blocks and of the largest; a longer label set has a block of its own.
const SMALLEST_BLOCK: usize = 64;
const LARGEST_BLOCK: usize = 1 << BLOCK_BITS;

impl LabelTable {
    /// Returns the number of slots, free ones included.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.starts.len()
    }

    /// Returns the labels in `slot`; `None` if it is free.
    #[inline]
    #[must_use]
    pub fn get(&self, slot: usize) -> Option<PackedLabels<'_>> {
        let start = *self.starts.get(slot)?;
        let block = self.blocks.get((start >> BLOCK_BITS) as usize)?;
        let first = start as usize % LARGEST_BLOCK;
        let bytes = match *self.lengths.get(slot)? {
            WHOLE_BLOCK => block.get(first..)?,
            length => block.get(first..first + usize::from(length))?,
        };
        Some(PackedLabels::new(bytes))
    }

    /// Puts labels into `slot`, which is free or behind the last one. Returns false, and changes nothing,
    /// if there are about 4 GiB of labels.
    #[must_use]
    pub fn set(&mut self, slot: usize, labels: PackedLabels<'_>) -> bool {
        let packed = labels.packed();
        let Some(start) = self.add(packed) else {
            return false;
        };
        if slot >= self.slots() {
            let missing = slot + 1 - self.slots();
            reserve_tightly(&mut self.starts, missing);
            reserve_tightly(&mut self.lengths, missing);
            self.starts.resize(slot + 1, FREE);
            self.lengths.resize(slot + 1, 0);
        }
        self.starts[slot] = start;
        self.lengths[slot] = match packed.len() {
            length @ 0..=LARGEST_BLOCK => length as u16,
            _ => WHOLE_BLOCK,
        };
        true
    }

    /// Puts labels into a block, and returns where they start.
    fn add(&mut self, packed: &[u8]) -> Option<u32> {
        let fits = self.blocks.last().is_some_and(|block| {
            // There are no bits for a start behind the largest block.
            let end = block.capacity().min(LARGEST_BLOCK);
            block.len() < end && block.len() + packed.len() <= end
        });
        if !fits {
            if self.blocks.len() >= (u32::MAX >> BLOCK_BITS) as usize {
                return None;
            }
            let size = self.used.clamp(SMALLEST_BLOCK, LARGEST_BLOCK);
            self.blocks.push(Vec::with_capacity(size.max(packed.len())));
        }
        let index = self.blocks.len() - 1;
        let block = self.blocks.last_mut()?;
        let start = (index as u32) << BLOCK_BITS | block.len() as u32;
        block.extend_from_slice(packed);
        self.used += packed.len();
        Some(start)
    }

    /// Frees `slot`.
    pub fn remove(&mut self, slot: usize) {
        if let Some(labels) = self.get(slot) {
            self.unused += labels.packed().len();
            self.starts[slot] = FREE;
        }
        if self.unused > self.used / 2 {
            self.reclaim();
        }
    }

    fn reclaim(&mut self) {
        let mut packed = Self::default();
        for slot in 0..self.slots() {
            let start = self
                .get(slot)
                .and_then(|labels| packed.add(labels.packed()));
            packed.starts.push(start.unwrap_or(FREE));
        }
        packed.lengths = std::mem::take(&mut self.lengths);
        *self = packed;
    }
}

/// Reserves room for `additional` items. A long vector grows by a quarter where `Vec::reserve` doubles it: if it is
/// filled once, less of its memory is unused, and growth still costs O(1) an item.
pub fn reserve_tightly<T>(items: &mut Vec<T>, additional: usize) {
    /// Below it, the memory of outgrown buffers counts for more.
    const LONG: usize = 1024;
    if items.capacity() - items.len() < additional {
        let growth = if items.len() < LONG {
            items.len()
        } else {
            items.len() / 4
        };
        items.reserve_exact(growth.max(additional));
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
        assert!(table.used < 200, "{} bytes", table.used);
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
    fn labels_of_all_lengths_are_found() {
        let mut table = LabelTable::default();
        let lengths = [0, 1, 62, 64, 2000, 4000, 4095, 4096, 70_000, 0, 5, 4094, 1];
        for round in 0..20 {
            for (index, length) in lengths.iter().enumerate() {
                set(
                    &mut table,
                    round * lengths.len() + index,
                    &"x".repeat(*length),
                );
            }
        }
        for slot in 0..table.slots() {
            let found = get(&table, slot).map(str::len);
            assert_eq!(found, Some(lengths[slot % lengths.len()]), "{slot}");
        }
        let room: usize = table.blocks.iter().map(Vec::capacity).sum();
        assert!(room < table.used * 3 / 2, "{room} bytes for {}", table.used);
    }

    #[test]
    fn nothing_starts_behind_a_full_block() {
        let mut table = LabelTable::default();
        set(&mut table, 0, &"x".repeat(LARGEST_BLOCK - 1));
        assert!(table.set(1, PackedLabels::new(&[])));
        assert!(table.get(1).is_some());
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
    fn a_long_vector_has_at_most_a_quarter_unused() {
        let (mut items, mut grown) = (Vec::new(), 0);
        for item in 0..10_000 {
            let before = items.capacity();
            reserve_tightly(&mut items, 1);
            grown += usize::from(items.capacity() != before);
            items.push(item);
            assert!(items.len() < 2048 || items.capacity() <= items.len() + items.len() / 4);
        }
        assert!(grown < 30, "grown {grown} times");
    }
}
