//! Lines of StatsD whose names are mapped to metrics, as statsd_exporter does
//! (<https://github.com/prometheus/statsd_exporter>).
//!
//! Metrics that are configured one by one are those of `application_metrics`, with `application.statsd`. Here a mapping
//! makes them; what has none is admitted by `accept`.

mod families;
mod intake;
mod name_tags;
mod totals;

use std::sync::Arc;

use bellwether_collector::{
    Build, Collecting, Collector, CollectorLimits, EntryContext, EntryType, Memory, NamedFile,
};
use bellwether_core::{Batch, Failure, Now, Origin, SeriesBatch};
use bellwether_schema::{Constraint, Literal, Spanned, section};
use intake::Intake;
use parking_lot::Mutex;

use crate::application::StatsdDialect;
use crate::name_mapping::{Mappings, NameMapping};
use crate::pushed::Accept;
use crate::sockets::{Endpoint, LineReceiver, Sockets, StreamSockets, check_address};

section! {
    /// Collector of type `statsd`: lines of StatsD and DogStatsD, whose names are mapped to metrics as statsd_exporter does.
    #[constraints = [Constraint::AnyOf(&["mapping_file", "mappings", "accept"])]]
    pub struct StatsdLines {
        /// Address on which it listens for UDP packets.
        pub listen: Spanned<String> = "127.0.0.1:9125".to_owned().into(),
        #[serde(flatten)]
        pub sockets: StreamSockets = StreamSockets::default(),
        /// Meaning of a sign in a gauge, as in `application.statsd`.
        pub dialect: StatsdDialect = StatsdDialect::Auto,
        #[serde(flatten)]
        pub mapping: NameMapping,
        /// Regular expressions of the names of metrics without a mapping that are accepted, each for a whole name; `.*`
        /// accepts all. The others are rejected and counted.
        pub accept: Vec<Spanned<Literal>> = Vec::new(),
    }
}

impl EntryType for StatsdLines {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        check_address(&self.listen, context.problems);
        let mut endpoints = vec![Endpoint::Udp(self.listen.value.clone())];
        endpoints.extend(self.sockets.endpoints(context.problems));
        if self.mapping.is_empty() && self.accept.is_empty() {
            Accept::report_none(context);
        }
        let accept = Accept::resolve(&self.accept, context.problems);
        let mappings = self.mapping.resolve(context.problems, context.warnings);
        let plan = Plan {
            origin: context.origin,
            endpoints,
            dialect: self.dialect,
            mappings: mappings?,
            accept: accept?,
            limits: context.limits.clone(),
        };
        context.build(move |memory| StatsdCollector::new(plan.clone(), memory))
    }

    fn named_file(&mut self) -> Option<&mut dyn NamedFile> {
        Some(&mut self.mapping)
    }
}

/// Settings, checked.
#[derive(Clone)]
struct Plan {
    origin: Origin,
    endpoints: Vec<Endpoint>,
    dialect: StatsdDialect,
    mappings: Arc<Mappings>,
    accept: Accept,
    limits: CollectorLimits,
}

/// Sockets and values; they outlive a reload.
#[derive(Default)]
struct State {
    sockets: Sockets,
    intake: Arc<Shared>,
}

#[derive(Default)]
struct Shared(Mutex<Intake>);

impl LineReceiver for Shared {
    fn receive(&self, lines: &[u8], now: Now) {
        self.0.lock().packet(lines, now);
    }
}

struct StatsdCollector {
    plan: Plan,
    state: Arc<State>,
}

impl StatsdCollector {
    fn new(plan: Plan, memory: &Memory) -> Self {
        let state: Arc<State> = memory.get(plan.origin);
        state.intake.0.lock().configure(&plan);
        Self { plan, state }
    }
}

impl Collector for StatsdCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let State { sockets, intake } = &*self.state;
            let receiver: Arc<dyn LineReceiver> = intake.clone();
            let errors = sockets.listen(&self.plan.endpoints, &receiver, now).await;
            let mut intake = intake.0.lock();
            intake.fill(now, &mut batch.series);
            let name = self.plan.origin.as_str();
            totals::fill(name, intake.totals(), &sockets.totals, &mut batch.series);
            match errors.is_empty() {
                true => Ok(()),
                false => Err(Failure::new("listen", errors.join("; "))),
            }
        })
    }
}

/// Returns the series of a packet that a collector with the mappings of a file would collect; `None` if the file is
/// invalid.
#[must_use]
pub fn statsd_series(mapping_file: &str, packet: &[u8], now: Now) -> Option<SeriesBatch> {
    let mut intake = Intake::default();
    intake.configure(&Plan {
        origin: Origin::APPLICATION,
        endpoints: Vec::new(),
        dialect: StatsdDialect::Auto,
        mappings: Mappings::of_file(mapping_file)?,
        accept: Accept::all(),
        limits: CollectorLimits::default(),
    });
    intake.packet(packet, now);
    let mut batch = SeriesBatch::default();
    intake.fill(now, &mut batch);
    Some(batch)
}

#[cfg(test)]
mod tests;
