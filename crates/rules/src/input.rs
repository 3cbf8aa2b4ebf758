//! One operand of a rule: a metric, how it is read, and which of its series.
//!
//! Owns the choice of series and their grouping. Reads values, joins nothing.

use std::sync::Arc;

use bellwether_core::{LabelValues, MetricDef, MetricId, MonoMillis};
use bellwether_tsdb::store::{Family, Slot};

use super::index::Index;
use super::matcher::Matcher;
use super::reading::Reading;

/// How the series of one group become one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduce {
    /// Their sum.
    Sum,
    /// Their mean.
    Mean,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// How many have a value.
    Count,
}

impl Reduce {
    /// All with their names in an expression.
    pub const ALL: [(&'static str, Reduce); 6] = [
        ("sum_by", Self::Sum),
        ("avg_by", Self::Mean),
        ("mean_by", Self::Mean),
        ("min_by", Self::Min),
        ("max_by", Self::Max),
        ("count_by", Self::Count),
    ];

    /// Of the values that are known; NaN if none is.
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

/// Series taken together.
#[derive(Clone, Debug, PartialEq)]
pub struct Grouping {
    /// How.
    pub reduce: Reduce,
    /// The labels they keep, as indexes into the metric's labels; none: all series are one group.
    pub by: Vec<usize>,
}

/// One operand.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// Which metric.
    pub metric: MetricId,
    /// How each series is read.
    pub reading: Reading,
    /// Whether series are taken together.
    pub grouping: Option<Grouping>,
    /// Tests by index of the label; a series must pass all.
    pub matchers: Vec<(usize, Matcher)>,
    /// Names of the labels that tell its elements apart.
    pub labels: Vec<Arc<str>>,
}

impl Input {
    /// All series of a metric.
    #[must_use]
    pub fn whole(metric: MetricId, def: &MetricDef, reading: Reading) -> Self {
        Self {
            metric,
            reading,
            grouping: None,
            matchers: Vec::new(),
            labels: def.labels.to_vec(),
        }
    }

    /// Takes the series of `def` together by the labels with these indexes.
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

    /// The series that pass the matchers, grouped.
    #[must_use]
    pub fn select(&self, family: &Family, index: &mut Index) -> Elements {
        let mut slots = self.slots(family, index);
        let Some(grouping) = &self.grouping else {
            return Elements { slots, ends: None };
        };
        let group = |slot: &Slot| {
            let labels = family.get(*slot).map(|series| series.labels().clone());
            grouping.by.iter().map(move |index| {
                labels
                    .as_ref()
                    .and_then(|l| l.get(*index))
                    .unwrap_or_default()
                    .to_owned()
            })
        };
        slots.sort_by_cached_key(|slot| group(slot).collect::<Vec<_>>());
        let same = |a: &Slot, b: &Slot| group(a).eq(group(b));
        let ends = slots.chunk_by(same).scan(0, |end, chunk| {
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
            let found = index.slots(self.metric, family, label, value);
            slots.extend(found.iter().copied().filter(&passes));
        }
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// The values of one element's labels.
    #[must_use]
    pub fn key(&self, family: &Family, elements: &Elements, index: usize) -> LabelValues {
        let labels = elements
            .of(index)
            .first()
            .and_then(|slot| family.get(*slot))
            .map_or_else(|| LabelValues::new(&[]), |series| series.labels().clone());
        match &self.grouping {
            None => labels,
            Some(grouping) => {
                let kept = grouping
                    .by
                    .iter()
                    .map(|index| labels.get(*index).unwrap_or_default());
                LabelValues::new(&kept.collect::<Vec<_>>())
            }
        }
    }

    /// The number of one element, NaN if unknown, and when it was last refreshed.
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

/// The series of an input that were selected for one generation of its family.
#[derive(Clone, Debug, Default)]
pub struct Elements {
    slots: Vec<Slot>,
    /// Where each group ends in `slots`; `None`: each slot is an element of its own.
    ends: Option<Vec<usize>>,
}

impl Elements {
    /// How many elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.as_ref().map_or(self.slots.len(), Vec::len)
    }

    /// Whether there is none.
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
