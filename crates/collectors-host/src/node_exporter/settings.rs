//! Settings of single collectors, which have the names of node_exporter's flags.

use std::path::PathBuf;
use std::time::Duration;

use bellwether_collector::EntryContext;
use bellwether_collector::System;
use bellwether_collector::within;
use bellwether_matcher::Pattern;
use bellwether_schema::{Literal, Spanned, section};

use super::NodeExporter;
use super::part::ProcFile;

/// Regular expression that is found somewhere in a text.
type Expression = Option<Spanned<Literal>>;

section! {
    /// Devices that a collector shows.
    pub struct DeviceSettings {
        /// Regular expression of devices that are shown.
        pub device_include: Option<Spanned<Literal>> = None,
        /// Regular expression of devices that are left out.
        pub device_exclude: Option<Spanned<Literal>> = None,
    }
}

section! {
    /// Settings of the collector `cpu`.
    pub struct CpuSettings {
        /// If true, `node_cpu_guest_seconds_total` is collected.
        pub guest: bool = true,
        /// If true, `node_cpu_info` is collected.
        pub info: bool = false,
    }
}

section! {
    /// File systems that the collector `filesystem` shows.
    pub struct FilesystemSettings {
        /// Regular expression of mount points that are left out. Default: that of node_exporter,
        /// `^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)`.
        pub mount_points_exclude: Option<Spanned<Literal>> = None,
        /// Regular expression of mount points that are shown.
        pub mount_points_include: Option<Spanned<Literal>> = None,
        /// Regular expression of types that are left out. Default: that of node_exporter, with the file systems of the
        /// kernel, `overlay`, `squashfs` and `iso9660`.
        pub fs_types_exclude: Option<Spanned<Literal>> = None,
        /// Regular expression of types that are shown.
        pub fs_types_include: Option<Spanned<Literal>> = None,
    }
}

section! {
    /// Chips and sensors that the collector `hwmon` shows.
    pub struct HwmonSettings {
        /// Regular expression of chips that are shown.
        pub chip_include: Option<Spanned<Literal>> = None,
        /// Regular expression of chips that are left out.
        pub chip_exclude: Option<Spanned<Literal>> = None,
        /// Regular expression of sensors that are shown, as `chip;sensor`.
        pub sensor_include: Option<Spanned<Literal>> = None,
        /// Regular expression of sensors that are left out, as `chip;sensor`.
        pub sensor_exclude: Option<Spanned<Literal>> = None,
    }
}

section! {
    /// Settings of the collector `netclass`.
    pub struct NetclassSettings {
        /// Regular expression of interfaces that are left out.
        pub ignored_devices: Option<Spanned<Literal>> = None,
        /// If true, an interface without a speed has no `node_network_speed_bytes`, in place of a negative one.
        pub ignore_invalid_speed: bool = false,
    }
}

section! {
    /// Fields of a file that a collector shows.
    pub struct FieldSettings {
        /// Regular expression of the fields. Default: that of node_exporter.
        pub fields: Option<Spanned<Literal>> = None,
    }
}

section! {
    /// Settings of the collector `powersupplyclass`.
    pub struct PowerSupplySettings {
        /// Regular expression of power supplies that are left out.
        pub ignored_supplies: Option<Spanned<Literal>> = None,
    }
}

section! {
    /// Settings of the collector `rapl`.
    pub struct RaplSettings {
        /// If true, the zone is a label of `node_rapl_joules_total`, in place of a part of the metric's name.
        pub enable_zone_label: bool = false,
    }
}

section! {
    /// Settings of the collector `stat`.
    pub struct StatSettings {
        /// If true, `node_softirqs_total` is collected.
        pub softirq: bool = false,
    }
}

section! {
    /// Settings of the collector `tapestats`.
    pub struct TapeSettings {
        /// Regular expression of devices that are left out.
        pub ignored_devices: Option<Spanned<Literal>> = None,
    }
}

/// Default of `diskstats: {device_exclude}`.
const DISKS_EXCLUDED: &str = r"^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$";
/// Default of `filesystem: {mount_points_exclude}`.
const MOUNT_POINTS_EXCLUDED: &str =
    "^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)";
/// Default of `filesystem: {fs_types_exclude}`.
const FS_TYPES_EXCLUDED: &str = "^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$";
/// Default of `netstat: {fields}`.
const NETSTAT_FIELDS: &str = "^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$";
/// Default of `vmstat: {fields}`.
const VMSTAT_FIELDS: &str = "^(oom_kill|pgpg|pswp|pg.*fault).*";

/// Selects names by regular expressions, as `device_filter.go` of node_exporter.
#[derive(Clone, Debug, Default)]
pub(super) struct Filter {
    include: Option<Pattern>,
    exclude: Option<Pattern>,
}

impl Filter {
    pub(super) fn ignores(&self, name: &str) -> bool {
        let is_excluded = self
            .exclude
            .as_ref()
            .is_some_and(|pattern| pattern.is_match(name));
        let is_included = self
            .include
            .as_ref()
            .is_none_or(|pattern| pattern.is_match(name));
        is_excluded || !is_included
    }

    pub(super) fn selects(&self, name: &str) -> bool {
        !self.ignores(name)
    }
}

/// Compiles the expressions of the settings.
pub(super) struct Expressions<'c, 'e> {
    pub(super) context: &'c mut EntryContext<'e>,
}

impl Expressions<'_, '_> {
    fn compile(&mut self, expression: &Expression) -> Option<Pattern> {
        let expression = expression.as_ref()?;
        let compiled = within(&expression.value.0);
        compiled
            .map_err(|error| {
                self.context
                    .problems
                    .error(&expression.at, error.to_string());
            })
            .ok()
    }

    /// Returns the filter of two expressions, of which one may be set. `default` is excluded without either.
    pub(super) fn filter(
        &mut self,
        include: &Expression,
        exclude: &Expression,
        default: &str,
    ) -> Filter {
        if let (Some(_), Some(exclude)) = (include, exclude) {
            self.context
                .problems
                .error(&exclude.at, "both an include and an exclude")
                .hint("leave one of them out");
        }
        let is_default = include.is_none() && exclude.is_none() && !default.is_empty();
        Filter {
            include: self.compile(include),
            exclude: match is_default {
                true => within(default).ok(),
                false => self.compile(exclude),
            },
        }
    }

    /// Returns the filter of the fields that are shown.
    pub(super) fn fields(&mut self, settings: &FieldSettings, default: &str) -> Filter {
        let include = match &settings.fields {
            None => within(default).ok(),
            fields => self.compile(fields),
        };
        Filter {
            include,
            exclude: None,
        }
    }

    pub(super) fn devices(&mut self, settings: &DeviceSettings, default: &str) -> Filter {
        self.filter(&settings.device_include, &settings.device_exclude, default)
    }
}

/// Filters of all collectors.
#[derive(Clone, Debug, Default)]
pub(super) struct Filters {
    pub(super) arp: Filter,
    pub(super) diskstats: Filter,
    pub(super) mount_points: Filter,
    pub(super) fs_types: Filter,
    pub(super) chips: Filter,
    pub(super) sensors: Filter,
    pub(super) infiniband: Filter,
    pub(super) netclass: Filter,
    pub(super) netdev: Filter,
    pub(super) netstat: Filter,
    pub(super) power_supplies: Filter,
    pub(super) tapes: Filter,
    pub(super) vmstat: Filter,
}

impl Filters {
    /// Compiles the filters, and reports expressions that are invalid.
    pub(super) fn new(settings: &NodeExporter, context: &mut EntryContext<'_>) -> Self {
        let mut compile = Expressions { context };
        let (file_systems, hwmon) = (&settings.filesystem, &settings.hwmon);
        Self {
            arp: compile.devices(&settings.arp, ""),
            diskstats: compile.devices(&settings.diskstats, DISKS_EXCLUDED),
            mount_points: compile.filter(
                &file_systems.mount_points_include,
                &file_systems.mount_points_exclude,
                MOUNT_POINTS_EXCLUDED,
            ),
            fs_types: compile.filter(
                &file_systems.fs_types_include,
                &file_systems.fs_types_exclude,
                FS_TYPES_EXCLUDED,
            ),
            chips: compile.filter(&hwmon.chip_include, &hwmon.chip_exclude, ""),
            sensors: compile.filter(&hwmon.sensor_include, &hwmon.sensor_exclude, ""),
            infiniband: compile.devices(&settings.infiniband, ""),
            netclass: compile.filter(&None, &settings.netclass.ignored_devices, ""),
            netdev: compile.devices(&settings.netdev, ""),
            netstat: compile.fields(&settings.netstat, NETSTAT_FIELDS),
            power_supplies: compile.filter(&None, &settings.powersupply.ignored_supplies, ""),
            tapes: compile.filter(&None, &settings.tapestats.ignored_devices, ""),
            vmstat: compile.fields(&settings.vmstat, VMSTAT_FIELDS),
        }
    }
}

/// Setup of the parts: directories, filters and settings.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) host: System,
    pub(super) filters: Filters,
    pub(super) cpu: CpuSettings,
    pub(super) ignore_invalid_speed: bool,
    pub(super) rapl_zone_label: bool,
    pub(super) softirq: bool,
    /// Time after which a mount point that does not answer is left out.
    pub(super) mount_timeout: Duration,
}

impl Setup {
    pub(super) fn proc(&self, file: &str) -> PathBuf {
        self.host.procfs.join(file)
    }

    /// Returns a file of the network.
    pub(super) fn net(&self, file: &str) -> ProcFile {
        ProcFile::of_network(&self.host.procfs, file)
    }

    pub(super) fn sys(&self, file: &str) -> PathBuf {
        self.host.sysfs.join(file)
    }

    pub(super) fn root(&self, file: &str) -> PathBuf {
        self.host.rootfs.join(file)
    }
}
