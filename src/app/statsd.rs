//! The StatsD listener over reloads: its socket stays open as long as its address stays the same.

use bellwether_collectors::application::{Statsd, StatsdListener};
use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch};
use bellwether_recorder::Recorder;
use bellwether_runtime::Clock;
use parking_lot::Mutex;

use crate::config::Plan;

/// Listener, if StatsD is configured.
#[derive(Default)]
pub(super) struct Intake {
    listener: Mutex<Option<StatsdListener>>,
}

/// Listener that a plan needs, with every step done that can fail.
pub(super) enum Prepared {
    /// No listener.
    None,
    /// Keeps the listener and applies these settings.
    Same(Statsd),
    /// New listener; it listens already.
    New(StatsdListener),
}

/// Tests whether the StatsD address of `plan` can be bound.
pub(super) async fn probe(plan: &Plan) -> Result<(), String> {
    let declared = plan.root.performance_monitor.application.statsd.clone();
    let Some(settings) = declared.filter(|_| plan.application.is_some()) else {
        return Ok(());
    };
    let probing = tokio::task::spawn_blocking(move || {
        StatsdListener::probe(&settings).map_err(|error| cannot_listen(&settings.listen, &error))
    });
    probing.await.map_err(|error| error.to_string())?
}

fn cannot_listen(address: &str, error: &std::io::Error) -> String {
    format!("cannot listen for StatsD on {address}: {error}")
}

impl Intake {
    /// Binds the address of `plan` unless it is bound already. `recorder` receives the lines; a
    /// later one may adopt it.
    pub(super) async fn prepare(
        &self,
        plan: &Plan,
        recorder: &Recorder,
    ) -> Result<Prepared, String> {
        let declared = &plan.root.performance_monitor.application.statsd;
        let Some(settings) = declared.clone().filter(|_| plan.application.is_some()) else {
            return Ok(Prepared::None);
        };
        if self
            .listener
            .lock()
            .as_ref()
            .is_some_and(|listener| listener.serves(&settings))
        {
            return Ok(Prepared::Same(settings));
        }
        let (recorder, address) = (recorder.clone(), settings.listen.value.clone());
        let clock = Clock::start();
        // A host name may have to be asked for.
        let started = tokio::task::spawn_blocking(move || {
            StatsdListener::start(&settings, recorder, move || clock.now().wall)
        })
        .await;
        let listener = started.map_err(|error| error.to_string())?;
        listener
            .map(Prepared::New)
            .map_err(|error| cannot_listen(&address, &error))
    }

    /// Replaces the listener.
    pub(super) fn replace(&self, prepared: Prepared) {
        let mut listener = self.listener.lock();
        match prepared {
            Prepared::None => *listener = None,
            Prepared::New(new) => *listener = Some(new),
            Prepared::Same(settings) => {
                if let Some(listener) = &*listener {
                    listener.retarget(&settings);
                }
            }
        }
    }
}

impl SelfMetrics for Intake {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, now: Now) {
        if let Some(listener) = &*self.listener.lock() {
            listener.add_self_metrics(batch, now);
        }
    }
}
