//! Collectors of metrics that applications and agents push: over HTTP, gRPC, UDP, TCP and Unix sockets.
//!
//! `application` has the metrics that are configured one by one. The other modules are types of the list `collectors`,
//! whose metrics are admitted by `accept` (`pushed`) or made by mappings (`name_mapping`).

pub mod application;
mod graphite;
mod influx;
mod name_mapping;
mod otlp;
mod pushed;
mod pushgateway;
mod remote_write;
mod request;
mod sockets;
mod statsd;
mod wire;

pub use graphite::{Graphite, graphite_series};
pub use influx::Influx;
pub use otlp::Otlp;
pub use pushgateway::{Groups, PushError, Pushgateway};
pub use remote_write::RemoteWriteReceiver;
pub use statsd::{StatsdLines, statsd_series};
