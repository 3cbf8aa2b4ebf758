//! Opens the configured history, reports its health, and closes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::monitor::AnomalyMonitor;
use bellwether_config::Plan;
use bellwether_core::Now;
use bellwether_runtime::Clock;
use bellwether_server::HistoryHealth;
use bellwether_tsdb::history::{Backend, History, Losses, Options, Recovery, TrendStorage};
use bellwether_tsdb::store::Store;
use tokio::time::timeout;
use tracing::{info, warn};

use super::state_directory::DefaultFolder;

/// Time for the last writes at shutdown.
const CLOSE: Duration = Duration::from_secs(5);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// History, its directory, and a configuration error that lasts as long as the process.
pub(super) struct HistoryHandle {
    pub(super) history: Arc<History>,
    folder: Option<PathBuf>,
    problem: Option<String>,
    /// Maximum number of series.
    max_series: u64,
}

impl HistoryHandle {
    /// Opens the history of `plan`, by default in the state directory. Returns `None` if it is
    /// disabled. If the directory cannot be used, history is in memory and the directory is tried
    /// again later.
    pub(super) async fn open(
        plan: &Plan,
        default_folder: &DefaultFolder,
        clock: Clock,
    ) -> Option<Self> {
        let settings = &plan.root.trend_analysis;
        if !settings.enabled {
            return None;
        }
        let (folder, problem) = folder(&settings.storage, default_folder);
        if let Some(problem) = &problem {
            warn!("{problem}");
        }
        let options_on_disk = options(&settings.storage, folder.clone());
        let opening = move || History::open(options_on_disk, clock.now().wall);
        let opened = tokio::task::spawn_blocking(opening).await;
        let (history, recovery) = opened.unwrap_or_else(|error| {
            let memory = options(&settings.storage, None);
            let (history, recovery) = History::open(memory, clock.now().wall);
            (
                history,
                Recovery {
                    error: Some(error.to_string()),
                    ..recovery
                },
            )
        });
        log_recovery(folder.as_deref(), &recovery);
        let history = Arc::new(history);
        verify(history.clone());
        let max_series = u64::from(settings.storage.max_series.value);
        Some(Self {
            history,
            folder,
            problem,
            max_series,
        })
    }

    /// Returns whether there is a write-ahead log on disk, which remote write needs.
    pub(super) fn is_on_disk(&self) -> bool {
        self.folder.is_some()
    }

    /// Writes everything to disk and closes history.
    pub(super) async fn close(&self) {
        let history = self.history.clone();
        let closing = tokio::task::spawn_blocking(move || history.close());
        if !matches!(timeout(CLOSE, closing).await, Ok(Ok(()))) {
            warn!("history could not be closed in time; its newest samples may be missing");
        }
    }

    /// Returns the health for the status API.
    pub(super) fn health(&self) -> HistoryHealth {
        let stats = self.history.stats();
        let at_limit = stats.rejected.series_limit > 0 && stats.series >= self.max_series;
        let limit = at_limit.then(|| {
            format!(
                "the maximum of {} series is reached and new series are dropped; hint: raise \
                 trend_analysis.storage.max_series",
                self.max_series
            )
        });
        HistoryHealth {
            directory: self.folder.clone(),
            series: stats.series,
            bytes: stats.wal_bytes + stats.block_bytes,
            oldest: stats.oldest,
            damaged: stats.losses.pieces(),
            error: self.problem.clone().or(stats.last_error).or(limit),
        }
    }
}

/// Checks blocks for damage in the background. Ends with the process.
fn verify(history: Arc<History>) {
    let builder = std::thread::Builder::new().name("history-check".into());
    if let Err(error) = builder.spawn(move || history.verify()) {
        warn!(%error, "blocks of history are not checked for damage");
    }
}

/// Fills the windows of rules with samples of history.
pub(super) async fn backfill(store: Arc<Store>, now: Now) {
    let result = tokio::task::spawn_blocking(move || store.warm_up(now)).await;
    let error = match result {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    warn!(
        error,
        "cannot read history; rules with a window start without past samples"
    );
}

/// Trains the anomaly monitor with samples of history in the background.
pub(super) fn warm_up(anomaly_monitor: Arc<AnomalyMonitor>, history: Arc<History>, now: Now) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = anomaly_monitor.warm_up(&*history, now) {
            let error = error.to_string();
            warn!(
                error,
                "cannot read history; anomaly detection starts without past samples"
            );
        }
    });
}

/// Logs that a change of the settings needs a restart: history lives as long as the process.
pub(super) fn warn_of_change(old: &Plan, new: &Plan) {
    let (old, new) = (&old.root.trend_analysis, &new.root.trend_analysis);
    if (old.enabled, &old.storage) != (new.enabled, &new.storage) {
        warn!("a change of `trend_analysis.storage` takes effect at the next start");
    }
}

/// Returns the directory, and an error if there is none although there should be.
fn folder(
    storage: &TrendStorage,
    default_folder: &DefaultFolder,
) -> (Option<PathBuf>, Option<String>) {
    let folder = storage.folder(default_folder.path());
    let missing = default_folder
        .missing
        .as_ref()
        .filter(|_| folder.is_none() && storage.backend == Backend::File);
    let problem = missing.map(|missing| {
        format!(
            "history is in memory only: {missing}; set state_directory, or trend_analysis.storage.path"
        )
    });
    (folder, problem)
}

fn options(storage: &TrendStorage, folder: Option<PathBuf>) -> Options {
    Options {
        folder,
        retention: DAY * storage.retention_days.value,
        max_bytes: storage.max_bytes.0,
        max_series: storage.max_series.value as usize,
        max_memory: storage.max_memory.0,
    }
}

/// Logs the result of opening.
fn log_recovery(folder: Option<&Path>, recovery: &Recovery) {
    let Recovery {
        samples,
        series,
        blocks,
        losses,
        error,
    } = recovery;
    match (error, folder) {
        (Some(error), _) => warn!("history is in memory until its directory can be used: {error}"),
        (None, Some(folder)) => {
            info!(directory = %folder.display(), samples, series, blocks, "history is open");
        }
        (None, None) => {}
    }
    if !losses.is_empty() {
        let Losses {
            torn_bytes,
            wal_frames,
            wal_segments,
            chunks,
            blocks,
            missing_blocks,
        } = losses;
        warn!(
            torn_bytes,
            wal_frames,
            wal_segments,
            chunks,
            blocks,
            missing_blocks,
            "damaged parts of history are skipped; all other samples are intact"
        );
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::Spanned;

    use super::*;

    #[test]
    fn the_folder_is_the_declared_one_or_in_the_state_directory() {
        let state = &DefaultFolder {
            folder: Some("/state".into()),
            missing: None,
        };
        let nothing = &DefaultFolder {
            folder: None,
            missing: Some("another has it".into()),
        };
        let default = TrendStorage::default();
        assert_eq!(
            folder(&default, state),
            (Some("/state/history".into()), None)
        );
        let (none, problem) = folder(&default, nothing);
        let is_explained =
            |problem: String| problem.contains("another has it; set state_directory");
        assert!(none.is_none() && problem.is_some_and(is_explained));
        let path = Some(Spanned::nowhere("here".into()));
        let named = TrendStorage {
            path,
            ..default.clone()
        };
        assert_eq!(folder(&named, state), (Some("here".into()), None));
        assert_eq!(folder(&named, nothing), (Some("here".into()), None));
        let memory = TrendStorage {
            backend: Backend::Memory,
            ..default
        };
        assert_eq!(folder(&memory, state), (None, None));
    }
}
