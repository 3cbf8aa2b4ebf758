//! Inverted index: selection of series by matchers.

use std::hash::BuildHasher;

use bellwether_core::{LabelSet, reserve_tightly};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Stopped};
use hashbrown::hash_table::OccupiedEntry;
use hashbrown::{DefaultHashBuilder, HashMap, HashSet, HashTable};

use super::SeriesId;

/// All series by label. Ids are never reused, so that the id of a removed series cannot write to another
/// one.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Ids by the hash of their labels.
    by_labels: HashTable<SeriesId>,
    hasher: DefaultHashBuilder,
    /// By series id; `None` for a series that was removed.
    labels: Vec<Option<LabelSet>>,
    /// Ascending, as all lists of ids here.
    all: Vec<SeriesId>,
    postings: HashMap<String, HashMap<String, Vec<SeriesId>>>,
}

impl Index {
    /// Returns the number of series.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn get(&self, labels: &LabelSet) -> Option<SeriesId> {
        let hash = self.hasher.hash_one(labels);
        self.by_labels
            .find(hash, |series| self.labels(*series) == Some(labels))
            .copied()
    }

    pub fn labels(&self, series: SeriesId) -> Option<&LabelSet> {
        self.labels.get(series.index())?.as_ref()
    }

    /// Returns all series.
    pub fn all(&self) -> &[SeriesId] {
        &self.all
    }

    /// Returns the series with these labels, and creates it if it is new.
    pub fn intern(&mut self, labels: &LabelSet) -> SeriesId {
        if let Some(series) = self.get(labels) {
            return series;
        }
        let new = SeriesId(self.labels.len() as u32);
        reserve_tightly(&mut self.labels, 1);
        self.labels.push(Some(labels.clone()));
        let hash = self.hasher.hash_one(labels);
        let (all_labels, hasher) = (&self.labels, &self.hasher);
        self.by_labels.insert_unique(hash, new, |series| {
            let labels = all_labels.get(series.index()).and_then(Option::as_ref);
            labels.map_or(0, |labels| hasher.hash_one(labels))
        });
        reserve_tightly(&mut self.all, 1);
        self.all.push(new);
        for (name, value) in labels.iter() {
            let values = self.postings.entry_ref(name).or_default();
            values.entry_ref(value).or_default().push(new);
        }
        new
    }

    /// Removes the series in `gone`.
    pub fn remove(&mut self, gone: &HashSet<SeriesId>) {
        for series in gone {
            if let Some(labels) = self.labels.get_mut(series.index()).and_then(Option::take) {
                let hash = self.hasher.hash_one(&labels);
                let entry = self.by_labels.find_entry(hash, |other| other == series);
                entry.ok().map(OccupiedEntry::remove);
            }
        }
        self.all.retain(|series| !gone.contains(series));
        for values in self.postings.values_mut() {
            values.retain(|_, list| {
                list.retain(|series| !gone.contains(series));
                !list.is_empty()
            });
        }
        self.postings.retain(|_, values| !values.is_empty());
    }

    /// Returns the series that match all `matchers`, ascending.
    ///
    /// # Errors
    /// The guard stopped the query.
    pub fn find(&self, matchers: &[LabelMatcher], guard: &Guard) -> Result<Vec<SeriesId>, Stopped> {
        let mut candidates: Option<Vec<SeriesId>> = None;
        let (exact, others): (Vec<_>, Vec<_>) = matchers
            .iter()
            .partition(|matcher| matcher.test.exact().is_some_and(|value| !value.is_empty()));
        let mut lists: Vec<&[SeriesId]> = exact
            .iter()
            .map(|matcher| self.list(&matcher.name, matcher.test.exact().unwrap_or_default()))
            .collect();
        lists.sort_by_key(|list| list.len());
        for list in lists {
            guard.check()?;
            candidates = Some(match candidates {
                None => list.to_vec(),
                Some(candidates) => intersect(&candidates, list),
            });
        }
        for matcher in others {
            candidates = Some(self.narrow(candidates, matcher, guard)?);
        }
        Ok(candidates.unwrap_or_else(|| self.all.clone()))
    }

    fn list(&self, name: &str, value: &str) -> &[SeriesId] {
        self.postings
            .get(name)
            .and_then(|values| values.get(value))
            .map_or(&[], Vec::as_slice)
    }

    /// Returns the series of `candidates` (`None`: all) that match. Tests each series or each value of the
    /// label, whichever are fewer.
    fn narrow(
        &self,
        candidates: Option<Vec<SeriesId>>,
        matcher: &LabelMatcher,
        guard: &Guard,
    ) -> Result<Vec<SeriesId>, Stopped> {
        guard.check()?;
        let values = self.postings.get(&*matcher.name);
        let absent = matcher.test.matches("");
        // Nothing is tested after the query was stopped.
        let running = || guard.check().is_ok();
        let narrowed = match (candidates, values) {
            (candidates, None) if absent => candidates.unwrap_or_else(|| self.all.clone()),
            (_, None) => Vec::new(),
            (Some(mut candidates), Some(values)) if candidates.len() <= values.len() => {
                candidates.retain(|series| {
                    running() && self.labels(*series).is_some_and(|own| matcher.matches(own))
                });
                candidates
            }
            (candidates, Some(values)) => {
                // If an absent label matches, subtract the series whose value does not.
                let mut named: Vec<SeriesId> = values
                    .iter()
                    .filter(|(value, _)| running() && matcher.test.matches(value) != absent)
                    .flat_map(|(_, list)| list)
                    .copied()
                    .collect();
                named.sort_unstable();
                match (absent, candidates) {
                    (true, candidates) => {
                        subtract(candidates.as_deref().unwrap_or(&self.all), &named)
                    }
                    (false, Some(candidates)) => intersect(&candidates, &named),
                    (false, None) => named,
                }
            }
        };
        guard.check()?;
        Ok(narrowed)
    }
}

fn intersect(few: &[SeriesId], many: &[SeriesId]) -> Vec<SeriesId> {
    few.iter()
        .filter(|series| many.binary_search(series).is_ok())
        .copied()
        .collect()
}

fn subtract(from: &[SeriesId], gone: &[SeriesId]) -> Vec<SeriesId> {
    from.iter()
        .filter(|series| gone.binary_search(series).is_err())
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use bellwether_matcher::ValueTest;
    use proptest::prelude::*;

    use super::*;

    fn matcher() -> impl Strategy<Value = LabelMatcher> {
        let name = prop::sample::select(vec!["a", "b", "c"]);
        let operand =
            prop::sample::select(vec!["", "x", "y", "z", "x|y", ".*", ".+", "|x", "[yz]"]);
        (name, operand, any::<bool>(), any::<bool>()).prop_map(|(name, operand, regex, negated)| {
            let test = if regex {
                ValueTest::regex(operand, negated).unwrap()
            } else {
                ValueTest::equal(operand, negated)
            };
            LabelMatcher {
                name: name.into(),
                test,
            }
        })
    }

    proptest! {
        #[test]
        fn postings_select_what_matchers_accept(
            series in prop::collection::vec(
                prop::collection::vec((prop::sample::select(vec!["a", "b"]),
                    prop::sample::select(vec!["x", "y", "z", "w"])), 0..3), 0..20),
            gone in prop::collection::hash_set(0u32..20, 0..5),
            matchers in prop::collection::vec(matcher(), 0..4),
        ) {
            let mut index = Index::default();
            for labels in series {
                index.intern(&LabelSet::new(labels));
            }
            let gone = gone.into_iter().map(SeriesId).collect();
            index.remove(&gone);
            let expected: Vec<SeriesId> = (0..20)
                .map(SeriesId)
                .filter(|series| index.labels(*series).is_some_and(|labels| {
                    matchers.iter().all(|matcher| matcher.matches(labels))
                }))
                .collect();
            prop_assert_eq!(index.find(&matchers, &Guard::default()).unwrap(), expected);
        }
    }
}
