//! Plaintext of Graphite, whose names are mapped to metrics, as graphite_exporter does
//! (<https://github.com/prometheus/graphite_exporter>).

mod lines;

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{
    Blocking, Build, Collecting, Collector, EntryContext, EntryType, Memory, NamedFile,
};
use bellwether_core::{Batch, Failure, Now, Origin, SeriesBatch};
use bellwether_schema::{Constraint, HumanDuration, Literal, Spanned, section};
use lines::Lines;
use parking_lot::Mutex;

use crate::name_mapping::{Mappings, NameMapping};
use crate::pushed::{Accept, Intake, PushedSource, check_ttl};
use crate::sockets::{Endpoint, LineReceiver, Sockets, check_address};

section! {
    /// Collector of type `graphite`: samples in the plaintext of Graphite over TCP and UDP, whose names are mapped to metrics
    /// as graphite_exporter does.
    #[constraints = [Constraint::AnyOf(&["mapping_file", "mappings", "accept"])]]
    pub struct Graphite {
        /// Address on which it listens for TCP connections and UDP packets.
        pub listen: Spanned<String> = "127.0.0.1:2003".to_owned().into(),
        #[serde(flatten)]
        pub mapping: NameMapping,
        /// Regular expressions of the names of metrics without a mapping that are accepted, each for a whole name; `.*`
        /// accepts all. The others are rejected and counted.
        pub accept: Vec<Spanned<Literal>> = Vec::new(),
        /// Time after its last sample after which a series ends. A sample that is older is rejected.
        pub ttl: Spanned<HumanDuration> = Spanned::nowhere(HumanDuration::minutes(5)),
    }
}

impl EntryType for Graphite {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        check_address(&self.listen, context.problems);
        check_ttl(&self.ttl, context);
        if self.mapping.is_empty() && self.accept.is_empty() {
            Accept::report_none(context);
        }
        let accept = Accept::resolve(&self.accept, context.problems);
        let mappings = self.mapping.resolve(context.problems, context.warnings);
        let address = &self.listen.value;
        let plan = Plan {
            origin: context.origin,
            endpoints: [
                Endpoint::Tcp(address.clone()),
                Endpoint::Udp(address.clone()),
            ],
            mappings: mappings?,
            accept: accept?,
            intake: Intake::new(context, None, self.ttl.value.0),
        };
        context.build(move |memory| GraphiteCollector::new(plan.clone(), memory))
    }

    fn named_file(&mut self) -> Option<&mut dyn NamedFile> {
        Some(&mut self.mapping)
    }
}

/// Settings, checked.
#[derive(Clone)]
struct Plan {
    origin: Origin,
    endpoints: [Endpoint; 2],
    mappings: Arc<Mappings>,
    /// Names without a mapping.
    accept: Accept,
    /// Way of all samples that are accepted.
    intake: Intake,
}

/// Sockets and mappings; they outlive a reload.
#[derive(Default)]
struct State {
    sockets: Sockets,
    lines: Arc<Shared>,
}

/// `None` before the first configuration.
#[derive(Default)]
struct Shared(Mutex<Option<Lines>>);

impl LineReceiver for Shared {
    fn receive(&self, lines: &[u8], now: Now) {
        if let Some(own) = &mut *self.0.lock() {
            own.packet(lines, now);
        }
    }
}

struct GraphiteCollector {
    plan: Plan,
    state: Arc<State>,
    pushed: Blocking<PushedSource>,
}

impl GraphiteCollector {
    fn new(plan: Plan, memory: &Memory) -> Self {
        let state: Arc<State> = memory.get(plan.origin);
        let mut lines = Lines::new(&plan, memory.clone());
        let mut own = state.lines.0.lock();
        if let Some(before) = own.take() {
            lines.totals = before.totals;
        }
        *own = Some(lines);
        drop(own);
        Self {
            pushed: plan.intake.collector(memory),
            plan,
            state,
        }
    }
}

impl Collector for GraphiteCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let State { sockets, lines } = &*self.state;
            let receiver: Arc<dyn LineReceiver> = lines.clone();
            let errors = sockets.listen(&self.plan.endpoints, &receiver, now).await;
            let collected = self.pushed.collect(batch, now).await;
            if let Some(lines) = &*lines.0.lock() {
                let name = self.plan.origin.as_str();
                lines.totals.fill(name, &sockets.totals, &mut batch.series);
            }
            match errors.is_empty() {
                true => collected,
                false => Err(Failure::new("listen", errors.join("; "))),
            }
        })
    }
}

/// Returns the series of a packet that a collector with the mappings of a file would collect; `None` if the file is
/// invalid.
#[must_use]
pub fn graphite_series(mapping_file: &str, packet: &[u8], now: Now) -> Option<SeriesBatch> {
    let (origin, memory) = (Origin::APPLICATION, Memory::default());
    let intake = Intake::unlimited(origin, Duration::from_secs(300));
    let plan = Plan {
        origin,
        endpoints: [Endpoint::Tcp(String::new()), Endpoint::Udp(String::new())],
        mappings: Mappings::of_file(mapping_file)?,
        accept: Accept::all(),
        intake: intake.clone(),
    };
    Lines::new(&plan, memory.clone()).packet(packet, now);
    Some(intake.collect(&memory, now))
}

#[cfg(test)]
mod tests;
