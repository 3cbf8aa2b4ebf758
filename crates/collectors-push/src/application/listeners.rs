//! The StatsD listeners over reloads: a socket stays open as long as its address stays the same.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch};
use bellwether_recorder::Recorder;
use bellwether_runtime::Clock;
use bellwether_schema::Diagnostics;
use parking_lot::Mutex;

use super::statsd::{LINES, PACKETS, Statsd, StatsdListener, StreamLines};
use crate::sockets::{Endpoint, LineReceiver, Open, Sockets};

/// Listeners, if StatsD is configured.
#[derive(Default)]
pub struct Listeners {
    udp: Mutex<Option<StatsdListener>>,
    /// TCP and Unix sockets.
    streams: Sockets,
    /// Receiver of `streams`, once there was one.
    lines: OnceLock<Arc<StreamLines>>,
}

/// Listeners that a configuration needs, with every step done that can fail. By default there are none.
#[derive(Default)]
pub struct Prepared {
    settings: Option<Statsd>,
    /// New listener for UDP; it listens already.
    udp: Option<StatsdListener>,
    /// Sockets that it has, and those that are new.
    endpoints: Vec<Endpoint>,
    opened: Vec<(Endpoint, Open)>,
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
    /// Tests whether the address of `settings` can be bound.
    ///
    /// # Errors
    /// It cannot.
    pub async fn probe(settings: Option<&Statsd>) -> Result<(), ListenError> {
        let Some(settings) = settings.cloned() else {
            return Ok(());
        };
        let address = settings.listen.value.clone();
        on_blocking_thread(address, move || StatsdListener::probe(&settings)).await
    }

    /// Binds the addresses of `settings` that are not bound already. `recorder` receives the lines; a
    /// later one may adopt it.
    ///
    /// # Errors
    /// An address cannot be bound.
    pub async fn prepare(
        &self,
        settings: Option<&Statsd>,
        recorder: &Recorder,
    ) -> Result<Prepared, ListenError> {
        let Some(settings) = settings.cloned() else {
            return Ok(Prepared::default());
        };
        let mut prepared = Prepared {
            // Errors are reported already.
            endpoints: settings.sockets.endpoints(&mut Diagnostics::default()),
            ..Prepared::default()
        };
        for endpoint in &prepared.endpoints {
            let lines = || Arc::new(StreamLines::new(&settings, recorder.clone()));
            let receiver: Arc<dyn LineReceiver> = self.lines.get_or_init(lines).clone();
            let now = Clock::start().now();
            let opened = self.streams.open(endpoint, &receiver, now).await;
            let opened = opened.map_err(|error| ListenError {
                address: endpoint.to_string(),
                error,
            })?;
            prepared
                .opened
                .extend(opened.map(|open| (endpoint.clone(), open)));
        }
        let is_bound = |listener: &StatsdListener| listener.serves(&settings);
        if !self.udp.lock().as_ref().is_some_and(is_bound) {
            let (settings, recorder) = (settings.clone(), recorder.clone());
            let (clock, address) = (Clock::start(), settings.listen.value.clone());
            let started = on_blocking_thread(address, move || {
                StatsdListener::start(&settings, recorder, move || clock.now().wall)
            });
            prepared.udp = Some(started.await?);
        }
        prepared.settings = Some(settings);
        Ok(prepared)
    }

    /// Replaces the listeners.
    pub fn replace(&self, prepared: Prepared) {
        let Prepared {
            settings,
            udp,
            endpoints,
            opened,
        } = prepared;
        self.streams.replace(&endpoints, opened);
        let mut listener = self.udp.lock();
        match (settings, udp) {
            (None, _) => *listener = None,
            (Some(settings), new) => {
                if let Some(lines) = self.lines.get() {
                    lines.retarget(&settings);
                }
                match (&*listener, new) {
                    (_, Some(new)) => *listener = Some(new),
                    (Some(listener), None) => listener.retarget(&settings),
                    (None, None) => {}
                }
            }
        }
    }
}

impl SelfMetrics for Listeners {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        let Some((packets, lines)) = self.udp.lock().as_ref().map(StatsdListener::received) else {
            return;
        };
        let packets = packets + self.streams.totals.unix_packets.load(Ordering::Relaxed);
        let lines = lines + self.lines.get().map_or(0, |lines| lines.received());
        batch.push(&PACKETS, &[], packets as f64);
        batch.push(&LINES, &[], lines as f64);
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
