//! Samples over time: what was collected, kept and found again.
//!
//! One writer ([`History::append`], fed by the store), any number of readers by
//! [`Queryable`](bellwether_promql::Queryable). Series are known by their whole label set, as
//! Prometheus knows them; a histogram is its `_bucket`, `_count` and `_sum` series.

mod block;
mod bytes;
mod chunk;
mod counts;
mod folder;
mod frame;
mod head;
mod keeper;
mod merge;
mod packer;
mod postings;
mod settings;
mod shared;
mod stats;
mod steady;
#[cfg(test)]
mod tests;
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
use folder::Lock;
pub use settings::{Backend, TrendStorage};
use shared::Shared;
pub use stats::{Losses, Options, Recovery, Refused, Stats};
pub use wal::{Cursor, Tail, TailBatch};
use writer::Writer;

/// A series of one [`History`], for appending without looking its labels up again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesRef(u32);

/// Samples of many series.
#[derive(Debug)]
pub struct History {
    shared: Arc<Shared>,
    /// `None`: in memory only, or another's that is only read.
    writer: Option<Writer>,
}

impl History {
    /// History that lives as long as the process and takes at most `max_series` series.
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

    /// Opens history, reading back what is in its folder. What is damaged is repaired or left out
    /// and counted. When the folder can't be used, history goes on in memory, [`Recovery::error`]
    /// says why, and it is tried again. `now` tells which blocks are over. Reads files: not on an
    /// async thread.
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
        let lock = match Lock::take(&folder) {
            Ok(lock) => {
                match folder::load(&shared, &folder, now.0) {
                    Ok(replayed) => {
                        logged = replayed.logged;
                        recovery = found(&shared, &replayed);
                    }
                    Err(error) => recovery.error = Some(unreadable(&folder, &error)),
                }
                Some(lock)
            }
            Err(why) => {
                recovery.error = Some(why);
                None
            }
        };
        shared.steady.lock().observe(now.0);
        let writer = Writer::start(&shared, folder, lock, logged, now.0);
        let writer = writer
            .map_err(|error| recovery.error = Some(error.to_string()))
            .ok();
        (Self { shared, writer }, recovery)
    }

    /// Reads every block once, so that damage is known before a query meets it, and counts and logs
    /// what is found. Rests as long as it works. Blocks for long: on a thread of its own.
    pub fn verify(&self) {
        for block in self.shared.blocks.all().iter() {
            let began = std::time::Instant::now();
            let series: std::collections::BTreeSet<u32> = block.series.iter().copied().collect();
            let series: Vec<u32> = series.into_iter().collect();
            let read = block.read(&series, i64::MIN, i64::MAX, &mut |_, _, _| Ok(()));
            if let Ok(chunks) = read
                && chunks > 0
            {
                tracing::warn!(
                    "{}: {chunks} damaged pieces, which are left out of answers",
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

    /// What is in `folder`, of which another process may be the owner: takes no lock, repairs
    /// nothing, sees what was there at this moment. Reads files: not on an async thread.
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
        let recovery = match folder::look(&shared, folder) {
            Ok(replayed) => found(&shared, &replayed),
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

    /// The series with these labels, made if it is new. `None`: there are as many as there may be.
    pub fn series_ref(&self, labels: &LabelSet) -> Option<SeriesRef> {
        self.shared.series_ref(labels).map(SeriesRef)
    }

    /// Appends what was collected at `at`, all or nothing visible to a reader. A second sample of
    /// one time is refused and counted. Readers see it at once; it is durable soon after, see
    /// [`History::sync`].
    pub fn append(&self, at: UnixMillis, samples: &[(SeriesRef, f64)]) {
        let samples = samples.iter().map(|(series, value)| (series.0, *value));
        let kept = self.shared.append(at.0, samples, self.writer.is_some());
        match &self.writer {
            Some(_) if kept.is_empty() => {}
            Some(writer) => {
                let dropped = writer.push(wal::Entry {
                    at: at.0,
                    samples: kept,
                });
                self.shared.counts.dropped.fetch_add(dropped, Relaxed);
            }
            None => keeper::keep_memory(&self.shared),
        }
    }

    /// Waits until all that was appended so far is on disk. Returns whether it is; in memory alone
    /// it never is.
    pub fn sync(&self) -> bool {
        self.writer.as_ref().is_some_and(Writer::sync)
    }

    /// Makes all durable and gives the folder back. Reading goes on; what is appended from now on
    /// is in memory only.
    pub fn close(&self) {
        if let Some(writer) = &self.writer {
            writer.stop();
        }
    }

    /// What there is, and what went wrong since the start.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// The times of the block that a sample of `at` belongs to.
    #[must_use]
    pub fn block_range(at: UnixMillis) -> Range<UnixMillis> {
        let start = head::window(at.0);
        UnixMillis(start)..UnixMillis(head::window_end(start))
    }

    /// A reader of the write-ahead log from `from` on. A history in memory has none.
    #[must_use]
    pub fn wal_tail(&self, from: Cursor) -> Tail {
        Tail::new(
            self.shared.options.folder.clone(),
            Arc::clone(&self.shared.wal),
            from,
        )
    }

    /// The end of the write-ahead log: where a reader starts that wants only what is to come.
    #[must_use]
    pub fn wal_end(&self) -> Cursor {
        self.shared.wal.end()
    }

    /// Keeps the write-ahead log from `from` on for the reader `name`, as long as the limit of
    /// bytes allows. Called again it moves on.
    pub fn hold(&self, name: &str, from: Cursor) {
        self.shared.wal.hold(name, from);
    }

    /// Ends what [`History::hold`] began.
    pub fn release(&self, name: &str) {
        self.shared.wal.release(name);
    }
}

fn found(shared: &Shared, replayed: &folder::Replayed) -> Recovery {
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
        "can't read {}: {error}; hint: it must be a folder of this user",
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
        self.shared.select(matchers, from.0, to.0, guard)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        Ok(self.shared.series(matchers, from.0, to.0, guard)?)
    }
}
