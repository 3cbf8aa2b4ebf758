//! Registers of collectors, and the types that are in no other crate.
//!
//! A kind of collector ([`CollectorKind`](bellwether_collector::CollectorKind)) makes collectors of settings; the register of
//! all kinds is in `kinds.rs`. Collectors of the list `collectors` ([`CollectorEntry`]) bring series under names of their own.
//! Each has a type ([`EntryType`](bellwether_collector::EntryType)); the register of all types is in `types.rs`.

mod document;
mod entry;
mod kinds;
mod mapping;
mod path_pattern;
mod receiver;
mod types;
mod watch;

pub use bellwether_collectors_host::{self_process, system};
pub use bellwether_collectors_push::{
    Groups, PushError, application, graphite_series, statsd_series,
};
pub use bellwether_collectors_services::{dsn_parameters, neo4j};
pub use entry::{CollectorCommon, CollectorEntry, push_receiver, resolve};
pub use kinds::{CollectorName, CollectorSettings, Collectors, self_metrics, self_metrics_sources};
pub use receiver::receiver;
pub use types::CollectorType;
