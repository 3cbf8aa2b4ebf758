//! Collectors of services, each asked over the network in its own protocol.
//!
//! `neo4j` is a built-in kind. The other collectors are types of the list `collectors`. `queries` has what those share that
//! run queries of the configuration, `status_page` what those share that read a page, and `dns` the client of DNS.

mod apache;
pub mod dns;
mod kafka;
mod memcached;
pub mod neo4j;
mod nginx;
mod probe;
#[cfg(any(feature = "neo4j", feature = "sql"))]
mod queries;
mod redis;
mod sql;
mod status_page;

pub use self::redis::Redis;
pub use apache::Apache;
pub use kafka::Kafka;
pub use memcached::Memcached;
pub use nginx::Nginx;
pub use probe::Probe;
pub use sql::{Sql, dsn_parameters};
