//! State that the writer and the readers share: the segments, and chunks that are not on disk.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use bellwether_core::UnixMillis;
use bellwether_files::durable::WriteWatch;
use parking_lot::Mutex;

use super::Options;
use super::parts::{Chunk, Part, Segment};

/// Limit of bytes in memory that are not on disk.
const MAX_MEMORY_BYTES: usize = 16_000_000;

/// Counters and sizes of the alert history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Folder; `None` in memory.
    pub folder: Option<PathBuf>,
    /// Transitions recorded.
    pub transitions: u64,
    /// Steps of notifications recorded.
    pub notifications: u64,
    /// Transitions that did not fit into the queue.
    pub no_room_transitions: u64,
    /// Steps of notifications that did not fit into the queue.
    pub no_room_notifications: u64,
    /// Records dropped from memory that could not be written.
    pub evicted: u64,
    /// Lines that are damaged or missing.
    pub damaged: u64,
    /// Bytes of incomplete writes that were cut off.
    pub torn_bytes: u64,
    /// Writes that failed.
    pub write_failures: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes in memory that are not on disk.
    pub memory_bytes: u64,
    /// Time of the oldest record, or the start of its day.
    pub oldest: Option<UnixMillis>,
    /// Error for which it is not stored as configured.
    pub problem: Option<String>,
}

pub(super) struct Shared {
    pub options: Options,
    /// Detects writes that hang.
    pub watch: WriteWatch,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// Segments on disk, oldest first.
    pub segments: Vec<Segment>,
    /// Chunks not on disk, after the segments.
    pub unwritten: VecDeque<Chunk>,
    pub unwritten_bytes: usize,
    /// Number of the next record.
    pub next: u64,
    pub counts: Stats,
}

impl Shared {
    pub fn new(options: Options) -> Self {
        let counts = Stats {
            folder: options.folder.clone(),
            ..Stats::default()
        };
        let state = Mutex::new(State {
            counts,
            ..State::default()
        });
        Self {
            options,
            watch: WriteWatch::default(),
            state,
        }
    }

    /// Runs `work` on the locked state; for short work, since readers and the writer wait for it.
    pub fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock())
    }

    /// Returns all segments and chunks, oldest first.
    pub fn parts(&self) -> Vec<Part> {
        let state = self.state.lock();
        let files = state.segments.iter().cloned().map(Part::File);
        files
            .chain(state.unwritten.iter().cloned().map(Part::Memory))
            .collect()
    }

    pub fn stats(&self) -> Stats {
        let state = self.state.lock();
        let oldest = state.segments.first().map(|segment| segment.from);
        let oldest = oldest.or_else(|| state.unwritten.front().map(|chunk| chunk.from));
        Stats {
            disk_bytes: state.segments.iter().map(|segment| segment.bytes).sum(),
            memory_bytes: state.unwritten_bytes as u64,
            oldest: oldest.map(UnixMillis),
            problem: self
                .watch
                .stall_message()
                .or_else(|| state.counts.problem.clone()),
            ..state.counts.clone()
        }
    }
}

impl State {
    /// Adds a chunk; its record numbers follow the last one.
    pub fn add(&mut self, mut chunk: Chunk) {
        chunk.first = self.next;
        self.next += chunk.records;
        self.unwritten_bytes += chunk.lines.len();
        self.unwritten.push_back(chunk);
    }

    /// Drops the oldest chunks beyond the memory limit.
    pub fn bound_memory(&mut self) {
        while self.unwritten_bytes > MAX_MEMORY_BYTES && self.unwritten.len() > 1 {
            let Some(chunk) = self.unwritten.pop_front() else {
                return;
            };
            self.unwritten_bytes -= chunk.lines.len();
            self.counts.evicted += chunk.records;
        }
    }

    /// Sets the segments found on disk, and renumbers the chunks in memory after them, from
    /// `least_next` at the lowest.
    pub fn adopt(&mut self, segments: Vec<Segment>, least_next: u64) {
        let next = segments
            .last()
            .map_or(0, |last| last.first.saturating_add(last.records))
            .max(least_next);
        let first = self
            .unwritten
            .front()
            .map_or(self.next, |chunk| chunk.first);
        let shift = next.saturating_sub(first);
        for chunk in &mut self.unwritten {
            chunk.first += shift;
        }
        self.next += shift;
        self.segments = segments;
    }

    /// Moves the first chunk to the end of the segment at `path`, where it was written.
    pub fn note_written(&mut self, path: &Path) {
        let Some(chunk) = self.unwritten.pop_front() else {
            return;
        };
        self.unwritten_bytes -= chunk.lines.len();
        let last = self.segments.last_mut();
        match last.filter(|segment| segment.path == path) {
            Some(segment) => segment.append(&chunk),
            None => self.segments.push(Segment::with_chunk(path, &chunk)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_write_that_hangs_is_reported() {
        let options = Options {
            folder: None,
            retention: Duration::ZERO,
            max_bytes: 0,
        };
        let shared = Shared::new(options);
        shared.watch.during(|| {
            assert_eq!(shared.stats().problem, None);
            shared.watch.overdue();
            let problem = shared.stats().problem;
            assert!(problem.is_some_and(|problem| problem.contains("does not answer")));
        });
        assert_eq!(shared.stats().problem, None);
    }
}
