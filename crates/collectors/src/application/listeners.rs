//! The StatsD listener over reloads: its socket stays open as long as its address stays the same.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch};
use bellwether_recorder::Recorder;
use bellwether_runtime::Clock;
use parking_lot::Mutex;
use std::io;

use super::kind::Recorded;
use super::statsd::{Statsd, StatsdListener};

/// Listener, if StatsD is configured.
#[derive(Debug, Default)]
pub struct Listeners {
    statsd: Mutex<Option<StatsdListener>>,
}

/// Listener that a configuration needs, with every step done that can fail.
#[derive(Debug)]
pub enum Prepared {
    /// No listener.
    None,
    /// Keeps the listener and applies these settings.
    Same(Statsd),
    /// New listener; it listens already.
    New(StatsdListener),
}

/// An address that cannot be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for StatsD on {address}: {error}")]
pub struct ListenError {
    /// Address of the configuration.
    pub address: String,
    /// Error of the system.
    pub error: io::Error,
}

impl Listeners {
    /// Tests whether the address of `recorded` can be bound.
    ///
    /// # Errors
    /// It cannot.
    pub async fn probe(recorded: Option<&Recorded>) -> Result<(), ListenError> {
        let Some(settings) = statsd(recorded) else {
            return Ok(());
        };
        let address = settings.listen.value.clone();
        on_blocking_thread(address, move || StatsdListener::probe(&settings)).await
    }

    /// Binds the address of `recorded` unless it is bound already. `recorder` receives the lines; a
    /// later one may adopt it.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn prepare(
        &self,
        recorded: Option<&Recorded>,
        recorder: &Recorder,
    ) -> Result<Prepared, ListenError> {
        let Some(settings) = statsd(recorded) else {
            return Ok(Prepared::None);
        };
        if self
            .statsd
            .lock()
            .as_ref()
            .is_some_and(|listener| listener.serves(&settings))
        {
            return Ok(Prepared::Same(settings));
        }
        let (recorder, address) = (recorder.clone(), settings.listen.value.clone());
        let clock = Clock::start();
        let started = on_blocking_thread(address, move || {
            StatsdListener::start(&settings, recorder, move || clock.now().wall)
        });
        started.await.map(Prepared::New)
    }

    /// Replaces the listener.
    pub fn replace(&self, prepared: Prepared) {
        let mut listener = self.statsd.lock();
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

impl SelfMetrics for Listeners {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, now: Now) {
        if let Some(listener) = &*self.statsd.lock() {
            listener.add_self_metrics(batch, now);
        }
    }
}

/// Runs what binds `address` on a blocking thread: a host name may have to be resolved.
async fn on_blocking_thread<T: Send + 'static>(
    address: String,
    bind: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ListenError> {
    let bound = tokio::task::spawn_blocking(bind).await;
    bound
        .unwrap_or_else(|error| Err(error.into()))
        .map_err(|error| ListenError { address, error })
}

fn statsd(recorded: Option<&Recorded>) -> Option<Statsd> {
    recorded?.statsd.clone()
}
