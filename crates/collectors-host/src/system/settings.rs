//! The sections `system_metrics` and `system`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bellwether_core::Kind;
use bellwether_schema::{HumanDuration, Override, Spanned, section};

use super::globs::Globs;

/// Globs for the values of labels, by label name.
pub type Selection = BTreeMap<String, Spanned<Globs>>;

section! {
    /// A host metric: a metric of the catalogue, under that or another name.
    pub struct SystemMetric {
        /// Name of the metric. Without `source` it is the name in the catalogue.
        pub name: Spanned<String>,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// `counter` exports the kernel's total, `gauge` the current value or, for a total, its
        /// rate per second. Default: the type in the catalogue.
        pub r#type: Option<Spanned<Kind>>,
        /// Set to false to leave the metric out.
        pub enabled: bool = true,
        /// Name in the catalogue; default: `name`.
        pub source: Option<Spanned<String>>,
        /// Labels. They are fixed by the catalogue and can be left out.
        pub labels: Option<Spanned<Vec<String>>>,
        /// Text of `# HELP`; default: that of the catalogue.
        pub help: Option<String>,
        /// Label to glob or list of globs: only series whose value matches one are collected.
        /// Replaces the default of the catalogue for that label.
        pub include: Selection = Selection::new(),
        /// Label to glob or list of globs: series whose value matches one are left out.
        /// Replaces the default of the catalogue for that label.
        pub exclude: Selection = Selection::new(),
    }
}

section! {
    /// Schedule of the host's metrics, and directories of its files; in a container, their mount points.
    pub struct System {
        /// Interval of the collections. Default: `collection_interval`.
        pub interval: Option<Spanned<HumanDuration>> = None,
        /// Timeout of one collection. Default: `collection_timeout`, or with an `interval` 10 s or
        /// that, if it is shorter.
        pub timeout: Option<Spanned<HumanDuration>> = None,
        /// Mount point of the proc file system.
        pub procfs: PathBuf = PathBuf::from("/proc"),
        /// Mount point of the sys file system.
        pub sysfs: PathBuf = PathBuf::from("/sys"),
        /// Mount point of the host's root directory; it is removed from `mount_point` labels.
        pub rootfs: PathBuf = PathBuf::from("/"),
        /// Time after which a mount point or sensor that does not answer is skipped; at most an
        /// eighth of the interval.
        pub probe_timeout: HumanDuration = HumanDuration::millis(500),
    }
}
