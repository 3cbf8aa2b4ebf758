//! Opens the history that a plan declares, says how it fares, and closes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_analysis::lookout::Lookout;
use bellwether_collectors::own::HistoryFigures;
use bellwether_core::Now;
use bellwether_runtime::Clock;
use bellwether_server::HistoryHealth;
use bellwether_tsdb::history::{Backend, History, Losses, Options, Recovery, TrendStorage};
use bellwether_tsdb::store::Store;
use tokio::time::timeout;
use tracing::{info, warn};

use super::KeptIn;
use crate::config::Plan;

/// How long the last writes may take, on the way out.
const CLOSE: Duration = Duration::from_secs(5);

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A history, where it is kept, and what is wrong with that as long as the process lives.
pub(super) struct Past {
    pub(super) history: Arc<History>,
    folder: Option<PathBuf>,
    problem: Option<String>,
    /// Most series it takes.
    max_series: u64,
}

impl Past {
    /// The history of `plan`, which by default is in the state directory. `None`: it declares none.
    /// Whatever is wrong with the folder, there is a history, in memory if need be, and it is tried
    /// again.
    pub(super) async fn open(plan: &Plan, kept: &KeptIn, clock: Clock) -> Option<Self> {
        let settings = &plan.root.trend_analysis;
        if !settings.enabled {
            return None;
        }
        let (folder, problem) = folder(&settings.storage, kept);
        if let Some(problem) = &problem {
            warn!("{problem}");
        }
        let declared = options(&settings.storage, folder.clone());
        let opening = move || History::open(declared, clock.now().wall);
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
        tell(folder.as_deref(), &recovery);
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

    /// Whether there is a log on disk that can be sent on.
    pub(super) fn is_on_disk(&self) -> bool {
        self.folder.is_some()
    }

    /// Sees that all is on disk.
    pub(super) async fn close(&self) {
        let history = self.history.clone();
        let closing = tokio::task::spawn_blocking(move || history.close());
        if !matches!(timeout(CLOSE, closing).await, Ok(Ok(()))) {
            warn!("history could not be closed in time; its newest samples may be missing");
        }
    }

    /// What it counts.
    pub(super) fn figures(&self) -> HistoryFigures {
        let stats = self.history.stats();
        let (refused, losses) = (stats.refused, stats.losses);
        HistoryFigures {
            series: stats.series,
            samples: [
                ("head", stats.head_samples),
                ("blocks", stats.block_samples),
            ],
            appended: stats.appended,
            refused: vec![
                ("duplicate", refused.duplicate),
                ("series_limit", refused.series_limit),
                ("unknown", refused.unknown),
            ],
            lost: vec![("not_written", stats.dropped), ("memory", stats.evicted)],
            damage: vec![
                ("wal_frame", losses.wal_frames),
                ("wal_segment", losses.wal_segments),
                ("chunk", losses.chunks),
                ("block", losses.blocks),
                ("missing_block", losses.missing_blocks),
            ],
            torn_bytes: losses.torn_bytes,
            head_bytes: stats.head_bytes,
            disk_bytes: [("wal", stats.wal_bytes), ("blocks", stats.block_bytes)],
            blocks: stats.blocks,
            write_failures: stats.fsync_failures,
            oldest: stats.oldest,
        }
    }

    /// How it fares.
    pub(super) fn health(&self) -> HistoryHealth {
        let stats = self.history.stats();
        let at_limit = stats.refused.series_limit > 0 && stats.series >= self.max_series;
        let limit = at_limit.then(|| {
            format!(
                "it holds as many series as it may, {}, and takes no new ones; hint: raise \
                 trend_analysis.storage.max_series",
                self.max_series
            )
        });
        HistoryHealth {
            folder: self.folder.clone(),
            series: stats.series,
            bytes: stats.wal_bytes + stats.block_bytes,
            oldest: stats.oldest,
            damaged: stats.losses.pieces(),
            problem: self.problem.clone().or(stats.last_error).or(limit),
        }
    }
}

/// Looks for damage in blocks while all else goes on. Ends with the process.
fn verify(history: Arc<History>) {
    let builder = std::thread::Builder::new().name("history-check".into());
    if let Err(error) = builder.spawn(move || history.verify()) {
        warn!(%error, "blocks of history are not looked through for damage");
    }
}

/// Fills the windows of rules with what history has of them.
pub(super) async fn recall(store: Arc<Store>, now: Now) {
    let recalled = tokio::task::spawn_blocking(move || store.recall(now)).await;
    let error = match recalled {
        Ok(Ok(())) => return,
        Ok(Err(error)) => error.to_string(),
        Err(error) => error.to_string(),
    };
    warn!(
        error,
        "cannot read history; rules that look back begin with what comes now"
    );
}

/// Teaches what is watched for anomalies what history has of it, while all else goes on.
pub(super) fn teach(lookout: Arc<Lookout>, history: Arc<History>, now: Now) {
    tokio::task::spawn_blocking(move || {
        if let Err(error) = lookout.recall(&*history, now) {
            let error = error.to_string();
            warn!(
                error,
                "cannot read history; anomalies are judged by what comes now"
            );
        }
    });
}

/// History lives as long as the process, so a change waits for the next one.
pub(super) fn warn_of_change(old: &Plan, new: &Plan) {
    let (old, new) = (&old.root.trend_analysis, &new.root.trend_analysis);
    if (old.enabled, &old.storage) != (new.enabled, &new.storage) {
        warn!("a change of `trend_analysis.storage` takes effect at the next start");
    }
}

/// The declared folder, and what is wrong where there is none although there should be.
fn folder(storage: &TrendStorage, kept: &KeptIn) -> (Option<PathBuf>, Option<String>) {
    let folder = storage.folder(kept.path());
    let problem = (folder.is_none() && storage.backend == Backend::File).then(|| {
        format!(
            "history is in memory only: {}; set state_directory, or trend_analysis.storage.path",
            kept.missing
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

/// Logs what opening found.
fn tell(folder: Option<&Path>, recovery: &Recovery) {
    let Recovery {
        samples,
        series,
        blocks,
        losses,
        error,
    } = recovery;
    match (error, folder) {
        (Some(error), _) => warn!("history is in memory until its folder can be used: {error}"),
        (None, Some(folder)) => {
            info!(folder = %folder.display(), samples, series, blocks, "history is open");
        }
        (None, None) => {}
    }
    if !losses.none() {
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
            "parts of history were damaged and are left out; the rest is whole"
        );
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::Spanned;

    use super::*;

    #[test]
    fn the_folder_is_the_declared_one_or_in_the_state_directory() {
        let state = &KeptIn {
            folder: Some("/state".into()),
            missing: String::new(),
        };
        let nothing = &KeptIn {
            folder: None,
            missing: "another has it".into(),
        };
        let default = TrendStorage::default();
        assert_eq!(
            folder(&default, state),
            (Some("/state/history".into()), None)
        );
        let (none, problem) = folder(&default, nothing);
        let told = |problem: String| problem.contains("another has it; set state_directory");
        assert!(none.is_none() && problem.is_some_and(told));
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
