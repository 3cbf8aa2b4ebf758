//! Thread that makes samples durable: it writes the log, cuts blocks and enforces retention.
//!
//! Appending only queues samples. The thread gathers them for a moment, and writes all queued samples at once.
//! After an error samples stay in the queue and are retried, up to a limit. Beyond the limit they are left out of the log and counted,
//! and still reach a block if writing succeeds again before the process ends.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bellwether_core::UnixMillis;
use parking_lot::{Condvar, Mutex};

use super::SeriesId;
use super::block::{self, Block};
use super::directory::{Lock, LockError};
use super::retention::{cut_due, prune};
use super::shared::Shared;
use super::wal::{Entry, Log};

/// Maximum number of bytes of samples in the queue.
const MAX_QUEUED: usize = 16 << 20;
/// First and longest delay of a retry.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Time for which samples are gathered: collectors that are due together cost one fdatasync.
const GATHER: Duration = Duration::from_millis(20);
/// Bytes of samples in the queue that are not gathered any longer.
const MAX_GATHERED: usize = 1 << 20;
/// Interval of rescans of the directory.
const RESCAN: Duration = Duration::from_secs(30);

/// Handle of the thread.
#[derive(Debug)]
pub(super) struct Writer {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Entry>,
    /// Bytes of these entries, and of those that the thread has not yet written.
    bytes: usize,
    /// Samples that were left out because the queue was full.
    skipped: u64,
    syncs: Vec<mpsc::Sender<bool>>,
    stop: bool,
    /// The thread waits for more samples, and is not woken by each.
    gathering: bool,
}

impl Writer {
    /// Starts the thread. `lock` is the lock of the directory, if it was acquired; `logged` is the number of
    /// samples since the log began.
    pub fn start(
        shared: &Arc<Shared>,
        folder: PathBuf,
        lock: Option<Lock>,
        logged: u64,
        now: UnixMillis,
    ) -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let work = Work {
            shared: Arc::clone(shared),
            queue: Arc::clone(&queue),
            log: Log::new(&folder, logged),
            folder,
            lock,
            pending: Vec::new(),
            logged_at: now,
            retry: None,
            scanned: None,
            listed: None,
        };
        let builder = std::thread::Builder::new().name("history".into());
        let thread = builder.spawn(move || work.run())?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Queues samples. Returns the number of samples that were left out.
    pub fn push(&self, entry: Entry) -> u64 {
        let count = entry.samples.len() as u64;
        let mut waiting = self.queue.waiting.lock();
        if waiting.stop {
            return count;
        }
        if waiting.bytes > MAX_QUEUED {
            waiting.skipped += count;
            return count;
        }
        waiting.bytes += bytes(&entry);
        waiting.entries.push(entry);
        let is_awaited = !waiting.gathering || waiting.bytes > MAX_GATHERED;
        drop(waiting);
        if is_awaited {
            self.queue.wake.notify_one();
        }
        0
    }

    /// Waits until all queued samples are on disk. Returns whether they are.
    pub fn sync(&self) -> bool {
        let (sender, receiver) = mpsc::channel();
        {
            let mut waiting = self.queue.waiting.lock();
            if waiting.stop {
                return false;
            }
            waiting.syncs.push(sender);
        }
        self.queue.wake.notify_one();
        receiver.recv().unwrap_or(false)
    }

    /// Writes the remaining samples and ends the thread.
    pub fn stop(&self) {
        self.queue.waiting.lock().stop = true;
        self.queue.wake.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }
}

impl Waiting {
    /// Returns whether there are samples that may wait for more.
    fn may_gather(&self) -> bool {
        let is_small = !self.entries.is_empty() && self.bytes <= MAX_GATHERED;
        is_small && self.syncs.is_empty() && !self.stop
    }
}

fn bytes(entry: &Entry) -> usize {
    entry.samples.len() * size_of::<(SeriesId, f64)>() + size_of::<Entry>()
}

struct Work {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    folder: PathBuf,
    lock: Option<Lock>,
    log: Log,
    /// Samples that are not yet written.
    pending: Vec<Entry>,
    /// Time of the last collection in the log; at the start, the current time.
    logged_at: UnixMillis,
    /// Time and delay of the next retry.
    retry: Option<(Instant, Duration)>,
    scanned: Option<Instant>,
    /// Blocks in the list on disk.
    listed: Option<Arc<Vec<Arc<Block>>>>,
}

/// Requests to the thread, beside samples.
struct Requests {
    /// Callers that wait until the samples so far are on disk.
    syncs: Vec<mpsc::Sender<bool>>,
    /// Samples that were left out because the queue was full.
    skipped: u64,
    stop: bool,
}

/// Error of the thread. It is retried.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{step} in {}: {error}", folder.display())]
    Step {
        step: &'static str,
        folder: PathBuf,
        error: io::Error,
    },
}

impl WriteError {
    fn step(step: &'static str, folder: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Step {
            step,
            folder: folder.to_owned(),
            error,
        }
    }
}

impl Work {
    fn run(mut self) {
        loop {
            let Requests {
                syncs,
                skipped,
                stop,
            } = self.wait();
            self.log.skip(skipped);
            let mut durable = false;
            let due = self.retry.is_none_or(|(at, _)| Instant::now() >= at);
            if due || stop {
                let shared = Arc::clone(&self.shared);
                let outcome = shared.counts.watch.during(|| self.work(stop));
                durable = self.pending.is_empty();
                self.note(outcome);
            }
            for sync in syncs {
                sync.send(durable).ok();
            }
            if stop {
                let left = self
                    .pending
                    .iter()
                    .map(|entry| entry.samples.len() as u64)
                    .sum();
                self.shared.counts.dropped.fetch_add(left, Relaxed);
                return;
            }
            self.shared.packer.run(&self.shared.head);
        }
    }

    /// Waits for work, and takes it from the queue.
    fn wait(&mut self) -> Requests {
        let mut waiting = self.queue.waiting.lock();
        if waiting.entries.is_empty() && waiting.syncs.is_empty() && !waiting.stop {
            let timeout = if self.retry.is_some() {
                RETRY.0
            } else {
                RESCAN
            };
            self.queue.wake.wait_for(&mut waiting, timeout);
        }
        if waiting.may_gather() {
            waiting.gathering = true;
            self.queue
                .wake
                .wait_while_for(&mut waiting, |waiting| waiting.may_gather(), GATHER);
            waiting.gathering = false;
        }
        self.pending.append(&mut waiting.entries);
        Requests {
            syncs: std::mem::take(&mut waiting.syncs),
            skipped: std::mem::take(&mut waiting.skipped),
            stop: waiting.stop,
        }
    }

    /// Writes pending samples and blocks that are due. At a `stop` the list gets the final length of each
    /// segment.
    fn work(&mut self, stop: bool) -> Result<(), WriteError> {
        if self.lock.is_none() {
            self.lock = Some(Lock::acquire(&self.folder)?);
        }
        let shared = &self.shared;
        let (written, result) = self.log.write(&self.pending, &shared.wal, |id| {
            shared.index.read().labels(id).cloned()
        });
        let mut collected = self.pending[..written]
            .iter()
            .filter(|entry| !entry.is_late);
        if let Some(last) = collected.next_back() {
            self.logged_at = last.at;
        }
        let freed: usize = self
            .pending
            .drain(..written)
            .map(|entry| bytes(&entry))
            .sum();
        self.queue.waiting.lock().bytes -= freed;
        if result.is_err() {
            shared.counts.fsync_failures.fetch_add(1, Relaxed);
        }
        let folder = &self.folder;
        result.map_err(WriteError::step("cannot write the log", folder))?;
        let cut = cut_due(shared, &mut self.log, folder, self.logged_at)
            .map_err(WriteError::step("cannot write a block", folder))?;
        if cut || self.scanned.is_none_or(|at| at.elapsed() >= RESCAN) {
            self.scanned = Some(Instant::now());
            shared
                .rescan(folder, true)
                .map_err(WriteError::step("cannot rescan blocks", folder))?;
            prune(shared, folder).map_err(WriteError::step("cannot delete", folder))?;
            list_blocks(shared, folder, &mut self.listed)
                .map_err(WriteError::step("cannot write the list of blocks", folder))?;
        }
        if cut {
            shared.sweep();
        }
        shared.wal.list(folder, &[], stop).map_err(WriteError::step(
            "cannot write the list of segments",
            folder,
        ))
    }

    fn note(&mut self, outcome: Result<(), WriteError>) {
        match outcome {
            Ok(()) => {
                self.retry = None;
                self.shared.counts.worked();
            }
            Err(error) => {
                let waited = self
                    .retry
                    .map_or(RETRY.0, |(_, waited)| (waited * 2).min(RETRY.1));
                self.retry = Some((Instant::now() + waited, waited));
                self.shared.counts.failed(error.to_string());
            }
        }
        let limit_bytes = self.shared.options.max_memory;
        if self.retry.is_some() && !self.shared.squeeze(limit_bytes) {
            self.shared.evict(limit_bytes / 8 * 7);
        }
    }
}

/// Writes the list of blocks if it differs from `listed`.
fn list_blocks(
    shared: &Shared,
    folder: &Path,
    listed: &mut Option<Arc<Vec<Arc<Block>>>>,
) -> io::Result<()> {
    let blocks = shared.blocks.all();
    let is_current = listed.as_ref().is_some_and(|listed| {
        let orders = blocks.iter().map(|block| block.order);
        listed.iter().map(|block| block.order).eq(orders)
    });
    if !is_current {
        block::inventory::write(folder, &blocks)?;
        *listed = Some(blocks);
    }
    Ok(())
}
