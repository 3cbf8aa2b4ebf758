//! Neo4j: queries of the configuration and a catalogue of built-in metrics, over Bolt.
//!
//! Owns the section `neo4j_metrics`, the connections, and the conversion of rows to samples. No other
//! module talks to a graph database. Without the feature `neo4j` there is the section alone.

pub mod catalogue;
#[cfg(feature = "neo4j")]
mod connector;
mod kind;
mod settings;
#[cfg_attr(
    not(feature = "neo4j"),
    expect(dead_code, reason = "only the connector runs queries")
)]
mod stats;

#[cfg(feature = "neo4j")]
pub use connector::{KnownServers, Neo4jCollector, Plan};
pub use kind::Neo4jSettings;
pub use settings::{Enabled, Neo4jMetrics, Neo4jPool, Neo4jQuery, Neo4jType};
pub use stats::{QueryStats, Run};
