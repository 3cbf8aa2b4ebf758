//! History: samples over time, in memory and on disk.
//!
//! One writer ([`History::append`], fed by the store), and any number of readers through
//! [`Queryable`]. A series is identified by its whole label set, as in
//! Prometheus; a histogram consists of its `_bucket`, `_count` and `_sum` series.
//!
//! Samples go to the head in memory and to the write-ahead log, and two hours later into a block.

mod block;
mod bytes;
mod chunk;
mod clock_guard;
mod counts;
mod directory;
mod frame;
mod head;
mod merge;
mod packer;
mod postings;
mod retention;
mod self_metrics;
mod settings;
mod shared;
mod stats;
#[cfg(test)]
mod tests;
mod time_span;
mod wal;
mod writer;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
pub use block::BlockWriter;
use directory::Lock;
pub use self_metrics::SELF_METRICS;
pub use settings::{Backend, TrendStorage};
use shared::Shared;
pub use stats::{Losses, Options, Recovery, Rejected, Stats};
use time_span::{TimeSpan, block_of};
pub use wal::{Cursor, Tail, TailBatch};
use writer::Writer;

/// Id of a series in one [`History`], valid as long as the process. Ids are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesId(u32);

impl SeriesId {
    /// Returns the index of the series in vectors by series.
    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Sample with a time of its own.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TimedSample {
    /// Time.
    pub at: UnixMillis,
    /// Series.
    pub series: SeriesId,
    /// Value.
    pub value: f64,
}

/// Samples of many series over time.
#[derive(Debug)]
pub struct History {
    shared: Arc<Shared>,
    /// `None` in memory only, and for history that is only read.
    writer: Option<Writer>,
}

impl History {
    /// Creates a history in memory with at most `max_series` series.
    #[must_use]
    pub fn in_memory(max_series: usize) -> Self {
        let options = Options {
            max_series,
            max_memory: u64::MAX,
            retention: Duration::MAX,
            ..Options::default()
        };
        Self {
            shared: Arc::new(Shared::new(options)),
            writer: None,
        }
    }

    /// Opens the history in its directory, and replays the write-ahead log.
    ///
    /// Damaged parts are repaired, or left out and counted. If the directory cannot be used, history
    /// is in memory, [`Recovery::error`] has the reason, and the directory is retried. `now` is compared
    /// with the times of blocks. Blocks: not for async threads.
    #[must_use]
    pub fn open(options: Options, now: UnixMillis) -> (Self, Recovery) {
        let folder = options.folder.clone();
        let shared = Arc::new(Shared::new(options));
        let Some(folder) = folder else {
            return (
                Self {
                    shared,
                    writer: None,
                },
                Recovery::default(),
            );
        };
        let mut recovery = Recovery::default();
        let mut logged = 0;
        let lock = match Lock::acquire(&folder) {
            Ok(lock) => {
                match directory::load(&shared, &folder, now) {
                    Ok(replayed) => {
                        logged = replayed.logged;
                        recovery = self::recovery(&shared, &replayed);
                    }
                    Err(error) => recovery.error = Some(unreadable(&folder, &error)),
                }
                Some(lock)
            }
            Err(error) => {
                recovery.error = Some(error.to_string());
                None
            }
        };
        shared.clock.lock().observe(now);
        let writer = Writer::start(&shared, folder, lock, logged, now)
            .map_err(|error| recovery.error = Some(error.to_string()))
            .ok();
        (Self { shared, writer }, recovery)
    }

    /// Reads every block once, and counts and logs damage before a query meets it. Sleeps as long as it
    /// works. Blocks for long: run it on a thread of its own.
    pub fn verify(&self) {
        for block in self.shared.blocks.all().iter() {
            let began = std::time::Instant::now();
            let series: std::collections::BTreeSet<SeriesId> =
                block.series.iter().copied().collect();
            let series: Vec<SeriesId> = series.into_iter().collect();
            let read = block.read(&series, TimeSpan::ALL, &mut |_, _, _| Ok(()));
            if let Ok(chunks) = read
                && chunks > 0
            {
                tracing::warn!(
                    "{}: {chunks} damaged chunks, which queries leave out",
                    block.path.display()
                );
                self.shared.counts.lost(Losses {
                    chunks,
                    ..Losses::default()
                });
            }
            std::thread::sleep(began.elapsed());
        }
    }

    /// Opens the history in `folder` for reading; another process may own it. Takes no lock, repairs
    /// nothing, and sees the samples of this moment. Blocks: not for async threads.
    #[must_use]
    pub fn open_read_only(folder: &Path) -> (Self, Recovery) {
        let options = Options {
            folder: Some(folder.to_owned()),
            max_series: usize::MAX,
            max_memory: u64::MAX,
            retention: Duration::MAX,
            ..Options::default()
        };
        let shared = Arc::new(Shared::new(options));
        let recovery = match directory::load_read_only(&shared, folder) {
            Ok(replayed) => self::recovery(&shared, &replayed),
            Err(error) => Recovery {
                error: Some(unreadable(folder, &error)),
                ..Recovery::default()
            },
        };
        shared.packer.run(&shared.head);
        (
            Self {
                shared,
                writer: None,
            },
            recovery,
        )
    }

    /// Returns the id of the series with these labels, and creates the series if it is new; `None` if the
    /// limit of series is reached.
    pub fn series_id(&self, labels: &LabelSet) -> Option<SeriesId> {
        self.shared.series_id(labels)
    }

    /// Returns the id of the series with these labels, if there is one.
    #[must_use]
    pub fn known_series(&self, labels: &LabelSet) -> Option<SeriesId> {
        self.shared.index.read().get(labels)
    }

    /// Appends the samples of one collection at `at`. A reader sees all of them or none. A second sample
    /// of a series at the same time is rejected and counted. Samples are visible immediately and durable
    /// soon after, see [`History::sync`].
    pub fn append(&self, at: UnixMillis, samples: &[(SeriesId, f64)]) {
        self.append_at(at, None, samples.iter().copied());
    }

    /// Appends samples that came at `now` and have times of their own; sorts them by time. A sample at the time of its
    /// series' last one is rejected as a duplicate, so that a request may be repeated. One before it is rejected, too. Returns
    /// the number of these. A block is written five minutes after the last sample that came for it.
    pub fn append_late(&self, now: UnixMillis, samples: &mut [TimedSample]) -> u64 {
        samples.sort_by_key(|sample| sample.at);
        let collections = samples.chunk_by(|one, next| one.at == next.at);
        let out_of_order = collections.map(|same| {
            let pairs = same.iter().map(|sample| (sample.series, sample.value));
            self.append_at(same[0].at, Some(now), pairs)
        });
        out_of_order.sum()
    }

    /// Appends samples, which came `late` if they have a time of their own. Returns the number of those out of order.
    fn append_at(
        &self,
        at: UnixMillis,
        late: Option<UnixMillis>,
        samples: impl ExactSizeIterator<Item = (SeriesId, f64)>,
    ) -> u64 {
        let (accepted, out_of_order) = self.shared.append(at, late, samples, self.writer.is_some());
        match &self.writer {
            Some(_) if accepted.is_empty() => {}
            Some(writer) => {
                let dropped = writer.push(wal::Entry {
                    at,
                    is_late: late.is_some(),
                    samples: accepted,
                });
                self.shared.counts.dropped.fetch_add(dropped, Relaxed);
            }
            None => retention::enforce_memory_limit(&self.shared),
        }
        out_of_order
    }

    /// Waits until all samples so far are on disk, and returns whether they are. Always false in memory.
    pub fn sync(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::sync)
    }

    /// Writes all samples to disk and unlocks the directory. Reading continues to work; further samples
    /// are in memory only.
    pub fn close(&self) {
        if let Some(writer) = &self.writer {
            writer.stop();
        }
    }

    /// Returns statistics since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Returns the time range of the block that a sample at `at` belongs to.
    #[must_use]
    pub fn block_range(at: UnixMillis) -> Range<UnixMillis> {
        block_of(at)
    }

    /// Returns a reader of the write-ahead log from `from` on. In memory it yields nothing.
    #[must_use]
    pub fn wal_tail(&self, from: Cursor) -> Tail {
        Tail::new(
            self.shared.options.folder.clone(),
            Arc::clone(&self.shared.wal),
            from,
        )
    }

    /// Returns the end of the write-ahead log, from which a reader gets only new samples.
    #[must_use]
    pub fn wal_end(&self) -> Cursor {
        self.shared.wal.end()
    }

    /// Retains the write-ahead log from `from` on for the reader `name`, as long as the limit of bytes
    /// allows. Replaces an earlier cursor of the reader.
    pub fn hold(&self, name: &str, from: Cursor) {
        self.shared.wal.hold(name, from);
    }

    /// Removes the cursor that [`History::hold`] set.
    pub fn release(&self, name: &str) {
        self.shared.wal.release(name);
    }
}

fn recovery(shared: &Shared, replayed: &directory::Replayed) -> Recovery {
    let stats = shared.stats();
    Recovery {
        samples: replayed.samples,
        series: stats.series,
        blocks: stats.blocks,
        losses: replayed.losses,
        error: None,
    }
}

fn unreadable(folder: &Path, error: &std::io::Error) -> String {
    format!(
        "cannot read {}: {error}; hint: it must be a directory that this user owns",
        folder.display()
    )
}

impl Drop for History {
    fn drop(&mut self) {
        self.close();
    }
}

impl Queryable for History {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        let span = TimeSpan {
            first: from,
            last: to,
        };
        self.shared.select(matchers, span, guard)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        let span = TimeSpan {
            first: from,
            last: to,
        };
        Ok(self.shared.series(matchers, span, guard)?)
    }
}
