//! Remote write from history to the destinations of the active plan.

use std::path::PathBuf;
use std::sync::Arc;

use bellwether_config::Plan;
use bellwether_core::UnixMillis;
use bellwether_remote_write::{Families, Prepared, Setup, Writers};
use bellwether_runtime::Clock;
use bellwether_server::RemoteHealth;
use tracing::warn;

use super::history::HistoryHandle;

/// Destinations over all reloads.
pub(super) struct RemoteWriteManager {
    pub(super) writers: Arc<Writers>,
    /// Start of this process's counters.
    started: UnixMillis,
}

/// Tests whether the destinations of `plan` can be built.
pub(super) async fn probe(plan: &Plan) -> anyhow::Result<()> {
    let settings = plan.root.remote_write.clone();
    let probing = tokio::task::spawn_blocking(move || {
        let mut enabled = bellwether_remote_write::named(&settings)
            .into_iter()
            .filter(|(_, settings)| settings.enabled);
        enabled.try_for_each(|(name, settings)| bellwether_remote_write::try_build(&name, settings))
    });
    Ok(probing.await??)
}

impl RemoteWriteManager {
    /// Creates a manager without destinations. `state` is the directory of the cursors.
    pub(super) fn new(state: Option<PathBuf>, clock: Clock) -> Self {
        let started = clock.now().wall;
        let clock = Arc::new(move || clock.now().wall);
        let writers = Writers::new(Setup {
            state,
            clock,
            random: fastrand::f64,
        });
        Self {
            writers: Arc::new(writers),
            started,
        }
    }

    /// Builds the destinations of `plan` without sending.
    pub(super) async fn prepare(&self, plan: &Plan) -> anyhow::Result<Prepared> {
        let (writers, settings) = (self.writers.clone(), plan.root.remote_write.clone());
        Ok(tokio::task::spawn_blocking(move || writers.prepare(&settings)).await??)
    }

    /// Starts sending the samples of history to `prepared`.
    pub(super) async fn replace(
        &self,
        prepared: Prepared,
        history_handle: Option<&HistoryHandle>,
        plan: &Plan,
    ) {
        match history_handle {
            Some(history_handle) if history_handle.is_on_disk() => {
                let families = Families::new(&plan.metrics, self.started);
                self.writers
                    .replace(prepared, Arc::new(history_handle.history.clone()), families)
                    .await;
            }
            _ if plan.root.remote_write.is_empty() => {}
            _ => {
                warn!("remote write sends nothing: there is no history on disk; see the log above")
            }
        }
    }

    pub(super) async fn stop(&self) {
        self.writers.stop().await;
    }

    pub(super) fn health(&self) -> Vec<RemoteHealth> {
        let health = self
            .writers
            .stats()
            .into_iter()
            .map(|(name, stats)| RemoteHealth {
                name,
                sent: stats.sent,
                lost: stats.failed + lost(&stats.dropped),
                pending_bytes: stats.pending_bytes,
                newest_sent: (stats.newest_sent > 0.0)
                    .then_some(UnixMillis((stats.newest_sent * 1000.0) as i64)),
                last_error: stats.last_error,
            });
        health.collect()
    }
}

fn lost(dropped: &[(&str, u64)]) -> u64 {
    let lost = dropped.iter().find(|(reason, _)| *reason == "lost");
    lost.map_or(0, |(_, count)| *count)
}
