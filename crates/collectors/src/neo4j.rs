//! Neo4j: queries of the configuration and a catalogue of built-in metrics, over Bolt.
//!
//! Owns the section `neo4j_metrics`, the connections, and the conversion of rows to samples. No other
//! module talks to a graph database.

pub mod catalogue;
mod connector;
mod kind;
mod settings;
mod skipped;

use std::sync::Arc;

pub use connector::{KnownServers, Neo4jCollector, Plan};
pub use kind::Neo4jSettings;
pub use settings::{Enabled, Neo4jMetrics, Neo4jPool, Neo4jQuery, Neo4jType};
pub use skipped::SkippedRows;

use crate::{CollectorName, Memory};

/// Returns the counts of skipped rows since the start of the process.
#[must_use]
pub fn skipped_rows(memory: &Memory) -> Arc<SkippedRows> {
    memory.get(CollectorName::Neo4j.origin())
}
