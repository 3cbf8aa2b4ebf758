//! Readers of the write-ahead log, which continue at a cursor. Remote write is one.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_core::LabelSet;
use bellwether_files as files;
use bellwether_promql::SampledSeries;
use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::log::SegmentSet;
use super::record::{Record, Samples};
use super::segment::{HEADER, Segment, path};
use crate::history::SeriesId;
use crate::history::frame;

/// Bytes per read, unless a single frame is longer.
const READ: u64 = 1 << 20;

/// A position in the write-ahead log. The default is its beginning.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Cursor {
    /// Number of the segment.
    pub segment: u64,
    /// Byte offset in the segment.
    pub offset: u64,
    /// Samples logged before this position, since the log began.
    pub samples: u64,
}

/// Samples in the order of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TailBatch {
    /// Samples by series, each series once.
    pub series: Vec<SampledSeries>,
    /// Position behind these samples.
    pub after: Cursor,
    /// Samples that were deleted or damaged before they could be read, since the last batch.
    pub lost: u64,
}

/// A reader of the write-ahead log.
#[derive(Debug)]
pub struct Tail {
    folder: Option<PathBuf>,
    segments: Arc<SegmentSet>,
    at: Cursor,
    open: Option<Open>,
    /// Lost samples that no batch has reported yet.
    lost: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    file: File,
    series: HashMap<SeriesId, LabelSet>,
    ahead: Ahead,
}

/// Frames that were read and not yet returned.
#[derive(Debug, Default)]
struct Ahead {
    start: u64,
    bytes: Vec<u8>,
    contents: VecDeque<Range<usize>>,
}

impl Ahead {
    /// Reads frames from `start` on, at least one if there is one before `limit`.
    fn read(file: &File, start: u64, limit: u64) -> io::Result<Self> {
        let mut length = (limit - start).min(READ);
        loop {
            let mut bytes = vec![0; length as usize];
            file.read_exact_at(&mut bytes, start)?;
            let contents = frame::scan(&bytes, 0).contents;
            if !contents.is_empty() || start + length >= limit {
                return Ok(Self {
                    start,
                    bytes,
                    contents: contents.into(),
                });
            }
            length = (length * 2).min(limit - start);
        }
    }
}

impl Tail {
    pub(in super::super) fn new(
        folder: Option<PathBuf>,
        segments: Arc<SegmentSet>,
        from: Cursor,
    ) -> Self {
        Self {
            folder,
            segments,
            at: from,
            open: None,
            lost: 0,
        }
    }

    /// Returns the next samples, about `max_samples` and at least one collection; `None` if there are no
    /// more for now. Blocks: not for async threads.
    pub fn next(&mut self, max_samples: usize) -> Option<TailBatch> {
        loop {
            let limit = self.seek()?;
            match self.read(limit, max_samples) {
                Ok(batch) if !batch.series.is_empty() => {
                    self.lost = 0;
                    return Some(batch);
                }
                Ok(_) => {}
                // The segment was deleted: the counter of the next samples reveals how many are lost.
                Err(_) => self.next_segment(),
            }
        }
    }

    /// Returns the current position.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.at
    }

    /// Moves to a segment with further samples, and returns the end of those.
    fn seek(&mut self) -> Option<u64> {
        loop {
            let end = self.segments.end();
            if self.at.segment > end.segment + 1 {
                // The directory was emptied: the log began again.
                self.at = Cursor::default();
            }
            let (number, bytes) = self.segments.first_from(self.at.segment)?;
            if number != self.at.segment {
                self.at = Cursor {
                    segment: number,
                    offset: 0,
                    samples: self.at.samples,
                };
            }
            self.at.offset = self.at.offset.max(HEADER.len() as u64);
            let limit = if number == end.segment {
                end.offset
            } else {
                bytes
            };
            if self.at.offset < limit {
                return Some(limit);
            }
            if number >= end.segment {
                return None;
            }
            self.next_segment();
        }
    }

    /// Moves to the next segment.
    fn next_segment(&mut self) {
        self.open = None;
        self.at.segment += 1;
        self.at.offset = 0;
    }

    fn read(&mut self, limit: u64, max_samples: usize) -> io::Result<TailBatch> {
        let mut open = self.open()?;
        if open.ahead.contents.is_empty() {
            open.ahead = Ahead::read(&open.file, self.at.offset, limit)?;
            if open.ahead.contents.is_empty() {
                self.at.offset = limit;
            }
        }
        let mut batch = BatchBuilder::default();
        while batch.count < max_samples
            && let Some(content) = open.ahead.contents.pop_front()
        {
            self.at.offset = open.ahead.start + content.end as u64;
            match Record::read(&open.ahead.bytes[content]) {
                Some(Record::Definitions(definitions)) => open.series.extend(definitions),
                Some(Record::Samples(samples)) => batch.add(&samples, &open.series, &mut self.at),
                None => {}
            }
        }
        self.open = Some(open);
        self.lost += batch.lost;
        Ok(TailBatch {
            series: batch.series,
            after: self.at,
            lost: self.lost,
        })
    }

    fn open(&mut self) -> io::Result<Open> {
        if let Some(open) = self.open.take()
            && open.number == self.at.segment
        {
            return Ok(open);
        }
        let folder = self.folder.as_deref().ok_or(io::ErrorKind::NotFound)?;
        let number = self.at.segment;
        let file = files::open(&path(folder, number))?;
        let series = Segment::read(folder, number)?.definitions();
        Ok(Open {
            number,
            file,
            series,
            ahead: Ahead::default(),
        })
    }
}

/// A batch under construction.
#[derive(Default)]
struct BatchBuilder {
    series: Vec<SampledSeries>,
    indices: HashMap<SeriesId, usize>,
    count: usize,
    lost: u64,
}

impl BatchBuilder {
    fn add(
        &mut self,
        samples: &Samples,
        definitions: &HashMap<SeriesId, LabelSet>,
        at: &mut Cursor,
    ) {
        // A reader that starts at the beginning has missed nothing.
        let began = at.samples == 0;
        if !began {
            self.lost += samples.before.saturating_sub(at.samples);
        }
        for (id, value) in samples.iter() {
            let Some(labels) = definitions.get(&id) else {
                self.lost += 1;
                continue;
            };
            let index = *self.indices.entry(id).or_insert_with(|| {
                self.series.push(SampledSeries {
                    labels: labels.clone(),
                    ..Default::default()
                });
                self.series.len() - 1
            });
            self.series[index].times.push(samples.at.0);
            self.series[index].values.push(value);
        }
        self.count += samples.count;
        at.samples = samples.before + samples.count as u64;
    }
}
