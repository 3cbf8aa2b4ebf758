use bellwether_collector::System;
use proptest::prelude::*;

use super::registry::NodeCollector;
use super::testing::{Collected, Host, Parts, resolve};

#[tokio::test]
async fn a_collector_that_fails_costs_itself_alone() {
    let host = Host::with(&[
        ("proc/meminfo", "MemTotal: 1 kB\n"),
        ("proc/loadavg", "broken\n"),
    ]);
    let yaml = "{collectors: [meminfo, loadavg, bonding, thermal_zone, meminfo]}";
    let mut collector = resolve(&host.system(), yaml).unwrap();
    let collected = Collected::of(&mut *collector).await;
    assert_eq!(collected.value("node_memory_MemTotal_bytes"), Some(1024.0));
    let success = |part: &str| {
        let series = format!("node_scrape_collector_success{{collector=\"{part}\"}}");
        collected.value(&series)
    };
    assert_eq!(
        ["meminfo", "loadavg", "bonding", "thermal_zone"].map(success),
        [Some(1.0), Some(0.0), Some(0.0), Some(1.0)]
    );
    let (reason, detail) = collected.failure.unwrap();
    assert!(
        reason == "io" && detail.contains("loadavg: expected three load averages"),
        "{detail}"
    );
    let durations = collected
        .lines
        .iter()
        .filter(|line| line.starts_with("node_scrape_collector_duration_seconds"));
    assert_eq!(durations.count(), 4);
}

#[tokio::test]
async fn this_host_has_all_that_every_host_has() {
    let yaml = "{exclude_collectors: [zfs]}";
    let mut collector = resolve(&System::default(), yaml).unwrap();
    let collected = Collected::of(&mut *collector).await;
    for name in [
        "node_cpu_seconds_total{cpu=\"0\", mode=\"idle\"}",
        "node_memory_MemTotal_bytes",
        "node_load1",
        "node_boot_time_seconds",
        "node_filefd_allocated",
        "node_vmstat_pgfault",
        "node_netstat_Tcp_CurrEstab",
        "node_timex_sync_status",
        "node_scrape_collector_success{collector=\"cpu\"}",
    ] {
        let value = collected.value(&format!("{name} "));
        assert!(value.is_some(), "{name}: {:?}", collected.lines);
    }
    assert!(!collected.lines.iter().any(|line| line.contains("zfs")));
}

#[test]
fn a_mistake_in_the_settings_is_named_with_its_correction() {
    for (settings, expected) in [
        ("collectors: []", "no collectors"),
        ("collectors: [cup]", "did you mean \"cpu\""),
        ("netstat: {fields: 'a)(b'}", "netstat.fields: unexpected )"),
        (
            "diskstats: {device_include: a, device_exclude: b}",
            "both an include and an exclude",
        ),
        ("cpu: {gust: true}", "gust"),
    ] {
        let yaml = format!("{{{settings}}}");
        let problems = resolve(&System::default(), &yaml).err().unwrap();
        let is_named = problems.iter().any(|problem| problem.contains(expected));
        assert!(is_named, "{settings}: {problems:?}");
    }
}

/// Files of /proc that parts parse.
const FILES: [(&str, &str); 21] = [
    ("arp", "net/arp"),
    ("conntrack", "net/stat/nf_conntrack"),
    ("cpu", "stat"),
    ("diskstats", "diskstats"),
    ("filefd", "sys/fs/file-nr"),
    ("filesystem", "1/mountinfo"),
    ("ipvs", "net/ip_vs"),
    ("ipvs", "net/ip_vs_stats"),
    ("loadavg", "loadavg"),
    ("mdadm", "mdstat"),
    ("meminfo", "meminfo"),
    ("netdev", "net/dev"),
    ("netstat", "net/snmp"),
    ("nfs", "net/rpc/nfs"),
    ("nfsd", "net/rpc/nfsd"),
    ("pressure", "pressure/io"),
    ("schedstat", "schedstat"),
    ("sockstat", "net/sockstat"),
    ("softnet", "net/softnet_stat"),
    ("udp_queues", "net/udp"),
    ("vmstat", "vmstat"),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Collecting any content ends with series or with an error.
    #[test]
    fn no_part_panics(bytes in proptest::collection::vec("[-:a-z0-9 \\[\\]()/._]{0,20}|\\PC{0,5}", 0..40)) {
        let text = bytes.join("\n");
        let host = Host::with(&[("proc/net/netstat", &text), ("proc/net/ip_vs_stats", "a\nb\n1 2 3 4 5\n\n")]);
        for (part, file) in FILES {
            host.write(&format!("proc/{file}"), &text);
            let _ = Parts::new(&host, part, "").collect();
        }
    }
}

#[test]
fn each_collector_has_a_word_of_its_own() {
    let mut words: Vec<&str> = NodeCollector::WORDS.iter().map(|(word, _)| *word).collect();
    words.dedup();
    assert!(words.is_sorted() && words.len() == NodeCollector::WORDS.len());
}
