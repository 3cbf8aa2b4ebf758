//! All destinations: build, start, replace at a reload, stop.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_core::UnixMillis;
use bellwether_http::HttpError;
use bellwether_schema::Spanned;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::batch::Cutter;
use super::cursor;
use super::destination::{Destination, LAST_ATTEMPT, SendState, restore_progress};
use super::family::Families;
use super::sender::Sender;
use super::settings::{RemoteWrite, named};
use super::stats::{Stats, WriteStats};
use super::tail::Log;
use bellwether_relabel::{Relabel, RelabelError};

/// Reads the wall clock; an argument, so that tests can set it.
pub type WallClock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Environment of the destinations.
#[derive(Clone)]
pub struct Setup {
    /// Folder of the progress files; without one, progress ends with the process.
    pub state: Option<PathBuf>,
    /// Reads the wall clock.
    pub clock: WallClock,
    /// Returns a uniform random number from 0 to 1, for the jitter of retries.
    pub random: fn() -> f64,
}

/// The active destinations.
pub struct Writers {
    setup: Setup,
    running: Mutex<Vec<Running>>,
    pub(super) stats: Mutex<BTreeMap<String, Arc<Stats>>>,
}

struct Running {
    name: String,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// Destinations that are built and not started.
pub struct Prepared(Vec<PreparedDestination>);

struct PreparedDestination {
    name: String,
    settings: RemoteWrite,
    sender: Sender,
    relabel: Relabel,
}

/// Error of building a destination.
#[derive(Debug, thiserror::Error)]
#[error("remote write {destination}: {reason}")]
pub struct BuildError {
    /// Name of the destination.
    pub destination: String,
    /// Setting that cannot be used.
    pub reason: BuildErrorReason,
}

/// Reason of a [`BuildError`].
#[derive(Debug, thiserror::Error)]
pub enum BuildErrorReason {
    /// The client cannot be built from the settings and their files.
    #[error(transparent)]
    Client(#[from] HttpError),
    /// A relabelling step cannot be compiled.
    #[error(transparent)]
    Relabel(#[from] RelabelError),
}

/// Builds one destination and drops it, to validate settings that depend on files.
///
/// # Errors
/// Returns an error if it cannot be built.
pub fn try_build(name: &str, settings: &RemoteWrite) -> Result<(), BuildError> {
    build(name.to_owned(), settings, Arc::new(UnixMillis::default)).map(drop)
}

fn build(
    name: String,
    settings: &RemoteWrite,
    clock: WallClock,
) -> Result<PreparedDestination, BuildError> {
    match build_parts(settings, clock) {
        Ok((sender, relabel)) => Ok(PreparedDestination {
            settings: settings.clone(),
            sender,
            relabel,
            name,
        }),
        Err(reason) => Err(BuildError {
            destination: name,
            reason,
        }),
    }
}

fn build_parts(
    settings: &RemoteWrite,
    clock: WallClock,
) -> Result<(Sender, Relabel), BuildErrorReason> {
    let steps = settings.write_relabel_configs.iter();
    let sender = Sender::new(settings, clock)?;
    let relabel = Relabel::new(steps.map(|step| &step.value))?;
    Ok((sender, relabel))
}

/// Inputs that all destinations share.
struct Source {
    /// Folder of the progress files.
    folder: Option<PathBuf>,
    log: Arc<dyn Log>,
    families: Arc<Families>,
    random: fn() -> f64,
}

impl Source {
    /// Returns the destination at its saved progress. Blocks.
    fn restore(&self, new: PreparedDestination, stats: Arc<Stats>) -> Destination {
        let PreparedDestination {
            name,
            settings,
            sender,
            relabel,
        } = new;
        let folder = self.folder.as_ref();
        let file = folder.map(|folder| cursor::progress_file(folder, &name));
        let progress = restore_progress(file.as_ref(), &*self.log, &name);
        self.log.hold(&name, progress.acked);
        let max_samples = settings.queue.max_samples_per_send;
        Destination {
            name: name.into(),
            configured_protocol: settings.protocol,
            queue: settings.queue,
            sender,
            cutter: Cutter::new(relabel, self.families.clone(), max_samples),
            families: self.families.clone(),
            log: self.log.clone(),
            tail: None,
            file,
            progress,
            stats,
            random: self.random,
            send_state: SendState::default(),
        }
    }
}

impl Writers {
    /// Creates it without destinations; [`Writers::replace`] starts some.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            running: Mutex::default(),
            stats: Mutex::default(),
        }
    }

    /// Builds the enabled destinations without starting them. Reads files; for blocking threads.
    ///
    /// # Errors
    /// Returns the error of the first destination that cannot be built.
    pub fn prepare(&self, destinations: &[Spanned<RemoteWrite>]) -> Result<Prepared, BuildError> {
        named(destinations)
            .into_iter()
            .filter(|(_, settings)| settings.enabled)
            .map(|(name, settings)| build(name, settings, self.setup.clock.clone()))
            .collect::<Result<_, _>>()
            .map(Prepared)
    }

    /// Replaces the destinations; `prepared` are sent the samples of `log`. A destination with the name
    /// of an old one continues at its progress, a new one begins at the end of the log, and the
    /// progress of one that is gone is deleted.
    pub async fn replace(&self, prepared: Prepared, log: Arc<dyn Log>, families: Families) {
        self.stop().await;
        let (setup, families) = (self.setup.clone(), Arc::new(families));
        let folder = setup.state.map(|state| state.join("remote_write"));
        let stats: Vec<Arc<Stats>> = self.replace_stats(&prepared);
        let restore = move || {
            let names: Vec<&str> = prepared.0.iter().map(|new| new.name.as_str()).collect();
            if let Some(folder) = &folder {
                for gone in cursor::delete_others(folder, |name| names.contains(&name)) {
                    log.release(&gone);
                }
            }
            let source = Source {
                folder,
                log,
                families,
                random: setup.random,
            };
            let destinations = prepared.0.into_iter().zip(stats);
            destinations
                .map(|(new, stats)| source.restore(new, stats))
                .collect::<Vec<_>>()
        };
        let Ok(destinations) = tokio::task::spawn_blocking(restore).await else {
            return;
        };
        let running = destinations.into_iter().map(Running::start);
        self.running.lock().extend(running);
    }

    /// Keeps the counters of destinations with the same name.
    fn replace_stats(&self, prepared: &Prepared) -> Vec<Arc<Stats>> {
        let mut stats = self.stats.lock();
        let mut old = std::mem::take(&mut *stats);
        for new in &prepared.0 {
            let counters = old.remove(&new.name).unwrap_or_default();
            stats.insert(new.name.clone(), counters);
        }
        prepared
            .0
            .iter()
            .filter_map(|new| stats.get(&new.name).cloned())
            .collect()
    }

    /// Stops all destinations; samples that were not sent stay in the log.
    pub async fn stop(&self) {
        let running = std::mem::take(&mut *self.running.lock());
        for destination in &running {
            destination.stop.cancel();
        }
        for Running { name, task, .. } in running {
            if timeout(LAST_ATTEMPT * 3, task).await.is_err() {
                tracing::warn!(destination = name, "remote write did not stop in time");
            }
        }
    }

    /// Returns the counters of each destination by name.
    #[must_use]
    pub fn stats(&self) -> BTreeMap<String, WriteStats> {
        let stats = self.stats.lock();
        stats
            .iter()
            .map(|(name, stats)| (name.clone(), stats.snapshot()))
            .collect()
    }
}

impl Running {
    fn start(destination: Destination) -> Self {
        let stop = CancellationToken::new();
        let name = destination.name.to_string();
        let task = tokio::spawn(destination.run(stop.clone()));
        Self {
            name,
            stop,
            task: AbortOnDropHandle::new(task),
        }
    }
}
