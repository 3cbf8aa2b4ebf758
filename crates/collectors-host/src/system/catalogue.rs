//! Catalogue of host metrics: one row per metric.
//!
//! A new metric is a new row; the checks, the defaults and the reference come from the table.

use bellwether_collector::Globs;

use super::groups::Usage;
use super::parse::{Descriptors, Interface, Load, Memory, Paging};

/// Nature of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// A value that goes up and down.
    Level,
    /// A total that only grows.
    Total,
}

/// A metric of the catalogue.
#[derive(Debug)]
pub struct Source {
    /// Name, used as `name` or `source` of a configured metric.
    pub name: &'static str,
    /// Text of `# HELP`, without the unit of a rate.
    pub help: &'static str,
    /// Level or total.
    pub nature: Nature,
    /// Labels of its series.
    pub labels: &'static [&'static str],
    /// Dimensions other than labels that `include` and `exclude` may name.
    pub selectors: &'static [&'static str],
    /// Group of the metric, and its value there.
    pub(super) measurement: Measurement,
}

impl Source {
    /// Returns the dimensions that `include` and `exclude` may name: the labels, then the selectors.
    pub fn dimensions(&self) -> impl Iterator<Item = &'static str> {
        self.labels.iter().chain(self.selectors).copied()
    }

    /// Returns the default of `exclude` for `dimension`.
    pub(super) fn default_exclude(&self, dimension: &str) -> Option<Globs> {
        let (_, patterns) = DEFAULT_EXCLUDES
            .iter()
            .find(|(known, _)| *known == dimension)?;
        Globs::new(
            patterns
                .iter()
                .map(|pattern| (*pattern).to_owned())
                .collect(),
        )
        .ok()
    }
}

/// Returns the metric called `name`.
#[must_use]
pub(super) fn find(name: &str) -> Option<&'static Source> {
    CATALOGUE.iter().find(|source| source.name == name)
}

/// Defaults of `exclude` by dimension, after those of node_exporter.
pub const DEFAULT_EXCLUDES: &[(&str, &[&str])] = &[
    // Container ends of virtual Ethernet pairs: they come and go, and the bridge counts the same.
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
    // file system that are mounted a second time.
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
            "loop*", "ram*", "zram*", "fd[0-9]*", "sr[0-9]*", "dm-*", "md[0-9]*", "md_*",
            "bcache*", "drbd*", "zd[0-9]*",
        ],
    ),
];

/// Group of a metric, and its value in that group.
#[derive(Clone, Copy, Debug)]
pub(super) enum Measurement {
    Cpu(CpuMeasurement),
    Frequency,
    /// `None`, here and below, if its line is bad.
    Load(fn(&Load) -> Option<f64>),
    Memory(fn(&Memory) -> Option<f64>),
    Paging(fn(&Paging) -> Option<f64>),
    /// `None` if the file system has no such value.
    Mount(fn(&Usage) -> Option<f64>),
    /// Index into the totals of a disk.
    Disk(usize),
    Interface(fn(&Interface<'_>) -> u64),
    Sockets,
    Temperature,
    Pressure(PressureMeasurement),
    Descriptors(fn(&Descriptors) -> Option<f64>),
    Uptime(fn(&f64) -> Option<f64>),
}

/// Values of the processors.
#[derive(Clone, Copy, Debug)]
pub(super) enum CpuMeasurement {
    Percent,
    CorePercent,
    IoWaitPercent,
    Seconds,
    Count,
    Running,
    Blocked,
}

/// Values of the pressure files.
#[derive(Clone, Copy, Debug)]
pub(super) enum PressureMeasurement {
    Percent,
    StalledSeconds,
}

type Labels = &'static [&'static str];

const fn level(
    name: &'static str,
    labels: Labels,
    measurement: Measurement,
    help: &'static str,
) -> Source {
    Source {
        name,
        help,
        nature: Nature::Level,
        labels,
        selectors: &[],
        measurement,
    }
}

const fn total(
    name: &'static str,
    labels: Labels,
    measurement: Measurement,
    help: &'static str,
) -> Source {
    Source {
        name,
        help,
        nature: Nature::Total,
        labels,
        selectors: &[],
        measurement,
    }
}

const fn mount(
    name: &'static str,
    measurement: fn(&Usage) -> Option<f64>,
    help: &'static str,
) -> Source {
    let (labels, selectors) = (&["mount_point"], &["device", "fs_type"]);
    Source {
        name,
        help,
        nature: Nature::Level,
        labels,
        selectors,
        measurement: Measurement::Mount(measurement),
    }
}

const fn disk(name: &'static str, total: usize, help: &'static str) -> Source {
    let measurement = Measurement::Disk(total);
    Source {
        name,
        help,
        nature: Nature::Total,
        labels: &[],
        selectors: &["disk"],
        measurement,
    }
}

const fn interface(
    name: &'static str,
    measurement: fn(&Interface<'_>) -> u64,
    help: &'static str,
) -> Source {
    total(
        name,
        &["interface"],
        Measurement::Interface(measurement),
        help,
    )
}

/// All metrics.
#[rustfmt::skip]
pub const CATALOGUE: &[Source] = &[
    level("cpu_percent", &[], Measurement::Cpu(CpuMeasurement::Percent), "Share of the time since the last collection in which the processors were busy, in percent"),
    level("cpu_core_percent", &["core"], Measurement::Cpu(CpuMeasurement::CorePercent), "Share of the time since the last collection in which a core was busy, in percent"),
    level("cpu_iowait_percent", &[], Measurement::Cpu(CpuMeasurement::IoWaitPercent), "Share of the time since the last collection in which processors were idle while a task waited for a disk, in percent"),
    total("cpu_seconds", &["mode"], Measurement::Cpu(CpuMeasurement::Seconds), "Time that all processors together spent in a mode, in seconds"),
    level("cpu_count", &[], Measurement::Cpu(CpuMeasurement::Count), "Processors online"),
    level("cpu_freq_current", &[], Measurement::Frequency, "Frequency of the processors in MHz, mean over those online"),
    level("processes_running", &[], Measurement::Cpu(CpuMeasurement::Running), "Tasks that run or could, the collecting one included"),
    level("processes_blocked", &[], Measurement::Cpu(CpuMeasurement::Blocked), "Tasks that wait for a disk"),
    level("load_average_1m", &[], Measurement::Load(|load| Some(load[0])), "Tasks running or waiting for processor or disk, mean over 1 minute"),
    level("load_average_5m", &[], Measurement::Load(|load| Some(load[1])), "Tasks running or waiting for processor or disk, mean over 5 minutes"),
    level("load_average_15m", &[], Measurement::Load(|load| Some(load[2])), "Tasks running or waiting for processor or disk, mean over 15 minutes"),
    level("memory_percent", &[], Measurement::Memory(Memory::used_percent), "Share of the memory that is not available to new work, in percent"),
    level("memory_used_bytes", &[], Measurement::Memory(|memory| Some(memory.used()? as f64)), "Memory that is not available to new work, in bytes"),
    level("memory_available_bytes", &[], Measurement::Memory(|memory| Some(memory.available? as f64)), "Memory available to new work without swapping, in bytes"),
    level("memory_total_bytes", &[], Measurement::Memory(|memory| Some(memory.total? as f64)), "Memory of the host, in bytes"),
    level("swap_percent", &[], Measurement::Memory(Memory::swap_percent), "Share of the swap space in use, in percent; 0 without swap space"),
    level("swap_used_bytes", &[], Measurement::Memory(|memory| Some(memory.swap_used()? as f64)), "Swap space in use, in bytes"),
    level("swap_total_bytes", &[], Measurement::Memory(|memory| Some(memory.swap_total? as f64)), "Swap space, in bytes"),
    total("swap_in_bytes", &[], Measurement::Paging(|paging| paging.swapped_in), "Bytes brought back from swap space"),
    total("swap_out_bytes", &[], Measurement::Paging(|paging| paging.swapped_out), "Bytes put out to swap space"),
    mount("disk_usage_percent", Usage::used_percent, "Share of a file system in use as df reports it, in percent"),
    mount("disk_inodes_percent", Usage::inodes_percent, "Share of a file system's inodes in use, in percent"),
    mount("disk_available_bytes", |usage| Some(usage.available_bytes()), "Space of a file system that ordinary users can still fill, in bytes"),
    mount("disk_total_bytes", |usage| Some(usage.total_bytes()), "Size of a file system, in bytes"),
    disk("disk_io_read_bytes", 0, "Bytes read from disks"),
    disk("disk_io_write_bytes", 1, "Bytes written to disks"),
    disk("disk_io_read_count", 2, "Reads that disks completed"),
    disk("disk_io_write_count", 3, "Writes that disks completed"),
    disk("disk_io_seconds", 4, "Time in which a disk had work, in seconds, summed over the disks"),
    interface("network_bytes_sent", |interface| interface.bytes_sent, "Bytes sent by a network interface"),
    interface("network_bytes_recv", |interface| interface.bytes_received, "Bytes received by a network interface"),
    interface("network_packets_sent", |interface| interface.packets_sent, "Packets sent by a network interface"),
    interface("network_packets_recv", |interface| interface.packets_received, "Packets received by a network interface"),
    interface("network_errors_in", |interface| interface.errors_in, "Errors of a network interface while receiving"),
    interface("network_errors_out", |interface| interface.errors_out, "Errors of a network interface while sending"),
    interface("network_dropped_in", |interface| interface.dropped_in, "Received packets that a network interface dropped"),
    interface("network_dropped_out", |interface| interface.dropped_out, "Packets to be sent that a network interface dropped"),
    level("network_connections", &["state"], Measurement::Sockets, "TCP sockets in a state, IPv4 and IPv6"),
    level("temperature_celsius", &["chip", "sensor"], Measurement::Temperature, "Temperature that a hardware sensor reports, in degrees Celsius; its chip is named by monitor and device, nvme-nvme0 for one"),
    level("pressure_percent", &["resource", "scope", "window"], Measurement::Pressure(PressureMeasurement::Percent), "Share of the window in which some or all tasks waited for a resource, in percent"),
    total("pressure_stalled_seconds", &["resource", "scope"], Measurement::Pressure(PressureMeasurement::StalledSeconds), "Time in which some or all tasks waited for a resource, in seconds"),
    level("file_descriptors_open", &[], Measurement::Descriptors(|handles| Some(handles.open as f64)), "File handles that the kernel has allocated"),
    level("file_descriptors_max", &[], Measurement::Descriptors(|handles| Some(handles.max as f64)), "File handles that the kernel allows"),
    level("uptime_seconds", &[], Measurement::Uptime(|seconds| Some(*seconds)), "Time since the host was booted, in seconds"),
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
            let users: Vec<_> = CATALOGUE
                .iter()
                .filter(|s| s.dimensions().any(|d| d == *dimension))
                .collect();
            assert!(!users.is_empty(), "no metric has {dimension}");
            let globs = users[0].default_exclude(dimension).expect("compiles");
            assert!(
                patterns
                    .iter()
                    .all(|pattern| globs.matches(&pattern.replace("[0-9]", "7")))
            );
        }
    }
}
