//! Neo4j: queries of the configuration and a catalogue of built-in metrics, over Bolt.
//!
//! Owns the section `neo4j_metrics`, the connections, and the conversion of rows to samples. No other
//! module talks to a graph database.

pub mod catalogue;
mod collector;
mod durations;
mod error;
mod jobs;
mod known_servers;
mod plan;
mod pool;
mod rows;
mod schedule;
mod settings;
mod skipped;
mod statement;

pub use collector::Neo4jCollector;
pub use known_servers::KnownServers;
pub use plan::Plan;
pub use settings::{Enabled, Neo4jMetrics, Neo4jPool, Neo4jQuery, Neo4jType};
pub use skipped::{SELF_METRICS, SkippedRows};
