//! The writer thread: writes records, deletes old segments, and keeps records in memory while the
//! folder cannot be used.

mod opening;
mod retention;

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_core::MonoMillis;
use tracing::{info, warn};

use super::Clock;
use super::entry::Entry;
use super::files::{self, Lock, day_of};
use super::newest::NewestSegment;
use super::parts::Chunk;
use super::queue::Queue;
use super::record::Record;
use super::shared::Shared;

/// Number of records that are encoded at a time.
const BATCH: usize = 4096;
/// Size in bytes at which a segment is full.
const SEGMENT_BYTES: u64 = 1_000_000;
/// Longest time until records other than transitions are synced.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// Time until a failed folder is retried.
const RETRY: Duration = Duration::from_secs(1);
/// Interval of retention checks without new records.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    clock: Clock,
    lock: Option<Lock>,
    /// The segment that is written.
    current: Option<Current>,
    /// Time of the first write that is not synced.
    unsynced: Option<Instant>,
    retry_at: Option<Instant>,
    /// Number of the oldest segment, and since when it is too old.
    too_old: Option<(u64, MonoMillis)>,
    /// The end of the newest segment as this process saved it.
    saved_newest: Option<NewestSegment>,
}

struct Current {
    file: File,
    path: PathBuf,
    day: i64,
    bytes: u64,
    /// Number of its first record.
    first: u64,
    /// Number of the next record.
    next: u64,
}

impl Writer {
    /// Creates the writer, and tries to open the folder.
    pub fn open(shared: Arc<Shared>, queue: Arc<Queue>, clock: Clock) -> Self {
        let mut writer = Self {
            shared,
            queue,
            clock,
            lock: None,
            current: None,
            unsynced: None,
            retry_at: None,
            too_old: None,
            saved_newest: None,
        };
        if let Some(folder) = writer.shared.options.folder.clone() {
            let opened = writer.open_folder(&folder);
            writer.note_result(opened);
        }
        writer
    }

    /// Runs until the queue is stopped.
    pub fn run(mut self) {
        loop {
            if self.queue.is_idle() && self.scan_one() {
                continue;
            }
            let queued = self.queue.take(self.timeout());
            let sync_now = !queued.syncs.is_empty() || queued.stop;
            let shared = Arc::clone(&self.shared);
            shared
                .watch
                .during(|| self.write_records(&queued.records, sync_now));
            for caller in queued.syncs {
                caller.send(()).ok();
            }
            if queued.stop {
                self.save_newest(true);
                return;
            }
        }
    }

    /// Writes records; with `sync_now` also retries at once, and syncs.
    fn write_records(&mut self, records: &[Record], sync_now: bool) {
        for batch in records.chunks(BATCH) {
            self.encode(batch);
            self.flush();
        }
        if sync_now {
            self.retry_at = None;
        }
        self.flush();
        if sync_now
            || self
                .unsynced
                .is_some_and(|since| since.elapsed() >= SYNC_EVERY)
        {
            let synced = self.sync();
            self.note_result(synced);
        }
        self.delete_old();
    }

    /// Returns the time until a sync, a retry or a retention check is due.
    fn timeout(&self) -> Duration {
        let sync = self
            .unsynced
            .map(|since| SYNC_EVERY.saturating_sub(since.elapsed()));
        let retry = self
            .retry_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        sync.into_iter().chain(retry).fold(IDLE, Duration::min)
    }

    /// Encodes records to chunks, each of one day.
    fn encode(&self, records: &[Record]) {
        for same_day in records.chunk_by(|a, b| day_of(a.at.0) == day_of(b.at.0)) {
            let mut lines = Vec::with_capacity(same_day.len() * 400);
            let (mut from, mut to, mut transitions) = (i64::MAX, i64::MIN, 0);
            for record in same_day {
                Entry::from_record(record).write(&mut lines);
                (from, to) = (from.min(record.at.0), to.max(record.at.0));
                transitions += u64::from(record.is_transition());
            }
            let chunk = Chunk {
                first: 0,
                records: same_day.len() as u64,
                from,
                to,
                lines: Arc::new(lines),
                urgent: transitions > 0,
            };
            self.shared.with(|state| {
                state.counts.transitions += transitions;
                state.counts.notifications += same_day.len() as u64 - transitions;
                state.add(chunk);
            });
        }
    }

    /// Writes the chunks in memory to disk, unless that failed less than a second ago.
    fn flush(&mut self) {
        let Some(folder) = self.shared.options.folder.clone() else {
            self.shared.with(|state| state.bound_memory());
            return;
        };
        if self.retry_at.is_none_or(|at| at <= Instant::now()) {
            let written = self.write_to(&folder);
            self.note_result(written);
        }
        self.shared.with(|state| state.bound_memory());
    }

    /// Notes the result of a write, and logs it if it differs from the last one.
    fn note_result(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => {
                self.retry_at = None;
                if let Some(problem) = self.shared.with(|state| state.counts.problem.take()) {
                    info!(problem, "alert history is on disk again");
                }
            }
            Err(problem) => {
                self.retry_at = Some(Instant::now() + RETRY);
                let was_logged = self.shared.with(|state| {
                    state.counts.write_failures += 1;
                    state.counts.problem.replace(problem.clone()).is_some()
                });
                if !was_logged {
                    warn!("alert history is in memory for now: {problem}");
                }
            }
        }
    }

    /// Saves the end of the newest segment: once per segment, and at its current end if `current_end`.
    fn save_newest(&mut self, current_end: bool) {
        let Some(folder) = &self.shared.options.folder else {
            return;
        };
        let Some(Current { first, next, .. }) = self.current else {
            return;
        };
        let is_saved = self.saved_newest.is_some_and(|saved| {
            if current_end {
                saved.end() == next
            } else {
                saved.first == first
            }
        });
        let newest = NewestSegment {
            first,
            records: next - first,
        };
        // Retried with the next sync; a disk that fails is reported by other writes.
        if !is_saved && newest.write(folder).is_ok() {
            self.saved_newest = Some(newest);
        }
    }

    fn write_to(&mut self, folder: &Path) -> Result<(), String> {
        self.detect_deleted(folder);
        if self.lock.is_none() {
            self.open_folder(folder)?;
        }
        while let Some(chunk) = self.shared.with(|state| state.unwritten.front().cloned()) {
            self.write(folder, &chunk)
                .map_err(|error| format!("cannot write: {}: {error}", folder.display()))?;
        }
        Ok(())
    }

    /// Closes a segment and a folder that were deleted, so that they are created again.
    fn detect_deleted(&mut self, folder: &Path) {
        if let Some(current) = &self.current
            && !current.path.exists()
        {
            self.current = None;
            if !folder.exists() {
                self.lock = None;
            }
        }
    }

    fn write(&mut self, folder: &Path, chunk: &Chunk) -> io::Result<()> {
        let day = day_of(chunk.from);
        let full = self.shared.options.max_bytes.min(16 * SEGMENT_BYTES) / 16;
        let fits = self.current.as_ref().is_some_and(|current| {
            current.day == day && current.bytes < full && current.next == chunk.first
        });
        if !fits {
            self.sync_current()?;
            self.current = Some(self.open_segment(folder, chunk.first, day)?);
        }
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if let Err(error) = current.file.write_all(&chunk.lines) {
            // A part may be written. If it cannot be cut off, it counts as torn.
            if current.file.set_len(current.bytes).is_err() {
                self.current = None;
            }
            return Err(error);
        }
        current.bytes += chunk.lines.len() as u64;
        current.next += chunk.records;
        self.shared.with(|state| state.note_written(&current.path));
        self.unsynced.get_or_insert_with(Instant::now);
        if chunk.urgent {
            return self.sync_current();
        }
        Ok(())
    }

    /// Opens the last segment if the record `first` fits there, or a new one.
    fn open_segment(&self, folder: &Path, first: u64, day: i64) -> io::Result<Current> {
        let full = self.shared.options.max_bytes.min(16 * SEGMENT_BYTES) / 16;
        let last = self.shared.with(|state| state.segments.last().cloned());
        let fits = last.filter(|last| {
            let next = last.first.saturating_add(last.records);
            next == first && last.path == files::path(folder, last.first, day) && last.bytes < full
        });
        let (path, bytes, begins) = match &fits {
            Some(last) => (last.path.clone(), last.bytes, last.first),
            None => (files::path(folder, first, day), 0, first),
        };
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        file.set_len(bytes)?;
        if let Some(lock) = &self.lock {
            lock.sync()?;
        }
        Ok(Current {
            file,
            path,
            day,
            bytes,
            first: begins,
            next: first,
        })
    }

    fn sync(&mut self) -> Result<(), String> {
        self.sync_current()
            .map_err(|error| format!("cannot sync the alert history: {error}"))?;
        match self.shared.with(|state| state.counts.problem.clone()) {
            Some(problem) => Err(problem),
            None => Ok(()),
        }
    }

    fn sync_current(&mut self) -> io::Result<()> {
        if self.unsynced.take().is_some()
            && let Some(current) = &self.current
            && let Err(error) = current.file.sync_data()
        {
            // After a failed sync the kernel may have dropped the data.
            self.current = None;
            return Err(error);
        }
        self.save_newest(false);
        Ok(())
    }
}
