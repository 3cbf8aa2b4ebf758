//! Input of a rule: a metric, its reading and its series.
//!
//! Owns the selection of series and their grouping. Reads values, joins nothing.

use std::sync::Arc;

use bellwether_core::{LabelValues, MetricDef, MetricId, MonoMillis};
use bellwether_tsdb::store::{Family, Slot};

use crate::eval::index::Index;
use crate::eval::reading::Reading;
use crate::settings::matcher::Matcher;

/// Reduction of the series of a group to one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    Sum,
    Mean,
    Min,
    Max,
    /// Number of series with a value.
    Count,
}

impl Reduce {
    /// Reductions by their names in an expression.
    pub const ALL: [(&'static str, Reduce); 6] = [
        ("sum_by", Self::Sum),
        ("avg_by", Self::Mean),
        ("mean_by", Self::Mean),
        ("min_by", Self::Min),
        ("max_by", Self::Max),
        ("count_by", Self::Count),
    ];

    /// Reduces the values that are not NaN; NaN if there is none.
    fn apply(self, values: impl Iterator<Item = f64>) -> f64 {
        let (mut count, mut sum, mut min, mut max) = (0_u32, 0.0, f64::NAN, f64::NAN);
        for value in values.filter(|value| !value.is_nan()) {
            count += 1;
            sum += value;
            min = value.min(min);
            max = value.max(max);
        }
        match self {
            _ if count == 0 => f64::NAN,
            Self::Sum => sum,
            Self::Mean => sum / f64::from(count),
            Self::Min => min,
            Self::Max => max,
            Self::Count => f64::from(count),
        }
    }
}

/// Grouping of series.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    pub reduce: Reduce,
    /// Indexes of the labels to keep; empty: all series are one group.
    pub by: Vec<usize>,
}

/// One operand of a formula.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    pub metric: MetricId,
    /// Reading of each series.
    pub reading: Reading,
    pub grouping: Option<Grouping>,
    /// Matchers by label index; a series must match all.
    pub matchers: Vec<(usize, Matcher)>,
    /// Names of the labels that identify its elements.
    pub labels: Vec<Arc<str>>,
}

impl Input {
    /// Creates an input with all series of a metric.
    #[must_use]
    pub fn all_series(metric: MetricId, def: &MetricDef, reading: Reading) -> Self {
        Self {
            metric,
            reading,
            grouping: None,
            matchers: Vec::new(),
            labels: def.labels.to_vec(),
        }
    }

    /// Groups the series of `def` by the labels with these indexes.
    #[must_use]
    pub fn grouped(self, def: &MetricDef, reduce: Reduce, by: Vec<usize>) -> Self {
        let labels = by
            .iter()
            .map(|index| Arc::clone(&def.labels[*index]))
            .collect();
        Self {
            labels,
            grouping: Some(Grouping { reduce, by }),
            ..self
        }
    }

    /// Selects the series that match, grouped.
    #[must_use]
    pub fn select(&self, family: &Family, index: &mut Index) -> Elements {
        let mut slots = self.slots(family, index);
        let Some(grouping) = &self.grouping else {
            return Elements { slots, ends: None };
        };
        let group = |slot: &Slot| {
            let labels = family.get(*slot).map(|series| series.labels());
            grouping.by.iter().map(move |index| {
                labels
                    .and_then(|labels| labels.get(*index))
                    .unwrap_or_default()
                    .to_owned()
            })
        };
        slots.sort_by_cached_key(|slot| group(slot).collect::<Vec<_>>());
        let ends = slots
            .chunk_by(|a, b| group(a).eq(group(b)))
            .scan(0, |end, chunk| {
                *end += chunk.len();
                Some(*end)
            });
        let ends = Some(ends.collect());
        Elements { slots, ends }
    }

    fn slots(&self, family: &Family, index: &mut Index) -> Vec<Slot> {
        if self.matchers.is_empty() {
            return family.slots().collect();
        }
        let passes = |slot: &Slot| {
            let labels = family.get(*slot).map(|series| series.labels());
            self.matchers.iter().all(|(label, matcher)| {
                labels
                    .and_then(|labels| labels.get(*label))
                    .is_some_and(|v| matcher.passes(v))
            })
        };
        let named = self
            .matchers
            .iter()
            .find_map(|(label, matcher)| matcher.exact().map(|values| (*label, values)));
        let Some((label, values)) = named else {
            return family.slots().filter(passes).collect();
        };
        let mut slots = Vec::new();
        for value in values {
            let matching = index.slots(self.metric, family, label, value);
            slots.extend(matching.iter().copied().filter(&passes));
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Returns the label values of one element.
    #[must_use]
    pub fn key(&self, family: &Family, elements: &Elements, index: usize) -> LabelValues {
        let labels = elements
            .of(index)
            .first()
            .and_then(|slot| family.get(*slot))
            .map_or_else(|| LabelValues::new(&[]), |series| series.labels().into());
        match &self.grouping {
            None => labels,
            Some(grouping) => {
                let values = grouping
                    .by
                    .iter()
                    .map(|index| labels.get(*index).unwrap_or_default());
                LabelValues::new(&values.collect::<Vec<_>>())
            }
        }
    }

    /// Returns the value of one element, NaN if unknown, and its last update.
    #[must_use]
    pub fn read(
        &self,
        family: &Family,
        elements: &Elements,
        index: usize,
        now: MonoMillis,
    ) -> (f64, MonoMillis) {
        let mut refreshed = MonoMillis::default();
        let mut read = |slot: &Slot| {
            family.get(*slot).map_or(f64::NAN, |series| {
                refreshed = refreshed.max(series.updated());
                self.reading.read(&series, family.def(), now)
            })
        };
        let slots = elements.of(index);
        let value = match &self.grouping {
            None => slots.first().map_or(f64::NAN, &mut read),
            Some(grouping) => grouping.reduce.apply(slots.iter().map(read)),
        };
        (value, refreshed)
    }
}

/// Selected series of an input, for one generation of its family.
#[derive(Clone, Debug, Default)]
pub struct Elements {
    slots: Vec<Slot>,
    /// End of each group in `slots`; `None`: each slot is an element.
    ends: Option<Vec<usize>>,
}

impl Elements {
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.as_ref().map_or(self.slots.len(), Vec::len)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn of(&self, index: usize) -> &[Slot] {
        match &self.ends {
            None => &self.slots[index..=index],
            Some(ends) => {
                let start = if index == 0 { 0 } else { ends[index - 1] };
                &self.slots[start..ends[index]]
            }
        }
    }
}
