//! Prometheus text format 0.0.4 and OpenMetrics 1.0: rendering, parsing and content negotiation.
//!
//! - [`Renderer`] writes a [`Snapshot`] in chunks, without an allocation per series.
//! - [`parse`] reads an exposition strictly, for tests and for the exporters of others.
//! - [`SeriesParser`] reads the expositions of others as tolerantly as Prometheus, and [`parse_protobuf`] those in
//!   protocol buffers.
//! - [`remote_write`] has the messages of remote write.
//! - [`read_series`] and [`read_sample`] read single lines of files that are larger than memory,
//!   among them the output of `promtool tsdb dump`.
//! - [`SeriesNames`] has the names and labels of the series that one row of a metric stands for.
//! - [`Format::negotiate`] selects the format for an `Accept` header.
//!
//! No I/O and no clock; this crate knows nothing of storage or HTTP.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//!
//! use bellwether_core::{Kind, LabelValues, Labels, MetricDef, MetricId};
//! use bellwether_exposition::{
//!     FamilyKind, Format, Layout, Renderer, Snapshot, constant_labels, parse,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let hits = MetricDef::new("hits_total", Kind::Counter).with_labels(["path"]);
//! let root = LabelValues::new(&["/"]);
//! // The only series has its value in slot 0.
//! let layout = Arc::new(Layout::new(&hits.labels, [(0, root.as_packed())].into_iter()));
//! let constant = constant_labels(&Labels::new(), &hits);
//! let mut snapshot = Snapshot::new([hits].into(), 1);
//! snapshot.push(MetricId(0), &constant, layout, &[3.0]);
//!
//! let mut text = Vec::new();
//! let mut renderer = Renderer::new(snapshot, Format::Text);
//! while renderer.next_chunk(&mut text) {}
//! let text = String::from_utf8(text)?;
//! assert_eq!(text, "# TYPE hits_total counter\nhits_total{path=\"/\"} 3\n");
//!
//! let families = parse(&text, Format::Text)?;
//! assert_eq!(families[0].kind, FamilyKind::Counter);
//! assert_eq!(families[0].samples[0].labels["path"], "/");
//! assert_eq!(families[0].samples[0].value, 3.0);
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod error;
mod escape;
mod format;
mod go_quote;
mod ingested;
mod native;
mod number;
mod parse;
mod protobuf;
pub mod remote_write;
mod render;
mod sample_line;
mod scanner;
mod series;
mod series_parser;
mod snapshot;

pub use error::{LineError, ParseError};
pub use format::Format;
pub use ingested::{IngestedFamilies, IngestedLayout};
pub use native::NativeBuckets;
pub use parse::{FamilyKind, ParsedFamily, Sample, parse};
pub use protobuf::{ProtobufError, parse_protobuf};
pub use render::Renderer;
pub use sample_line::{SeriesPrefix, TimeUnit, read_sample, read_series, write_value};
pub use scanner::quoted_end;
pub use series::SeriesNames;
pub use series_parser::{ParsedSeries, SeriesParser};
pub use snapshot::{Layout, Snapshot, constant_labels};
