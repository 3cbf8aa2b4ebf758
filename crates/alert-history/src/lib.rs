//! Alert history: every transition of an alert and each outcome of its notifications.
//!
//! [`AlertHistory::record`] hands a record to a writer thread; callers never wait for a disk.
//! Guarantees: a record survives a kill of the process milliseconds after the call; a transition
//! survives a crash of the machine once its batch is synced, which happens at once, other records at
//! most a second later. Records that do not fit into the queue are counted, and a part of the queue
//! is reserved for transitions.
//!
//! Files are segments of JSON lines, each of one day, deleted as a whole. A damaged line is skipped
//! and affects no other line.

mod entry;
mod files;
mod newest;
mod parts;
mod query;
mod queue;
mod record;
mod self_metrics;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod words;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::Now;
pub use entry::Entry;
use parking_lot::Mutex;
pub use query::{Page, Query, Stopped};
use queue::Queue;
pub use record::{Notice, Record, Step};
pub use self_metrics::SELF_METRICS;
pub use settings::AlertHistorySettings;
use shared::Shared;
pub use shared::Stats;
pub use words::{EventKind, Kind, State, UnknownWord};

/// Reads both clocks; an argument, so that tests can set them.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Location and limits of the alert history.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folder; `None`: in memory.
    pub folder: Option<PathBuf>,
    /// Age at which segments are deleted.
    pub retention: Duration,
    /// Limit of bytes on disk.
    pub max_bytes: u64,
}

/// Handle to the alert history; cheap to clone.
#[derive(Clone)]
pub struct AlertHistory {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

impl AlertHistory {
    /// Opens the alert history and starts its thread. If the folder cannot be used, the records stay
    /// in memory and the folder is retried. Blocks.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn open(options: Options, clock: Clock) -> io::Result<Self> {
        let shared = Arc::new(Shared::new(options));
        let queue = Arc::new(Queue::default());
        let writer = writer::Writer::open(shared.clone(), queue.clone(), clock);
        let builder = std::thread::Builder::new().name("alert-history".into());
        let thread = builder.spawn(move || writer.run())?;
        Ok(Self {
            shared,
            queue,
            thread: Arc::new(Mutex::new(Some(thread))),
        })
    }

    /// Queues a record. Never blocks.
    pub fn record(&self, record: Record) {
        self.record_all([record]);
    }

    /// Queues `records` in their order. Never blocks.
    pub fn record_all(&self, records: impl IntoIterator<Item = Record>) {
        self.queue.push(records);
    }

    /// Runs a query; reads files. Stops when `stop` returns true, which is called for each part.
    ///
    /// # Errors
    /// The query was stopped.
    pub fn query(&self, query: &Query, stop: &dyn Fn() -> bool) -> Result<Page, Stopped> {
        query.run(&self.shared.parts(), stop)
    }

    /// Runs a query on a folder that another process may write to.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn read(folder: &Path, query: &Query) -> io::Result<Page> {
        let parts = files::list(folder)?.segments;
        let parts = parts.into_iter().map(parts::Part::File).collect::<Vec<_>>();
        query
            .run(&parts, &|| false)
            .map_err(|Stopped| io::ErrorKind::Interrupted.into())
    }

    /// Waits until all records so far are written and synced, or failed to be.
    pub fn sync(&self) {
        self.queue.sync();
    }

    /// Writes the remaining records and ends the thread.
    pub fn close(&self) {
        self.queue.stop();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }

    /// Returns counters and sizes.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.stats();
        (stats.no_room_transitions, stats.no_room_notifications) = self.queue.rejected();
        stats
    }
}
