//! Parts of the history that are read one by one: segments on disk and chunks in memory.

use std::borrow::Cow;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_files as files;
use memchr::memchr_iter;

use super::entry::Entry;

/// A file of JSON lines.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Segment {
    pub path: PathBuf,
    /// Number of the first record.
    pub first: u64,
    /// Number of records; `u64::MAX` where it is unknown.
    pub records: u64,
    /// Valid length; bytes after it are of an incomplete write.
    pub bytes: u64,
    /// Earliest time of a record, in milliseconds since the epoch.
    pub from: i64,
    /// Latest time of a record, in milliseconds since the epoch.
    pub to: i64,
    /// True if it was read, so that its times are exact.
    pub scanned: bool,
}

/// Lines that are not on disk.
#[derive(Clone, Debug)]
pub(super) struct Chunk {
    /// Number of the first record.
    pub first: u64,
    pub records: u64,
    pub from: i64,
    pub to: i64,
    pub lines: Arc<Vec<u8>>,
    /// True if it must be synced at once.
    pub urgent: bool,
}

/// A segment or a chunk.
pub(super) enum Part {
    File(Segment),
    Memory(Chunk),
}

impl Part {
    /// Returns the first and last record number that it may contain.
    pub fn numbers(&self) -> (u64, u64) {
        let (first, records) = match self {
            Self::File(segment) => (segment.first, segment.records),
            Self::Memory(chunk) => (chunk.first, chunk.records),
        };
        (first, first.saturating_add(records.saturating_sub(1)))
    }

    /// Returns the earliest and latest time that it may contain.
    pub fn times(&self) -> (i64, i64) {
        match self {
            Self::File(segment) => (segment.from, segment.to),
            Self::Memory(chunk) => (chunk.from, chunk.to),
        }
    }

    /// Reads its lines.
    pub fn read(&self) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::File(segment) => segment.read().map(Cow::Owned),
            Self::Memory(chunk) => Ok(Cow::Borrowed(&chunk.lines)),
        }
    }
}

impl Segment {
    /// Creates the segment at `path` with its first chunk.
    pub fn with_chunk(path: &Path, chunk: &Chunk) -> Self {
        Self {
            path: path.to_owned(),
            first: chunk.first,
            records: chunk.records,
            bytes: chunk.lines.len() as u64,
            from: chunk.from,
            to: chunk.to,
            scanned: true,
        }
    }

    /// Notes that `chunk` was written to its end.
    pub fn append(&mut self, chunk: &Chunk) {
        if self.records == 0 {
            (self.from, self.to) = (chunk.from, chunk.to);
        }
        self.records += chunk.records;
        self.bytes += chunk.lines.len() as u64;
        self.from = self.from.min(chunk.from);
        self.to = self.to.max(chunk.to);
    }

    /// Reads the valid bytes. A deleted file reads as empty.
    pub fn read(&self) -> io::Result<Vec<u8>> {
        let file = match files::open(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            file => file?,
        };
        let mut bytes = Vec::with_capacity(self.bytes as usize);
        file.take(self.bytes).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads the segment for its times and number of lines. Returns the number of damaged and missing
    /// records; missing are those up to the next segment that are in no line.
    pub fn scan(&mut self) -> io::Result<u64> {
        let bytes = self.read()?;
        let (mut lines, mut damaged) = (0, 0);
        let (mut from, mut to) = (i64::MAX, i64::MIN);
        for (_, line) in complete_lines(&bytes) {
            lines += 1;
            match Entry::read(line) {
                Some(entry) => (from, to) = (from.min(entry.at.0), to.max(entry.at.0)),
                None => damaged += 1,
            }
        }
        self.scanned = true;
        if from <= to {
            (self.from, self.to) = (from, to);
        }
        if self.records == u64::MAX {
            self.records = lines;
        }
        Ok(damaged + self.records.saturating_sub(lines))
    }
}

/// Returns the complete lines with their index. Bytes after the last line feed are of an incomplete
/// write.
pub(super) fn complete_lines(bytes: &[u8]) -> impl DoubleEndedIterator<Item = (u64, &[u8])> {
    let mut start = 0;
    let ends: Vec<(usize, usize)> = memchr_iter(b'\n', bytes)
        .map(|end| (std::mem::replace(&mut start, end + 1), end))
        .collect();
    ends.into_iter()
        .enumerate()
        .map(|(index, (start, end))| (index as u64, &bytes[start..end]))
}
