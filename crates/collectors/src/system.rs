//! The host: processors, memory, disks, network and sensors, from /proc and /sys.
//!
//! Owns its settings, the catalogue of what can be measured, and the reading. Reading is apart
//! from parsing: `parse` turns bytes into figures and opens nothing.

mod catalogue;
mod collector;
mod figures;
mod file;
mod filter;
mod globs;
mod parse;
mod probe;
mod resolve;
mod settings;
mod skipped;
mod totals;

pub use catalogue::{CATALOGUE, DEFAULT_EXCLUDES, Nature, Source};
pub use collector::SystemCollector;
pub use globs::Globs;
pub use resolve::{Declared, resolve};
pub use settings::{Selection, System, SystemMetric};
pub use skipped::Skipped;

#[cfg(test)]
mod tests;
