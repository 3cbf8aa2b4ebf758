//! Collectors: the host, applications, Neo4j and Bellwether itself, and the runner that they share.
//!
//! A collector fills a batch and does nothing else. The runner owns its schedule, its deadline, its
//! panics and its health. A kind of collector ([`CollectorKind`]) makes collectors of settings; the
//! register of all kinds is in `kinds.rs`.
//!
//! Collectors of the list `collectors` ([`CollectorEntry`]) bring series under names of their own. Each has a type
//! ([`EntryType`]); the register of all types is in `types.rs`.

pub mod application;
mod blocking;
mod dns;
mod document;
mod entry;
mod fields;
mod http;
mod kind;
mod kinds;
mod mapping;
mod memory;
mod name_mapping;
pub mod neo4j;
mod path_pattern;
mod pattern;
mod placeholders;
pub mod process;
mod program;
mod pushed;
#[cfg(any(feature = "neo4j", feature = "sql"))]
mod queries;
mod receiver;
mod runner;
mod self_metrics;
mod sockets;
pub mod system;
mod types;
mod watch;

use std::future::Future;
use std::pin::Pin;

use bellwether_core::{Batch, Failure, Now};
pub use entry::{
    CollectorCommon, CollectorEntry, CollectorLimits, DEFAULT_TIMEOUT, EntryContext, EntryType,
    Relabeling, check_interval, check_timeout, resolve,
};
pub use kind::{
    Build, CollectorKind, CollectorPlan, ConfiguredMetric, Input, KindSelfMetrics, MetricDefaults,
    MetricReference, MetricRow, ResolveContext,
};
pub use kinds::{CollectorName, CollectorSettings, Collectors, self_metrics, self_metrics_sources};
pub use memory::Memory;
pub use name_mapping::NameMapping;
pub use receiver::{Receiver, TimedHistory, receiver};
pub use runner::{Health, HealthBoard, Runner, SELF_METRICS, Schedule, Sink, Times};
pub use self_metrics::SelfMetricsCollector;
pub use types::CollectorType;
pub use types::pushgateway::{Groups, PushError, push_receiver};
pub use types::sql::dsn_parameters;

/// Reason of a collection without samples whose source was never seen since installation. It is no
/// failure.
pub const UNSEEN: &str = "unseen";

/// Future of [`Collector::collect`].
pub type Collecting<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// Future of [`Collector::changed`].
pub type Changed<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// A source of samples.
pub trait Collector: Send + 'static {
    /// Fills `batch`. Its samples are committed even if an error is returned, so that a part that fails
    /// does not cost the other parts.
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a>;

    /// Waits until there is something to collect before it is due, such as a new file. By default it never is.
    fn changed(&mut self) -> Changed<'_> {
        Box::pin(std::future::pending())
    }

    /// Returns notes for the operator when nothing failed, such as a query that never had a row.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
