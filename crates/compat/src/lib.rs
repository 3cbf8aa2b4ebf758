//! Files of Prometheus, read as they are, and our rules as such a file.
//!
//! Pure: texts become settings and settings become texts. What cannot be said on the other side is
//! named with its place. Opens no file.

mod alertmanager;
mod export;
mod go;
mod import;
mod rule_file;
mod severity;
mod to_go;

pub use alertmanager::{Alertmanager, Beside, alertmanager};
pub use export::{Exported, export};
pub use import::{Extent, Imported, RuleFile, import};
pub use severity::severity_of;
