//! The demo: a shop with two weeks of past and with incidents, made of nothing but a seed.
//!
//! It brings a configuration, generators in place of the collectors, what people did, and receivers for
//! notifications. Everything else is the agent's: `app` plays the past through its own parts.

mod generator;
mod noise;
mod people;
mod receivers;
mod series;
mod world;

use std::ffi::OsString;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bellwether_collector::Input;
use bellwether_collectors::neo4j::QueryStats;
use bellwether_config::Plan;
use bellwether_core::{Alert, Batch, Failure, Notification, Origin, UnixMillis};
use bellwether_routing::Command;
use generator::{Generator, LiveCollector};
use parking_lot::Mutex;
use people::People;
pub use receivers::Delivered;
use receivers::Receivers;

/// Length of the past.
pub const PAST: Duration = Duration::from_secs(14 * 86_400);

/// Distance of the collections of the past by their age: the recent past is as dense as the present.
const STEPS: [(Duration, Duration); 3] = [
    (Duration::from_secs(3 * 3600), Duration::from_secs(5)),
    (Duration::from_secs(24 * 3600), Duration::from_secs(15)),
    (Duration::MAX, Duration::from_secs(60)),
];

/// Name of the variable with the URL of the receivers, in the configuration.
const RECEIVER: &str = "DEMO_RECEIVER";

/// A demo.
pub struct Demo {
    seed: u64,
    start: UnixMillis,
    receivers: Receivers,
    /// Made for the first plan, and used by those of reloads.
    generators: OnceLock<Vec<Arc<Mutex<Generator>>>>,
}

impl Demo {
    /// Creates the demo of a seed, whose present begins at `start`, and its receivers.
    ///
    /// # Errors
    /// There is no free port on this host.
    pub fn new(seed: u64, start: UnixMillis) -> std::io::Result<Self> {
        Ok(Self {
            seed,
            start,
            receivers: Receivers::bind()?,
            generators: OnceLock::new(),
        })
    }

    /// Serves the receivers of notifications as long as the runtime of the caller lives.
    ///
    /// # Errors
    /// The runtime does not take the socket.
    pub fn serve_receivers(&self) -> std::io::Result<()> {
        self.receivers.serve()
    }

    /// Looks up a variable of the demo's environment, which has nothing of the process's: so there is no
    /// directory for state.
    #[must_use]
    pub fn environment(&self, name: &str) -> Option<OsString> {
        match name {
            RECEIVER => Some(self.receivers.url().into()),
            "HOSTNAME" => Some("shop-1".into()),
            _ => None,
        }
    }

    /// Time at which the present begins.
    #[must_use]
    pub fn start(&self) -> UnixMillis {
        self.start
    }

    /// Replaces the collectors of `plan` by generators.
    pub fn stage(&self, plan: &mut Plan) {
        let generators = self.generators.get_or_init(|| {
            let kinds = [
                ("system", series::host()),
                ("application", series::shop()),
                ("neo4j", series::database()),
            ];
            let generators = kinds.into_iter().map(|(name, series)| {
                let origin = Origin::new(name);
                let generator =
                    Generator::new(self.seed, self.start, origin, &plan.metrics, series);
                Arc::new(Mutex::new(generator))
            });
            generators.collect()
        });
        for collector in &mut plan.collectors {
            let generator = generators
                .iter()
                .find(|generator| generator.lock().origin() == collector.origin);
            if let Some(generator) = generator.cloned() {
                let origin = collector.origin;
                collector.input = Input::Pull(Arc::new(move |memory| {
                    Box::new(LiveCollector {
                        generator: generator.clone(),
                        queries: memory.get::<QueryStats>(origin),
                    })
                }));
            }
        }
    }

    /// Returns the times of the collections of the past.
    pub fn times(&self) -> impl Iterator<Item = UnixMillis> + use<> {
        let end = self.start;
        let first = end.before(PAST);
        std::iter::successors(Some(first), move |at| {
            let age = end.since(*at);
            let step = STEPS.iter().find(|(oldest, _)| age <= *oldest)?.1;
            Some(at.after(step)).filter(|next| *next < end)
        })
    }

    /// Calls `collected` for each collector with its samples at `at` and the result of the collection.
    pub fn collect(
        &self,
        at: UnixMillis,
        batch: &mut Batch,
        mut collected: impl FnMut(Origin, &Batch, Result<(), Failure>),
    ) {
        for generator in self.generators.get().into_iter().flatten() {
            batch.clear();
            let mut generator = generator.lock();
            let result = generator.fill(batch, at);
            collected(generator.origin(), batch, result);
        }
    }

    /// Returns the outcome of a delivery at `at`.
    #[must_use]
    pub fn delivery(
        &self,
        channel: &str,
        notification: &Notification,
        at: UnixMillis,
    ) -> Delivered {
        receivers::delivery(channel, notification, at, self.start)
    }

    /// Returns the commands that people give over time.
    pub fn commands(&self) -> impl FnMut(&[Alert], UnixMillis) -> Vec<Command> + use<> {
        let mut people = People::new(self.start);
        move |alerts, now| people.commands(alerts, now)
    }
}

#[cfg(test)]
mod tests;
