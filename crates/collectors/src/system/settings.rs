//! The sections of the declaration that the system collector reads.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_core::Kind;
use bellwether_schema::{HumanDuration, Spanned, section};

use super::globs::Globs;

/// Label name to the globs its value is held against.
pub type Selection = BTreeMap<String, Spanned<Globs>>;

section! {
    /// One host metric: a figure of the catalogue under a name of its own.
    pub struct SystemMetric {
        /// Name of the metric. It is also the figure of the catalogue, unless `source` names one.
        pub name: Spanned<String>,
        /// `counter` exports the kernel's running total, `gauge` the current value or, of a
        /// running total, its rate per second. Default: what the figure is.
        pub r#type: Option<Spanned<Kind>>,
        /// Whether it is collected at all.
        pub enabled: bool = true,
        /// Figure of the catalogue; default: the name.
        pub source: Option<Spanned<String>>,
        /// Its labels. They are those of the figure, and need not be given.
        pub labels: Option<Spanned<Vec<String>>>,
        /// Text of `# HELP`; default: that of the catalogue.
        pub help: Option<String>,
        /// Label to glob or list of globs: only series whose value matches one are kept.
        /// Replaces the figure's own default for that label.
        pub include: Selection = Selection::new(),
        /// Label to glob or list of globs: series whose value matches one are left out.
        /// Replaces the figure's own default for that label.
        pub exclude: Selection = Selection::new(),
    }
}

section! {
    /// Where the host's files are; in a container, where the host's are mounted.
    pub struct System {
        /// Mount point of the proc file system.
        pub procfs: PathBuf = PathBuf::from("/proc"),
        /// Mount point of the sys file system.
        pub sysfs: PathBuf = PathBuf::from("/sys"),
        /// Where the host's root directory is mounted; it is cut off in `mount_point` labels.
        pub rootfs: PathBuf = PathBuf::from("/"),
        /// How long one mount point or sensor may take to answer before it is skipped; at most an
        /// eighth of the interval.
        pub probe_timeout: HumanDuration = HumanDuration::millis(500),
    }
}
