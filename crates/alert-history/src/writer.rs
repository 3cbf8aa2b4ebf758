//! The thread that writes records down, keeps the history within its limits, and goes on in memory
//! as long as the folder cannot be used.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_core::MonoMillis;
use tracing::{info, warn};

use super::Clock;
use super::entry::{Entry, Record};
use super::files::{self, Listed, Lock, day_of};
use super::mark::Mark;
use super::parts::{Chunk, Segment};
use super::queue::Queue;
use super::shared::Shared;

/// Records that become lines at a time.
const BATCH: usize = 4096;
/// A segment of this size is full.
const SEGMENT: u64 = 1_000_000;
/// Longest time that what is not urgent is not synced.
const SYNC_EVERY: Duration = Duration::from_secs(1);
/// How long to wait before a folder is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the oldest segment must have been too old: a clock that is in another year for a
/// minute deletes nothing.
const PROOF: Duration = Duration::from_secs(3600);
/// How often the limits are looked at when nothing comes.
const IDLE: Duration = Duration::from_secs(60);

pub(super) struct Writer {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    clock: Clock,
    lock: Option<Lock>,
    /// The segment that grows.
    current: Option<Current>,
    /// Since when something is written and not synced.
    unsynced: Option<Instant>,
    retry_at: Option<Instant>,
    /// Since when the segment with this number is too old.
    too_old: Option<(u64, MonoMillis)>,
    /// What this process wrote down of the newest segment.
    marked: Option<Mark>,
}

struct Current {
    file: File,
    path: PathBuf,
    day: i64,
    bytes: u64,
    /// The number of its first record.
    first: u64,
    /// The number of the record that may follow.
    next: u64,
}

impl Writer {
    /// Opens the folder, if it can be opened now.
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
            marked: None,
        };
        if let Some(folder) = writer.shared.options.folder.clone() {
            let opened = writer.open_folder(&folder);
            writer.settle(opened);
        }
        writer
    }

    /// Works until the queue is stopped.
    pub fn run(mut self) {
        loop {
            if self.queue.is_idle() && self.survey_one() {
                continue;
            }
            let taken = self.queue.take(self.patience());
            let waited_for = !taken.syncs.is_empty() || taken.stop;
            let shared = Arc::clone(&self.shared);
            shared
                .watch
                .during(|| self.put_down(&taken.records, waited_for));
            for waits in taken.syncs {
                waits.send(()).ok();
            }
            if taken.stop {
                self.mark(true);
                return;
            }
        }
    }

    /// Writes records down; where somebody has `waited_for` them, at once and synced.
    fn put_down(&mut self, records: &[Record], waited_for: bool) {
        for batch in records.chunks(BATCH) {
            self.encode(batch);
            self.write_down();
        }
        if waited_for {
            self.retry_at = None;
        }
        self.write_down();
        if waited_for
            || self
                .unsynced
                .is_some_and(|since| since.elapsed() >= SYNC_EVERY)
        {
            let synced = self.sync();
            self.settle(synced);
        }
        self.keep();
    }

    fn patience(&self) -> Duration {
        let sync = self
            .unsynced
            .map(|since| SYNC_EVERY.saturating_sub(since.elapsed()));
        let retry = self
            .retry_at
            .map(|at| at.saturating_duration_since(Instant::now()));
        sync.into_iter().chain(retry).fold(IDLE, Duration::min)
    }

    /// Makes lines of records; those of a day stay together.
    fn encode(&self, records: &[Record]) {
        for run in records.chunk_by(|a, b| day_of(a.at.0) == day_of(b.at.0)) {
            let mut lines = Vec::with_capacity(run.len() * 400);
            let (mut from, mut to, mut transitions) = (i64::MAX, i64::MIN, 0);
            for record in run {
                Entry::of(record).write(&mut lines);
                (from, to) = (from.min(record.at.0), to.max(record.at.0));
                transitions += u64::from(record.is_transition());
            }
            let chunk = Chunk {
                first: 0,
                records: run.len() as u64,
                from,
                to,
                lines: Arc::new(lines),
                urgent: transitions > 0,
            };
            self.shared.with(|state| {
                state.counts.transitions += transitions;
                state.counts.notifications += run.len() as u64 - transitions;
                state.add(chunk);
            });
        }
    }

    /// Writes what is not on disk, unless that failed a moment ago.
    fn write_down(&mut self) {
        let Some(folder) = self.shared.options.folder.clone() else {
            self.shared.with(|state| state.bound_memory());
            return;
        };
        if self.retry_at.is_none_or(|at| at <= Instant::now()) {
            let written = self.write_to(&folder);
            self.settle(written);
        }
        self.shared.with(|state| state.bound_memory());
    }

    /// Tells of what became of a write, where that is news.
    fn settle(&mut self, result: Result<(), String>) {
        match result {
            Ok(()) => {
                self.retry_at = None;
                if let Some(problem) = self.shared.with(|state| state.counts.problem.take()) {
                    info!(problem, "the history of alerts is on disk again");
                }
            }
            Err(problem) => {
                self.retry_at = Some(Instant::now() + RETRY);
                let told = self.shared.with(|state| {
                    state.counts.write_failures += 1;
                    state.counts.problem.replace(problem.clone()).is_some()
                });
                if !told {
                    warn!("the history of alerts is in memory for now: {problem}");
                }
            }
        }
    }

    fn open_folder(&mut self, folder: &std::path::Path) -> Result<(), String> {
        let said = |error: io::Error| format!("can't read: {}: {error}", folder.display());
        let lock = Lock::take(folder)?;
        let Listed {
            mut segments,
            unusable,
        } = files::list(folder).map_err(said)?;
        let least = unusable
            .iter()
            .map(|(_, first, _)| first.saturating_add(1))
            .max();
        for (path, _, why) in &unusable {
            let path = path.display();
            warn!("a part of the history of alerts is left out: {path}: {why}");
            self.shared.with(|state| state.counts.damaged += 1);
        }
        if let Some(last) = segments.last_mut() {
            let whole = last.read().map_err(said)?;
            let end = memchr::memrchr(b'\n', &whole).map_or(0, |end| end as u64 + 1);
            let torn = last.bytes - end;
            last.bytes = end;
            let damaged = last.survey().map_err(said)?;
            self.shared.with(|state| {
                state.counts.torn_bytes += torn;
                state.counts.damaged += damaged;
            });
            if torn > 0 || damaged > 0 {
                let path = last.path.display();
                warn!(
                    torn,
                    damaged,
                    %path, "parts of the history of alerts were damaged and are left out"
                );
            }
        }
        self.miss_the_end(folder, segments.last());
        self.shared
            .with(|state| state.adopt(segments, least.unwrap_or(0)));
        self.lock = Some(lock);
        Ok(())
    }

    /// Tells of records that were there when the process before wrote down how far it was.
    fn miss_the_end(&mut self, folder: &std::path::Path, last: Option<&Segment>) {
        let mark = match Mark::read(folder) {
            Ok(Some(mark)) => mark,
            Ok(None) => return,
            Err(error) => {
                warn!("{error}; whether the newest records of alerts were taken away is not known");
                return;
            }
        };
        let end = last.map_or(0, |last| last.first.saturating_add(last.records));
        let missing = mark.end().saturating_sub(end.max(mark.first));
        let whose = last.filter(|last| last.first >= mark.first);
        if missing > 0 {
            let what = match whose {
                Some(last) => format!("{} was cut", last.path.display()),
                None => format!("{}/{:020}-*.jsonl is gone", folder.display(), mark.first),
            };
            warn!(
                missing,
                "the newest records of the history of alerts are missing: {what}; hint: to have \
                 them back, stop Bellwether, put the whole file there and start again"
            );
            self.shared.with(|state| state.counts.damaged += missing);
        }
    }

    /// Writes down how far the newest segment is, once for each and `anew`.
    fn mark(&mut self, anew: bool) {
        let Some(folder) = &self.shared.options.folder else {
            return;
        };
        let Some(Current { first, next, .. }) = self.current else {
            return;
        };
        let done = self.marked.is_some_and(|marked| {
            if anew {
                marked.end() == next
            } else {
                marked.first == first
            }
        });
        let mark = Mark {
            first,
            records: next - first,
        };
        // Tried again with the next sync; that the disk takes nothing is told by other writes.
        if !done && mark.write(folder).is_ok() {
            self.marked = Some(mark);
        }
    }

    fn write_to(&mut self, folder: &std::path::Path) -> Result<(), String> {
        self.notice_loss(folder);
        if self.lock.is_none() {
            self.open_folder(folder)?;
        }
        while let Some(chunk) = self.shared.with(|state| state.unwritten.front().cloned()) {
            let failed = |error: io::Error| format!("can't write: {}: {error}", folder.display());
            self.write(folder, &chunk).map_err(failed)?;
        }
        Ok(())
    }

    /// A folder or file that somebody deleted is made anew.
    fn notice_loss(&mut self, folder: &std::path::Path) {
        let gone = |current: &Current| !current.path.exists();
        if self.current.as_ref().is_some_and(gone) {
            self.current = None;
            if !folder.exists() {
                self.lock = None;
            }
        }
    }

    fn write(&mut self, folder: &std::path::Path, chunk: &Chunk) -> io::Result<()> {
        let day = day_of(chunk.from);
        let full = self.shared.options.max_bytes.min(16 * SEGMENT) / 16;
        let fits = |current: &Current| {
            current.day == day && current.bytes < full && current.next == chunk.first
        };
        if !self.current.as_ref().is_some_and(fits) {
            self.sync_current()?;
            self.current = Some(self.begin(folder, chunk.first, day)?);
        }
        let Some(current) = &mut self.current else {
            return Ok(());
        };
        if let Err(error) = current.file.write_all(&chunk.lines) {
            // Half of it may be there. If it cannot be cut off, it counts as torn.
            if current.file.set_len(current.bytes).is_err() {
                self.current = None;
            }
            return Err(error);
        }
        current.bytes += chunk.lines.len() as u64;
        current.next += chunk.records;
        self.shared.with(|state| state.written(&current.path));
        self.unsynced.get_or_insert_with(Instant::now);
        if chunk.urgent {
            return self.sync_current();
        }
        Ok(())
    }

    /// Goes on with the last segment where that fits, or begins one.
    fn begin(&self, folder: &std::path::Path, first: u64, day: i64) -> io::Result<Current> {
        let full = self.shared.options.max_bytes.min(16 * SEGMENT) / 16;
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
            .map_err(|error| format!("can't sync the history of alerts: {error}"))?;
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
            // What the kernel could not write it may have forgotten.
            self.current = None;
            return Err(error);
        }
        self.mark(false);
        Ok(())
    }

    /// Reads one segment that nobody read so far; whether there was one.
    fn survey_one(&mut self) -> bool {
        let next = |segments: &[Segment]| {
            segments
                .iter()
                .rev()
                .find(|segment| !segment.surveyed)
                .cloned()
        };
        let Some(mut segment) = self.shared.with(|state| next(&state.segments)) else {
            return false;
        };
        let damaged = segment.survey().unwrap_or(segment.records);
        segment.surveyed = true;
        if damaged > 0 {
            let path = segment.path.display();
            warn!(damaged, %path, "records of the history of alerts are damaged or missing");
        }
        self.shared.with(|state| {
            state.counts.damaged += damaged;
            if let Some(known) = state
                .segments
                .iter_mut()
                .find(|known| known.path == segment.path)
            {
                *known = segment;
            }
        });
        true
    }

    /// Deletes what is too much or too old.
    fn keep(&mut self) {
        let Some(lock) = &self.lock else { return };
        let now = (self.clock)();
        let most = self.shared.options.max_bytes;
        let limit = now.wall.before(self.shared.options.retention).0;
        while let Some((segment, bytes)) = self.shared.with(|state| {
            let bytes: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
            (state.segments.len() > 1).then(|| (state.segments[0].clone(), bytes))
        }) {
            if segment.to >= limit {
                self.too_old = None;
            }
            let since = self.too_old.filter(|(first, _)| *first <= segment.first);
            let proven = since.is_some_and(|(_, since)| now.mono.since(since) >= PROOF);
            if segment.to < limit && since.is_none() {
                self.too_old = Some((segment.first, now.mono));
            }
            if bytes <= most && !(segment.to < limit && proven) {
                return;
            }
            // One that cannot be deleted is not in the way of others.
            if fs::remove_file(&segment.path).is_ok() || !segment.path.exists() {
                lock.sync().ok();
            }
            self.shared
                .with(|state| state.segments.retain(|known| known.path != segment.path));
        }
    }
}
