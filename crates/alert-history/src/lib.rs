//! The history of alerts: every change of an alert, and what became of each notification about it.
//!
//! [`AlertHistory::record`] hands a record to one thread that writes it down; nobody who records
//! ever waits for a disk. What is promised: a record outlives a kill of the process milliseconds
//! after it was made; a transition outlives a crash of the machine as soon as its batch is synced,
//! which follows at once, anything else at most a second later. What finds no room is counted, and
//! transitions have room that nothing else may take.
//!
//! Files are segments of JSON lines, each of one day, dropped whole. A damaged line costs itself.

mod entry;
mod files;
mod mark;
mod parts;
mod query;
mod queue;
mod settings;
mod shared;
#[cfg(test)]
mod tests;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::Now;
pub use entry::{Entry, EventKind, Kind, Notice, Record, State, Step};
use parking_lot::Mutex;
pub use query::{Page, Query, Stopped};
use queue::Queue;
pub use settings::AlertHistorySettings;
use shared::Shared;
pub use shared::Stats;

/// Reads both clocks; handed in, so that tests can turn them.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Where the history is kept, and how much of it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its folder; none: in memory.
    pub folder: Option<PathBuf>,
    /// For how long.
    pub retention: Duration,
    /// Most bytes on disk.
    pub max_bytes: u64,
}

/// A handle to the history of alerts; cheap to clone.
#[derive(Clone)]
pub struct AlertHistory {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    thread: Arc<Mutex<Option<std::thread::JoinHandle<()>>>>,
}

impl AlertHistory {
    /// Opens the history and starts its thread. Whatever is wrong with the folder, there is a
    /// history, in memory if need be, and the folder is tried again. Blocks.
    ///
    /// # Errors
    /// No thread can be started.
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

    /// Keeps `record`. Never blocks.
    pub fn record(&self, record: Record) {
        self.record_all([record]);
    }

    /// Keeps `records`, in their order. Never blocks.
    pub fn record_all(&self, records: impl IntoIterator<Item = Record>) {
        self.queue.push(records);
    }

    /// What there is to `query`; reads files. `stop` is asked now and then whether to go on.
    ///
    /// # Errors
    /// It was stopped.
    pub fn query(&self, query: &Query, stop: &dyn Fn() -> bool) -> Result<Page, Stopped> {
        query.run(&self.shared.parts(), stop)
    }

    /// What there is to `query` in a `folder` that another process may write to.
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

    /// Waits until all that was recorded so far is written and synced, or cannot be.
    pub fn sync(&self) {
        self.queue.sync();
    }

    /// Writes what is left and ends the thread.
    pub fn close(&self) {
        self.queue.stop();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }

    /// What it holds and what became of what it was given.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.shared.stats();
        (stats.no_room_transitions, stats.no_room_notifications) = self.queue.refused();
        stats
    }
}
