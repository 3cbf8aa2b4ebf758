//! The thread that makes samples durable: it writes the log, cuts blocks and deletes.
//!
//! Whoever appends hands it the samples and goes on. It writes all that came meanwhile at once. What
//! can't be written waits and is tried again, up to a limit; beyond it samples are left out of the
//! log, counted, and still reach a block if writing works again before the process ends.

use std::path::PathBuf;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::block::{self, Block};
use super::folder::Lock;
use super::keeper::{cut_due, prune};
use super::shared::Shared;
use super::wal::{Entry, Log};

/// Bytes of samples that may wait for the log.
const WAITING: usize = 16 << 20;
/// How soon after a failure it is tried again, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// How often the folder is looked at, though nothing happens.
const LOOK: Duration = Duration::from_secs(30);

/// The way to the thread.
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
    /// Bytes of entries here, and of those that the thread has taken and not yet written.
    bytes: usize,
    /// Samples that were left out for want of room.
    skipped: u64,
    syncs: Vec<mpsc::Sender<bool>>,
    stop: bool,
}

impl Writer {
    /// Starts the thread. `lock`: that on the folder, if there is one yet; `logged`: samples that
    /// were ever logged.
    pub fn start(
        shared: &Arc<Shared>,
        folder: PathBuf,
        lock: Option<Lock>,
        logged: u64,
        now: i64,
    ) -> std::io::Result<Self> {
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
            looked: None,
            listed: None,
        };
        let builder = std::thread::Builder::new().name("history".into());
        let thread = builder.spawn(move || work.run())?;
        Ok(Self {
            queue,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Hands samples over. Returns how many found no room.
    pub fn push(&self, entry: Entry) -> u64 {
        let count = entry.samples.len() as u64;
        let mut waiting = self.queue.waiting.lock();
        if waiting.stop {
            return count;
        }
        if waiting.bytes > WAITING {
            waiting.skipped += count;
            return count;
        }
        waiting.bytes += bytes(&entry);
        waiting.entries.push(entry);
        drop(waiting);
        self.queue.wake.notify_one();
        0
    }

    /// Waits until all that was handed over is on disk. Returns whether it is.
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

    /// Writes what is left and ends the thread.
    pub fn stop(&self) {
        self.queue.waiting.lock().stop = true;
        self.queue.wake.notify_one();
        if let Some(thread) = self.thread.lock().take() {
            thread.join().ok();
        }
    }
}

fn bytes(entry: &Entry) -> usize {
    entry.samples.len() * size_of::<(u32, f64)>() + size_of::<Entry>()
}

struct Work {
    shared: Arc<Shared>,
    queue: Arc<Queue>,
    folder: PathBuf,
    lock: Option<Lock>,
    log: Log,
    /// What is not yet written.
    pending: Vec<Entry>,
    /// The time of the last collection that is in the log; at the start, what time it is.
    logged_at: i64,
    /// When to try again, and how long was waited for it.
    retry: Option<(Instant, Duration)>,
    looked: Option<Instant>,
    /// The blocks that are in the list on disk.
    listed: Option<Arc<Vec<Arc<Block>>>>,
}

impl Work {
    fn run(mut self) {
        loop {
            let (syncs, skipped, stop) = self.take();
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

    /// Waits for something to do.
    fn take(&mut self) -> (Vec<mpsc::Sender<bool>>, u64, bool) {
        let mut waiting = self.queue.waiting.lock();
        if waiting.entries.is_empty() && waiting.syncs.is_empty() && !waiting.stop {
            let most = if self.retry.is_some() { RETRY.0 } else { LOOK };
            self.queue.wake.wait_for(&mut waiting, most);
        }
        self.pending.append(&mut waiting.entries);
        let skipped = std::mem::take(&mut waiting.skipped);
        (std::mem::take(&mut waiting.syncs), skipped, waiting.stop)
    }

    /// Writes what waits, and what is due. At a `stop` the list says how long each segment has become.
    fn work(&mut self, stop: bool) -> Result<(), String> {
        if self.lock.is_none() {
            self.lock = Some(Lock::take(&self.folder)?);
        }
        let shared = &self.shared;
        let labels = |number| shared.index.read().labels(number).cloned();
        let (written, result) = self.log.write(&self.pending, &shared.wal, labels);
        if let Some(last) = self.pending[..written].last() {
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
        let said = |what: &str, error: std::io::Error| {
            format!("{what} in {}: {error}", self.folder.display())
        };
        result.map_err(|error| said("can't write the log", error))?;
        let cut = cut_due(shared, &mut self.log, &self.folder, self.logged_at)
            .map_err(|error| said("can't write a block", error))?;
        if cut || self.looked.is_none_or(|at| at.elapsed() >= LOOK) {
            self.looked = Some(Instant::now());
            shared
                .rescan(&self.folder, true)
                .map_err(|error| said("can't look for blocks", error))?;
            prune(shared, &self.folder).map_err(|error| said("can't delete", error))?;
            list_blocks(shared, &self.folder, &mut self.listed)
                .map_err(|error| said("can't write the list of blocks", error))?;
        }
        if cut {
            shared.sweep();
        }
        shared
            .wal
            .list(&self.folder, &[], stop)
            .map_err(|error| said("can't write the list of the log", error))
    }

    fn note(&mut self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.retry = None;
                self.shared.counts.worked();
            }
            Err(why) => {
                let waited = self
                    .retry
                    .map_or(RETRY.0, |(_, waited)| (waited * 2).min(RETRY.1));
                self.retry = Some((Instant::now() + waited, waited));
                self.shared.counts.failed(why);
            }
        }
        let most = self.shared.options.max_memory;
        if self.retry.is_some() && !self.shared.squeeze(most) {
            self.shared.evict(most / 8 * 7);
        }
    }
}

/// Writes down which blocks there are, where those are others than the `listed`.
fn list_blocks(
    shared: &Shared,
    folder: &std::path::Path,
    listed: &mut Option<Arc<Vec<Arc<Block>>>>,
) -> std::io::Result<()> {
    let blocks = shared.blocks.all();
    let orders = |blocks: &[Arc<Block>]| blocks.iter().map(|one| one.order).collect::<Vec<_>>();
    if listed
        .as_ref()
        .is_none_or(|listed| orders(listed) != orders(&blocks))
    {
        block::inventory::write(folder, &blocks)?;
        *listed = Some(blocks);
    }
    Ok(())
}
