//! Reader of blocks, damaged or not.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_files as files;
use bellwether_promql::StorageError;
use hashbrown::{HashMap, HashSet};
use parking_lot::Mutex;

use super::group::{
    Column, Directory, END, Footer, Group, HEADER, read_directory, read_footer, read_labels,
};
use super::name::Order;
use crate::history::SeriesId;
use crate::history::chunk::{unpack_times, unpack_values};
use crate::history::frame;
use crate::history::time_span::TimeSpan;

/// Callback for a chunk: index of its series in the request, times, values.
type OnChunk<'a> = dyn FnMut(usize, &[i64], &[f64]) -> Result<(), StorageError> + 'a;

/// Largest byte range of chunks that is read at once.
const SPAN: u64 = 1 << 20;

/// Content of a block file without its samples.
pub(super) struct BlockFile {
    pub footer: Footer,
    /// Labels of the series of each group.
    pub labels: Vec<Vec<LabelSet>>,
    pub bytes: u64,
    /// Number of missing or damaged parts.
    pub damaged: u64,
}

/// Reads the footer and the labels of a block. If the footer is damaged, finds the groups by their frames.
pub(super) fn open(path: &Path) -> io::Result<BlockFile> {
    let file = files::open(path)?;
    let bytes = file.metadata()?.len();
    let (footer, mut damaged) = match footer(&file, bytes)? {
        Some(footer) => (footer, 0),
        None => (salvage(&files::read(path, files::LARGE)?)?, 1),
    };
    let mut block = BlockFile {
        footer,
        labels: Vec::new(),
        bytes,
        damaged: 0,
    };
    let groups = std::mem::take(&mut block.footer.groups);
    for group in groups {
        match frame_at(&file, &group.labels)?.and_then(|content| read_labels(&content)) {
            Some(labels) => {
                block.labels.push(labels);
                block.footer.groups.push(group);
            }
            None => damaged += 1,
        }
    }
    block.damaged = damaged;
    Ok(block)
}

fn footer(file: &File, bytes: u64) -> io::Result<Option<Footer>> {
    let Some(end) = bytes.checked_sub(8) else {
        return Ok(None);
    };
    let mut last = [0; 8];
    file.read_exact_at(&mut last, end)?;
    let [a, b, c, d, mark @ ..] = last;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    match end.checked_sub(length) {
        Some(start) if mark == *END => {
            Ok(frame_at(file, &(start..end))?.and_then(|content| read_footer(&content)))
        }
        _ => Ok(None),
    }
}

/// Reads the content of the frame at `place`; `None` if it is damaged.
fn frame_at(file: &File, place: &Range<u64>) -> io::Result<Option<Vec<u8>>> {
    let bytes = read(file, place)?;
    Ok(frame::content(&bytes, 0).map(|content| bytes[content].to_vec()))
}

/// Reads the bytes at `place`, fewer at the end of the file.
fn read(file: &File, place: &Range<u64>) -> io::Result<Vec<u8>> {
    let length = file
        .metadata()?
        .len()
        .min(place.end)
        .saturating_sub(place.start);
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, place.start)?;
    Ok(bytes)
}

/// Finds the groups of a block without a valid footer.
fn salvage(bytes: &[u8]) -> io::Result<Footer> {
    let mut footer = Footer::default();
    let mut at = HEADER.len();
    while let Some(start) = frame::next(bytes, at) {
        let Some(labels) = frame::content(bytes, start) else {
            break;
        };
        at = labels.end;
        let Some(inside) = frame::content(bytes, labels.end) else {
            continue;
        };
        let Some(directory) = read_directory(&bytes[inside.clone()]) else {
            continue;
        };
        if read_labels(&bytes[labels.clone()]).is_none() {
            continue;
        }
        footer.samples += directory
            .entries
            .iter()
            .map(|entry| directory.columns[entry.column].count as u64)
            .sum::<u64>();
        footer.groups.push(Group {
            labels: start as u64..labels.end as u64,
            directory: labels.end as u64..inside.end as u64,
            span: directory.span(),
        });
        at = inside.end.saturating_add(directory.data() as usize);
    }
    if footer.groups.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "no part of it is readable",
        ));
    }
    Ok(footer)
}

/// A block on disk. Only the parts that every query needs are in memory.
#[derive(Debug)]
pub(in super::super) struct Block {
    pub order: Order,
    pub path: PathBuf,
    pub bytes: u64,
    pub samples: u64,
    /// Times of the first and the last sample.
    pub span: TimeSpan,
    pub covers: Range<UnixMillis>,
    pub segment: u64,
    /// Series of all groups, by id.
    pub series: Arc<[SeriesId]>,
    groups: Vec<(Group, Range<usize>)>,
    /// The block was deleted, so that a missing file is not an error.
    pub retired: AtomicBool,
    /// Offsets of damaged parts that were counted.
    damaged: Mutex<HashSet<u64>>,
}

impl Block {
    /// Creates a block from its file and the ids of its series, in order.
    pub(super) fn new(
        order: Order,
        path: PathBuf,
        file: BlockFile,
        series: Arc<[SeriesId]>,
    ) -> Self {
        let mut first = 0;
        let groups: Vec<_> = file
            .footer
            .groups
            .into_iter()
            .zip(&file.labels)
            .map(|(group, labels)| {
                let range = first..first + labels.len();
                first = range.end;
                (group, range)
            })
            .collect();
        Self {
            order,
            path,
            bytes: file.bytes,
            samples: file.footer.samples,
            span: groups
                .iter()
                .map(|(group, _)| group.span)
                .reduce(TimeSpan::join)
                .unwrap_or(TimeSpan::NONE),
            covers: file.footer.covers,
            segment: file.footer.segment,
            series,
            groups,
            retired: AtomicBool::new(false),
            damaged: Mutex::default(),
        }
    }

    /// Calls `on_chunk` for each chunk of the series `wanted` (ascending) that overlaps `span`, with the
    /// index in `wanted`, times and values. Leaves out damaged parts, and returns the number of those that
    /// were not counted before.
    pub fn read(
        &self,
        wanted: &[SeriesId],
        span: TimeSpan,
        on_chunk: &mut OnChunk,
    ) -> Result<u64, StorageError> {
        let mut file = None;
        let mut damaged = 0;
        for (group, range) in &self.groups {
            if !group.span.overlaps(span) {
                continue;
            }
            let places: Vec<Option<usize>> = self.series[range.clone()]
                .iter()
                .map(|series| wanted.binary_search(series).ok())
                .collect();
            if places.iter().all(Option::is_none) {
                continue;
            }
            if file.is_none() {
                file = files::open(&self.path).ok();
            }
            let Some(file) = &file else {
                return Ok(damaged + u64::from(!self.retired.load(Relaxed) && self.is_new(0)));
            };
            damaged += self.read_group(file, group, &places, span, on_chunk)?;
        }
        Ok(damaged)
    }

    /// Marks the part at `place` as damaged, and returns whether it was not counted yet.
    fn is_new(&self, place: u64) -> bool {
        self.damaged.lock().insert(place)
    }

    fn read_group(
        &self,
        file: &File,
        group: &Group,
        places: &[Option<usize>],
        span: TimeSpan,
        on_chunk: &mut OnChunk,
    ) -> Result<u64, StorageError> {
        let directory = frame_at(file, &group.directory).ok().flatten();
        let Some(directory) = directory.and_then(|content| read_directory(&content)) else {
            return Ok(u64::from(self.is_new(group.directory.start)));
        };
        let mut chunks = ChunkReader::new(file, group.directory.end, &directory, |entry| {
            let column = &directory.columns[entry.column];
            let wanted = places.get(entry.series).copied().flatten();
            wanted.filter(|_| column.span.overlaps(span))
        });
        let mut damaged = 0;
        while let Some((place, entry)) = chunks.next_wanted() {
            match chunks.read(entry) {
                Some((times, values)) => on_chunk(place, times, &values)?,
                None => {
                    let at = group.directory.end + directory.entries[entry].bytes.start;
                    damaged += u64::from(self.is_new(at));
                }
            }
        }
        Ok(damaged)
    }
}

/// Reader of the wanted chunks of one group.
struct ChunkReader<'a> {
    file: &'a File,
    base: u64,
    directory: &'a Directory,
    /// Index of the series in the request, and index of the entry.
    wanted: std::vec::IntoIter<(usize, usize)>,
    /// Offset and bytes that were read at once.
    span: (u64, Vec<u8>),
    columns: HashMap<usize, Option<Vec<i64>>>,
}

impl<'a> ChunkReader<'a> {
    fn new(
        file: &'a File,
        base: u64,
        directory: &'a Directory,
        place: impl Fn(&super::group::Entry) -> Option<usize>,
    ) -> Self {
        let entries = directory.entries.iter().enumerate();
        let wanted: Vec<(usize, usize)> = entries
            .filter_map(|(at, entry)| Some((place(entry)?, at)))
            .collect();
        let start = wanted
            .first()
            .map_or(0, |(_, at)| directory.entries[*at].bytes.start);
        let end = wanted
            .last()
            .map_or(0, |(_, at)| directory.entries[*at].bytes.end);
        let span = if end - start <= SPAN {
            read(file, &(base + start..base + end)).unwrap_or_default()
        } else {
            Vec::new()
        };
        let columns = HashMap::new();
        Self {
            file,
            base,
            directory,
            wanted: wanted.into_iter(),
            span: (start, span),
            columns,
        }
    }

    fn next_wanted(&mut self) -> Option<(usize, usize)> {
        self.wanted.next()
    }

    /// Reads times and values of an entry; `None` if they are damaged.
    fn read(&mut self, entry: usize) -> Option<(&[i64], Vec<f64>)> {
        let entry = &self.directory.entries[entry];
        let place = &entry.bytes;
        let start = (place.start - self.span.0) as usize;
        let length = (place.end - place.start) as usize;
        let values = match self.span.1.get(start..start + length) {
            Some(packed) => unpack_checked(packed, entry.sum, unpack_values),
            None => {
                let packed = read(self.file, &(self.base + place.start..self.base + place.end));
                unpack_checked(&packed.ok()?, entry.sum, unpack_values)
            }
        }?;
        let column = &self.directory.columns[entry.column];
        let times = self
            .columns
            .entry(entry.column)
            .or_insert_with(|| read_column(self.file, self.base, column))
            .as_deref()?;
        (times.len() == values.len()).then_some((times, values))
    }
}

fn read_column(file: &File, base: u64, column: &Column) -> Option<Vec<i64>> {
    let place = base + column.bytes.start..base + column.bytes.end;
    let packed = read(file, &place).ok()?;
    unpack_checked(&packed, column.sum, unpack_times)
}

fn unpack_checked<T>(packed: &[u8], sum: u32, unpack: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    if crc32fast::hash(packed) == sum {
        unpack(packed)
    } else {
        None
    }
}
