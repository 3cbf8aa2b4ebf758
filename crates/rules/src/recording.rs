//! Recording rules: a query whose answers become series of their own.
//!
//! Owns what is recorded, and that a series which leaves the answer ends.

use std::sync::Arc;

use bellwether_core::{LabelSet, Labels, METRIC_NAME, UnixMillis};
use bellwether_promql::{Guard, Query, SampledSeries};
use hashbrown::HashSet;

use super::memory::SampleStorage;
use super::pace::Schedule;
use super::question::instant;
use super::settings::RecordingSettings;

/// One recording rule, ready to be judged.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The name that its series get.
    pub record: Arc<str>,
    /// What is asked.
    pub query: Query,
    /// Labels that its series get.
    pub labels: Labels,
    /// Whether it is judged.
    pub enabled: bool,
    /// When it is judged.
    pub pace: Schedule,
    /// As declared, for who looks at it.
    pub settings: RecordingSettings,
}

impl Recording {
    /// Whether `other` records the same: its series go on.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        self.record == other.record && self.query == other.query && self.labels == other.labels
    }

    /// Asks, and records the answer; what was in `before` and is no more ends. The series of the
    /// answer.
    ///
    /// # Errors
    /// Why nothing was recorded, in one line.
    pub fn record(
        &self,
        memory: &dyn SampleStorage,
        at: UnixMillis,
        guard: &Guard,
        before: &HashSet<LabelSet>,
    ) -> Result<HashSet<LabelSet>, String> {
        let lookback = bellwether_promql::Options::default().lookback;
        let answer = instant(&self.query, memory, at, lookback, guard)?;
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
        match memory.record(at, &samples) {
            0 => Ok(series),
            refused => Err(format!(
                "no room in history for {refused} series; see max_series"
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
