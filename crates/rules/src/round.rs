//! One round of questions to history: recording rules first, then those that alert.
//!
//! A [`QueryBatch`] is taken from the engine, asked without it (it may take a while) and handed back as
//! [`QueryResults`]; so nobody who looks at alerts waits for a query.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, Now};
use bellwether_promql::SampledSeries;
use hashbrown::HashSet;

use super::asked::{self, AskedTexts};
use super::memory::{QueryLimiter, SampleStorage};
use super::question::{Asking, Detectors, Rows};
use super::rule::{Rule, RuleSet};

/// What is told where rules ask for the past and none is kept.
const NO_HISTORY: &str = "no history is kept";

/// Questions that are due.
pub struct QueryBatch {
    pub(super) set: Arc<RuleSet>,
    pub(super) now: Now,
    /// Series of recording rules that are gone: they end.
    pub(super) leaving: Vec<LabelSet>,
    /// Recording rules, by number, and the series they recorded last.
    pub(super) recordings: Vec<(usize, HashSet<LabelSet>)>,
    /// Rules, by number.
    pub(super) rules: Vec<(usize, Detectors)>,
}

/// The answers to a round.
pub struct QueryResults {
    pub(super) set: Arc<RuleSet>,
    pub(super) now: Now,
    pub(super) recordings: Vec<Recorded>,
    pub(super) rules: Vec<Found>,
}

/// What became of one recording rule.
pub(super) struct Recorded {
    pub(super) number: usize,
    pub(super) series: HashSet<LabelSet>,
    pub(super) error: Option<String>,
    pub(super) took: Duration,
}

/// What was found for one rule.
pub(super) struct Found {
    pub(super) number: usize,
    pub(super) detectors: Detectors,
    pub(super) rows: Result<Rows, String>,
    /// Texts that ask too, by what tells their alerts apart.
    pub(super) asked: AskedTexts,
    pub(super) took: Duration,
}

impl QueryBatch {
    /// Whether there is nothing to ask.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.recordings.is_empty() && self.rules.is_empty() && self.leaving.is_empty()
    }

    /// Asks all of `memory`, one after the other, `watch` limiting each. Reads files: never on an
    /// async thread.
    #[must_use]
    pub fn ask(self, memory: Option<&dyn SampleStorage>, watch: &dyn QueryLimiter) -> QueryResults {
        let QueryBatch {
            set,
            now,
            leaving,
            recordings,
            rules,
        } = self;
        if let (Some(memory), false) = (memory, leaving.is_empty()) {
            let stale = |labels| (labels, SampledSeries::stale());
            memory.record(
                now.wall,
                &leaving.into_iter().map(stale).collect::<Vec<_>>(),
            );
        }
        let record = |(number, before): (usize, HashSet<LabelSet>)| {
            let recording = &set.recordings[number];
            let guard = watch.begin();
            let result = memory
                .ok_or_else(|| NO_HISTORY.to_owned())
                .and_then(|memory| recording.record(memory, now.wall, &guard, &before));
            let took = watch.end();
            match result {
                Ok(series) => Recorded {
                    number,
                    series,
                    error: None,
                    took,
                },
                Err(error) => Recorded {
                    number,
                    series: before,
                    error: Some(error),
                    took,
                },
            }
        };
        let recordings = recordings.into_iter().map(record).collect();
        let find = |(number, mut detectors)| {
            let rule: &Rule = &set.rules[number];
            let guard = watch.begin();
            let (rows, asked) = match (memory, rule.question()) {
                (Some(memory), Some(question)) => {
                    let asking = Asking {
                        memory,
                        at: now.wall,
                        guard: &guard,
                        names: &rule.labels,
                        added: &rule.identity.add_labels,
                    };
                    let rows = question.rows(&asking, &mut detectors);
                    let found = rows.as_ref().map_or(&[][..], |rows| &rows.rows[..]);
                    let asked = asked::texts(rule, &set.templates, found, &asking);
                    (rows, asked)
                }
                _ => (Err(NO_HISTORY.to_owned()), AskedTexts::default()),
            };
            Found {
                number,
                detectors,
                rows,
                asked,
                took: watch.end(),
            }
        };
        let rules = rules.into_iter().map(find).collect();
        QueryResults {
            set,
            now,
            recordings,
            rules,
        }
    }
}

#[cfg(test)]
pub(super) mod bench;
#[cfg(test)]
mod tests;
