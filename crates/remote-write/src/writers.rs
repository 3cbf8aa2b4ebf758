//! All destinations: built, started, replaced at a reload, stopped.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use bellwether_core::UnixMillis;
use bellwether_schema::Spanned;
use parking_lot::Mutex;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::batch::Cutter;
use super::cursor::{self, ProgressFile};
use super::destination::{Destination, Diary, LAST_ATTEMPT, beginning};
use super::family::Families;
use super::relabel::Relabel;
use super::sender::Sender;
use super::settings::{RemoteWrite, named};
use super::stats::{Stats, WriteStats};
use super::tail::Log;

/// Reads the wall clock; handed in, so that tests can turn it.
pub type WallClock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// What the destinations are built with beside their settings.
#[derive(Clone)]
pub struct Setup {
    /// Folder for how far each got; without one that ends with the process.
    pub state: Option<PathBuf>,
    /// Reads the wall clock.
    pub clock: WallClock,
    /// Uniform from 0 to 1; the jitter of retries.
    pub random: fn() -> f64,
}

/// The destinations in use.
pub struct Writers {
    setup: Setup,
    running: Mutex<Vec<Running>>,
    stats: Mutex<BTreeMap<String, Arc<Stats>>>,
}

struct Running {
    name: String,
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// Destinations that are built and not yet in use.
pub struct Prepared(Vec<(String, RemoteWrite, Sender, Relabel)>);

/// Builds one destination and drops it, to find what keeps it from being built.
///
/// # Errors
/// What keeps it from being built.
pub fn try_build(name: &str, settings: &RemoteWrite) -> Result<(), String> {
    build(name, settings, Arc::new(UnixMillis::default)).map(drop)
}

fn build(
    name: &str,
    settings: &RemoteWrite,
    clock: WallClock,
) -> Result<(Sender, Relabel), String> {
    let told = |message| format!("remote write {name}: {message}");
    let sender = Sender::new(settings, clock).map_err(told)?;
    let steps = settings
        .write_relabel_configs
        .iter()
        .map(|step| &step.value);
    Ok((sender, Relabel::new(steps).map_err(told)?))
}

impl Writers {
    /// None yet; [`Writers::replace`] gives it some.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            running: Mutex::default(),
            stats: Mutex::default(),
        }
    }

    /// Builds the enabled ones of `destinations`; nothing is in use yet. Reads files, so it runs
    /// on a blocking thread.
    ///
    /// # Errors
    /// The first that cannot be built, by its name.
    pub fn prepare(&self, destinations: &[Spanned<RemoteWrite>]) -> Result<Prepared, String> {
        let enabled = named(destinations)
            .into_iter()
            .filter(|(_, settings)| settings.enabled);
        let built = enabled.map(|(name, settings)| {
            let (sender, relabel) = build(&name, settings, self.setup.clock.clone())?;
            Ok((name.clone(), settings.clone(), sender, relabel))
        });
        built.collect::<Result<_, String>>().map(Prepared)
    }

    /// Sends to `prepared` from now on, what `log` holds. A destination that was there under the
    /// same name goes on where it stands; one that is new begins at now; one that is gone is
    /// forgotten.
    pub async fn replace(&self, prepared: Prepared, log: Arc<dyn Log>, families: Families) {
        self.stop().await;
        let (setup, families) = (self.setup.clone(), Arc::new(families));
        let folder = setup.state.map(|state| state.join("remote_write"));
        let stats: Vec<Arc<Stats>> = self.keep_stats(&prepared);
        let begin = move || {
            let names: Vec<&str> = prepared.0.iter().map(|(name, ..)| name.as_str()).collect();
            if let Some(folder) = &folder {
                for gone in cursor::forget(folder, |name| names.contains(&name)) {
                    log.release(&gone);
                }
            }
            let destinations = prepared.0.into_iter().zip(stats);
            destinations
                .map(|((name, settings, sender, relabel), stats)| {
                    let file = folder
                        .as_ref()
                        .map(|folder| ProgressFile::new(folder, &name));
                    let progress = beginning(file.as_ref(), &*log, &name);
                    log.hold(&name, progress.acked);
                    let largest = settings.queue.max_samples_per_send;
                    Destination {
                        name: name.into(),
                        declared: settings.protocol,
                        queue: settings.queue,
                        sender,
                        cutter: Cutter::new(relabel, families.clone(), largest),
                        families: families.clone(),
                        log: log.clone(),
                        tail: None,
                        file,
                        progress,
                        stats,
                        random: setup.random,
                        diary: Diary::default(),
                    }
                })
                .collect::<Vec<_>>()
        };
        let Ok(destinations) = tokio::task::spawn_blocking(begin).await else {
            return;
        };
        let running = destinations.into_iter().map(Running::start);
        self.running.lock().extend(running);
    }

    /// Counters go on under the name they were counted for.
    fn keep_stats(&self, prepared: &Prepared) -> Vec<Arc<Stats>> {
        let mut stats = self.stats.lock();
        let mut old = std::mem::take(&mut *stats);
        for (name, ..) in &prepared.0 {
            stats.insert(name.clone(), old.remove(name).unwrap_or_default());
        }
        prepared
            .0
            .iter()
            .filter_map(|(name, ..)| stats.get(name).cloned())
            .collect()
    }

    /// Ends all; what waits stays in the log.
    pub async fn stop(&self) {
        let running = std::mem::take(&mut *self.running.lock());
        for one in &running {
            one.stop.cancel();
        }
        for Running { name, task, .. } in running {
            if timeout(LAST_ATTEMPT * 3, task).await.is_err() {
                tracing::warn!(destination = name, "remote write did not end in time");
            }
        }
    }

    /// What each destination did, by name.
    #[must_use]
    pub fn figures(&self) -> BTreeMap<String, WriteStats> {
        let stats = self.stats.lock();
        stats
            .iter()
            .map(|(name, stats)| (name.clone(), stats.figures()))
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
