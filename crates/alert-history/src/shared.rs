//! What the writer and the readers share: which segments there are, and what is not on disk.

use std::collections::VecDeque;
use std::path::PathBuf;

use bellwether_core::UnixMillis;
use bellwether_files::durable::WriteWatch;
use parking_lot::Mutex;

use super::Options;
use super::parts::{Chunk, Part, Segment};

/// Most bytes in memory that are not on disk.
const MEMORY: usize = 16_000_000;

/// What the history holds, and what became of what it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Its folder; none if it is in memory.
    pub folder: Option<PathBuf>,
    /// Transitions and steps of notifications that it took.
    pub transitions: u64,
    /// See above.
    pub notifications: u64,
    /// Transitions that found no room on their way.
    pub no_room_transitions: u64,
    /// Steps of notifications that found no room on their way.
    pub no_room_notifications: u64,
    /// Records that could not be written and were too many for memory.
    pub evicted: u64,
    /// Lines that could not be read and were left out.
    pub damaged: u64,
    /// Bytes of a write that a crash interrupted, cut off.
    pub torn_bytes: u64,
    /// Writes that failed.
    pub write_failures: u64,
    /// Bytes on disk.
    pub disk_bytes: u64,
    /// Bytes in memory that are not on disk.
    pub memory_bytes: u64,
    /// The day of the oldest record, or its time.
    pub oldest: Option<UnixMillis>,
    /// Why it is not kept as declared, if so.
    pub problem: Option<String>,
}

pub(super) struct Shared {
    pub options: Options,
    /// Of what is written.
    pub watch: WriteWatch,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    /// On disk, the oldest first.
    pub segments: Vec<Segment>,
    /// Not on disk, behind what is.
    pub unwritten: VecDeque<Chunk>,
    pub unwritten_bytes: usize,
    /// The number of the next record.
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

    /// Looks at the state, or changes it. Held briefly: readers and the writer wait for it.
    pub fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock())
    }

    /// All there is at this moment, the oldest first.
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
            problem: self.watch.hangs().or_else(|| state.counts.problem.clone()),
            ..state.counts.clone()
        }
    }
}

impl State {
    /// Takes lines that are not on disk; their numbers follow the last one's.
    pub fn add(&mut self, mut chunk: Chunk) {
        chunk.first = self.next;
        self.next += chunk.records;
        self.unwritten_bytes += chunk.lines.len();
        self.unwritten.push_back(chunk);
    }

    /// Forgets the oldest of what could not be written, where it is too much.
    pub fn bound_memory(&mut self) {
        while self.unwritten_bytes > MEMORY && self.unwritten.len() > 1 {
            let Some(chunk) = self.unwritten.pop_front() else {
                return;
            };
            self.unwritten_bytes -= chunk.lines.len();
            self.counts.evicted += chunk.records;
        }
    }

    /// Takes over what is on disk. What is in memory goes behind it, at `least` with this number.
    pub fn adopt(&mut self, segments: Vec<Segment>, least: u64) {
        let behind = segments
            .last()
            .map_or(0, |last| last.first.saturating_add(last.records));
        let behind = behind.max(least);
        let first = self
            .unwritten
            .front()
            .map_or(self.next, |chunk| chunk.first);
        let shift = behind.saturating_sub(first);
        for chunk in &mut self.unwritten {
            chunk.first += shift;
        }
        self.next += shift;
        self.segments = segments;
    }

    /// The first chunk is on disk: at the end of the segment at `path`.
    pub fn written(&mut self, path: &std::path::Path) {
        let Some(chunk) = self.unwritten.pop_front() else {
            return;
        };
        self.unwritten_bytes -= chunk.lines.len();
        let bytes = chunk.lines.len() as u64;
        match self
            .segments
            .last_mut()
            .filter(|segment| segment.path == path)
        {
            Some(segment) => {
                let first = segment.records == 0;
                segment.records += chunk.records;
                segment.bytes += bytes;
                segment.from = if first {
                    chunk.from
                } else {
                    segment.from.min(chunk.from)
                };
                segment.to = if first {
                    chunk.to
                } else {
                    segment.to.max(chunk.to)
                };
            }
            None => self.segments.push(Segment {
                path: path.to_owned(),
                first: chunk.first,
                records: chunk.records,
                bytes,
                from: chunk.from,
                to: chunk.to,
                surveyed: true,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_write_that_does_not_end_is_told() {
        let options = Options {
            folder: None,
            retention: Duration::ZERO,
            max_bytes: 0,
        };
        let shared = Shared::new(options);
        shared.watch.during(|| {
            assert_eq!(shared.stats().problem, None);
            shared.watch.overdue();
            let told = shared.stats().problem;
            assert!(told.is_some_and(|told| told.contains("does not answer")));
        });
        assert_eq!(shared.stats().problem, None);
    }
}
