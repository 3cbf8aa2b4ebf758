//! Types that change: a program restarts in another version, or sends the types of its metrics later than their samples.

use bellwether_core::{LabelSet, SeriesFamily};

use super::{Ingested, IngestedSample, Layout, Shared, Turn, belongs};

impl Ingested {
    /// Changes the type of a family all of whose series are of the source of this turn, which has not brought any of
    /// them in it.
    pub(super) fn retype(
        &mut self,
        family: &SeriesFamily<'_>,
        turn: &Turn<'_>,
        shared: &Shared<'_>,
    ) {
        let Self { families, rows, .. } = self;
        let Some(known) = families.get_mut(family.name) else {
            return;
        };
        if known.kind == family.kind || shared.taken.contains_key(family.name) {
            return;
        }
        let mut of_family = known.slots.iter().map(|slot| &rows[*slot as usize]);
        if of_family.all(|row| row.source == turn.source && row.round != turn.round) {
            known.kind = family.kind;
            known.help = family.help.into();
            known.layout = Layout::default();
        }
    }

    /// Moves the series in `slot` to the family under which it came, if it belongs there: `x_sum` to `x`. It stays
    /// where it is if another source has the family with another type.
    pub(super) fn rejoin(&mut self, slot: usize, sample: &IngestedSample<'_>) {
        let SeriesFamily {
            name, kind, help, ..
        } = sample.family;
        let labels = LabelSet::from_packed(sample.packed);
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
