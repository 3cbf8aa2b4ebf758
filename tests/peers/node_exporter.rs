//! The type `node_exporter` of the list `collectors` beside the real node_exporter: names, types, labels and values.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::support::agent::{Agent, request};
use crate::support::presets::missing_on_the_dashboard;
use crate::support::process::Process;
use crate::support::{free_port, poll};

/// A real node_exporter.
pub struct NodeExporter {
    _process: Process,
    port: u16,
}

impl NodeExporter {
    fn start(arguments: &[&str]) -> Self {
        Self::start_at(free_port(), arguments)
    }

    pub fn start_at(port: u16, arguments: &[&str]) -> Self {
        let address = format!("--web.listen-address=127.0.0.1:{port}");
        let arguments = [&[address.as_str()], arguments].concat();
        let exporter = Self {
            _process: Process::start("prometheus-node-exporter", &arguments),
            port,
        };
        poll("node_exporter listens", Duration::from_secs(20), || {
            exporter.try_scrape()
        });
        exporter
    }

    fn try_scrape(&self) -> Option<String> {
        let address = ([127, 0, 0, 1], self.port).into();
        let answer = request(address, "GET", "/metrics", &[], "").ok();
        answer.map(|(_, body)| body)
    }

    fn scrape(&self) -> Exposition {
        Exposition::parse(&self.try_scrape().unwrap())
    }
}

/// Flags of the default filters of the current node_exporter, which the type has too: that of Debian is older.
const FLAGS: [&str; 5] = [
    "--collector.netdev.device-exclude=^$",
    "--collector.filesystem.mount-points-exclude=^/(dev|proc|run/credentials/.+|sys|var/lib/docker/.+|var/lib/containers/storage/.+)($|/)",
    "--collector.filesystem.fs-types-exclude=^(autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|fusectl|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|rpc_pipefs|securityfs|selinuxfs|squashfs|erofs|sysfs|tracefs)$",
    r"--collector.diskstats.device-exclude=^(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$",
    "--collector.netstat.fields=^(.*_(InErrors|InErrs)|Ip_Forwarding|Ip(6|Ext)_(InOctets|OutOctets)|Icmp6?_(InMsgs|OutMsgs)|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab)|Udp6?_(InDatagrams|OutDatagrams|NoPorts|RcvbufErrors|SndbufErrors))$",
];

/// Beginnings of series that only Bellwether may have.
const ONLY_OURS: [(&str, &str); 13] = [
    ("node_exporter_build_info", "about the program"),
    ("node_cpu_online", "node_exporter has it since 1.9"),
    ("node_dmmultipath_", "since 1.12"),
    ("node_filesystem_mount_info", "since 1.8"),
    ("node_kernel_hung_tasks_total", "since 1.10"),
    ("node_md_raid_disks", "since 1.9"),
    ("node_md_degraded", "since 1.9"),
    ("node_pressure_irq_stalled_seconds_total", "since 1.9"),
    ("node_softnet_", "more columns since 1.6"),
    ("node_watchdog_", "since 1.9"),
    ("node_reboot_required", "the collector `updates` is our own"),
    ("node_package_", "the collector `updates` is our own"),
    ("node_memory_", "fields of new kernels, which 1.8 left out"),
];
/// Beginnings of series that only node_exporter has.
const ONLY_THEIRS: [(&str, &str); 2] = [
    ("node_exporter_build_info", "about the program"),
    ("node_textfile_", "the type `textfile` has them"),
];
/// Collectors that only one of both has.
const COLLECTORS: [&str; 8] = [
    "bcachefs",
    "dmmultipath",
    "kernel_hung",
    "nvmesubsystem",
    "systemd",
    "textfile",
    "updates",
    "watchdog",
];
/// Counts of sockets: node_exporter counts both ends of the connection that asks it, and a collection has none.
const SOCKETS: [&str; 5] = [
    "node_netstat_Tcp_CurrEstab",
    "node_sockstat_TCP_alloc",
    "node_sockstat_TCP_inuse",
    "node_sockstat_TCP_tw",
    "node_sockstat_sockets_used",
];
/// Sockets of the connections of the two scrapes.
const OWN_SOCKETS: f64 = 4.0;
/// Labels that an older node_exporter does not have.
const LATER_LABELS: [(&str, &str); 2] = [
    ("node_disk_info", "rotational"),
    ("node_network_info", "adminstate"),
];

type Labels = BTreeMap<String, String>;

/// Series of an exposition whose names begin with `node_`.
struct Exposition {
    types: BTreeMap<String, String>,
    series: BTreeMap<(String, Labels), f64>,
}

impl Exposition {
    fn parse(text: &str) -> Self {
        let mut types = BTreeMap::new();
        let mut series = BTreeMap::new();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE node_") {
                let (name, kind) = rest.split_once(' ').unwrap();
                types.insert(format!("node_{name}"), kind.to_owned());
            } else if line.starts_with("node_") {
                let (labels, value) = line.rsplit_once(' ').unwrap();
                let (name, labels) = labels.split_once('{').unwrap_or((labels, ""));
                let labels = labels_of(labels.trim_end_matches('}'));
                series.insert((name.to_owned(), labels), value.parse().unwrap());
            }
        }
        Self { types, series }
    }

    fn value(&self, name: &str) -> f64 {
        self.series[&(name.to_owned(), Labels::new())]
    }

    /// Returns the names of the series with their labels, without collectors and labels that the other one lacks.
    fn compared(&self, other: &Self) -> BTreeSet<(String, Labels)> {
        let is_own = |labels: &Labels| {
            let collector = labels.get("collector");
            collector.is_some_and(|name| COLLECTORS.contains(&name.as_str()))
        };
        let series = self.series.keys().filter(|(_, labels)| !is_own(labels));
        series
            .map(|key| (key.0.clone(), other.labels_that_it_has(key)))
            .collect()
    }

    fn labels_that_it_has(&self, (name, labels): &(String, Labels)) -> Labels {
        let mut labels = labels.clone();
        for (later, label) in LATER_LABELS {
            let mut own = self.series.keys().filter(|(name, _)| name == later);
            if name == later && !own.any(|(_, labels)| labels.contains_key(label)) {
                labels.remove(label);
            }
        }
        labels
    }
}

/// Parses `a="1",b="2"`; an empty value is no label.
fn labels_of(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut end = 0;
        let bytes = after.as_bytes();
        while bytes[end] != b'"' {
            end += if bytes[end] == b'\\' { 2 } else { 1 };
        }
        if end > 0 {
            labels.insert(name.to_owned(), after[..end].to_owned());
        }
        rest = after[end + 1..].trim_start_matches(',');
    }
    labels
}

fn begins(name: &str, list: &[(&str, &str)]) -> bool {
    list.iter()
        .any(|(beginning, _)| name.starts_with(beginning))
}

#[test]
fn names_types_labels_and_values_are_those_of_node_exporter() {
    let folder = tempfile::tempdir().unwrap();
    let exporter = NodeExporter::start(&FLAGS);
    let agent = Agent::start(
        folder.path(),
        "performance_monitor:\n  enabled_collectors: []\n  collectors: [{name: node, type: node_exporter, interval: 200ms}]\n",
    );
    let ours = || Exposition::parse(&agent.get("/metrics").1);
    poll("a collection", Duration::from_secs(60), || {
        (!ours().series.is_empty()).then_some(())
    });

    // A kernel may have no pressure stall information, and a virtual machine no disk.
    let mut missing = missing_on_the_dashboard("host", "node_", &agent.get("/metrics").1);
    missing.retain(|name| !name.starts_with("node_pressure_") && !name.starts_with("node_disk_"));
    assert!(missing.is_empty(), "{missing:?}");

    // Devices come and go, so both are compared until they agree.
    poll("the same series in both", Duration::from_secs(60), || {
        let (theirs, ours) = (exporter.scrape(), ours());
        let (their_series, our_series) = (theirs.compared(&ours), ours.compared(&theirs));
        let missing: Vec<_> = their_series
            .difference(&our_series)
            .filter(|(name, _)| !begins(name, &ONLY_THEIRS))
            .collect();
        let more: Vec<_> = our_series
            .difference(&their_series)
            .filter(|(name, _)| !begins(name, &ONLY_OURS))
            .collect();
        if !(missing.is_empty() && more.is_empty()) {
            eprintln!("missing: {missing:?}; more: {more:?}");
            return None;
        }
        for (name, kind) in &theirs.types {
            let own = ours.types.get(name);
            assert!(
                own.is_none_or(|own| own == kind),
                "{name}: {kind}, and not {own:?}"
            );
        }
        Some(())
    });

    // Each value lies between two of node_exporter, around it in time. Gauges that are up and down in between do so
    // in one of many rounds.
    let mut open: Option<BTreeSet<(String, Labels)>> = None;
    poll("the same values in both", Duration::from_secs(120), || {
        let before = exporter.scrape();
        let ours = poll("a later collection", Duration::from_secs(20), || {
            let ours = ours();
            let is_later = ours.value("node_time_seconds") > before.value("node_time_seconds");
            is_later.then_some(ours)
        });
        let after = exporter.scrape();
        let differs = |key: &(String, Labels)| {
            let (Some(first), Some(last)) = (before.series.get(key), after.series.get(key)) else {
                return false;
            };
            let (low, high) = (first.min(*last), first.max(*last));
            let own = ours.series[key];
            // Both print the shortest text of a number, but not all compute it in the same order.
            let is_count = SOCKETS.contains(&key.0.as_str());
            let allowed = if is_count {
                OWN_SOCKETS
            } else {
                high.abs() * 1e-12
            };
            own < low - allowed || own > high + allowed
        };
        let compared = ours.series.keys().filter(|(name, labels)| {
            name != "node_scrape_collector_duration_seconds"
                && labels
                    .get("collector")
                    .is_none_or(|name| !COLLECTORS.contains(&name.as_str()))
        });
        let compared: BTreeSet<_> = compared.filter(|key| differs(key)).cloned().collect();
        let left = match &open {
            None => compared,
            Some(open) => open.intersection(&compared).cloned().collect(),
        };
        let is_done = left.is_empty();
        if !is_done {
            let shown: Vec<_> = left.iter().take(5).collect();
            eprintln!("{} values differ: {shown:?}", left.len());
        }
        open = Some(left);
        is_done.then_some(())
    });
}
