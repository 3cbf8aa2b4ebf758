//! Warnings and hints that come up while a query is evaluated.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::ast::Span;
use super::functions::{short_text, two_digits};
use super::histogram::Lifted;
use super::query::{Answer, Value, place};

/// Notes of one kind that are kept.
const MOST: usize = 100;
/// What stands for the others.
const MORE: &str = "more of them are left out";
/// Longest note in bytes.
const MAX_LENGTH: usize = 2_000;

/// What came up so far, each once. The texts are Prometheus's, and so are the places behind them.
#[derive(Debug, Default)]
pub(super) struct Notes {
    warnings: RefCell<Kept>,
    infos: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    notes: BTreeMap<String, Note>,
    left_out: bool,
}

/// What is told behind the text of a note.
#[derive(Clone, Copy, Debug)]
struct Note {
    /// Where in the query. What came up in several places is told of the last, as Prometheus does.
    at: Span,
    mended: Option<Mended>,
}

/// How buckets of a histogram were mended, and in how many steps.
#[derive(Clone, Copy, Debug)]
struct Mended {
    lifted: Lifted,
    /// The first and the last of them, in milliseconds.
    times: (i64, i64),
    count: u64,
}

impl Notes {
    /// Warns of what stands at `at`.
    pub(super) fn warn(&self, at: Span, text: impl Into<String>) {
        let note = Note { at, mended: None };
        self.warnings
            .borrow_mut()
            .add(format!("PromQL warning: {}", text.into()), note);
    }

    /// Hints at what stands at `at`.
    pub(super) fn info(&self, at: Span, text: impl Into<String>) {
        let note = Note { at, mended: None };
        self.infos
            .borrow_mut()
            .add(format!("PromQL info: {}", text.into()), note);
    }

    /// Hints at a histogram at `at` whose buckets were mended at `time`.
    pub(super) fn mended(&self, at: Span, text: &str, lifted: Lifted, time: i64) {
        let mended = Some(Mended {
            lifted,
            times: (time, time),
            count: 1,
        });
        self.infos
            .borrow_mut()
            .add(format!("PromQL info: {text}"), Note { at, mended });
    }

    /// The answer with what was noted of the query `text`.
    pub(super) fn answer(self, value: Value, text: &str) -> Answer {
        Answer {
            value,
            warnings: self.warnings.into_inner().told(text),
            infos: self.infos.into_inner().told(text),
        }
    }
}

impl Kept {
    /// Keeps a note, unless there are many already. A very long one is cut: series make up what is in it.
    fn add(&mut self, mut text: String, mut note: Note) {
        if text.len() > MAX_LENGTH {
            text.truncate(text.floor_char_boundary(MAX_LENGTH));
            text.push_str("...");
        }
        let full = self.notes.len() == MOST;
        match self.notes.get_mut(&text) {
            Some(before) => {
                note.mended = note.mended.map(|now| now.with(before.mended));
                *before = note;
            }
            None if full => self.left_out = true,
            None => drop(self.notes.insert(text, note)),
        }
    }

    fn told(self, query: &str) -> Vec<String> {
        let tell = |(text, Note { at, mended }): (String, Note)| {
            let how = mended.map_or_else(String::new, Mended::told);
            let (line, column) = place(query, at.start);
            format!("{text}{how} ({line}:{column})")
        };
        let notes = self.notes.into_iter().map(tell);
        notes
            .chain(self.left_out.then(|| MORE.to_owned()))
            .collect()
    }
}

impl Mended {
    fn with(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        Self {
            lifted: self.lifted.with(before.lifted),
            times: (
                self.times.0.min(before.times.0),
                self.times.1.max(before.times.1),
            ),
            count: self.count + before.count,
        }
    }

    fn told(self) -> String {
        let Lifted { first, last, most } = self.lifted;
        let time = |millis: i64| Timestamp::from_second(millis / 1000).unwrap_or_default();
        format!(
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            short_text(first),
            short_text(last),
            two_digits(most),
            self.count,
            time(self.times.0),
            time(self.times.1)
        )
    }
}
