//! Writer of the write-ahead log, and the set of its segments.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bellwether_core::{LabelSet, UnixMillis};
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::inventory::{self, Listed};
use super::record::{put_definitions, put_samples};
use super::segment::{HEADER, list, path};
use super::tail::Cursor;
use crate::history::SeriesId;
use crate::history::time_span::{TimeSpan, block_start};

/// Bytes after which a segment ends, because segments are read as a whole.
const MAX_SEGMENT: u64 = 32 << 20;

/// Bytes of frames that are written at once; a frame of samples may be longer.
const MAX_BUFFER: usize = 64 << 10;

/// Series in one frame of definitions.
const DEFINITIONS: usize = 512;

/// Samples of one collection, to be logged.
#[derive(Clone, Debug)]
pub(in super::super) struct Entry {
    pub at: UnixMillis,
    /// Set if the samples have a time of their own; they need no segment of their block.
    pub is_late: bool,
    pub samples: Vec<(SeriesId, f64)>,
}

/// Segments of the log, shared by the writer, its readers and retention.
#[derive(Debug, Default)]
pub(in super::super) struct SegmentSet {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    segments: BTreeMap<u64, Info>,
    /// End of the samples that are on disk.
    end: Cursor,
    holds: HashMap<String, Cursor>,
    /// Segments in the list on disk, once this process has written it.
    listed: Option<Vec<u64>>,
}

#[derive(Debug, Default)]
struct Info {
    bytes: u64,
    /// Starts of the blocks that its samples belong to, if they may not be written yet.
    windows: BTreeSet<UnixMillis>,
    /// Times of the earliest and the latest sample.
    span: Option<TimeSpan>,
}

/// A segment that only a reader of the log holds.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct HeldSegment {
    pub number: u64,
    /// Start of the newest block of its samples.
    pub newest: UnixMillis,
}

impl SegmentSet {
    /// Records a segment, or its growth.
    pub fn note(&self, number: u64, bytes: u64, windows: impl IntoIterator<Item = UnixMillis>) {
        let mut inner = self.inner.lock();
        let info = inner.segments.entry(number).or_default();
        info.bytes = bytes;
        info.windows.extend(windows);
    }

    /// Records times of samples of a segment.
    pub fn note_times(&self, number: u64, times: impl IntoIterator<Item = UnixMillis>) {
        let mut inner = self.inner.lock();
        let info = inner.segments.entry(number).or_default();
        let times = times.into_iter().map(TimeSpan::from);
        info.span = info.span.into_iter().chain(times).reduce(TimeSpan::join);
    }

    /// Writes the list of segments in `folder` without those that are `leaving`, if it changed or if
    /// `anew`. A segment is in the list only after samples in it are durable.
    pub fn list(&self, folder: &Path, leaving: &[u64], anew: bool) -> io::Result<()> {
        let (segments, numbers) = {
            let inner = self.inner.lock();
            let stay = inner
                .segments
                .iter()
                .filter(|(number, _)| !leaving.contains(number));
            let segments: Vec<Listed> = stay
                .filter_map(|(number, info)| {
                    Some(Listed {
                        number: *number,
                        span: info.span?,
                        bytes: info.bytes,
                    })
                })
                .collect();
            let numbers: Vec<u64> = segments.iter().map(|segment| segment.number).collect();
            if !anew && inner.listed.as_ref() == Some(&numbers) {
                return Ok(());
            }
            (segments, numbers)
        };
        inventory::write(folder, &segments)?;
        self.inner.lock().listed = Some(numbers);
        Ok(())
    }

    /// Sets the end of the samples that are on disk.
    pub fn set_end(&self, end: Cursor) {
        self.inner.lock().end = end;
    }

    pub fn end(&self) -> Cursor {
        self.inner.lock().end
    }

    pub fn bytes(&self) -> u64 {
        self.inner
            .lock()
            .segments
            .values()
            .map(|info| info.bytes)
            .sum()
    }

    /// Returns the bytes of the segments with samples that are not yet in a block.
    pub fn bytes_in_head(&self, in_head: impl Fn(UnixMillis) -> bool) -> u64 {
        let inner = self.inner.lock();
        let infos = inner.segments.values();
        let needed = infos.filter(|info| info.windows.iter().any(|window| in_head(*window)));
        needed.map(|info| info.bytes).sum()
    }

    pub fn hold(&self, name: &str, from: Cursor) {
        self.inner.lock().holds.insert(name.to_owned(), from);
    }

    pub fn release(&self, name: &str) {
        self.inner.lock().holds.remove(name);
    }

    /// Returns the first segment at or behind `number`, with its bytes.
    pub fn first_from(&self, number: u64) -> Option<(u64, u64)> {
        let inner = self.inner.lock();
        inner
            .segments
            .range(number..)
            .next()
            .map(|(number, info)| (*number, info.bytes))
    }

    /// Returns the segments whose samples are all in blocks and that no reader holds.
    pub fn free(&self, in_head: impl Fn(UnixMillis) -> bool) -> Vec<u64> {
        let inner = self.inner.lock();
        let held = inner
            .holds
            .values()
            .map(|hold| hold.segment)
            .min()
            .unwrap_or(u64::MAX);
        let current = inner.end.segment;
        let before = inner
            .segments
            .iter()
            .filter(|(number, _)| **number < current.min(held));
        let free = before.filter(|(_, info)| !info.windows.iter().any(|window| in_head(*window)));
        free.map(|(number, _)| *number).collect()
    }

    /// Returns the oldest finished segment if only a reader holds it, because all of its samples are in
    /// blocks.
    pub fn oldest_held(&self, in_head: impl Fn(UnixMillis) -> bool) -> Option<HeldSegment> {
        let inner = self.inner.lock();
        let (number, info) = inner.segments.first_key_value()?;
        let needed =
            *number >= inner.end.segment || info.windows.iter().any(|window| in_head(*window));
        (!needed).then(|| HeldSegment {
            number: *number,
            newest: info.windows.last().copied().unwrap_or(UnixMillis::MIN),
        })
    }

    /// Deletes a segment.
    pub fn delete(&self, folder: &Path, number: u64) -> io::Result<()> {
        match std::fs::remove_file(path(folder, number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.inner.lock().segments.remove(&number);
                Ok(())
            }
        }
    }
}

/// The writer of the log.
#[derive(Debug)]
pub(in super::super) struct Log {
    folder: PathBuf,
    current: Option<Current>,
    /// Samples logged since the log began, those of earlier processes included.
    logged: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Current {
    file: File,
    number: u64,
    window: UnixMillis,
    /// Starts of the other blocks of its late samples.
    late: BTreeSet<UnixMillis>,
    length: u64,
    /// Series that are defined in this segment, by id.
    defined: Vec<bool>,
}

impl Log {
    pub fn new(folder: &Path, logged: u64) -> Self {
        Self {
            folder: folder.to_owned(),
            current: None,
            logged,
            buffer: Vec::new(),
        }
    }

    /// Writes `entries` and waits until they are on disk, with one fdatasync per segment. Returns the number of
    /// entries written before the first error.
    pub fn write(
        &mut self,
        entries: &[Entry],
        segments: &SegmentSet,
        labels: impl Fn(SeriesId) -> Option<LabelSet>,
    ) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < entries.len() {
            match self.write_some(&entries[written..], segments, &labels) {
                Ok(more) => written += more,
                Err(error) => {
                    // The extent of a failed write is unknown: nothing is written behind it.
                    if let Some(current) = self.current.take() {
                        current.file.set_len(current.length).ok();
                    }
                    return (written, Err(error));
                }
            }
        }
        (written, Ok(()))
    }

    fn write_some(
        &mut self,
        entries: &[Entry],
        segments: &SegmentSet,
        labels: &impl Fn(SeriesId) -> Option<LabelSet>,
    ) -> io::Result<usize> {
        let Some(first) = entries.first() else {
            return Ok(0);
        };
        let window = match &self.current {
            Some(current) if first.is_late => current.window,
            _ => block_start(first.at),
        };
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.window != window || current.length >= MAX_SEGMENT)
        {
            self.rotate();
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.begin(window, segments.end().segment)?,
        };
        let same = entries
            .iter()
            .take_while(|entry| entry.is_late || block_start(entry.at) == window)
            .count();
        let appended = self.append(&mut current, &entries[..same], labels);
        let written = appended.map(|appended| {
            current.length = appended.length;
            self.logged = appended.logged;
            let times = entries[..appended.entries].iter().map(|entry| entry.at);
            let windows = times.clone().map(block_start);
            current
                .late
                .extend(windows.filter(|other| *other != window));
            let windows = current.late.iter().copied().chain([window]);
            segments.note(current.number, current.length, windows);
            segments.note_times(current.number, times);
            segments.set_end(Cursor {
                segment: current.number,
                offset: current.length,
                samples: appended.logged,
            });
            appended.entries
        });
        self.current = Some(current);
        written
    }

    /// Appends as many of `entries` to the segment as it has room for, and waits until they are on disk.
    fn append(
        &mut self,
        current: &mut Current,
        entries: &[Entry],
        labels: &impl Fn(SeriesId) -> Option<LabelSet>,
    ) -> io::Result<Appended> {
        let mut appended = Appended {
            entries: 0,
            logged: self.logged,
            length: current.length,
        };
        let mut output = Output {
            file: &current.file,
            buffer: &mut self.buffer,
            length: &mut appended.length,
        };
        output.buffer.clear();
        for entry in entries {
            if output.length() >= MAX_SEGMENT {
                break;
            }
            let new = undefined(&mut current.defined, entry);
            output.define(&new, labels)?;
            put_samples(output.buffer, entry.at, appended.logged, &entry.samples);
            output.define(&new, labels)?;
            appended.logged += entry.samples.len() as u64;
            appended.entries += 1;
        }
        output.flush()?;
        current.file.sync_data()?;
        self.buffer.shrink_to(MAX_BUFFER);
        Ok(appended)
    }

    /// Ends the segment; the next write begins a new one.
    pub fn rotate(&mut self) {
        self.current = None;
    }

    /// Ends the segment if it has samples of the block that starts at `window`. Returns the segment number
    /// below which there will be no further samples of that block.
    pub fn close_window(&mut self, window: UnixMillis, segments: &SegmentSet) -> u64 {
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.window == window || current.late.contains(&window))
        {
            self.rotate();
        }
        match &self.current {
            Some(current) => current.number,
            None => segments.end().segment + 1,
        }
    }

    /// Counts samples that will never be logged, so that readers of the log notice the gap.
    pub fn skip(&mut self, samples: u64) {
        self.logged += samples;
    }

    /// Begins a segment with a number above all others and above `last`, so that readers do not mistake it
    /// for an earlier one.
    fn begin(&mut self, window: UnixMillis, last: u64) -> io::Result<Current> {
        std::fs::create_dir_all(&self.folder)?;
        let number = list(&self.folder)?
            .last()
            .map_or(last, |number| last.max(*number))
            + 1;
        let path = path(&self.folder, number);
        let mut file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .open(&path)?;
        let ready = file
            .write_all(HEADER)
            .and_then(|()| sync_folder(&self.folder));
        if let Err(error) = ready {
            std::fs::remove_file(&path).ok();
            return Err(error);
        }
        Ok(Current {
            file,
            number,
            window,
            late: BTreeSet::new(),
            length: HEADER.len() as u64,
            defined: Vec::new(),
        })
    }
}

/// Result of a write.
struct Appended {
    entries: usize,
    /// As [`Log::logged`].
    logged: u64,
    /// New length of the segment.
    length: u64,
}

/// Frames on their way to a file, of which few are in memory.
struct Output<'a> {
    file: &'a File,
    buffer: &'a mut Vec<u8>,
    /// Bytes in the file.
    length: &'a mut u64,
}

impl Output<'_> {
    /// Returns the length of the file with the frames in the buffer.
    fn length(&self) -> u64 {
        *self.length + self.buffer.len() as u64
    }

    /// Puts definitions of `series`, unless they were removed meanwhile.
    fn define(
        &mut self,
        series: &[SeriesId],
        labels: &impl Fn(SeriesId) -> Option<LabelSet>,
    ) -> io::Result<()> {
        for part in series.chunks(DEFINITIONS) {
            let definitions = part.iter().filter_map(|id| Some((*id, labels(*id)?)));
            let definitions: Vec<_> = definitions.collect();
            if !definitions.is_empty() {
                put_definitions(self.buffer, &definitions);
            }
            if self.buffer.len() >= MAX_BUFFER {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut file = self.file;
        file.write_all(self.buffer)?;
        *self.length += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Returns the series of `entry` that are not in `defined`, and adds them.
fn undefined(defined: &mut Vec<bool>, entry: &Entry) -> Vec<SeriesId> {
    let mut new = Vec::new();
    for (id, _) in &entry.samples {
        let slot = id.index();
        if defined.len() <= slot {
            defined.resize(slot + 1, false);
        }
        if !std::mem::replace(&mut defined[slot], true) {
            new.push(*id);
        }
    }
    new
}

/// Makes the entries of a directory durable.
pub(in super::super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::record::Record;
    use super::super::segment::Segment;
    use super::*;

    #[test]
    fn many_new_series_are_logged_with_a_small_buffer() {
        let folder = tempfile::tempdir().unwrap();
        let segments = SegmentSet::default();
        let mut log = Log::new(folder.path(), 0);
        let entry = Entry {
            at: UnixMillis(0),
            is_late: false,
            samples: (0..5000).map(|id| (SeriesId(id), f64::from(id))).collect(),
        };
        let labels = |id: SeriesId| Some(LabelSet::new([("host", id.0.to_string().repeat(20))]));
        let (written, result) = log.write(&[entry.clone(), entry], &segments, labels);
        result.unwrap();
        assert_eq!(written, 2);
        assert!(log.buffer.capacity() <= MAX_BUFFER);
        let segment = Segment::read(folder.path(), segments.end().segment).unwrap();
        assert_eq!((segment.damaged(), segment.whole()), (0, segment.len()));
        assert_eq!(segment.len(), segments.bytes());
        assert_eq!(segments.end().samples, 10_000);
        // Definitions, samples, the same definitions; and samples of series that are defined.
        let frames = segment.records().map(|record| match record {
            Record::Definitions(definitions) => definitions.count(),
            Record::Samples(samples) => samples.iter().count(),
        });
        let definitions = [vec![DEFINITIONS; 9], vec![5000 - 9 * DEFINITIONS]].concat();
        let first = [&definitions[..], &[5000], &definitions, &[5000]].concat();
        assert_eq!(frames.collect::<Vec<_>>(), first);
        let defined = segment.definitions();
        assert_eq!(defined.len(), 5000);
        assert_eq!(
            defined.get(&SeriesId(4999)),
            labels(SeriesId(4999)).as_ref()
        );
    }
}
