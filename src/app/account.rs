//! Keeps account of alerts and notifications: opens the history of alerts that a plan declares, and
//! hands it what happens.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_alert_history::{AlertHistory, Notice, Options, Record, Stats, Step};
use bellwether_collectors::own::AlertHistoryFigures;
use bellwether_core::{Cause, Status, Transition, UnixMillis};
use bellwether_notify::{Event, Observer, Outcome};
use bellwether_routing::{MuteReason, Muted};
use bellwether_runtime::Clock;
use bellwether_server::AlertHistoryHealth;
use tokio::time::timeout;
use tracing::warn;

use super::KeptIn;
use crate::config::Plan;

/// How long the last writes may take, on the way out.
const CLOSE: Duration = Duration::from_secs(5);

/// The history of alerts, and what is wrong with it as long as the process lives.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) history: AlertHistory,
    problem: Option<String>,
}

impl Account {
    /// The history of alerts of `plan`, by default in the state directory. `None`: it declares
    /// none, or it cannot even be in memory.
    pub(super) async fn open(plan: &Plan, kept: &KeptIn, clock: Clock) -> Option<Self> {
        let settings = &plan.root.alert_history;
        if !settings.enabled {
            return None;
        }
        let folder: Option<PathBuf> = settings.folder(kept.path());
        let problem = folder.is_none().then(|| {
            format!(
                "the history of alerts is in memory only: {}; set state_directory, or \
                 alert_history.path",
                kept.missing
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
                warn!(%error, "no history of alerts is kept");
                None
            }
            Err(error) => {
                warn!(%error, "no history of alerts is kept");
                None
            }
        }
    }

    /// Keeps changes of alerts.
    pub(super) fn transitions(&self, transitions: &[Transition]) {
        self.history
            .record_all(transitions.iter().map(Record::transition));
    }

    /// Keeps what is not told, or not now.
    pub(super) fn kept_back(&self, kept: &[Muted], at: UnixMillis) {
        let held = kept.iter().filter_map(|one| {
            // Of what fired before a restart the outbox knows whether it was told.
            let gate = one
                .gate
                .as_ref()
                .filter(|gate| **gate != MuteReason::Restored)?;
            let notice = Notice {
                channel: String::new(),
                receiver: one.receiver.clone(),
                cause: Cause::Change,
                status: Status::Firing,
                reason: String::new(),
                step: Step::Held {
                    gate: gate.name(),
                    why: one.why.clone(),
                },
            };
            Some(Record::notice(one.alert.clone(), notice, at))
        });
        self.history.record_all(held);
    }

    /// Keeps what becomes of notifications.
    pub(super) fn observer(&self) -> Observer {
        let history = self.history.clone();
        Arc::new(move |event| history.record(record(event)))
    }

    /// Sees that all is on disk.
    pub(super) async fn close(&self) {
        let history = self.history.clone();
        let closing = tokio::task::spawn_blocking(move || history.close());
        if !matches!(timeout(CLOSE, closing).await, Ok(Ok(()))) {
            warn!("the history of alerts could not be closed in time; its end may be missing");
        }
    }

    /// What it counts.
    pub(super) fn figures(&self) -> AlertHistoryFigures {
        let stats = self.history.stats();
        AlertHistoryFigures {
            records: [
                ("transition", stats.transitions),
                ("notification", stats.notifications),
            ],
            lost: [
                ("no_room_transition", stats.no_room_transitions),
                ("no_room_notification", stats.no_room_notifications),
                ("memory", stats.evicted),
            ],
            damaged: stats.damaged,
            torn_bytes: stats.torn_bytes,
            write_failures: stats.write_failures,
            disk_bytes: stats.disk_bytes,
            memory_bytes: stats.memory_bytes,
            oldest: stats.oldest,
        }
    }

    /// How it fares.
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
            folder,
            bytes: disk_bytes + memory_bytes,
            oldest,
            damaged,
            problem: self.problem.clone().or(problem),
        }
    }
}

/// Where no account is kept.
pub(super) fn nobody() -> Observer {
    Arc::new(|_| {})
}

/// What to keep of a step of a notification.
fn record(event: &Event<'_>) -> Record {
    let step = match event.outcome {
        Outcome::Queued => Step::Queued,
        Outcome::Delivered { attempt } => Step::Delivered { attempt },
        Outcome::Failed {
            attempt,
            error,
            retry_in,
        } => Step::Failed {
            attempt,
            error: error.to_owned(),
            retry_in,
        },
        Outcome::Refused { error } => Step::Refused {
            error: error.to_owned(),
        },
        Outcome::Dropped { reason } => Step::Dropped { why: reason },
    };
    Record::notification(event.notification, event.channel, step, event.at)
}

/// It lives as long as the process, so a change waits for the next one.
pub(super) fn warn_of_change(old: &Plan, new: &Plan) {
    if old.root.alert_history != new.root.alert_history {
        warn!("a change of `alert_history` takes effect at the next start");
    }
}
