//! Types that change: a program restarts in another version, or sends the types of its metrics later than their samples.

use bellwether_core::{Kind, LabelSet, Origin};

use super::{Ingested, Layout, Shared, belongs};

impl Ingested {
    /// Changes the type of a family all of whose series are of `source`, which has not brought any of them in this
    /// `round`.
    pub(super) fn retype(
        &mut self,
        (name, kind, help): (&str, Option<Kind>, &str),
        source: Origin,
        round: u64,
        shared: &Shared<'_>,
    ) {
        let Self { families, rows, .. } = self;
        let Some(family) = families.get_mut(name) else {
            return;
        };
        if family.kind == kind || shared.taken.contains_key(name) {
            return;
        }
        let mut of_family = family.slots.iter().map(|slot| &rows[*slot as usize]);
        if of_family.all(|row| row.source == source && row.round != round) {
            family.kind = kind;
            family.help = help.into();
            family.layout = Layout::default();
        }
    }

    /// Moves the series in `slot` to the family under which it came, if it belongs there: `x_sum` to `x`. It stays
    /// where it is if another source has the family with another type.
    pub(super) fn rejoin(
        &mut self,
        slot: usize,
        (name, kind, help): (&str, Option<Kind>, &str),
        packed: &[u8],
    ) {
        let labels = LabelSet::from_packed(packed);
        if !labels.is_some_and(|labels| belongs(labels.name(), name, kind)) {
            return;
        }
        let Ok(joined) = self.family(name, kind, help) else {
            return;
        };
        let left = std::mem::replace(&mut self.rows[slot].family, joined.clone());
        if let Some(family) = self.families.get_mut(&joined) {
            family.slots.push(slot as u32);
            family.layout = Layout::default();
        }
        if let Some(family) = self.families.get_mut(&left) {
            family.slots.retain(|other| *other as usize != slot);
            family.layout = Layout::default();
            if family.slots.is_empty() {
                self.families.remove(&left);
            }
        }
    }
}
