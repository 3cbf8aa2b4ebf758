//! Neo4j: declared Cypher and a catalogue of built-ins, asked over Bolt.
//!
//! Owns everything between the declaration of `neo4j_metrics` and the points of its metrics. Only
//! this room speaks to a graph database.

pub mod catalogue;
mod collector;
mod durations;
mod jobs;
mod plan;
mod pool;
mod rows;
mod schedule;
mod seen;
mod settings;
mod skipped;
mod statement;
mod trouble;

pub use collector::Neo4jCollector;
pub use plan::Plan;
pub use seen::Seen;
pub use settings::{Enabled, Neo4jMetrics, Neo4jPool, Neo4jQuery, Neo4jType};
pub use skipped::SkippedRows;
