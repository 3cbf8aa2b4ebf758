//! An embedded time series database for one process.
//!
//! - [`history`]: samples over time, in a write-ahead log and compressed blocks on disk, or in memory
//!   only. Crash-safe, with limits of age, disk and memory; read by PromQL.
//! - [`store`]: current values of all series, and snapshots of them for `/metrics`.
//! - [`transfer`]: export to OpenMetrics, JSON lines and CSV, and import.
//!
//! One writer, any number of concurrent readers. No async: functions that read files block, and
//! say so. Time is an argument.
//!
//! # Example
//!
//! ```
//! use bellwether_core::{LabelSet, UnixMillis};
//! use bellwether_promql::{Guard, Options, Value, parse};
//! use bellwether_tsdb::history::History;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let history = History::in_memory(1_000);
//! let labels = LabelSet::new([("__name__", "queue_length"), ("queue", "mail")]);
//! let series = history.series_id(&labels).ok_or("too many series")?;
//! history.append(UnixMillis(1_000), &[(series, 3.0)]);
//!
//! let query = parse("queue_length + 1")?;
//! let guard = Guard::new(1_000_000);
//! let answer = query.instant(&history, UnixMillis(2_000), &Options::default(), &guard)?;
//! let Value::Vector(samples) = answer.value else { panic!() };
//! assert_eq!(samples[0].value, 4.0);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

pub mod history;
pub mod store;
pub mod transfer;
