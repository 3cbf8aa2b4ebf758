//! History out to files and back in: OpenMetrics, JSON lines, CSV.
//!
//! Memory is bounded both ways: going out series by series, coming in through sorted runs on disk.
//! Bytes in, bytes out; which files and which history are the business of who calls.

mod export;
mod families;
mod import;
mod json;
mod sort;
mod write;

pub use export::{ExportError, Exported, export, list};
pub use families::Families;
pub use import::{BadLine, CEILING, Import, ImportError, Imported, InputFormat};
pub use write::OutputFormat;
