//! Budgets of a source: series in all, series of a metric, values of a label.

use std::collections::{HashMap, HashSet};

use bellwether_core::{LabelSet, METRIC_NAME, SeriesLimits};

use super::Rejection;

/// Labels that a type has itself, whose values are no matter of cardinality.
const LABELS_OF_TYPES: [&str; 2] = ["le", "quantile"];

/// Used part of the limits of a source.
#[derive(Clone, Debug)]
pub(super) struct Budget {
    limits: SeriesLimits,
    series: usize,
    /// By metric.
    metrics: HashMap<Box<str>, Used>,
}

#[derive(Clone, Debug, Default)]
struct Used {
    series: usize,
    /// By label.
    values: HashMap<Box<str>, HashSet<Box<str>>>,
}

impl Budget {
    /// Returns the budget of a source with these series, each with the name of its metric.
    pub(super) fn of<'a>(
        limits: SeriesLimits,
        series: impl ExactSizeIterator<Item = (&'a str, LabelSet)>,
    ) -> Self {
        let mut budget = Self {
            limits,
            series: series.len(),
            metrics: HashMap::new(),
        };
        if budget.is_by_metric() {
            for (metric, labels) in series {
                budget.use_of(metric).add(&labels);
            }
        }
        budget
    }

    fn is_by_metric(&self) -> bool {
        self.limits.metric_series.is_some() || self.limits.label_values.is_some()
    }

    fn use_of(&mut self, metric: &str) -> &mut Used {
        if !self.metrics.contains_key(metric) {
            self.metrics.insert(metric.into(), Used::default());
        }
        self.metrics.entry(metric.into()).or_default()
    }

    /// Counts a series that was admitted.
    pub(super) fn add(&mut self, metric: &str, labels: &LabelSet) {
        self.series += 1;
        if self.is_by_metric() {
            self.use_of(metric).add(labels);
        }
    }

    /// Returns whether there is room for a series.
    ///
    /// # Errors
    /// The limit that it would exceed, with the label if that is one of values.
    pub(super) fn check<'l>(
        &self,
        metric: &str,
        labels: &'l LabelSet,
    ) -> Result<(), (Rejection, Option<&'l str>)> {
        if self.series >= self.limits.series {
            return Err((Rejection::Limit, None));
        }
        let Some(used) = self.metrics.get(metric) else {
            return Ok(());
        };
        if self
            .limits
            .metric_series
            .is_some_and(|limit| used.series >= limit)
        {
            return Err((Rejection::MetricLimit, None));
        }
        let limit = self.limits.label_values.unwrap_or(usize::MAX);
        let mut full =
            counted_labels(labels).filter(|(label, value)| used.is_full(label, value, limit));
        match full.next() {
            Some((label, _)) => Err((Rejection::LabelLimit, Some(label))),
            None => Ok(()),
        }
    }
}

impl Used {
    fn add(&mut self, labels: &LabelSet) {
        self.series += 1;
        for (label, value) in counted_labels(labels) {
            self.values
                .entry(label.into())
                .or_default()
                .insert(value.into());
        }
    }

    fn is_full(&self, label: &str, value: &str, limit: usize) -> bool {
        let values = self.values.get(label);
        values.is_some_and(|values| values.len() >= limit && !values.contains(value))
    }
}

fn counted_labels(labels: &LabelSet) -> impl Iterator<Item = (&str, &str)> {
    let is_counted = |label: &str| label != METRIC_NAME && !LABELS_OF_TYPES.contains(&label);
    labels.iter().filter(move |(label, _)| is_counted(label))
}
