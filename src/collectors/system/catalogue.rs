//! What can be measured of a host, as data: one row per figure.
//!
//! A new figure is a row here; the checks, the defaults and the reference come from the table.

use super::globs::Globs;

/// What a figure is by nature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A value that goes up and down.
    Level,
    /// A running total of the kernel.
    Total,
}

/// One figure of the catalogue.
#[derive(Debug)]
pub struct Source {
    /// Name, used as `name` or `source` of a declared metric.
    pub name: &'static str,
    /// Text of `# HELP`, without the unit of a rate.
    pub help: &'static str,
    /// Level or total.
    pub nature: Nature,
    /// Labels of its series.
    pub labels: &'static [&'static str],
    /// What else `include` and `exclude` may name: it selects what is measured, or summed up.
    pub selectors: &'static [&'static str],
}

impl Source {
    /// All that `include` and `exclude` may name: the labels, then the selectors.
    pub fn dimensions(&self) -> impl Iterator<Item = &'static str> {
        self.labels.iter().chain(self.selectors).copied()
    }

    /// What is left out where the declaration says nothing about `dimension`.
    pub(super) fn default_exclude(&self, dimension: &str) -> Option<Globs> {
        let (_, patterns) = DEFAULT_EXCLUDES.iter().find(|(known, _)| *known == dimension)?;
        Globs::new(patterns.iter().map(|pattern| (*pattern).to_owned()).collect()).ok()
    }
}

/// The figure called `name`.
#[must_use]
pub(super) fn find(name: &str) -> Option<&'static Source> {
    CATALOGUE.iter().find(|source| source.name == name)
}

/// What nobody wants to see unless asked for, by dimension. After the defaults of node_exporter.
pub const DEFAULT_EXCLUDES: &[(&str, &[&str])] = &[
    // Ends of container cables: they come and go, and the bridge beside them counts the same.
    ("interface", &["veth*", "cali*"]),
    (
        "mount_point",
        &[
            "/dev",
            "/dev/*",
            "/proc",
            "/proc/*",
            "/sys",
            "/sys/*",
            "/run/credentials/*",
            "/run/user/*",
            "/run/docker/*",
            "/run/containerd/*",
            "/var/lib/docker/*",
            "/var/lib/containerd/*",
            "/var/lib/containers/*",
            "/var/lib/kubelet/*",
        ],
    ),
    // Kernel interfaces that hold no data, images that are always full, and trees of another
    // file system seen a second time.
    (
        "fs_type",
        &[
            "binfmt_misc",
            "bpf",
            "cgroup",
            "cgroup2",
            "configfs",
            "debugfs",
            "devpts",
            "devtmpfs",
            "efivarfs",
            "erofs",
            "fuse.gvfsd-fuse",
            "fuse.lxcfs",
            "fuse.portal",
            "fusectl",
            "hugetlbfs",
            "iso9660",
            "mqueue",
            "nsfs",
            "proc",
            "pstore",
            "ramfs",
            "rpc_pipefs",
            "securityfs",
            "selinuxfs",
            "squashfs",
            "sysfs",
            "tracefs",
        ],
    ),
    // Memory and removable media, and devices stacked on others, whose traffic the devices below
    // them count already.
    (
        "disk",
        &[
            "loop*",
            "ram*",
            "zram*",
            "fd[0-9]*",
            "sr[0-9]*",
            "dm-*",
            "md[0-9]*",
            "md_*",
            "bcache*",
            "drbd*",
            "zd[0-9]*",
            "nvme*c*n*",
        ],
    ),
];

const MOUNT: &[&str] = &["mount_point"];
const MOUNT_SELECTORS: &[&str] = &["device", "fs_type"];
const DISK: &[&str] = &["disk"];
const INTERFACE: &[&str] = &["interface"];

const fn level(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Source {
    Source { name, help, nature: Nature::Level, labels, selectors: &[] }
}

const fn total(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Source {
    Source { name, help, nature: Nature::Total, labels, selectors: &[] }
}

const fn mount(name: &'static str, help: &'static str) -> Source {
    Source { name, help, nature: Nature::Level, labels: MOUNT, selectors: MOUNT_SELECTORS }
}

const fn disk(name: &'static str, help: &'static str) -> Source {
    Source { name, help, nature: Nature::Total, labels: &[], selectors: DISK }
}

/// All figures.
#[rustfmt::skip]
pub const CATALOGUE: &[Source] = &[
    level("cpu_percent", &[], "Share of the time since the last collection in which the processors were busy, in percent"),
    level("cpu_core_percent", &["core"], "Share of the time since the last collection in which a core was busy, in percent"),
    total("cpu_seconds", &["mode"], "Time that all processors together spent in a mode, in seconds"),
    level("cpu_count", &[], "Processors online"),
    level("cpu_freq_current", &[], "Frequency of the processors in MHz, mean over those online"),
    level("load_average_1m", &[], "Tasks running or waiting for processor or disk, mean over 1 minute"),
    level("load_average_5m", &[], "Tasks running or waiting for processor or disk, mean over 5 minutes"),
    level("load_average_15m", &[], "Tasks running or waiting for processor or disk, mean over 15 minutes"),
    level("memory_percent", &[], "Share of the memory that is not available to new work, in percent"),
    level("memory_used_bytes", &[], "Memory that is not available to new work, in bytes"),
    level("memory_available_bytes", &[], "Memory available to new work without swapping, in bytes"),
    level("memory_total_bytes", &[], "Memory of the host, in bytes"),
    level("swap_percent", &[], "Share of the swap space in use, in percent; 0 without swap space"),
    level("swap_used_bytes", &[], "Swap space in use, in bytes"),
    level("swap_total_bytes", &[], "Swap space, in bytes"),
    mount("disk_usage_percent", "Share of a file system in use as df reports it, in percent"),
    mount("disk_inodes_percent", "Share of a file system's inodes in use, in percent"),
    mount("disk_available_bytes", "Space of a file system that ordinary users can still fill, in bytes"),
    mount("disk_total_bytes", "Size of a file system, in bytes"),
    disk("disk_io_read_bytes", "Bytes read from disks"),
    disk("disk_io_write_bytes", "Bytes written to disks"),
    disk("disk_io_read_count", "Reads that disks completed"),
    disk("disk_io_write_count", "Writes that disks completed"),
    total("network_bytes_sent", INTERFACE, "Bytes sent by a network interface"),
    total("network_bytes_recv", INTERFACE, "Bytes received by a network interface"),
    total("network_packets_sent", INTERFACE, "Packets sent by a network interface"),
    total("network_packets_recv", INTERFACE, "Packets received by a network interface"),
    total("network_errors_in", INTERFACE, "Errors of a network interface while receiving"),
    total("network_errors_out", INTERFACE, "Errors of a network interface while sending"),
    level("network_connections", &["state"], "TCP sockets in a state, IPv4 and IPv6"),
    level("temperature_celsius", &["chip", "sensor"], "Temperature that a hardware sensor reports, in degrees Celsius"),
    level("pressure_percent", &["resource", "scope", "window"], "Share of the window in which some or all tasks waited for a resource, in percent"),
    total("pressure_stalled_seconds", &["resource", "scope"], "Time in which some or all tasks waited for a resource, in seconds"),
    level("file_descriptors_open", &[], "File handles that the kernel has allocated"),
    level("file_descriptors_max", &[], "File handles that the kernel allows"),
    level("uptime_seconds", &[], "Time since the host was booted, in seconds"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_default_globs_compile() {
        let mut names: Vec<_> = CATALOGUE.iter().map(|source| source.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOGUE.len());
        for (dimension, patterns) in DEFAULT_EXCLUDES {
            let users: Vec<_> =
                CATALOGUE.iter().filter(|s| s.dimensions().any(|d| d == *dimension)).collect();
            assert!(!users.is_empty(), "no figure has {dimension}");
            let globs = users[0].default_exclude(dimension).expect("compiles");
            assert!(patterns.iter().all(|pattern| globs.matches(&pattern.replace("[0-9]", "7"))));
        }
    }
}
