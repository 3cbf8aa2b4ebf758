//! Records transitions and notifications in the alert history.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_alert_history::{AlertHistory, Notice, Options, Record, Stats, Step};
use bellwether_config::Plan;
use bellwether_core::{Cause, Status, Transition, UnixMillis};
use bellwether_notify::{Event, Observer, Outcome};
use bellwether_routing::{MuteChange, MuteReason};
use bellwether_runtime::Clock;
use bellwether_server::AlertHistoryHealth;
use tokio::time::timeout;
use tracing::warn;

use super::state_directory::DefaultFolder;

/// Time for the last writes at shutdown.
const CLOSE: Duration = Duration::from_secs(5);

/// Alert history, with a configuration error that lasts as long as the process.
#[derive(Clone)]
pub(super) struct AlertLog {
    pub(super) history: AlertHistory,
    problem: Option<String>,
}

impl AlertLog {
    /// Opens the alert history of `plan`, by default in the state directory. Returns `None` if it
    /// is disabled or cannot be opened even in memory.
    pub(super) async fn open(
        plan: &Plan,
        default_folder: &DefaultFolder,
        clock: Clock,
    ) -> Option<Self> {
        let settings = &plan.root.alert_history;
        if !settings.enabled {
            return None;
        }
        let folder: Option<PathBuf> = settings.folder(default_folder.path());
        let missing = default_folder.missing.as_ref().filter(|_| folder.is_none());
        let problem = missing.map(|missing| {
            format!(
                "the alert history is in memory only: {missing}; set state_directory, or \
                 alert_history.path"
            )
        });
        if let Some(problem) = &problem {
            warn!("{problem}");
        }
        let options = Options {
            folder,
            retention: settings.retention.0,
            max_bytes: settings.max_bytes.0,
        };
        let opening = move || AlertHistory::open(options, Arc::new(move || clock.now()));
        match tokio::task::spawn_blocking(opening).await {
            Ok(Ok(history)) => Some(Self { history, problem }),
            Ok(Err(error)) => {
                warn!(%error, "the alert history cannot be opened; no alert history is recorded");
                None
            }
            Err(error) => {
                warn!(%error, "the alert history cannot be opened; no alert history is recorded");
                None
            }
        }
    }

    /// Records transitions.
    pub(super) fn transitions(&self, transitions: &[Transition]) {
        self.history
            .record_all(transitions.iter().map(Record::transition));
    }

    /// Records muted notifications with their reasons.
    pub(super) fn muted(&self, muted: &[MuteChange], at: UnixMillis) {
        let records = muted.iter().filter_map(|muted| {
            // For alerts from before a restart the outbox knows the notified state.
            let mute_reason = muted
                .reason
                .as_ref()
                .filter(|mute_reason| **mute_reason != MuteReason::Restored)?;
            let notice = Notice {
                channel: String::new(),
                receiver: muted.receiver.clone(),
                cause: Cause::Change,
                status: Status::Firing,
                reason: String::new(),
                step: Step::Muted {
                    reason: mute_reason.name(),
                    description: muted.description.clone(),
                },
            };
            Some(Record::notice(muted.alert.clone(), notice, at))
        });
        self.history.record_all(records);
    }

    /// Returns an observer that records the outcomes of notifications.
    pub(super) fn observer(&self) -> Observer {
        let history = self.history.clone();
        Arc::new(move |event| history.record(record(event)))
    }

    /// Writes everything to disk and closes the history.
    pub(super) async fn close(&self) {
        let history = self.history.clone();
        let closing = tokio::task::spawn_blocking(move || history.close());
        if !matches!(timeout(CLOSE, closing).await, Ok(Ok(()))) {
            warn!(
                "the alert history could not be closed in time; its newest records may be missing"
            );
        }
    }

    /// Returns the health for the status API.
    pub(super) fn health(&self) -> AlertHistoryHealth {
        let Stats {
            folder,
            disk_bytes,
            memory_bytes,
            oldest,
            damaged,
            problem,
            ..
        } = self.history.stats();
        AlertHistoryHealth {
            directory: folder,
            bytes: disk_bytes + memory_bytes,
            oldest,
            damaged,
            error: self.problem.clone().or(problem),
        }
    }
}

/// Returns an observer for when the alert history is disabled.
pub(super) fn noop() -> Observer {
    Arc::new(|_| {})
}

/// Converts an event of a notification to a record.
fn record(event: &Event<'_>) -> Record {
    let step = match event.outcome {
        Outcome::Queued => Step::Queued,
        Outcome::Delivered { attempt } => Step::Delivered { attempt },
        Outcome::Retried {
            attempt,
            error,
            retry_in,
        } => Step::Failed {
            attempt,
            error: error.to_owned(),
            retry_in,
        },
        Outcome::Rejected { error } => Step::Rejected {
            error: error.to_owned(),
        },
        Outcome::Dropped { reason } => Step::Dropped { reason },
    };
    Record::notification(event.notification, event.channel, step, event.at)
}

/// Logs that a change of the settings needs a restart: the alert history lives as long as the
/// process.
pub(super) fn warn_of_change(old: &Plan, new: &Plan) {
    if old.root.alert_history != new.root.alert_history {
        warn!("a change of `alert_history` takes effect at the next start");
    }
}
