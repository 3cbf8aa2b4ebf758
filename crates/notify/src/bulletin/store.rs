//! Queue of the bulletins of one channel, on disk.

use std::sync::Arc;

use bellwether_files::durable::{JsonFile, LoadedState, Saver, StateDirectory, replace};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;

use super::BulletinStats;
use super::queue::BulletinQueue;

/// Queue that outlives a reload, and with a state directory a restart.
pub(crate) struct BulletinStore {
    channel: Arc<str>,
    queue: Mutex<BulletinQueue>,
    /// Writer of the file; `None` without a state directory.
    saver: Option<Saver>,
    /// Order of the writes.
    writing: Mutex<()>,
    pub(super) wake: Notify,
}

impl BulletinStore {
    /// Opens the queue of `channel` in the `bulletins` of `state`, or one in memory. Blocks.
    pub(crate) fn open(channel: &str, state: Option<Arc<StateDirectory>>) -> Self {
        let saver = state.map(|state| {
            let what = format!("the bulletins of channel {channel}");
            Saver::new(state, format!("bulletins/{channel}.json"), what)
        });
        let queue = saver.as_ref().map(load).unwrap_or_default();
        Self {
            channel: channel.into(),
            queue: Mutex::new(queue),
            saver,
            writing: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// Changes the queue; on disk when it returns. Blocks.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut BulletinQueue) -> T) -> T {
        let _order = self.writing.lock();
        let result = change(&mut self.queue.lock());
        self.save();
        result
    }

    /// Reads the queue.
    pub(super) fn read<T>(&self, read: impl FnOnce(&BulletinQueue) -> T) -> T {
        read(&self.queue.lock())
    }

    /// Writes the file again after a failure, or if it was deleted. Blocks.
    pub(crate) fn save_if_due(&self) {
        if self.saver.as_ref().is_some_and(Saver::is_due) {
            let _order = self.writing.lock();
            self.save();
        }
    }

    /// Returns the error that keeps the queue from the disk, if any.
    pub(crate) fn problem(&self) -> Option<String> {
        self.saver.as_ref()?.problem()
    }

    /// Returns the number of queued bulletins.
    pub(crate) fn queued(&self) -> usize {
        self.queue.lock().len()
    }

    /// Returns the statistics of each topic.
    pub(crate) fn stats(&self) -> Vec<BulletinStats> {
        self.queue.lock().stats(&self.channel)
    }

    fn save(&self) {
        let Some(saver) = &self.saver else { return };
        let text = JsonFile::render(&*self.queue.lock());
        // The saver logs a failure; the next write has all of it.
        saver.save(|| replace(saver.path(), &text?)).ok();
    }
}

fn load(saver: &Saver) -> BulletinQueue {
    let loaded = saver.load(|| JsonFile::<BulletinQueue>::new(saver.path()).load());
    let path = saver.path().display();
    match loaded {
        Ok(LoadedState::Loaded(queue)) => queue,
        Ok(LoadedState::Absent) => BulletinQueue::default(),
        Ok(LoadedState::Corrupt { aside, reason }) => {
            let aside = aside.display();
            warn!(%path, %reason, %aside, "the queued bulletins are corrupt and lost");
            BulletinQueue::default()
        }
        Err(error) => {
            warn!(%path, %error, "cannot read the queued bulletins");
            BulletinQueue::default()
        }
    }
}
