//! The section `system`.

use std::path::PathBuf;

use bellwether_schema::{HumanDuration, Spanned, section};

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
