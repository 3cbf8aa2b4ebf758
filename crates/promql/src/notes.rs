//! Warnings and hints that come up while a query is evaluated.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::query::{Answer, Value};

/// Notes of one kind that are kept.
const MOST: usize = 100;
/// What stands for the others.
const MORE: &str = "more of them are left out";
/// Longest note in bytes.
const MAX_LENGTH: usize = 2_000;

/// What came up so far, each once. The texts are Prometheus's; its positions are left out, as the
/// parser keeps none.
#[derive(Debug, Default)]
pub(super) struct Notes {
    warnings: RefCell<BTreeSet<String>>,
    infos: RefCell<BTreeSet<String>>,
}

impl Notes {
    pub(super) fn warn(&self, text: impl Into<String>) {
        note(&self.warnings, format!("PromQL warning: {}", text.into()));
    }

    pub(super) fn info(&self, text: impl Into<String>) {
        note(&self.infos, format!("PromQL info: {}", text.into()));
    }

    pub(super) fn answer(self, value: Value) -> Answer {
        Answer {
            value,
            warnings: self.warnings.into_inner().into_iter().collect(),
            infos: self.infos.into_inner().into_iter().collect(),
        }
    }
}

/// Keeps a note, unless there are many already, or it is very long: series make up what is in it.
fn note(notes: &RefCell<BTreeSet<String>>, mut text: String) {
    let mut notes = notes.borrow_mut();
    if text.len() > MAX_LENGTH {
        text.truncate(text.floor_char_boundary(MAX_LENGTH));
        text.push_str("...");
    }
    match notes.len() {
        0..MOST => drop(notes.insert(text)),
        MOST if !notes.contains(&text) => drop(notes.insert(MORE.into())),
        _ => {}
    }
}
