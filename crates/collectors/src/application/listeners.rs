//! The StatsD listener over reloads: its socket stays open as long as its address stays the same.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch};
use bellwether_recorder::Recorder;
use bellwether_runtime::Clock;
use parking_lot::Mutex;

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

fn cannot_listen(address: &str, error: &std::io::Error) -> String {
    format!("cannot listen for StatsD on {address}: {error}")
}

impl Listeners {
    /// Tests whether the address of `recorded` can be bound.
    ///
    /// # Errors
    /// It cannot.
    pub async fn probe(recorded: Option<&Recorded>) -> Result<(), String> {
        let Some(settings) = statsd(recorded) else {
            return Ok(());
        };
        let probing = tokio::task::spawn_blocking(move || {
            StatsdListener::probe(&settings)
                .map_err(|error| cannot_listen(&settings.listen, &error))
        });
        probing.await.map_err(|error| error.to_string())?
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
    ) -> Result<Prepared, String> {
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

fn statsd(recorded: Option<&Recorded>) -> Option<Statsd> {
    recorded?.statsd.clone()
}
