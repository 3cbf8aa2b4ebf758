//! Export and import of samples: OpenMetrics, JSON lines, CSV.
//!
//! Memory is bounded: export works series by series, import sorts in runs on disk. Files and histories are
//! selected by the caller.

mod export;
mod families;
mod import;
mod json;
mod sort;
mod write;

pub use export::{ExportError, ExportOptions, Exported, export, list};
pub use families::Families;
pub use import::{BadLine, CEILING, INPUT_FORMATS, Import, ImportError, Imported, InputFormat};
pub use write::OutputFormat;
