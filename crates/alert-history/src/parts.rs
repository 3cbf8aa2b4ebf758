//! Pieces of the history that are read one by one: segments on disk and chunks in memory.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_files as files;
use memchr::memchr_iter;

use super::entry::Entry;

/// A file of lines.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    pub path: PathBuf,
    /// Number of its first record.
    pub first: u64,
    /// How many it holds; where nobody knows, as many as can be.
    pub records: u64,
    /// How much of it counts: what is behind is not written whole.
    pub bytes: u64,
    /// All of its records are from here...
    pub from: i64,
    /// ...to here.
    pub to: i64,
    /// Whether it was read and its times are exact.
    pub surveyed: bool,
}

/// Lines that are not on disk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Number of its first record.
    pub first: u64,
    pub records: u64,
    pub from: i64,
    pub to: i64,
    pub lines: Arc<Vec<u8>>,
    /// Whether it must be synced at once.
    pub urgent: bool,
}

/// Something to read.
pub(super) enum Part {
    File(Segment),
    Memory(Chunk),
}

impl Part {
    /// The numbers it may hold, both ends included.
    pub fn numbers(&self) -> (u64, u64) {
        let (first, records) = match self {
            Self::File(segment) => (segment.first, segment.records),
            Self::Memory(chunk) => (chunk.first, chunk.records),
        };
        (first, first.saturating_add(records.saturating_sub(1)))
    }

    /// The times it may hold, both ends included.
    pub fn times(&self) -> (i64, i64) {
        match self {
            Self::File(segment) => (segment.from, segment.to),
            Self::Memory(chunk) => (chunk.from, chunk.to),
        }
    }

    /// Its lines.
    pub fn read(&self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::File(segment) => segment.read().map(Cow::Owned),
            Self::Memory(chunk) => Ok(Cow::Borrowed(&chunk.lines)),
        }
    }
}

impl Segment {
    /// What of it counts. One that is gone has nothing.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let file = match files::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        let mut bytes = Vec::with_capacity(self.bytes as usize);
        file.take(self.bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads it to know its times, how many lines it has, and how many of its records are damaged or
    /// missing: those up to the next segment that are in no line.
    pub fn survey(&mut self) -> io::Result<u64> {
        let bytes = self.read()?;
        let (mut lines, mut damaged) = (0, 0);
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        for (_, line) in whole_lines(&bytes) {
            lines += 1;
            match Entry::read(line) {
                Some(entry) => (from, to) = (from.min(entry.at.0), to.max(entry.at.0)),
                None => damaged += 1,
            }
        }
        self.surveyed = true;
        if from <= to {
            (self.from, self.to) = (from, to);
        }
        if self.records == u64::MAX {
            self.records = lines;
        }
        Ok(damaged + self.records.saturating_sub(lines))
    }
}

/// Whole lines with their place among all, from the first. What follows the last line's end is
/// none: it is being written, or never was.
pub(super) fn whole_lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = (u64, &[u8])> {
    let mut start = 0;
    let ends: Vec<(usize, usize)> = memchr_iter(b'\n', bytes)
        .map(|end| (std::mem::replace(&mut start, end + 1), end))
        .collect();
    ends.into_iter()
        .enumerate()
        .map(|(index, (start, end))| (index as u64, &bytes[start..end]))
}
