//! Time series: current values, samples over time on disk, and files of samples.
//!
//! - [`store`]: current values of all series, and snapshots of them for `/metrics`.
//! - [`history`]: samples over time, in a write-ahead log and in blocks.
//! - [`transfer`]: export to files and import from them.

#![warn(missing_docs)]

pub mod history;
pub mod store;
pub mod transfer;
