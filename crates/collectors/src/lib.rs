//! Where figures come from: one folder per kind, and the runner that all of them share.
//!
//! A collector fills a batch and nothing else. When it runs, how long it may take, what happens
//! when it panics or hangs, and what is told about that is the runner's.

pub mod application;
pub mod neo4j;
pub mod own;
mod runner;
pub mod system;

use std::future::Future;
use std::pin::Pin;

use bellwether_core::{Batch, Failure, Now};
pub use runner::{Build, Health, HealthBoard, Runner, Schedule, Sink};

/// Why a collector brings nothing whose source was never there: it is no failure, as nobody misses
/// what was never seen.
pub const UNSEEN: &str = "unseen";

/// What [`Collector::collect`] returns.
pub type Collecting<'a> = Pin<Box<dyn Future<Output = Result<(), Failure>> + Send + 'a>>;

/// One source of figures.
pub trait Collector: Send + 'static {
    /// Fills `batch`. What was filled is committed also when an error is returned, so one part
    /// that fails does not take the others along.
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a>;

    /// Notes for the operator although nothing failed, such as a query that never had a row.
    fn notes(&self) -> Vec<String> {
        Vec::new()
    }
}
