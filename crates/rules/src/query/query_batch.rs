//! Batches of due queries: recording rules first, then alerting rules.
//!
//! A [`QueryBatch`] is made by the engine, runs without it (which may take a while) and returns to
//! it as [`QueryResults`], so that requests about alerts never wait for a query.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, Now, UnixMillis};
use bellwether_promql::SampledSeries;
use hashbrown::HashSet;

use crate::query::history_query::{Detectors, QueryContext, Rows};
use crate::query::rendered_text::{self, RenderedTexts};
use crate::query::sample_storage::{QueryLimiter, SampleStorage};
use crate::rule::RuleSet;

/// Error of rules over history without history.
const NO_HISTORY: &str = "history is disabled";

/// Due queries.
pub struct QueryBatch {
    pub(crate) set: Arc<RuleSet>,
    pub(crate) now: Now,
    /// Series of removed recording rules, to be marked as stale.
    pub(crate) ended_series: Vec<LabelSet>,
    /// Recording rules by index, with the series of their last evaluation.
    pub(crate) recordings: Vec<(usize, HashSet<LabelSet>)>,
    /// Rules by index.
    pub(crate) rules: Vec<(usize, Detectors)>,
}

/// Results of a batch.
pub struct QueryResults {
    pub(crate) set: Arc<RuleSet>,
    pub(crate) now: Now,
    pub(crate) recordings: Vec<RecordingResult>,
    pub(crate) rules: Vec<RuleResult>,
}

/// Result of one recording rule.
pub(crate) struct RecordingResult {
    pub(crate) index: usize,
    pub(crate) series: HashSet<LabelSet>,
    pub(crate) error: Option<String>,
    pub(crate) took: Duration,
}

/// Result of one rule.
pub(crate) struct RuleResult {
    pub(crate) index: usize,
    pub(crate) detectors: Detectors,
    pub(crate) rows: Result<Rows, String>,
    /// Texts that query history, by the labels that identify alerts.
    pub(crate) rendered: RenderedTexts,
    pub(crate) took: Duration,
}

impl QueryBatch {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.recordings.is_empty() && self.rules.is_empty() && self.ended_series.is_empty()
    }

    /// Runs all queries on `storage`, one after the other, each with the limits of `limiter`. Reads
    /// files: not for an async thread.
    #[must_use]
    pub fn run(
        self,
        storage: Option<&dyn SampleStorage>,
        limiter: &dyn QueryLimiter,
    ) -> QueryResults {
        if let (Some(storage), false) = (storage, self.ended_series.is_empty()) {
            let ended: Vec<_> = self
                .ended_series
                .iter()
                .map(|labels| (labels.clone(), SampledSeries::stale()))
                .collect();
            storage.record(self.now.wall, &ended);
        }
        let (set, now) = (self.set, self.now);
        let recordings = self.recordings.into_iter();
        let recordings = recordings
            .map(|(index, before)| {
                let guard = limiter.begin();
                let recording = &set.recordings[index];
                let recorded = storage
                    .ok_or_else(|| NO_HISTORY.to_owned())
                    .and_then(|storage| recording.record(storage, now.wall, &guard, &before));
                RecordingResult::new(index, before, recorded, limiter.end())
            })
            .collect();
        let rules = self.rules.into_iter();
        let rules = rules
            .map(|(index, detectors)| run_rule(&set, index, detectors, storage, now.wall, limiter))
            .collect();
        QueryResults {
            set,
            now,
            recordings,
            rules,
        }
    }
}

impl RecordingResult {
    /// Creates the result of a query; without one, the series are those `before` it.
    fn new(
        index: usize,
        before: HashSet<LabelSet>,
        recorded: Result<HashSet<LabelSet>, String>,
        took: Duration,
    ) -> Self {
        let (series, error) = match recorded {
            Ok(series) => (series, None),
            Err(error) => (before, Some(error)),
        };
        Self {
            index,
            series,
            error,
            took,
        }
    }
}

/// Runs the query of the rule at `index` and those of its texts.
fn run_rule(
    set: &RuleSet,
    index: usize,
    mut detectors: Detectors,
    storage: Option<&dyn SampleStorage>,
    at: UnixMillis,
    limiter: &dyn QueryLimiter,
) -> RuleResult {
    let rule = &set.rules[index];
    let guard = limiter.begin();
    let (rows, rendered) = match (storage, rule.history_query()) {
        (Some(storage), Some(history_query)) => {
            let context = QueryContext {
                storage,
                at,
                guard: &guard,
                names: &rule.labels,
                added: &rule.identity.add_labels,
            };
            let rows = history_query.rows(&context, &mut detectors);
            let found = rows.as_ref().map_or(&[][..], |rows| &rows.rows[..]);
            let rendered = rendered_text::render(rule, &set.templates, found, &context);
            (rows, rendered)
        }
        _ => (Err(NO_HISTORY.to_owned()), RenderedTexts::default()),
    };
    RuleResult {
        index,
        detectors,
        rows,
        rendered,
        took: limiter.end(),
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
