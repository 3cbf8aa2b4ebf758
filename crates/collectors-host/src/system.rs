//! The host: processors, memory, disks, network and sensors, from /proc and /sys.
//!
//! Owns its settings, the catalogue of metrics, and the reading of files. Parsing is apart: `parse`
//! converts bytes and opens nothing.

mod catalogue;
mod collector;
mod file;
mod filter;
mod groups;
mod kind;
pub(crate) mod parse;
mod probe;
mod resolve;
mod settings;
mod skipped;
mod totals;

pub use catalogue::{CATALOGUE, DEFAULT_EXCLUDES, Nature, Source};
pub use collector::SystemCollector;
pub(crate) use file::{HostFile, SYSFS_MAGIC};
pub use groups::may_hang;
pub use kind::SystemSettings;
pub(crate) use probe::{Outcome, Prober};
pub use resolve::{ResolvedMetric, resolve};
pub use settings::{Selection, SystemMetric};
pub use skipped::Skipped;

#[cfg(test)]
mod tests;
