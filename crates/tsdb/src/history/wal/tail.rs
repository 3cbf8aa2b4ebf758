//! Reading the write-ahead log from where a reader stopped: how samples leave for elsewhere.

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

use super::log::Shelf;
use super::record::{Record, Samples};
use super::segment::{HEADER, Segment, path};
use crate::history::frame;

/// Bytes that are read at once, unless a single frame is longer.
const READ: u64 = 1 << 20;

/// A place in the write-ahead log. The default is the oldest there is.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Cursor {
    /// Number of the segment.
    pub segment: u64,
    /// Bytes into it.
    pub offset: u64,
    /// Samples logged before this place, since the log began.
    pub samples: u64,
}

/// Samples in the order in which they were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TailBatch {
    /// Each series once, with its samples.
    pub series: Vec<SampledSeries>,
    /// Where to go on once these have been dealt with.
    pub after: Cursor,
    /// Samples that were deleted or damaged before they could be read, since the last batch.
    pub lost: u64,
}

/// A reader of the write-ahead log.
#[derive(Debug)]
pub struct Tail {
    folder: Option<PathBuf>,
    shelf: Arc<Shelf>,
    at: Cursor,
    open: Option<Open>,
    /// Lost samples that no batch has told of yet.
    lost: u64,
}

#[derive(Debug)]
struct Open {
    number: u64,
    file: File,
    series: HashMap<u32, LabelSet>,
    ahead: Ahead,
}

/// Frames that were read and not yet handed out.
#[derive(Debug, Default)]
struct Ahead {
    start: u64,
    bytes: Vec<u8>,
    contents: VecDeque<Range<usize>>,
}

impl Ahead {
    /// Reads some frames from `start` on, and one at the least if there is one before `limit`.
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
    pub(in super::super) fn new(folder: Option<PathBuf>, shelf: Arc<Shelf>, from: Cursor) -> Self {
        Self {
            folder,
            shelf,
            at: from,
            open: None,
            lost: 0,
        }
    }

    /// The next samples, about `max_samples`, at least one collection. `None`: there are no more
    /// for now. Reads files: not on an async thread.
    pub fn next(&mut self, max_samples: usize) -> Option<TailBatch> {
        loop {
            let limit = self.place()?;
            match self.read(limit, max_samples) {
                Ok(batch) if !batch.series.is_empty() => {
                    self.lost = 0;
                    return Some(batch);
                }
                Ok(_) => {}
                // Deleted under our hands: the number of the next samples tells how many are gone.
                Err(_) => self.leave(),
            }
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        self.at
    }

    /// Goes to a segment that has more, and says up to where.
    fn place(&mut self) -> Option<u64> {
        loop {
            let end = self.shelf.end();
            if self.at.segment > end.segment + 1 {
                // The folder was emptied since: its log began anew.
                self.at = Cursor::default();
            }
            let (number, bytes) = self.shelf.first_from(self.at.segment)?;
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
            self.leave();
        }
    }

    /// Leaves this segment for the next.
    fn leave(&mut self) {
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
        let mut batch = Gathered::default();
        while batch.count < max_samples
            && let Some(content) = open.ahead.contents.pop_front()
        {
            self.at.offset = open.ahead.start + content.end as u64;
            match Record::read(&open.ahead.bytes[content]) {
                Some(Record::Definitions(definitions)) => open.series.extend(definitions),
                Some(Record::Samples(samples)) => batch.take(&samples, &open.series, &mut self.at),
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

/// A batch on its way.
#[derive(Default)]
struct Gathered {
    series: Vec<SampledSeries>,
    places: HashMap<u32, usize>,
    count: usize,
    lost: u64,
}

impl Gathered {
    fn take(&mut self, samples: &Samples, known: &HashMap<u32, LabelSet>, at: &mut Cursor) {
        // A reader that began at the oldest there is has missed nothing.
        let began = at.samples == 0;
        if !began {
            self.lost += samples.before.saturating_sub(at.samples);
        }
        for (number, value) in samples.iter() {
            let Some(labels) = known.get(&number) else {
                self.lost += 1;
                continue;
            };
            let place = *self.places.entry(number).or_insert_with(|| {
                self.series.push(SampledSeries {
                    labels: labels.clone(),
                    ..Default::default()
                });
                self.series.len() - 1
            });
            self.series[place].times.push(samples.at);
            self.series[place].values.push(value);
        }
        self.count += samples.count;
        at.samples = samples.before + samples.count as u64;
    }
}
