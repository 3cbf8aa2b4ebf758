//! Splits what is read into lines, and joins the lines of an event.

use std::time::Duration;

use bellwether_core::MonoMillis;
use regex::bytes::Regex;

/// Rule by which lines become one event.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    /// First line of an event.
    pub(super) start: Regex,
    pub(super) max_lines: usize,
    /// Time without a further line after which an event is complete.
    pub(super) timeout: Duration,
}

/// A line, or several that are one event, without its line end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    /// True if the text is only its beginning.
    pub(super) is_cut: bool,
}

/// Splits chunks of a file, and keeps what is not complete. Memory is bounded by the longest line.
#[derive(Clone, Debug)]
pub(super) struct Splitter {
    max_line: usize,
    /// Beginning of the unfinished line.
    partial: Vec<u8>,
    /// Bytes of the unfinished line, with those that were cut.
    partial_bytes: u64,
    joiner: Option<Joiner>,
}

#[derive(Clone, Debug)]
struct Joiner {
    rule: Joining,
    event: Vec<u8>,
    lines: usize,
    is_cut: bool,
    /// Bytes of the event in the file.
    bytes: u64,
    /// Time of its last line.
    last: MonoMillis,
}

impl Splitter {
    pub(super) fn new(max_line: usize, joining: Option<&Joining>) -> Self {
        Self {
            max_line,
            partial: Vec::new(),
            partial_bytes: 0,
            joiner: joining.map(|rule| Joiner {
                rule: rule.clone(),
                event: Vec::new(),
                lines: 0,
                is_cut: false,
                bytes: 0,
                last: MonoMillis::default(),
            }),
        }
    }

    /// Returns the number of bytes that belong to no line or event yet.
    pub(super) fn pending(&self) -> u64 {
        self.partial_bytes + self.joiner.as_ref().map_or(0, |joiner| joiner.bytes)
    }

    /// Splits the next bytes of the file, and calls `each` for every complete line or event.
    pub(super) fn push(&mut self, chunk: &[u8], now: MonoMillis, each: &mut impl FnMut(Line<'_>)) {
        let mut start = 0;
        for end in memchr::memchr_iter(b'\n', chunk) {
            let text = &chunk[start..end];
            start = end + 1;
            if self.partial_bytes == 0 {
                self.line(text, text.len() as u64 + 1, now, each);
            } else {
                self.extend(text);
                self.end_partial(1, now, each);
            }
        }
        self.extend(&chunk[start..]);
    }

    /// Completes the last line and event of a file that gets no more.
    pub(super) fn finish(&mut self, now: MonoMillis, each: &mut impl FnMut(Line<'_>)) {
        if self.partial_bytes > 0 {
            self.end_partial(0, now, each);
        }
        if let Some(joiner) = &mut self.joiner {
            joiner.flush(each);
        }
    }

    /// Completes an event whose last line is too long ago.
    pub(super) fn flush_due(&mut self, now: MonoMillis, each: &mut impl FnMut(Line<'_>)) {
        let joiner = self.joiner.as_mut();
        if let Some(joiner) = joiner.filter(|joiner| now.since(joiner.last) >= joiner.rule.timeout)
        {
            joiner.flush(each);
        }
    }

    fn extend(&mut self, text: &[u8]) {
        let room = self.max_line.saturating_sub(self.partial.len());
        self.partial
            .extend_from_slice(&text[..room.min(text.len())]);
        self.partial_bytes += text.len() as u64;
    }

    fn end_partial(&mut self, line_end: u64, now: MonoMillis, each: &mut impl FnMut(Line<'_>)) {
        let partial = std::mem::take(&mut self.partial);
        let bytes = std::mem::take(&mut self.partial_bytes);
        let is_cut = bytes > partial.len() as u64;
        self.emit(&partial, is_cut, bytes + line_end, now, each);
        self.partial = partial;
        self.partial.clear();
    }

    fn line(&mut self, text: &[u8], bytes: u64, now: MonoMillis, each: &mut impl FnMut(Line<'_>)) {
        let is_cut = text.len() > self.max_line;
        let text = &text[..text.len().min(self.max_line)];
        self.emit(text, is_cut, bytes, now, each);
    }

    fn emit(
        &mut self,
        text: &[u8],
        is_cut: bool,
        bytes: u64,
        now: MonoMillis,
        each: &mut impl FnMut(Line<'_>),
    ) {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let line = Line { text, is_cut };
        match &mut self.joiner {
            None => each(line),
            Some(joiner) => joiner.push(line, bytes, self.max_line, now, each),
        }
    }
}

impl Joiner {
    fn push(
        &mut self,
        line: Line<'_>,
        bytes: u64,
        max_event: usize,
        now: MonoMillis,
        each: &mut impl FnMut(Line<'_>),
    ) {
        if self.lines >= self.rule.max_lines || self.rule.start.is_match(line.text) {
            self.flush(each);
        }
        if self.lines > 0 {
            self.event.push(b'\n');
        }
        let room = max_event.saturating_sub(self.event.len());
        self.event
            .extend_from_slice(&line.text[..room.min(line.text.len())]);
        self.is_cut |= line.is_cut || line.text.len() > room;
        self.lines += 1;
        self.bytes += bytes;
        self.last = now;
    }

    fn flush(&mut self, each: &mut impl FnMut(Line<'_>)) {
        if self.lines > 0 {
            each(Line {
                text: &self.event,
                is_cut: self.is_cut,
            });
        }
        self.event.clear();
        self.lines = 0;
        self.is_cut = false;
        self.bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EARLY: MonoMillis = MonoMillis(1000);

    /// Splits chunks, and returns the lines and the bytes that are left.
    fn split(splitter: &mut Splitter, chunks: &[&[u8]]) -> (Vec<String>, u64) {
        let mut lines = Vec::new();
        let mut each = |line: Line<'_>| {
            let mark = if line.is_cut { "..." } else { "" };
            lines.push(format!("{}{mark}", String::from_utf8_lossy(line.text)));
        };
        for chunk in chunks {
            splitter.push(chunk, EARLY, &mut each);
        }
        let pending = splitter.pending();
        splitter.finish(EARLY, &mut each);
        (lines, pending)
    }

    fn joining() -> Joining {
        Joining {
            start: Regex::new(r"^\S").unwrap(),
            max_lines: 3,
            timeout: Duration::from_secs(5),
        }
    }

    #[test]
    fn lines_end_with_a_newline_with_or_without_a_carriage_return() {
        let (lines, pending) = split(&mut Splitter::new(100, None), &[b"a\r\n\nb\n", b"c"]);
        assert_eq!(
            (lines, pending),
            (["a", "", "b", "c"].map(String::from).into(), 1)
        );
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        let (lines, pending) = split(
            &mut Splitter::new(3, None),
            &[b"abcdef\nabc\nab", b"cd", b"ef\nxy", b"z12"],
        );
        assert_eq!(lines, ["abc...", "abc", "abc...", "xyz..."]);
        assert_eq!(pending, 5, "with the bytes that were cut");
    }

    #[test]
    fn lines_are_joined_until_the_next_start_or_a_limit() {
        let mut splitter = Splitter::new(10, Some(&joining()));
        let text: &[u8] = b"a\n b\nc\n 1\n 2\n 3\n 4\nd234567\n long\ne\n";
        let (events, pending) = split(&mut splitter, &[text]);
        assert_eq!(
            events,
            ["a\n b", "c\n 1\n 2", " 3\n 4", "d234567\n l...", "e"]
        );
        assert_eq!(pending, 2, "the last event");
    }

    #[test]
    fn an_event_is_complete_after_a_time_without_a_line() {
        let mut splitter = Splitter::new(100, Some(&joining()));
        let mut events = Vec::new();
        let mut each = |line: Line<'_>| events.push(line.text.to_vec());
        splitter.push(b"a\n b\n", EARLY, &mut each);
        splitter.flush_due(EARLY.after(Duration::from_millis(4999)), &mut each);
        splitter.flush_due(EARLY.after(Duration::from_secs(5)), &mut each);
        splitter.flush_due(EARLY.after(Duration::from_secs(50)), &mut each);
        assert_eq!(events, [b"a\n b"]);
        assert_eq!(splitter.pending(), 0);
    }

    proptest! {
        /// However a text comes in pieces, its lines are the same, and no byte is lost.
        #[test]
        fn any_split_into_chunks_gives_the_same_lines(
            text in "[ab \r\n\u{e9}]{0,60}",
            cuts in prop::collection::vec(0..70_usize, 0..8),
            max_line in 1..12_usize,
            is_joined in any::<bool>(),
        ) {
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.sort_unstable();
            let bounds: Vec<usize> = [0].into_iter().chain(cuts).chain([text.len()]).collect();
            let chunks: Vec<&[u8]> = bounds.windows(2).map(|pair| &text[pair[0]..pair[1]]).collect();
            let joining = is_joined.then(joining);
            let mut whole = Splitter::new(max_line, joining.as_ref());
            let mut pieces = whole.clone();
            prop_assert_eq!(split(&mut whole, &[text]), split(&mut pieces, &chunks));
        }
    }
}
