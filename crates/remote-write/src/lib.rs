//! Remote write: sends the samples of history to Prometheus, `VictoriaMetrics`, Mimir and others.
//!
//! One task per destination reads the tail of history ([`Log`]) from its own cursor, sends it in
//! order, and moves the cursor once the receiver has accepted it. The queue is the write-ahead log
//! itself, so that pending samples take no memory and survive the process. Delivery is at least once:
//! requests that were not acknowledged when the process died are sent again unchanged, so that a
//! receiver recognizes the duplicates.

mod batch;
mod cursor;
mod destination;
mod encode;
mod family;
mod self_metrics;
mod sender;
mod settings;
mod start_times;
mod stats;
mod tail;
mod writers;

pub use family::{Families, Family};
pub use self_metrics::SELF_METRICS;
pub use settings::{Protocol, RemoteQueue, RemoteWrite, check, named};
pub use stats::{Stats, WriteStats};
pub use tail::{Log, Pending, Tail};
pub use writers::{BuildError, BuildErrorReason, Prepared, Setup, WallClock, Writers, try_build};
