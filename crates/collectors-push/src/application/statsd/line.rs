//! Parses one line of `StatsD` or `DogStatsD` without allocating.
//!
//! Owns the grammar `name:value[:value...]|type[|@rate][|#tag:value,flag,...][|Ttimestamp]` and
//! nothing else: what the parts mean for a metric is not known here.

use std::borrow::Cow;

use bellwether_core::UnixMillis;
use bellwether_recorder::Reason;
use memchr::memchr;

/// Smallest accepted sample rate; a smaller one is a mistake, and would count as millions.
const LEAST_RATE: f64 = 1e-6;

/// Largest difference in seconds between the timestamp of an accepted line and the clock.
const TIMELY_SECONDS: u64 = 60;

/// Parts of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    /// One value or, in `DogStatsD`'s packed form, several between colons.
    pub(crate) values: &'a str,
    pub(crate) kind: LineKind,
    /// Sample rate: above 0, at most 1.
    pub(crate) rate: f64,
    /// `tag:value` pairs and tags without a value between commas; may be empty.
    pub(crate) tags: &'a str,
    /// Timestamp of a `DogStatsD` client, in seconds since the Unix epoch.
    pub(crate) timestamp: Option<i64>,
}

/// Types of lines that can be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineKind {
    /// `c`
    Counter,
    /// `g`; in the original dialect a sign makes it a step instead of a value.
    Gauge,
    /// `ms`: a duration in milliseconds.
    Timer,
    /// `h`, `d`: an observation in the metric's own unit.
    Observation,
}

impl<'a> Line<'a> {
    /// Parses a line without its line break.
    pub(crate) fn parse(line: &'a str) -> Result<Self, Reason> {
        if line.starts_with("_e{") || line.starts_with("_sc|") {
            return Err(Reason::Unsupported);
        }
        let colon = memchr(b':', line.as_bytes()).ok_or(Reason::Malformed)?;
        Self::of(&line[..colon], &line[colon + 1..])
    }

    /// Parses the part of a line behind the name and the colon.
    pub(crate) fn of(name: &'a str, rest: &'a str) -> Result<Self, Reason> {
        let (values, rest) = cut(rest);
        let (kind, mut rest) = cut(rest.ok_or(Reason::Malformed)?);
        let kind = match kind {
            "c" => LineKind::Counter,
            "g" => LineKind::Gauge,
            "ms" => LineKind::Timer,
            "h" | "d" => LineKind::Observation,
            "s" => return Err(Reason::Unsupported),
            _ => return Err(Reason::Malformed),
        };
        if name.is_empty() {
            return Err(Reason::Malformed);
        }
        let mut line = Line {
            name,
            values,
            kind,
            rate: 1.0,
            tags: "",
            timestamp: None,
        };
        while let Some(text) = rest {
            let (section, after) = cut(text);
            line.section(section)?;
            rest = after;
        }
        Ok(line)
    }

    /// Returns whether the timestamp, if there is one, is close to `now`.
    pub(crate) fn is_timely(&self, now: UnixMillis) -> bool {
        let age = |at| (now.0 / 1000).abs_diff(at);
        self.timestamp.is_none_or(|at| age(at) <= TIMELY_SECONDS)
    }

    fn section(&mut self, section: &'a str) -> Result<(), Reason> {
        match section.as_bytes().first() {
            Some(b'@') => {
                let rate: f64 = section[1..].parse().map_err(|_| Reason::Malformed)?;
                if !(LEAST_RATE..=1.0).contains(&rate) {
                    return Err(Reason::Malformed);
                }
                self.rate = rate;
            }
            Some(b'#') => self.tags = &section[1..],
            Some(b'T') => {
                self.timestamp = Some(section[1..].parse().map_err(|_| Reason::Malformed)?);
            }
            // Extensions of DogStatsD's later versions: container, external data, cardinality.
            Some(letter) if letter.is_ascii_alphabetic() => {}
            _ => return Err(Reason::Malformed),
        }
        Ok(())
    }
}

/// Splits at the next `|`.
fn cut(text: &str) -> (&str, Option<&str>) {
    match memchr(b'|', text.as_bytes()) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Returns whether a line of the packet has tags, so that it is of a `DogStatsD` client. A client
/// sends all of its lines in one dialect.
pub(super) fn has_tags(packet: &[u8]) -> bool {
    memchr::memmem::find(packet, b"|#").is_some()
}

/// Iterates over tags as label names and values; a tag may have no value.
pub(crate) fn tags(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split(',')
        .filter(|tag| !tag.is_empty())
        .map(|tag| match memchr(b':', tag.as_bytes()) {
            Some(colon) => (&tag[..colon], Some(&tag[colon + 1..])),
            None => (tag, None),
        })
}

/// Converts the names of tags to valid label names. Only invalid names cost a copy.
pub(super) fn tags_as_labels(text: &str) -> Cow<'_, str> {
    if text.split(',').all(has_plain_name) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for tag in text.split(',') {
        let (name, value) = tag.split_at(tag.find(':').unwrap_or(tag.len()));
        push_plain(name, &mut out);
        out.push_str(value);
        out.push(',');
    }
    Cow::Owned(out)
}

/// Appends `name` with `_` for each character that is not a letter or a digit.
pub(super) fn push_plain(name: &str, out: &mut String) {
    out.extend(
        name.chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }),
    );
}

/// Returns whether a name is valid for a metric or a label without a change.
pub(super) fn is_plain(name: &str) -> bool {
    name.bytes().all(plain)
}

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn has_plain_name(tag: &str) -> bool {
    let name = tag.split(':').next().unwrap_or_default();
    name.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(name: &'static str, values: &'static str, kind: LineKind) -> Line<'static> {
        Line {
            name,
            values,
            kind,
            rate: 1.0,
            tags: "",
            timestamp: None,
        }
    }

    #[test]
    fn lines_of_each_kind() {
        use LineKind::{Counter, Gauge, Observation, Timer};
        let cases = [
            ("a.b:1|c", line("a.b", "1", Counter)),
            ("a:-3|g", line("a", "-3", Gauge)),
            ("a:320|ms", line("a", "320", Timer)),
            ("a:1:2:3|h", line("a", "1:2:3", Observation)),
            (
                "a:1|d|@0.5",
                Line {
                    rate: 0.5,
                    ..line("a", "1", Observation)
                },
            ),
            (
                "a:1|c|#x:1,y:2|@0.1",
                Line {
                    rate: 0.1,
                    tags: "x:1,y:2",
                    ..line("a", "1", Counter)
                },
            ),
            (
                "a:1|c|#x:1|c:ci-1|T1656581400|card:low",
                Line {
                    tags: "x:1",
                    timestamp: Some(1_656_581_400),
                    ..line("a", "1", Counter)
                },
            ),
            ("a:1|c|#", line("a", "1", Counter)),
        ];
        for (text, expected) in cases {
            assert_eq!(Line::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_line_is_rejected() {
        let malformed = [
            "a",
            "a:1",
            "a:1|",
            "a:1|x",
            ":1|c",
            "a|c",
            "a:1|c|",
            "a:1|c|@",
            "a:1|c|@0",
            "a:1|c|@2",
            "a:1|c|@-1",
            "a:1|c|@nan",
            "a:1|c|@1e-300",
            "a:1|c|7",
            "a:1|c|T",
            "a:1|c|Tnow",
            "a:1|c:2|c",
        ];
        for text in malformed {
            assert_eq!(Line::parse(text), Err(Reason::Malformed), "{text}");
        }
        for text in ["_e{5,4}:title|text", "_sc|name|0", "users:bob|s"] {
            assert_eq!(Line::parse(text), Err(Reason::Unsupported), "{text}");
        }
    }

    #[test]
    fn tags_come_apart_at_their_first_colon() {
        let pairs: Vec<_> = tags("a:1,,url:http://x:80,e:").collect();
        assert_eq!(
            pairs,
            [
                ("a", Some("1")),
                ("url", Some("http://x:80")),
                ("e", Some(""))
            ]
        );
        assert_eq!(tags("flag").next(), Some(("flag", None)));
        assert_eq!(tags("").next(), None);
    }

    #[test]
    fn unusual_tag_names_become_label_names() {
        assert!(matches!(tags_as_labels("a:x.y,b_c:z-1"), Cow::Borrowed(_)));
        assert_eq!(
            tags_as_labels("kube-ns:x-y,http.code:1,flag"),
            "kube_ns:x-y,http_code:1,flag,"
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a_e{:|#@,.0-9cgms\u{e9}-]{0,40}") {
            if let Ok(line) = Line::parse(&text) {
                prop_assert!(line.rate > 0.0 && line.rate <= 1.0 && !line.name.is_empty());
                let labels = tags_as_labels(line.tags);
                prop_assert!(tags(&labels).all(|(name, _)| is_plain(name)));
            }
        }
    }
}
