//! Writing the write-ahead log, and knowing which of its segments are still needed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bellwether_core::LabelSet;
use hashbrown::HashMap;
use parking_lot::Mutex;

use super::inventory::{self, Listed};
use super::record::{put_definitions, put_samples};
use super::segment::{HEADER, list, path};
use super::tail::Cursor;
use crate::history::head::window;

/// Bytes after which a segment ends, whatever the time: it is read as a whole.
const LONGEST: u64 = 32 << 20;

/// One collection on its way to the log.
#[derive(Clone, Debug)]
pub(in super::super) struct Entry {
    pub at: i64,
    pub samples: Vec<(u32, f64)>,
}

/// What there is of the log, for whoever reads or deletes it.
#[derive(Debug, Default)]
pub(in super::super) struct Shelf {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    segments: BTreeMap<u64, Info>,
    /// Up to where all is on disk.
    end: Cursor,
    holds: HashMap<String, Cursor>,
    /// The segments that are in the list on disk, once this process has written it.
    listed: Option<Vec<u64>>,
}

#[derive(Debug, Default)]
struct Info {
    bytes: u64,
    /// The blocks that its samples belong to, where those may not be written yet.
    windows: BTreeSet<i64>,
    /// The times of its earliest and its latest sample.
    times: Option<(i64, i64)>,
}

impl Shelf {
    /// Takes note of a segment, or of more in it.
    pub fn note(&self, number: u64, bytes: u64, windows: impl IntoIterator<Item = i64>) {
        let mut inner = self.inner.lock();
        let info = inner.segments.entry(number).or_default();
        info.bytes = bytes;
        info.windows.extend(windows);
    }

    /// Takes note of when samples of a segment are from.
    pub fn saw(&self, number: u64, times: impl IntoIterator<Item = i64>) {
        let mut inner = self.inner.lock();
        let info = inner.segments.entry(number).or_default();
        for at in times {
            let (first, last) = info.times.unwrap_or((at, at));
            info.times = Some((first.min(at), last.max(at)));
        }
    }

    /// Writes down in `folder` which segments hold samples, without those that are `leaving`, if
    /// that changed or `anew`. A segment is in the list only once samples in it are durable.
    pub fn list(&self, folder: &Path, leaving: &[u64], anew: bool) -> io::Result<()> {
        let (segments, numbers) = {
            let inner = self.inner.lock();
            let stay = inner
                .segments
                .iter()
                .filter(|(number, _)| !leaving.contains(number));
            let segments: Vec<Listed> = stay
                .filter_map(|(number, info)| {
                    let (first, last) = info.times?;
                    Some(Listed {
                        number: *number,
                        first,
                        last,
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

    /// All before `end` is on disk.
    pub fn reached(&self, end: Cursor) {
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

    /// Bytes of the segments that have samples which are in no block yet.
    pub fn bytes_in_head(&self, in_head: impl Fn(i64) -> bool) -> u64 {
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

    /// The first segment at or behind `number`, and its bytes.
    pub fn first_from(&self, number: u64) -> Option<(u64, u64)> {
        let inner = self.inner.lock();
        inner
            .segments
            .range(number..)
            .next()
            .map(|(number, info)| (*number, info.bytes))
    }

    /// Segments that nobody needs: all their samples are in blocks, and no reader holds them.
    pub fn free(&self, in_head: impl Fn(i64) -> bool) -> Vec<u64> {
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

    /// The oldest finished segment, if all its samples are in blocks and a reader alone needs it:
    /// its number, and where its newest block begins.
    pub fn oldest_held(&self, in_head: impl Fn(i64) -> bool) -> Option<(u64, i64)> {
        let inner = self.inner.lock();
        let (number, info) = inner.segments.first_key_value()?;
        let kept =
            *number >= inner.end.segment || info.windows.iter().any(|window| in_head(*window));
        let newest = info.windows.last().copied().unwrap_or(i64::MIN);
        (!kept).then_some((*number, newest))
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
    /// Samples logged since the log began, those of processes before this one included.
    logged: u64,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Current {
    file: File,
    number: u64,
    window: i64,
    length: u64,
    /// Which numbers have been defined in this segment.
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

    /// Writes `entries` and waits until they are on disk: all of one segment in one write. Returns
    /// how many were written before the first that could not be.
    pub fn write(
        &mut self,
        entries: &[Entry],
        shelf: &Shelf,
        labels: impl Fn(u32) -> Option<LabelSet>,
    ) -> (usize, io::Result<()>) {
        let mut written = 0;
        while written < entries.len() {
            match self.write_some(&entries[written..], shelf, &labels) {
                Ok(more) => written += more,
                Err(error) => {
                    // What came of a write that failed is unknown: nothing is written behind it.
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
        shelf: &Shelf,
        labels: &impl Fn(u32) -> Option<LabelSet>,
    ) -> io::Result<usize> {
        let Some(first) = entries.first() else {
            return Ok(0);
        };
        let due =
            |current: &Current| current.window != window(first.at) || current.length >= LONGEST;
        if self.current.as_ref().is_some_and(due) {
            self.rotate();
        }
        let mut current = match self.current.take() {
            Some(current) => current,
            None => self.begin(window(first.at), shelf.end().segment)?,
        };
        let same = entries
            .iter()
            .take_while(|entry| window(entry.at) == current.window)
            .count();
        self.buffer.clear();
        let mut logged = self.logged;
        let mut count = 0;
        for entry in &entries[..same] {
            if current.length + self.buffer.len() as u64 >= LONGEST {
                break;
            }
            let new = current.undefined(entry, labels);
            let defined = || new.iter().map(|(number, labels)| (*number, labels));
            if !new.is_empty() {
                put_definitions(&mut self.buffer, defined());
            }
            put_samples(&mut self.buffer, entry.at, logged, &entry.samples);
            if !new.is_empty() {
                put_definitions(&mut self.buffer, defined());
            }
            logged += entry.samples.len() as u64;
            count += 1;
        }
        let result = current
            .file
            .write_all(&self.buffer)
            .and_then(|()| current.file.sync_data());
        if result.is_ok() {
            current.length += self.buffer.len() as u64;
            self.logged = logged;
            shelf.note(current.number, current.length, [current.window]);
            shelf.saw(
                current.number,
                entries[..count].iter().map(|entry| entry.at),
            );
            shelf.reached(Cursor {
                segment: current.number,
                offset: current.length,
                samples: logged,
            });
        }
        self.current = Some(current);
        result.map(|()| count)
    }

    /// Ends the segment; the next write begins another.
    pub fn rotate(&mut self) {
        self.current = None;
        self.buffer.shrink_to(1 << 16);
    }

    /// Ends the segment if it holds samples of the block that begins at `window`. Returns the
    /// number below which no more such samples come.
    pub fn close_window(&mut self, window: i64, shelf: &Shelf) -> u64 {
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.window == window)
        {
            self.rotate();
        }
        match &self.current {
            Some(current) => current.number,
            None => shelf.end().segment + 1,
        }
    }

    /// Samples that will never be logged: readers of the log learn that some are missing.
    pub fn skip(&mut self, samples: u64) {
        self.logged += samples;
    }

    /// Begins a segment behind all there are, and behind `last`: whoever reads the log must not
    /// take it for one that was there before.
    fn begin(&mut self, window: i64, last: u64) -> io::Result<Current> {
        std::fs::create_dir_all(&self.folder)?;
        let number = list(&self.folder)?
            .last()
            .map_or(last, |there| last.max(*there))
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
            length: HEADER.len() as u64,
            defined: Vec::new(),
        })
    }
}

impl Current {
    /// The series of `entry` that this segment does not know yet; from now on it does.
    fn undefined(
        &mut self,
        entry: &Entry,
        labels: &impl Fn(u32) -> Option<LabelSet>,
    ) -> Vec<(u32, LabelSet)> {
        let mut new = Vec::new();
        for (number, _) in &entry.samples {
            let slot = *number as usize;
            if self.defined.len() <= slot {
                self.defined.resize(slot + 1, false);
            }
            if !self.defined[slot] {
                self.defined[slot] = true;
                new.extend(labels(*number).map(|labels| (*number, labels)));
            }
        }
        new
    }
}

/// Makes the names in a folder durable.
pub(in super::super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
