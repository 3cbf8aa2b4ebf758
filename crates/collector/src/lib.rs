//! Contract of collectors, and the runner that they share.
//!
//! A collector fills a batch and does nothing else. The runner owns its schedule, its deadline, its
//! panics and its health. Collectors are built of settings: those of a kind ([`CollectorKind`]), or of a type in
//! the list `collectors` ([`EntryType`]).

mod blocking;
mod buckets;
mod entry;
pub mod fields;
mod globs;
mod kind;
mod memory;
mod pattern;
pub mod placeholders;
mod program;
mod receiver;
mod recorder;
mod relabeled;
mod runner;
mod self_metrics;
mod system;
#[cfg(feature = "testing")]
pub mod testing;

use std::future::Future;
use std::pin::Pin;

use bellwether_core::{Batch, Failure, Now};
pub use blocking::{Blocking, Source};
pub use buckets::{DEFAULT_BUCKETS, check_buckets};
pub use entry::{
    CollectorLimits, DEFAULT_TIMEOUT, EntryContext, EntryType, NamedFile, check_interval,
    check_timeout, own_schedule,
};
pub use globs::Globs;
pub use kind::{
    Build, CollectorKind, CollectorPlan, ConfiguredMetric, Input, KindSelfMetrics, MetricDefaults,
    MetricReference, MetricRow, ResolveContext,
};
pub use memory::Memory;
pub use pattern::within;
pub use program::output;
pub use receiver::{Receiver, TimedHistory};
pub use relabeled::{Relabeled, Relabeler, Relabeling};
pub use runner::{Health, HealthBoard, Runner, SELF_METRICS, Schedule, Sink, Times};
pub use self_metrics::SelfMetricsCollector;
pub use system::System;

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
