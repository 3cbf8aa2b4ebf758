//! Remote write: what history takes, sent on to Prometheus, `VictoriaMetrics`, Mimir and others.
//!
//! One task per destination reads the tail of history ([`Log`]) from a cursor of its own, sends
//! it in order, and moves the cursor once the receiver has said that it took it. The queue is the
//! write-ahead log itself, so what waits costs no memory and survives the process. At least once:
//! what was under way when the process died is sent again as the very same requests, which a
//! receiver takes as the repeats they are.

mod batch;
mod cursor;
mod destination;
mod encode;
mod family;
mod message;
mod relabel;
mod sender;
mod settings;
mod starts;
mod stats;
mod tail;
mod writers;

pub use family::{Families, Family};
pub use relabel::{Relabel, RelabelAction, RelabelConfig};
pub use settings::{Protocol, RemoteQueue, RemoteWrite, check, named};
pub use stats::{Stats, WriteStats};
pub use tail::{Log, Pending, Tail};
pub use writers::{Prepared, Setup, WallClock, Writers, try_build};
