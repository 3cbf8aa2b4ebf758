//! Warnings and infos that come up during the evaluation of a query.

use std::cell::RefCell;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::ast::Span;
use super::functions::{short_text, two_digits};
use super::histogram::MonotonicityFix;
use super::query::{Answer, Position, Value};

/// Maximum number of notes of one kind.
const MOST: usize = 100;
/// Note in place of those beyond [`MOST`].
const MORE: &str = "more of them are left out";
/// Longest note in bytes.
const MAX_LENGTH: usize = 2_000;

/// Warnings and infos so far, each once. Texts and positions are those of Prometheus.
#[derive(Debug, Default)]
pub(super) struct Notes {
    warnings: RefCell<NoteList>,
    infos: RefCell<NoteList>,
}

#[derive(Debug, Default)]
struct NoteList {
    notes: BTreeMap<String, Note>,
    left_out: bool,
}

/// Position and details, which follow the text of a note.
#[derive(Clone, Copy, Debug)]
struct Note {
    /// Position in the query; the last of several positions, as in Prometheus.
    at: Span,
    monotonicity: Option<Monotonicity>,
}

/// Fix of histogram buckets for monotonicity, over several steps.
#[derive(Clone, Copy, Debug)]
struct Monotonicity {
    fix: MonotonicityFix,
    /// Times of the first and last step that needed it, in milliseconds.
    times: (i64, i64),
    count: u64,
}

impl Notes {
    /// Adds a warning about the expression at `at`.
    pub(super) fn warn(&self, at: Span, text: impl Into<String>) {
        let note = Note {
            at,
            monotonicity: None,
        };
        self.warnings
            .borrow_mut()
            .add(format!("PromQL warning: {}", text.into()), note);
    }

    /// Adds an info about the expression at `at`.
    pub(super) fn info(&self, at: Span, text: impl Into<String>) {
        let note = Note {
            at,
            monotonicity: None,
        };
        self.infos
            .borrow_mut()
            .add(format!("PromQL info: {}", text.into()), note);
    }

    /// Adds an info about the histogram at `at`, whose buckets were fixed for monotonicity at `time`.
    pub(super) fn monotonicity(&self, at: Span, text: &str, fix: MonotonicityFix, time: i64) {
        let monotonicity = Some(Monotonicity {
            fix,
            times: (time, time),
            count: 1,
        });
        self.infos
            .borrow_mut()
            .add(format!("PromQL info: {text}"), Note { at, monotonicity });
    }

    /// Returns the answer with all warnings and infos about the query `text`.
    pub(super) fn answer(self, value: Value, text: &str) -> Answer {
        Answer {
            value,
            warnings: self.warnings.into_inner().into_texts(text),
            infos: self.infos.into_inner().into_texts(text),
        }
    }
}

impl NoteList {
    /// Adds a note, unless there are too many. A very long text is truncated, because it may contain
    /// label values.
    fn add(&mut self, mut text: String, mut note: Note) {
        if text.len() > MAX_LENGTH {
            text.truncate(text.floor_char_boundary(MAX_LENGTH));
            text.push_str("...");
        }
        let full = self.notes.len() == MOST;
        match self.notes.get_mut(&text) {
            Some(before) => {
                note.monotonicity = note.monotonicity.map(|now| now.with(before.monotonicity));
                *before = note;
            }
            None if full => self.left_out = true,
            None => drop(self.notes.insert(text, note)),
        }
    }

    fn into_texts(self, query: &str) -> Vec<String> {
        let notes = self.notes.into_iter().map(|(text, note)| {
            let details = note
                .monotonicity
                .map_or_else(String::new, Monotonicity::describe);
            format!("{text}{details} ({})", Position::new(query, note.at.start))
        });
        notes
            .chain(self.left_out.then(|| MORE.to_owned()))
            .collect()
    }
}

impl Monotonicity {
    fn with(self, before: Option<Self>) -> Self {
        let Some(before) = before else { return self };
        Self {
            fix: self.fix.merge(before.fix),
            times: (
                self.times.0.min(before.times.0),
                self.times.1.max(before.times.1),
            ),
            count: self.count + before.count,
        }
    }

    fn describe(self) -> String {
        let MonotonicityFix {
            first,
            last,
            largest,
        } = self.fix;
        let [from, to] = [self.times.0, self.times.1]
            .map(|millis| Timestamp::from_second(millis / 1000).unwrap_or_default());
        format!(
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {from} to {to}",
            short_text(first),
            short_text(last),
            two_digits(largest),
            self.count
        )
    }
}
