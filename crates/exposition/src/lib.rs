//! Prometheus text 0.0.4 and OpenMetrics 1.0: render, parse, negotiate.
//!
//! Pure: bytes and values in, bytes and values out. Knows nothing of the store, of HTTP or of a
//! clock.

#![warn(missing_docs)]

mod escape;
mod format;
mod go_quote;
mod line;
mod number;
mod page;
mod parse;
mod scan;
mod series;
mod snapshot;

pub use format::Format;
pub use line::{TimeUnit, read_point, read_series, write_value};
pub use page::Page;
pub use parse::{FamilyKind, ParseError, ParsedFamily, Sample, parse};
pub use scan::quoted_end;
pub use series::SeriesNames;
pub use snapshot::{Layout, Snapshot, constant_labels};
