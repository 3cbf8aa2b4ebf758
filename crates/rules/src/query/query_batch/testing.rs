//! Fixtures of tests over history: an engine, history and virtual time.

use bellwether_core::Transition;
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable};
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::Store;

use crate::testing::{at, both, remember, store};
use crate::{Engine, Tick};

/// Engine over history in virtual time.
pub(crate) struct Bench {
    pub store: Store,
    pub history: History,
    pub engine: Engine,
    pub now: u64,
}

impl Bench {
    pub fn new(yaml: &str) -> Self {
        let set = both(yaml).unwrap();
        let history = History::in_memory(10_000);
        Self {
            store: store(&set),
            history,
            engine: Engine::new(set, at(0)),
            now: 0,
        }
    }

    pub fn rule(yaml: &str) -> Self {
        Self::new(&format!("rules: [{{name: r, {yaml}}}]"))
    }

    /// Advances by 30 s, appends the samples and evaluates; returns the transitions.
    pub fn next(&mut self, samples: &[(&str, f64)]) -> Vec<String> {
        changes(&self.tick(samples).transitions)
    }

    pub fn tick(&mut self, samples: &[(&str, f64)]) -> Tick {
        self.now += 30;
        remember(&self.history, at(self.now), samples);
        self.engine
            .tick(&self.store, Some(&self.history), at(self.now), None)
    }

    /// Returns the newest value of each series of this name.
    pub fn latest(&self, name: &str) -> Vec<String> {
        let matchers = [LabelMatcher::equal("__name__", name)];
        let (from, to) = (at(0).wall, at(self.now).wall);
        let found = self
            .history
            .select(&matchers, from, to, &Guard::default())
            .unwrap();
        let mut shown: Vec<String> = found
            .iter()
            .map(|series| format!("{}={}", series.labels, series.values.last().unwrap()))
            .collect();
        shown.sort();
        shown
    }
}

fn changes(transitions: &[Transition]) -> Vec<String> {
    transitions
        .iter()
        .map(|t| {
            let labels: Vec<&str> = t.alert.labels.values().map(String::as_str).collect();
            let (from, to) = (t.from.as_str(), t.alert.state.as_str());
            format!(
                "{} {from} > {to} {}: {}",
                labels.join(","),
                t.alert.severity.as_str(),
                t.reason
            )
        })
        .collect()
}
