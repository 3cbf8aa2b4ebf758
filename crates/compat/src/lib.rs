//! Compatibility with Prometheus and Alertmanager: import of their files, export of rules.
//!
//! Pure: texts become settings and settings become texts. A setting without a counterpart is
//! reported with its location. Opens no file.

mod alertmanager;
mod export;
mod go;
mod import;
mod rule_file;
mod severity;
mod to_go;

pub use alertmanager::{Alertmanager, FilesError, MatchingFiles, alertmanager};
pub use export::{Exported, export};
pub use import::{GroupRange, Imported, RuleFile, import};
pub use severity::{firing_alert, severity_of};
