//! What is asked of the history, answered part by part: never all of it is in memory.

use bellwether_core::UnixMillis;
use bellwether_matcher::LabelMatcher;
use memchr::memmem;

use super::entry::{Entry, EventKind, Kind, State};
use super::parts::{Part, whole_lines};

/// What is wanted. An empty list wants all.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// From here...
    pub from: UnixMillis,
    /// ...to here, both included.
    pub to: UnixMillis,
    /// Names of alerts or of their rules.
    pub alertnames: Vec<String>,
    /// Identities of alerts.
    pub fingerprints: Vec<String>,
    /// Alternatives, of each of which all must accept the labels, `alertname` and `severity`.
    pub matchers: Vec<Vec<LabelMatcher>>,
    /// What records are about.
    pub kinds: Vec<Kind>,
    /// What happened.
    pub events: Vec<EventKind>,
    /// Where alerts stand.
    pub states: Vec<State>,
    /// Channels.
    pub channels: Vec<String>,
    /// Receivers.
    pub receivers: Vec<String>,
    /// Whether the newest come first.
    pub newest_first: bool,
    /// Most records of an answer.
    pub limit: usize,
    /// Where the answer before ended.
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

/// An answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The records in the order that was asked for.
    pub entries: Vec<Entry<'static>>,
    /// Where the next answer begins; none where there is no more.
    pub next: Option<u64>,
    /// Lines that were met and cannot be read.
    pub damaged: u64,
}

/// It was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped;

impl Query {
    pub(super) fn run(&self, parts: &[Part], stop: &dyn Fn() -> bool) -> Result<Page, Stopped> {
        let mut page = Page::default();
        let needles = self.needles();
        let mut order: Vec<&Part> = parts.iter().filter(|part| self.reaches(part)).collect();
        if self.newest_first {
            order.reverse();
        }
        for part in order {
            if stop() {
                return Err(Stopped);
            }
            let Ok(bytes) = part.read() else {
                page.damaged += 1;
                continue;
            };
            let has = |any: &Vec<memmem::Finder<'_>>| {
                any.is_empty() || any.iter().any(|needle| needle.find(&bytes).is_some())
            };
            if needles.iter().all(has) && self.read_part(part, &bytes, &needles, &mut page) {
                break;
            }
        }
        Ok(page)
    }

    /// Takes what it wants of a part; whether the page is full.
    fn read_part(
        &self,
        part: &Part,
        bytes: &[u8],
        needles: &[Vec<memmem::Finder<'_>>],
        page: &mut Page,
    ) -> bool {
        let first = part.numbers().0;
        let mut lines = whole_lines(bytes);
        let newest_first = self.newest_first;
        let mut next = || {
            if newest_first {
                lines.next_back()
            } else {
                lines.next()
            }
        };
        while let Some((index, line)) = next() {
            let number = first + index;
            let has = |any: &Vec<memmem::Finder<'_>>| {
                any.is_empty() || any.iter().any(|needle| needle.find(line).is_some())
            };
            if !self.is_behind_cursor(number) || !needles.iter().all(has) {
                continue;
            }
            let Some(entry) = Entry::read(line) else {
                page.damaged += 1;
                continue;
            };
            if !self.wants(&entry) {
                continue;
            }
            page.entries.push(entry);
            if page.entries.len() >= self.limit {
                page.next = Some(number);
                return true;
            }
        }
        false
    }

    /// Whether a part may hold anything that is wanted.
    fn reaches(&self, part: &Part) -> bool {
        let ((first, last), (from, to)) = (part.numbers(), part.times());
        from <= self.to.0
            && to >= self.from.0
            && (self.is_behind_cursor(first) || self.is_behind_cursor(last))
    }

    fn is_behind_cursor(&self, number: u64) -> bool {
        self.cursor.is_none_or(|cursor| {
            if self.newest_first {
                number < cursor
            } else {
                number > cursor
            }
        })
    }

    /// Texts of which a wanted line holds one of each list, so that most lines need not be parsed.
    fn needles(&self) -> Vec<Vec<memmem::Finder<'static>>> {
        let fields: [(&[&str], _); 4] = [
            (&["alertname", "rule"], &self.alertnames),
            (&["fingerprint"], &self.fingerprints),
            (&["channel"], &self.channels),
            (&["receiver"], &self.receivers),
        ];
        let needle = |name: &str, value: &String| {
            // As the line was written: a text has one form only.
            let value = serde_json::to_string(value).unwrap_or_default();
            memmem::Finder::new(&format!("\"{name}\":{value}")).into_owned()
        };
        let needles = fields.map(|(names, values)| {
            let of = |value| names.iter().map(move |name| needle(name, value));
            values.iter().flat_map(of).collect::<Vec<_>>()
        });
        needles.into()
    }

    fn wants(&self, entry: &Entry<'_>) -> bool {
        fn one<T: PartialEq>(wanted: &[T], found: &T) -> bool {
            wanted.is_empty() || wanted.contains(found)
        }
        let text = |wanted: &[String], found: &str| {
            wanted.is_empty() || wanted.iter().any(|wanted| wanted == found)
        };
        (self.from..=self.to).contains(&entry.at)
            && one(&self.kinds, &entry.kind)
            && one(&self.events, &entry.event)
            && one(&self.states, &entry.state)
            && (text(&self.alertnames, &entry.alertname) || text(&self.alertnames, &entry.rule))
            && text(&self.fingerprints, &entry.fingerprint)
            && text(&self.channels, &entry.channel)
            && text(&self.receivers, &entry.receiver)
            && (self.matchers.is_empty() || self.matchers.iter().any(|all| accept(all, entry)))
    }
}

/// Whether all of `matchers` accept the labels of `entry`.
fn accept(matchers: &[LabelMatcher], entry: &Entry<'_>) -> bool {
    matchers.iter().all(|matcher| {
        matcher.test.accepts(match &*matcher.name {
            "alertname" | bellwether_core::METRIC_NAME => &entry.alertname,
            "severity" => &entry.severity,
            name => entry.labels.get(name).map_or("", String::as_str),
        })
    })
}
