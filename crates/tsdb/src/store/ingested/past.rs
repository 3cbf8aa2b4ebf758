//! Samples with times of their own, which go to history alone.

use std::collections::HashMap;

use bellwether_core::{
    LabelSet, Origin, Rejected, Rejection, SeriesBatch, SeriesLimits, is_staleness_marker,
};

use super::budget::Budget;
use super::{Ingested, IngestedSample, Shared, Source, series_text};
use crate::history::{SeriesId, TimedSample};

/// Series of a source that came since its last ingestion and have no row: they have no current value, or none yet.
#[derive(Clone, Debug, Default)]
pub(super) struct PastSeries {
    /// By packed labels; `None`: history is full.
    ids: HashMap<Box<[u8]>, Option<SeriesId>>,
    budget: Option<Budget>,
}

impl Ingested {
    /// Adds the samples of `batch` with their series in history to `out`. Returns those that are rejected.
    pub(in crate::store) fn find_past(
        &mut self,
        source: Origin,
        batch: &SeriesBatch,
        limits: SeriesLimits,
        shared: &Shared<'_>,
        out: &mut Vec<TimedSample>,
    ) -> Rejected {
        let mut own = self.sources.remove(&source).unwrap_or_default();
        let mut rejected = Rejected::default();
        for family in batch.families() {
            for (packed, at, value) in family.timed_samples() {
                let sample = IngestedSample {
                    family,
                    packed,
                    value,
                };
                match self.past_series(&mut own, source, &sample, limits, shared) {
                    Ok(series) => {
                        let timed = at.zip(series);
                        out.extend(timed.map(|(at, series)| TimedSample { at, series, value }));
                    }
                    Err((reason, name)) => {
                        let name = name.as_deref().unwrap_or(family.name);
                        rejected.add_of(reason, name, || series_text(packed));
                    }
                }
            }
        }
        self.sources.insert(source, own);
        rejected
    }

    /// Returns the series of a sample in history; `None` if history is full.
    ///
    /// # Errors
    /// The reason for which it is rejected, with a name if that is not the family's.
    fn past_series(
        &mut self,
        own: &mut Source,
        source: Origin,
        sample: &IngestedSample<'_>,
        limits: SeriesLimits,
        shared: &Shared<'_>,
    ) -> Result<Option<SeriesId>, (Rejection, Option<String>)> {
        let packed = sample.packed;
        if let Some(slot) = self.find(packed) {
            return match self.rows[slot].source == source {
                true => Ok(self.history_id(slot, shared)),
                false => Err((Rejection::Duplicate, None)),
            };
        }
        if let Some(id) = own.past.ids.get(packed) {
            return Ok(*id);
        }
        let Some(history) = shared.history else {
            return Ok(None);
        };
        if is_staleness_marker(sample.value) {
            // The end of a series that was never there is none.
            let labels = LabelSet::from_packed(packed).unwrap_or_default();
            return Ok(history.known_series(&labels.with_defaults(shared.default_labels)));
        }
        let budget = own.past.budget.get_or_insert_with(|| {
            // Some of those that have rows may have ended since.
            let limits = SeriesLimits {
                series: limits.series + own.slots.len(),
                ..limits
            };
            Budget::of(limits, own.slots.iter().map(|slot| self.series(*slot)))
        });
        let labels = sample.admit(budget, shared)?;
        budget.add(sample.head(labels.name(), shared).0, &labels);
        let id = history.series_id(&labels.with_defaults(shared.default_labels));
        own.past.ids.insert(packed.into(), id);
        Ok(id)
    }
}
