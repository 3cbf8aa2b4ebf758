//! The host: processors, memory, disks, network and sensors, from /proc and /sys.
//!
//! Owns its settings, the catalogue of what can be measured, and the reading. Reading is apart
//! from parsing: `parse` turns bytes into figures and opens nothing.

mod catalogue;
mod filter;
mod globs;
mod resolve;
mod settings;

pub use catalogue::{CATALOGUE, DEFAULT_EXCLUDES, Nature, Source};
pub use filter::Filter;
pub use globs::Globs;
pub use resolve::{Declared, resolve};
pub use settings::{Selection, System, SystemMetric};
