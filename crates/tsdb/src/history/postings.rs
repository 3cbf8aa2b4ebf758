//! Which series there are, and which of them matchers select.

use bellwether_core::LabelSet;
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Stopped};
use hashbrown::{HashMap, HashSet};

/// All series by label. A number is never given twice, so that whoever still holds that of a series
/// that left can't write into another.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_labels: HashMap<LabelSet, u32>,
    labels: Vec<Option<LabelSet>>,
    /// Ascending, as are all lists of numbers here.
    all: Vec<u32>,
    postings: HashMap<String, HashMap<String, Vec<u32>>>,
}

impl Index {
    /// Number of series.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn get(&self, labels: &LabelSet) -> Option<u32> {
        self.by_labels.get(labels).copied()
    }

    pub fn labels(&self, series: u32) -> Option<&LabelSet> {
        self.labels.get(series as usize)?.as_ref()
    }

    /// All series.
    pub fn all(&self) -> &[u32] {
        &self.all
    }

    /// The series with these labels, made if it is new.
    pub fn intern(&mut self, labels: &LabelSet) -> u32 {
        if let Some(known) = self.get(labels) {
            return known;
        }
        let new = self.labels.len() as u32;
        self.labels.push(Some(labels.clone()));
        self.by_labels.insert(labels.clone(), new);
        self.all.push(new);
        for (name, value) in labels.iter() {
            let values = self.postings.entry_ref(name).or_default();
            values.entry_ref(value).or_default().push(new);
        }
        new
    }

    /// Forgets `gone`.
    pub fn remove(&mut self, gone: &HashSet<u32>) {
        for series in gone {
            if let Some(labels) = self.labels.get_mut(*series as usize).and_then(Option::take) {
                self.by_labels.remove(&labels);
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

    /// The series that all `matchers` accept, ascending.
    ///
    /// # Errors
    /// The query was ended.
    pub fn find(&self, matchers: &[LabelMatcher], guard: &Guard) -> Result<Vec<u32>, Stopped> {
        let mut found: Option<Vec<u32>> = None;
        let (exact, others): (Vec<_>, Vec<_>) = matchers
            .iter()
            .partition(|matcher| matcher.test.exact().is_some_and(|value| !value.is_empty()));
        let mut lists: Vec<&[u32]> = exact
            .iter()
            .map(|matcher| self.list(&matcher.name, matcher.test.exact().unwrap_or_default()))
            .collect();
        lists.sort_by_key(|list| list.len());
        for list in lists {
            guard.check()?;
            found = Some(match found {
                None => list.to_vec(),
                Some(found) => intersect(&found, list),
            });
        }
        for matcher in others {
            found = Some(self.narrow(found, matcher, guard)?);
        }
        Ok(found.unwrap_or_else(|| self.all.clone()))
    }

    fn list(&self, name: &str, value: &str) -> &[u32] {
        self.postings
            .get(name)
            .and_then(|values| values.get(value))
            .map_or(&[], Vec::as_slice)
    }

    /// Those of `found`, `None` being all, that `matcher` accepts. Tests each series or each value
    /// of the label, whichever are fewer.
    fn narrow(
        &self,
        found: Option<Vec<u32>>,
        matcher: &LabelMatcher,
        guard: &Guard,
    ) -> Result<Vec<u32>, Stopped> {
        guard.check()?;
        let values = self.postings.get(&*matcher.name);
        let absent = matcher.test.accepts("");
        // Once the query was ended nothing is tested any more.
        let goes_on = || guard.check().is_ok();
        let narrowed = match (found, values) {
            (found, None) if absent => found.unwrap_or_else(|| self.all.clone()),
            (_, None) => Vec::new(),
            (Some(mut found), Some(values)) if found.len() <= values.len() => {
                found.retain(|series| {
                    goes_on() && self.labels(*series).is_some_and(|own| matcher.accepts(own))
                });
                found
            }
            (found, Some(values)) => {
                // A label that is absent passes: take away those whose value does not.
                let named = values
                    .iter()
                    .filter(|(value, _)| goes_on() && matcher.test.accepts(value) != absent);
                let mut named: Vec<u32> = named.flat_map(|(_, list)| list).copied().collect();
                named.sort_unstable();
                match (absent, found) {
                    (true, found) => subtract(found.as_deref().unwrap_or(&self.all), &named),
                    (false, Some(found)) => intersect(&found, &named),
                    (false, None) => named,
                }
            }
        };
        guard.check()?;
        Ok(narrowed)
    }
}

fn intersect(few: &[u32], many: &[u32]) -> Vec<u32> {
    few.iter()
        .filter(|series| many.binary_search(series).is_ok())
        .copied()
        .collect()
}

fn subtract(from: &[u32], gone: &[u32]) -> Vec<u32> {
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
            let gone = gone.into_iter().collect();
            index.remove(&gone);
            let expected: Vec<u32> = (0..20)
                .filter(|series| index.labels(*series).is_some_and(|labels| {
                    matchers.iter().all(|matcher| matcher.accepts(labels))
                }))
                .collect();
            prop_assert_eq!(index.find(&matchers, &Guard::default()).unwrap(), expected);
        }
    }
}
