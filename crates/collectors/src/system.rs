//! The host: processors, memory, disks, network and sensors, from /proc and /sys.
//!
//! Owns its settings, the catalogue of metrics, and the reading of files. Parsing is apart: `parse`
//! converts bytes and opens nothing.

mod catalogue;
mod collector;
mod file;
mod filter;
mod globs;
mod groups;
mod kind;
mod parse;
mod probe;
mod resolve;
mod settings;
mod skipped;
mod totals;

use std::sync::Arc;

pub use catalogue::{CATALOGUE, DEFAULT_EXCLUDES, Nature, Source};
pub use collector::SystemCollector;
pub use globs::Globs;
pub use kind::SystemSettings;
pub use resolve::{ResolvedMetric, resolve};
pub use settings::{Selection, System, SystemMetric};
pub use skipped::{SELF_METRICS, Skipped};

use crate::{CollectorName, Memory};

/// Returns the counts of skipped parts since the start of the process.
#[must_use]
pub fn skipped(memory: &Memory) -> Arc<Skipped> {
    memory.get(CollectorName::System.origin())
}

#[cfg(test)]
mod tests;
