//! Selectors: matchers, time range, and the samples of each step.

use std::time::Duration;

use bellwether_core::{METRIC_NAME, UnixMillis};
use bellwether_matcher::LabelMatcher;

use super::ast::{AtModifier, TimeModifiers, VectorSelector};
use super::eval::{ABSENT, Eval, Series};
use super::query::QueryError;
use super::queryable::SampledSeries;

/// Returns the matchers of a selector, one list per alternative of an `or`.
pub(super) fn matchers_of(selector: &VectorSelector) -> Vec<Vec<LabelMatcher>> {
    let name = selector
        .name
        .as_ref()
        .map(|name| LabelMatcher::equal(METRIC_NAME, name));
    selector
        .matchers
        .iter()
        .map(|matchers| name.iter().chain(matchers).cloned().collect())
        .collect()
}

/// Time that a selector selects at in each step: the time of `@` or of the step, minus the offset.
/// All times are milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct SelectedTime {
    fixed: Option<i64>,
    offset: i64,
}

impl SelectedTime {
    pub(super) fn new(eval: &Eval<'_>, modifiers: &TimeModifiers) -> Self {
        let fixed = modifiers.at.map(|at| match at {
            AtModifier::Start => eval.query_grid.start,
            AtModifier::End => eval.query_grid.end,
            AtModifier::At(millis) => millis,
        });
        Self {
            fixed,
            offset: modifiers.offset.unwrap_or_default(),
        }
    }

    /// Returns the selected time for a step.
    pub(super) fn at(&self, step: i64) -> i64 {
        self.fixed.unwrap_or(step).saturating_sub(self.offset)
    }
}

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

impl Eval<'_> {
    /// Reads the samples that a selector selects in any step, up to `span` milliseconds before each.
    /// Sorted by labels.
    pub(super) fn read(
        &self,
        selector: &VectorSelector,
        moment: SelectedTime,
        span: i64,
    ) -> Result<Vec<SampledSeries>, QueryError> {
        let (first, last) = (moment.at(self.grid.start), moment.at(self.grid.last()));
        // Ranges exclude their start.
        let from = first.saturating_sub(span).saturating_add(1);
        let mut series = Vec::new();
        let alternatives = matchers_of(selector);
        let several = alternatives.len() > 1;
        for matchers in alternatives {
            series.extend(self.select(&matchers, from, last)?);
        }
        series.sort_by(|a, b| a.labels.cmp(&b.labels));
        if several {
            series.dedup_by(|a, b| a.labels == b.labels);
        }
        Ok(series)
    }

    /// Reads the samples in `from..=to`.
    pub(super) fn select(
        &self,
        matchers: &[LabelMatcher],
        from: i64,
        to: i64,
    ) -> Result<Vec<SampledSeries>, QueryError> {
        Ok(self
            .source
            .select(matchers, UnixMillis(from), UnixMillis(to), self.guard)?)
    }

    /// Evaluates an instant vector selector: the last sample of each series within the lookback.
    pub(super) fn vector(&self, selector: &VectorSelector) -> Result<Vec<Series>, QueryError> {
        self.last_samples(selector, |_, value| value)
    }

    /// Returns the timestamps of the samples that a selector selects, in seconds.
    pub(super) fn timestamps(&self, selector: &VectorSelector) -> Result<Vec<Series>, QueryError> {
        self.last_samples(selector, |time, _| time as f64 / 1000.0)
    }

    fn last_samples(
        &self,
        selector: &VectorSelector,
        value: impl Fn(i64, f64) -> f64,
    ) -> Result<Vec<Series>, QueryError> {
        let moment = SelectedTime::new(self, &selector.modifiers);
        let lookback = millis(self.options.lookback);
        let mut vector = Vec::new();
        for series in self.read(selector, moment, lookback)? {
            self.guard.check()?;
            let mut values = vec![ABSENT; self.grid.steps()];
            let (mut next, mut seen) = (0, false);
            for (slot, step) in values.iter_mut().zip(self.grid.times()) {
                let at = moment.at(step);
                next += series.times[next..].partition_point(|time| *time <= at);
                let Some(last) = next.checked_sub(1) else {
                    continue;
                };
                let (time, sample) = (series.times[last], series.values[last]);
                if time > at.saturating_sub(lookback) && !SampledSeries::is_stale(sample) {
                    *slot = value(time, sample);
                    seen = true;
                }
            }
            self.guard.release(series.times.len());
            if seen {
                self.guard.charge(values.len())?;
                vector.push(Series {
                    labels: series.labels,
                    drop_name: false,
                    values,
                });
            }
        }
        Ok(vector)
    }
}
