//! Recording rules: queries whose results become series in history.
//!
//! Owns the recorded series, and marks those that leave the result as stale.

use std::sync::Arc;

use bellwether_core::{LabelSet, Labels, METRIC_NAME, UnixMillis};
use bellwether_promql::{Guard, Query, SampledSeries};
use hashbrown::HashSet;

use crate::eval::schedule::Schedule;
use crate::query::history_query::instant;
use crate::query::sample_storage::SampleStorage;
use crate::settings::RecordingSettings;

/// Compiled recording rule.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Name of its series.
    pub record: Arc<str>,
    pub query: Query,
    /// Labels of its series.
    pub labels: Labels,
    pub enabled: bool,
    pub schedule: Schedule,
    /// Settings of the configuration.
    pub settings: RecordingSettings,
}

impl Recording {
    /// Returns true if `other` records the same series, which then continue after a reload.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.record == other.record && self.query == other.query && self.labels == other.labels
    }

    /// Runs the query and records its result; series of `before` that are not in it become stale.
    /// Returns the series of the result.
    ///
    /// # Errors
    /// The reason why nothing was recorded, in one line.
    pub fn record(
        &self,
        storage: &dyn SampleStorage,
        at: UnixMillis,
        guard: &Guard,
        before: &HashSet<LabelSet>,
    ) -> Result<HashSet<LabelSet>, String> {
        let lookback = bellwether_promql::Options::default().lookback;
        let answer = instant(&self.query, storage, at, lookback, guard)?;
        let mut series = HashSet::with_capacity(answer.len());
        let mut samples = Vec::with_capacity(answer.len());
        for (labels, value) in answer {
            let labels = self.named(&labels);
            if !series.insert(labels.clone()) {
                return Err(format!(
                    "two series of the result have the same labels: {labels}"
                ));
            }
            samples.push((labels, value));
        }
        let ended = before.iter().filter(|labels| !series.contains(*labels));
        samples.extend(ended.map(|labels| (labels.clone(), SampledSeries::stale())));
        match storage.record(at, &samples) {
            0 => Ok(series),
            rejected => Err(format!(
                "no room in history for {rejected} series; see max_series"
            )),
        }
    }

    fn named(&self, labels: &LabelSet) -> LabelSet {
        let own = labels.iter();
        let set = self
            .labels
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        LabelSet::new(own.chain(set).chain([(METRIC_NAME, &*self.record)]))
    }
}
