//! Register of the collectors of node_exporter.
//!
//! To add one: write one file in `parts` with its [`Part`] and a function `part` that builds it; add its `mod` line, and
//! its line to `node_collectors!`.

use super::part::Part;
use super::parts;
use super::settings::Setup;

macro_rules! node_collectors {
    ($( $(#[doc = $doc:literal])* $variant:ident = $word:literal, $module:ident; )+) => {
        bellwether_schema::string_enum! {
            /// Collectors of the type `node_exporter`.
            pub enum NodeCollector { $( $(#[doc = $doc])* $variant = $word ),+ }
        }

        impl NodeCollector {
            /// Builds the part that collects it.
            pub(super) fn part(self, setup: &Setup) -> Box<dyn Part> {
                match self { $( Self::$variant => parts::$module::part(setup) ),+ }
            }
        }
    };
}

node_collectors! {
    /// Entries of the ARP table.
    Arp = "arp", arp;
    /// Block caches.
    Bcache = "bcache", bcache;
    /// Slaves of bonding interfaces.
    Bonding = "bonding", bonding;
    /// btrfs.
    Btrfs = "btrfs", btrfs;
    /// Connection tracking.
    Conntrack = "conntrack", conntrack;
    /// Time, throttling and state of processors.
    Cpu = "cpu", cpu;
    /// Frequencies of processors.
    Cpufreq = "cpufreq", cpufreq;
    /// I/O of block devices.
    Diskstats = "diskstats", diskstats;
    /// Names and versions of the machine's parts.
    Dmi = "dmi", dmi;
    /// Devices with several paths.
    Dmmultipath = "dmmultipath", dmmultipath;
    /// Memory errors.
    Edac = "edac", edac;
    /// Entropy of the kernel.
    Entropy = "entropy", entropy;
    /// Hosts of Fibre Channel.
    Fibrechannel = "fibrechannel", fibrechannel;
    /// File handles of the host.
    Filefd = "filefd", filefd;
    /// Space of mounted file systems.
    Filesystem = "filesystem", filesystem;
    /// Sensors of hardware monitors.
    Hwmon = "hwmon", hwmon;
    /// Ports of InfiniBand.
    Infiniband = "infiniband", infiniband;
    /// Virtual servers of the kernel.
    Ipvs = "ipvs", ipvs;
    /// Tasks that the kernel found hanging.
    KernelHung = "kernel_hung", kernel_hung;
    /// Load averages.
    Loadavg = "loadavg", loadavg;
    /// Software RAID.
    Mdadm = "mdadm", mdadm;
    /// Memory.
    Meminfo = "meminfo", meminfo;
    /// Properties of network interfaces.
    Netclass = "netclass", netclass;
    /// Traffic of network interfaces.
    Netdev = "netdev", netdev;
    /// Counters of the network protocols.
    Netstat = "netstat", netstat;
    /// Client of NFS.
    Nfs = "nfs", nfs;
    /// Server of NFS.
    Nfsd = "nfsd", nfsd;
    /// NVMe controllers.
    Nvme = "nvme", nvme;
    /// Operating system.
    Os = "os", os;
    /// Batteries and mains.
    Powersupplyclass = "powersupplyclass", powersupplyclass;
    /// Pressure stall information.
    Pressure = "pressure", pressure;
    /// Energy of processors.
    Rapl = "rapl", rapl;
    /// Time that tasks waited for processors.
    Schedstat = "schedstat", schedstat;
    /// Mode of SELinux.
    Selinux = "selinux", selinux;
    /// Sockets in use.
    Sockstat = "sockstat", sockstat;
    /// Packets that the processors handled.
    Softnet = "softnet", softnet;
    /// Interrupts, context switches, forks and the boot.
    Stat = "stat", stat;
    /// I/O of tape drives.
    Tapestats = "tapestats", tapestats;
    /// Thermal zones and cooling devices.
    ThermalZone = "thermal_zone", thermal_zone;
    /// Clock, time zone and clock sources.
    Time = "time", time;
    /// Synchronization of the clock.
    Timex = "timex", timex;
    /// Bytes in the queues of UDP sockets.
    UdpQueues = "udp_queues", udp_queues;
    /// Names of the system.
    Uname = "uname", uname;
    /// A reboot that is required, and updates of packages. node_exporter has no such collector.
    Updates = "updates", updates;
    /// Counters of virtual memory.
    Vmstat = "vmstat", vmstat;
    /// Watchdogs.
    Watchdog = "watchdog", watchdog;
    /// XFS.
    Xfs = "xfs", xfs;
    /// ZFS.
    Zfs = "zfs", zfs;
}

impl NodeCollector {
    /// Returns whether it asks drivers, which may wait for a bus: it gets a deadline.
    pub(super) fn may_hang(self) -> bool {
        matches!(
            self,
            Self::Hwmon | Self::Nvme | Self::Powersupplyclass | Self::ThermalZone
        )
    }
}
