//! Queries, run part by part: the history is never in memory as a whole.

use bellwether_core::{Fingerprint, UnixMillis};
use bellwether_matcher::LabelMatcher;
use memchr::memmem;

use super::entry::Entry;
use super::parts::{Part, complete_lines};
use super::words::{EventKind, Kind, State};

/// A query. An empty list matches all.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Earliest time.
    pub from: UnixMillis,
    /// Latest time, included.
    pub to: UnixMillis,
    /// Names of alerts or of their rules.
    pub alertnames: Vec<String>,
    /// Fingerprints of alerts.
    pub fingerprints: Vec<String>,
    /// Alternatives; all matchers of one must match the labels, `alertname` and `severity`.
    pub matchers: Vec<Vec<LabelMatcher>>,
    /// Kinds of records.
    pub kinds: Vec<Kind>,
    /// Events.
    pub events: Vec<EventKind>,
    /// States of alerts.
    pub states: Vec<State>,
    /// Channels.
    pub channels: Vec<String>,
    /// Receivers.
    pub receivers: Vec<String>,
    /// True for the newest records first.
    pub newest_first: bool,
    /// Limit of records per page.
    pub limit: usize,
    /// `Page::next` of the page before.
    pub cursor: Option<u64>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            from: UnixMillis(i64::MIN),
            to: UnixMillis(i64::MAX),
            alertnames: Vec::new(),
            fingerprints: Vec::new(),
            matchers: Vec::new(),
            kinds: Vec::new(),
            events: Vec::new(),
            states: Vec::new(),
            channels: Vec::new(),
            receivers: Vec::new(),
            newest_first: true,
            limit: 100,
            cursor: None,
        }
    }
}

/// One page of the result.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// Records in the order of the query.
    pub entries: Vec<Entry<'static>>,
    /// Cursor of the next page; `None` at the end.
    pub next: Option<u64>,
    /// Number of damaged lines.
    pub damaged: u64,
}

/// The query was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl Query {
    pub(super) fn run(&self, parts: &[Part], stop: &dyn Fn() -> bool) -> Result<Page, Stopped> {
        let mut page = Page::default();
        let needles = self.needles();
        let mut order: Vec<&Part> = parts.iter().filter(|part| self.may_match(part)).collect();
        if self.newest_first {
            order.reverse();
        }
        let last = order.len().saturating_sub(1);
        for (index, part) in order.into_iter().enumerate() {
            if stop() {
                return Err(Stopped);
            }
            let Ok(bytes) = part.read() else {
                page.damaged += 1;
                continue;
            };
            if needles.iter().all(|any| contains_any(&bytes, any))
                && let Some((number, rest)) = self.read_part(part, &bytes, &needles, &mut page)
            {
                page.next = (rest || index < last).then_some(number);
                break;
            }
        }
        Ok(page)
    }

    /// Adds the matching records of a part. If the page is full, returns the number of its last record,
    /// and whether records of the part follow.
    fn read_part(
        &self,
        part: &Part,
        bytes: &[u8],
        needles: &[Vec<memmem::Finder<'_>>],
        page: &mut Page,
    ) -> Option<(u64, bool)> {
        let first = part.numbers().0;
        let mut lines = complete_lines(bytes);
        let mut next = || match self.newest_first {
            true => lines.next_back(),
            false => lines.next(),
        };
        while let Some((index, line)) = next() {
            let number = first + index;
            if !self.is_after_cursor(number) || !needles.iter().all(|any| contains_any(line, any)) {
                continue;
            }
            let Some(entry) = Entry::read(line) else {
                page.damaged += 1;
                continue;
            };
            if !self.matches(&entry) {
                continue;
            }
            page.entries.push(entry);
            if page.entries.len() >= self.limit {
                return Some((number, next().is_some()));
            }
        }
        None
    }

    /// Returns whether a part may contain matching records.
    fn may_match(&self, part: &Part) -> bool {
        let ((first, last), (from, to)) = (part.numbers(), part.times());
        from <= self.to.0
            && to >= self.from.0
            && (self.is_after_cursor(first) || self.is_after_cursor(last))
    }

    fn is_after_cursor(&self, number: u64) -> bool {
        self.cursor.is_none_or(|cursor| {
            if self.newest_first {
                number < cursor
            } else {
                number > cursor
            }
        })
    }

    /// Returns texts of which a matching line contains one of each list, so that most lines need no
    /// parsing.
    fn needles(&self) -> Vec<Vec<memmem::Finder<'static>>> {
        let fields: [(&[&str], _); 4] = [
            (&["alertname", "rule"], &self.alertnames),
            (&["fingerprint"], &self.fingerprints),
            (&["channel"], &self.channels),
            (&["receiver"], &self.receivers),
        ];
        let needle = |name: &str, value: &String| {
            // In the form of the line: a text is always escaped the same way.
            let value = serde_json::to_string(value).unwrap_or_default();
            memmem::Finder::new(&format!("\"{name}\":{value}")).into_owned()
        };
        let needles = fields.map(|(names, values)| {
            values
                .iter()
                .flat_map(|value| names.iter().map(move |name| needle(name, value)))
                .collect::<Vec<_>>()
        });
        needles.into()
    }

    fn matches(&self, entry: &Entry<'_>) -> bool {
        fn allows<T: PartialEq>(allowed: &[T], value: &T) -> bool {
            allowed.is_empty() || allowed.contains(value)
        }
        (self.from..=self.to).contains(&entry.at)
            && allows(&self.kinds, &entry.kind)
            && allows(&self.events, &entry.event)
            && allows(&self.states, &entry.state)
            && (allows_text(&self.alertnames, &entry.alertname)
                || allows_text(&self.alertnames, &entry.rule))
            && self.allows_fingerprint(entry.fingerprint)
            && allows_text(&self.channels, &entry.channel)
            && allows_text(&self.receivers, &entry.receiver)
            && (self.matchers.is_empty() || self.matchers.iter().any(|all| all_match(all, entry)))
    }

    fn allows_fingerprint(&self, fingerprint: Fingerprint) -> bool {
        self.fingerprints.is_empty() || self.fingerprints.contains(&fingerprint.to_string())
    }
}

/// Returns whether all of `matchers` match the labels of `entry`.
fn all_match(matchers: &[LabelMatcher], entry: &Entry<'_>) -> bool {
    matchers.iter().all(|matcher| {
        matcher.test.matches(match &*matcher.name {
            "alertname" | bellwether_core::METRIC_NAME => &entry.alertname,
            "severity" => entry.severity.as_str(),
            name => entry.labels.get(name).map_or("", String::as_str),
        })
    })
}

/// Returns whether `bytes` contain one of `needles`, or there are none.
fn contains_any(bytes: &[u8], needles: &[memmem::Finder<'_>]) -> bool {
    needles.is_empty() || needles.iter().any(|needle| needle.find(bytes).is_some())
}

/// Returns true if `value` is one of `allowed`, or there are none.
fn allows_text(allowed: &[String], value: &str) -> bool {
    allowed.is_empty() || allowed.iter().any(|allowed| allowed == value)
}
