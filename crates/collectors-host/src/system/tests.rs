//! The collector on fixtures of /proc and /sys: golden values, cut files, hanging mounts.

mod bench;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_collector::{Collector, System};
use bellwether_core::{Batch, MetricId, Now};
use parking_lot::{Condvar, Mutex};
use proptest::prelude::*;

use self::bench::{Bench, configured, fixture, statvfs};
use super::*;

fn whole_catalogue() -> String {
    CATALOGUE
        .iter()
        .map(|source| format!("- {{name: {}}}\n", source.name))
        .collect()
}

fn only(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("- {{name: {name}, type: gauge}}\n"))
        .collect()
}

#[test]
fn the_whole_catalogue_on_a_healthy_host() {
    let mut bench = Bench::new("healthy", &whole_catalogue());
    let (first, result) = bench.collect();
    assert_eq!(result, Ok(()));
    assert!(!first.contains_key("cpu_percent"), "a share of no time");
    bench.write("proc/stat", {
        let text = bench.read("proc/stat");
        text.replace(
            "cpu  301854 612 111922 8979004",
            "cpu  302154 612 112022 8979504",
        )
        .replace("cpu1 47869 23 16474 1110787", "cpu1 47969 23 16474 1110887")
        .replace("cpu3 46504", "cpu3 46604")
    });
    let (second, result) = bench.collect();
    assert_eq!(result, Ok(()));
    let rendered: String = second
        .iter()
        .map(|(series, value)| format!("{series} {value}\n"))
        .collect();
    let golden = fixture("healthy.golden");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &rendered).unwrap();
    }
    assert_eq!(rendered, fs::read_to_string(&golden).unwrap());
    assert_eq!(bench.skips(), [("sensor", "malformed", 2)]);
}

#[test]
fn a_file_is_read_only_where_a_metric_needs_it() {
    let mut bench = Bench::new("healthy", &only(&["uptime_seconds"]));
    for entry in fs::read_dir(bench.folder.path().join("proc")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && !path.ends_with("uptime") {
            fs::write(path, "garbage").unwrap();
        }
    }
    let (values, result) = bench.collect();
    assert_eq!((values.len(), result), (1, Ok(())));
}

#[test]
fn what_a_host_does_not_have_is_no_failure() {
    let mut bench = Bench::new("healthy", &whole_catalogue());
    for gone in [
        "proc/pressure",
        "sys",
        "proc/diskstats",
        "proc/net/tcp6",
        "proc/cpuinfo",
    ] {
        let path = bench.folder.path().join(gone);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
    }
    let (values, result) = bench.collect();
    assert_eq!(result, Ok(()));
    let absent = ["pressure", "temperature", "disk_io", "cpu_freq"];
    assert!(
        !values
            .keys()
            .any(|series| absent.iter().any(|name| series.starts_with(name)))
    );
    assert_eq!(values["network_connections{state=\"listen\"}"], 1.0);
}

#[test]
fn a_wrong_root_is_a_failure_that_names_each_file() {
    let mut bench = Bench::new("healthy", &only(&["cpu_count", "memory_percent"]));
    fs::rename(
        bench.folder.path().join("proc"),
        bench.folder.path().join("elsewhere"),
    )
    .unwrap();
    let (values, result) = bench.collect();
    let failure = result.unwrap_err();
    assert_eq!((values.len(), failure.reason), (0, "io"));
    assert!(
        failure.detail.contains("/proc/stat: No such file"),
        "{}",
        failure.detail
    );
    assert!(failure.detail.contains("; "), "{}", failure.detail);
    assert!(
        failure.detail.contains("/proc/meminfo: No such file"),
        "{}",
        failure.detail
    );
}

/// Files that some kernels and containers do not have, or leave empty.
const OPTIONAL: [&str; 7] = [
    "proc/vmstat",
    "proc/diskstats",
    "proc/net/dev",
    "proc/net/tcp",
    "proc/pressure/io",
    "proc/sys/fs/file-nr",
    "proc/cpuinfo",
];

#[test]
fn an_optional_file_that_is_missing_or_empty_is_neither_a_failure_nor_a_figure() {
    for path in OPTIONAL {
        let mut bench = Bench::new("healthy", &whole_catalogue());
        fs::remove_dir_all(bench.folder.path().join("sys/devices")).unwrap();
        fs::remove_file(bench.folder.path().join("proc/net/tcp6")).unwrap();
        fs::remove_file(bench.folder.path().join(path)).unwrap();
        let (missing, result) = bench.collect();
        assert_eq!(result, Ok(()), "{path}");
        bench.write(path, "\n");
        let (empty, result) = bench.collect();
        assert_eq!(result, Ok(()), "{path}");
        // Shares of the processors have a value from the second collection on.
        let names = |values: &BTreeMap<String, f64>| -> Vec<String> {
            values
                .keys()
                .filter(|series| !series.starts_with("cpu_"))
                .cloned()
                .collect()
        };
        assert_eq!(names(&empty), names(&missing), "{path}");
        assert!(
            !bench.skips().iter().any(|(what, ..)| *what == "line"),
            "{path}"
        );
    }
}

/// Each line of each file in turn becomes what it should not be.
#[test]
fn a_line_costs_itself() {
    for path in [
        "proc/stat",
        "proc/meminfo",
        "proc/vmstat",
        "proc/diskstats",
        "proc/net/dev",
        "proc/net/tcp",
        "proc/self/mountinfo",
        "proc/pressure/io",
        "proc/cpuinfo",
    ] {
        let mut bench = Bench::new("healthy", &whole_catalogue());
        fs::remove_dir_all(bench.folder.path().join("sys/devices")).unwrap();
        let text = bench.read(path);
        let healthy = {
            bench.collect().1.unwrap();
            bench.collect().0
        };
        for line in 0..text.lines().count() {
            for bad in [
                "what",
                "-1 -1 -1",
                "cpu0 x",
                "MemTotal: 99999999999999999999 kB",
            ] {
                let spoilt: Vec<_> = text
                    .lines()
                    .enumerate()
                    .map(|(at, old)| if at == line { bad } else { old })
                    .collect();
                bench.write(path, spoilt.join("\n") + "\n");
                let (values, result) = bench.collect();
                assert_eq!(result, Ok(()), "{path} {line} {bad}");
                let lost = healthy
                    .keys()
                    .filter(|series| !values.contains_key(*series))
                    .count();
                assert!(lost <= 8, "{path} {line} {bad}: {lost} series lost");
                let named = bench.skips().iter().any(|(what, ..)| *what == "line");
                assert!(
                    lost == 0 || named,
                    "{path} {line} {bad}: lost without a word"
                );
            }
        }
        bench.write(path, &text);
        let (values, result) = bench.collect();
        assert_eq!((values.len(), result), (healthy.len(), Ok(())), "{path}");
    }
}

#[test]
fn memory_of_containers() {
    let mut bench = Bench::new("healthy", &only(&["memory_percent", "swap_percent"]));
    bench.write(
        "proc/meminfo",
        "MemTotal: 1048576 kB\nMemFree: 200000 kB\nMemAvailable: 9000000 kB\nBuffers: 0 kB\n\
         Cached: 100000 kB\nSwapTotal: 0 kB\nSwapFree: 18446744073709346016 kB\n",
    );
    let (values, result) = bench.collect();
    assert_eq!(result, Ok(()));
    assert!(
        (values["memory_percent"] - 80.93).abs() < 0.01,
        "{values:?}"
    );
    assert!(values["swap_percent"].abs() < 1e-9);
    assert_eq!(bench.skips(), [("line", "malformed", 1)]);
}

#[test]
fn a_cut_or_garbled_file_costs_only_its_own_metrics() {
    for (path, lost) in [
        ("proc/stat", "cpu_count"),
        ("proc/vmstat", "swap_in_bytes"),
        ("proc/meminfo", "memory_percent"),
        ("proc/loadavg", "load_average_1m"),
        ("proc/uptime", "uptime_seconds"),
        ("proc/diskstats", "disk_io_read_bytes"),
        ("proc/net/dev", "network_bytes_recv"),
        ("proc/net/tcp", "network_connections"),
        ("proc/self/mountinfo", "disk_usage_percent"),
        ("proc/pressure/io", "pressure_percent"),
        ("proc/sys/fs/file-nr", "file_descriptors_open"),
    ] {
        let mut bench = Bench::new("healthy", &whole_catalogue());
        let healthy = bench.collect().0;
        for bad in [&b""[..], b"\xff\xfe\x00", b"1", b"\n\n\n"] {
            bench.write(path, bad);
            let (values, result) = bench.collect();
            if OPTIONAL.contains(&path) && bad.trim_ascii().is_empty() {
                assert_eq!(result, Ok(()), "{path}: an empty one is as good as none");
                continue;
            }
            let failure = result.expect_err(path);
            assert_eq!(failure.reason, "parse", "{path}: {}", failure.detail);
            assert!(failure.detail.contains(path), "{}", failure.detail);
            let missing: Vec<_> = healthy
                .keys()
                .filter(|key| !values.contains_key(*key))
                .collect();
            assert!(
                missing.iter().any(|series| series.starts_with(lost)),
                "{path}: {missing:?}"
            );
            let other = if lost == "uptime_seconds" {
                "cpu_count"
            } else {
                "uptime_seconds"
            };
            assert!(values.contains_key(other), "{path}");
        }
    }
}

#[test]
fn a_host_with_hostile_names_and_huge_files() {
    let mut bench = Bench::new("healthy", &whole_catalogue());
    let mut devices = bench.read("proc/net/dev").into_bytes();
    devices.extend_from_slice(b"  e\"\\\xff{}: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
    bench.write("proc/net/dev", devices);
    let mut mounts = bench.read("proc/self/mountinfo").into_bytes();
    mounts.extend_from_slice(b"90 28 0:90 / /a\\012b\\134\xe9 rw - ext4 /dev/x rw\n");
    bench.write("proc/self/mountinfo", mounts);
    let disks: String = (0..20_000)
        .map(|n| format!(" 9 {n} disk{n} 1 0 2 0 1 0 2 0 0 0 0\n"))
        .collect();
    bench.write("proc/diskstats", disks);
    let sockets: String = (0..50_000)
        .map(|n| format!("{n}: 0100007F:1F90 00000000:0000 01 0:0 0 0\n"))
        .collect();
    bench.write("proc/net/tcp", sockets);
    let (values, result) = bench.collect();
    assert_eq!(result, Ok(()));
    assert_eq!(
        values["network_bytes_sent{interface=\"e\\\"\\\\\u{fffd}{}\"}"],
        9.0
    );
    assert!(values.contains_key("disk_total_bytes{mount_point=\"/a\\nb\\\\\u{fffd}\"}"));
    assert_eq!(values["disk_io_read_count"], 20_000.0);
    assert_eq!(
        values["network_connections{state=\"established\"}"],
        50_000.0
    );
}

#[test]
fn rates_begin_with_the_second_collection() {
    let mut bench = Bench::new(
        "healthy",
        &only(&["network_bytes_recv", "disk_io_write_bytes"]),
    );
    assert!(bench.collect().0.is_empty());
    bench.replace("proc/net/dev", "eth0: 68210035552", "eth0: 68210045552");
    bench.replace("proc/diskstats", "39451633 1011053", "39451733 1011053");
    let (values, _) = bench.collect();
    assert_eq!(values["network_bytes_recv{interface=\"eth0\"}"], 1000.0);
    assert_eq!(values["network_bytes_recv{interface=\"lo\"}"], 0.0);
    assert_eq!(values["disk_io_write_bytes"], 5120.0);
    // An unreadable file in between makes the next rate span both intervals.
    let good = bench.read("proc/net/dev");
    fs::remove_file(bench.folder.path().join("proc/net/dev")).unwrap();
    assert_eq!(bench.collect().1, Ok(()));
    bench.write(
        "proc/net/dev",
        good.replace("eth0: 68210045552", "eth0: 68210065552"),
    );
    assert_eq!(
        bench.collect().0["network_bytes_recv{interface=\"eth0\"}"],
        1000.0
    );
}

#[test]
fn a_total_over_disks_never_falls() {
    let mut bench = Bench::new("healthy", "- {name: disk_io_read_count}\n");
    let whole = bench.read("proc/diskstats");
    let first = bench.collect().0["disk_io_read_count"];
    assert_eq!(
        first,
        25_354_637.0 + 47_114.0,
        "sda and nvme0n1, nothing twice"
    );
    let without: String = whole
        .lines()
        .filter(|line| !line.contains("sda"))
        .map(|line| format!("{line}\n"))
        .collect();
    bench.write("proc/diskstats", &without);
    assert_eq!(
        bench.collect().0["disk_io_read_count"],
        first,
        "a disk was pulled out"
    );
    bench.write("proc/diskstats", &whole);
    assert_eq!(
        bench.collect().0["disk_io_read_count"],
        first,
        "and is back with its counters"
    );
    bench.write("proc/diskstats", whole.replace("sda 25354637", "sda 5"));
    assert_eq!(
        bench.collect().0["disk_io_read_count"],
        first + 5.0,
        "or with new ones"
    );
}

#[test]
fn a_total_that_falls_a_little_is_no_restart() {
    let mut bench = Bench::new(
        "healthy",
        "- {name: disk_io_read_bytes}\n- {name: cpu_seconds}\n- {name: network_bytes_recv}\n\
         - {name: swap_in_bytes}\n- {name: pressure_stalled_seconds}\n\
         - {name: disk_rate, source: disk_io_read_bytes, type: gauge}\n",
    );
    let first = bench.collect().0;
    bench.replace(
        "proc/diskstats",
        "sda 25354637 34367663 1003346126",
        "sda 25354636 34367663 1003346118",
    );
    bench.replace(
        "proc/stat",
        "cpu  301854 612 111922 8979004",
        "cpu  301854 612 111922 8979003",
    );
    bench.replace("proc/net/dev", "eth0: 68210035552", "eth0: 68210035551");
    bench.replace("proc/vmstat", "pswpin 1280", "pswpin 1279");
    let stalled = bench.read("proc/pressure/io").replace("total=", "total=1");
    bench.write("proc/pressure/io", &stalled);
    bench.collect().1.unwrap();
    let after = bench.collect().0;
    assert!(after["disk_rate"].abs() < 1e-9);
    for (series, value) in first
        .iter()
        .filter(|(series, _)| !series.contains("\"io\""))
    {
        assert!(
            (after[series] - value).abs() < 1e-9,
            "{series}: {value}, then {}",
            after[series]
        );
    }
    // SkippedPart comes next is counted from the larger.
    bench.replace(
        "proc/diskstats",
        "25354636 34367663 1003346118",
        "25354638 34367663 1003346128",
    );
    assert!((bench.collect().0["disk_rate"] - 102.4).abs() < 1e-9);
}

#[test]
fn a_disk_whose_line_was_bad_is_not_new() {
    let mut bench = Bench::new("healthy", "- {name: disk_io_read_count}\n");
    let healthy = bench.read("proc/diskstats");
    let bad = healthy.replace("sda 25354637", "sda -1");
    bench.write("proc/diskstats", &bad);
    let (values, result) = bench.collect();
    assert_eq!(
        (values["disk_io_read_count"], result),
        (47_114.0, Ok(())),
        "nor its partitions"
    );
    bench.write("proc/diskstats", &healthy);
    assert_eq!(
        bench.collect().0["disk_io_read_count"],
        47_114.0,
        "it was there before"
    );
    bench.write("proc/diskstats", &bad);
    bench.collect().1.unwrap();
    bench.write(
        "proc/diskstats",
        healthy.replace("sda 25354637", "sda 25354640"),
    );
    assert_eq!(
        bench.collect().0["disk_io_read_count"],
        47_117.0,
        "nothing is lost in between"
    );
}

#[test]
fn paths_of_nvme_count_where_their_disk_does_not() {
    let text = "259 0 nvme0n1 0 0 0 0 0 0 0 0 0 0 0\n\
        259 1 nvme0c0n1 18224147 0 1473911640 0 58903402 0 0 0 0 0 0\n\
        259 2 nvme1n1 0 0 0 0 0 0 0 0 0 0 0\n\
        259 3 nvme1c1n1 15574215 0 1306035176 0 59673486 0 0 0 0 0 0\n\
        259 4 nvme2n1 7 0 7 0 7 0 0 0 0 0 0\n\
        259 5 nvme2c2n1 7 0 7 0 7 0 0 0 0 0 0\n";
    let mut bench = Bench::new(
        "healthy",
        "- {name: disk_io_read_bytes}\n- {name: disk_io_write_count}\n\
         - {name: one, source: disk_io_write_count, include: {disk: nvme1n1}}\n\
         - {name: heads, source: disk_io_write_count, exclude: {disk: 'nvme*c*n*'}}\n",
    );
    bench.write("proc/diskstats", text);
    let values = bench.collect().0;
    assert_eq!(
        values["disk_io_read_bytes"],
        1_423_332_769_792.0 + 7.0 * 512.0
    );
    assert_eq!(values["disk_io_write_count"], 118_576_888.0 + 7.0);
    assert_eq!((values["one"], values["heads"]), (59_673_486.0, 7.0));
    // A kernel that begins to count on the disk itself counts nothing twice.
    let both = text
        .replace("nvme0n1 0 0 0 0 0", "nvme0n1 5 0 5 0 5")
        .replace("58903402", "58903407");
    bench.write("proc/diskstats", &both);
    assert_eq!(
        bench.collect().0["disk_io_write_count"],
        118_576_888.0 + 12.0
    );
    let both = both
        .replace("nvme0n1 5 0 5 0 5", "nvme0n1 5 0 5 0 8")
        .replace("58903407", "58903410");
    bench.write("proc/diskstats", &both);
    assert_eq!(
        bench.collect().0["disk_io_write_count"],
        118_576_888.0 + 15.0
    );
}

/// A chip's folder with its files, and the device it belongs to.
fn chip(bench: &Bench, folder: &str, device: Option<&str>, files: &[(&str, &str)]) {
    let path = bench.folder.path().join("sys/class/hwmon").join(folder);
    fs::create_dir_all(&path).unwrap();
    if let Some(device) = device {
        let target = bench.folder.path().join("sys/devices").join(device);
        fs::create_dir_all(&target).unwrap();
        std::os::unix::fs::symlink(target, path.join("device")).unwrap();
    }
    for (name, text) in files {
        fs::write(path.join(name), text).unwrap();
    }
}

#[test]
fn chips_of_every_age_have_series_and_keep_them() {
    let mut bench = Bench::new("healthy", &only(&["temperature_celsius"]));
    fs::remove_dir_all(bench.folder.path().join("sys/class/hwmon")).unwrap();
    let label = |temperature, label| {
        [
            ("name", "nvme\n"),
            ("temp1_input", temperature),
            ("temp1_label", label),
        ]
    };
    chip(
        &bench,
        "hwmon1",
        Some("pci0/nvme1"),
        &label("41000", "Composite"),
    );
    chip(&bench, "hwmon2", Some("platform/coretemp.0"), &[]);
    chip(
        &bench,
        "hwmon2",
        None,
        &[("device/name", "coretemp"), ("device/temp2_input", "55000")],
    );
    chip(
        &bench,
        "hwmon3",
        Some("platform/applesmc.768"),
        &[("device/temp1_input", "30000")],
    );
    chip(
        &bench,
        "hwmon4",
        None,
        &[
            ("temp1_input", "55000"),
            ("temp1_label", "foosensor"),
            ("temp2_input", "54000"),
            ("temp2_label", "foosensor"),
        ],
    );
    let before = bench.collect().0;
    let series: Vec<_> = before
        .iter()
        .map(|(series, value)| format!("{series} {value}"))
        .collect();
    assert_eq!(
        series,
        [
            "temperature_celsius{chip=\"applesmc.768\",sensor=\"temp1\"} 30",
            "temperature_celsius{chip=\"coretemp-coretemp.0\",sensor=\"temp2\"} 55",
            "temperature_celsius{chip=\"hwmon4\",sensor=\"foosensor temp2_input\"} 54",
            "temperature_celsius{chip=\"hwmon4\",sensor=\"foosensor\"} 55",
            "temperature_celsius{chip=\"nvme-nvme1\",sensor=\"Composite\"} 41",
        ]
    );
    // Another disk comes before it, and a sensor can no longer be read.
    chip(
        &bench,
        "hwmon0",
        Some("pci0/nvme0"),
        &label("50000", "Composite"),
    );
    bench.write("sys/class/hwmon/hwmon4/temp1_input", "");
    let after = bench.collect().0;
    assert_eq!(
        after["temperature_celsius{chip=\"nvme-nvme0\",sensor=\"Composite\"}"],
        50.0
    );
    for (series, value) in before
        .iter()
        .filter(|(series, _)| !series.contains("\"foosensor\""))
    {
        assert_eq!(after.get(series), Some(value), "{series}");
    }
    assert_eq!(bench.skips(), [("sensor", "malformed", 1)]);
}

#[test]
fn frequencies_are_a_mean_over_the_cores() {
    let mut bench = Bench::new("healthy", &only(&["cpu_freq_current"]));
    let policies = bench.folder.path().join("sys/devices/system/cpu/cpufreq");
    fs::remove_dir_all(&policies).unwrap();
    for (policy, frequency, cores) in [
        ("policy0", "600000\n", "0 1 2 3\n"),
        ("policy4", "2400000\n", "4 5\n"),
    ] {
        fs::create_dir_all(policies.join(policy)).unwrap();
        fs::write(policies.join(policy).join("scaling_cur_freq"), frequency).unwrap();
        fs::write(policies.join(policy).join("affected_cpus"), cores).unwrap();
    }
    assert_eq!(bench.collect().0["cpu_freq_current"], 1200.0);
    fs::remove_file(policies.join("policy0/scaling_cur_freq")).unwrap();
    assert_eq!(bench.collect().0["cpu_freq_current"], 2400.0);
    fs::write(policies.join("policy4/scaling_cur_freq"), "<unknown>\n").unwrap();
    bench.write("proc/cpuinfo", "processor : 0\ncpu MHz : 2100.000\n");
    assert_eq!(bench.collect().0["cpu_freq_current"], 2100.0);
}

#[test]
fn include_and_exclude_choose_series_and_what_is_summed() {
    let mut bench = Bench::new(
        "healthy",
        "- {name: all_interfaces, source: network_errors_in, exclude: {interface: none}}\n\
         - {name: wired, source: network_errors_in, include: {interface: 'eth*'}}\n\
         - {name: lvm, source: disk_io_read_count, include: {disk: 'dm-*'}}\n\
         - {name: data, source: disk_usage_percent, include: {mount_point: ['/data*', '/srv/*']}}\n\
         - {name: on_nfs, source: disk_usage_percent, include: {fs_type: 'nfs*'}}\n\
         - {name: waiting, source: cpu_seconds, include: {mode: [iowait, steal]}}\n",
    );
    let (values, result) = bench.collect();
    assert_eq!(result, Ok(()));
    let of = |name: &str| -> Vec<_> {
        let series = values
            .keys()
            .filter(|key| key.split('{').next() == Some(name));
        series.map(|key| key.trim_start_matches(name)).collect()
    };
    assert_eq!(of("all_interfaces").len(), 4);
    assert_eq!(of("wired"), ["{interface=\"eth0\"}"]);
    assert_eq!(values["lvm"], 59_910_002.0);
    assert_eq!(
        of("data"),
        [
            "{mount_point=\"/data\"}",
            "{mount_point=\"/srv/my projects\"}"
        ]
    );
    assert_eq!(of("on_nfs"), ["{mount_point=\"/mnt/backup\"}"]);
    assert_eq!(of("waiting"), ["{mode=\"iowait\"}", "{mode=\"steal\"}"]);
}

/// Mounts of the container fixture that are asked about, with the host's root at `/host`.
#[test]
fn in_a_container_the_mounts_of_the_host_are_reported() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    let configuration = only(&[
        "disk_total_bytes",
        "network_bytes_recv",
        "network_errors_in",
    ]);
    let mut bench = Bench::with(
        "container",
        &configuration,
        "/host",
        Arc::new(move |path: &Path| {
            log.lock().push(path.display().to_string());
            statvfs(path)
        }),
    );
    assert_eq!(bench.collect().1, Ok(()));
    let (values, result) = bench.collect();
    assert_eq!(result, Ok(()));
    let series: Vec<_> = values.keys().map(String::as_str).collect();
    assert_eq!(
        series,
        [
            "disk_total_bytes{mount_point=\"/\"}",
            "disk_total_bytes{mount_point=\"/data\"}",
            "network_bytes_recv{interface=\"host0\"}",
            "network_errors_in{interface=\"host0\"}",
        ]
    );
    assert_eq!(asked.lock()[..2], ["/host", "/host/data"]);
}

#[test]
fn a_dead_mount_costs_only_itself() {
    let gate = Arc::new((Mutex::new(true), Condvar::new()));
    let (asked, held) = (Arc::new(Mutex::new(0)), Arc::clone(&gate));
    let count = Arc::clone(&asked);
    let configuration = only(&["disk_usage_percent", "uptime_seconds"]);
    let mut bench = Bench::with(
        "healthy",
        &configuration,
        "/",
        Arc::new(move |path: &Path| {
            if path.ends_with("backup") {
                *count.lock() += 1;
                let mut dead = held.0.lock();
                while *dead {
                    held.1.wait(&mut dead);
                }
            }
            statvfs(path)
        }),
    );
    let backup = "disk_usage_percent{mount_point=\"/mnt/backup\"}";
    for round in 1..=3 {
        let (values, result) = bench.collect();
        assert_eq!(result, Ok(()));
        assert!(!values.contains_key(backup));
        assert!(values.contains_key("disk_usage_percent{mount_point=\"/data\"}"));
        assert!(values.contains_key("uptime_seconds"));
        assert_eq!(bench.skips(), [("mount", "timeout", round)]);
    }
    assert_eq!(
        *asked.lock(),
        1,
        "nobody asks again while the first question hangs"
    );
    *gate.0.lock() = false;
    gate.1.notify_all();
    let deadline = Instant::now() + Duration::from_secs(10);
    while !bench.collect().0.contains_key(backup) {
        assert!(Instant::now() < deadline, "never came back");
        std::thread::yield_now();
    }
}

#[test]
fn a_mount_that_may_not_be_asked_is_counted() {
    let mut bench = Bench::new("healthy", &only(&["disk_usage_percent"]));
    bench.replace("proc/self/mountinfo", "/boot", "/denied");
    let (values, result) = bench.collect();
    assert_eq!(result, Ok(()));
    assert_eq!(values.len(), 4);
    assert_eq!(bench.skips(), [("mount", "denied", 1)]);
}

#[tokio::test]
async fn the_collector_reads_on_a_thread_of_its_own_and_survives_its_callers() {
    let configured: Arc<[_]> = (0..)
        .map(MetricId)
        .zip(configured("[{name: uptime_seconds}]"))
        .collect();
    let mut collector = SystemCollector::new(System::default(), configured, Arc::default());
    let mut batch = Batch::default();
    for run in 1..=3 {
        drop(collector.collect(&mut batch, Now::default()));
        collector.collect(&mut batch, Now::default()).await.unwrap();
        assert_eq!(batch.len(), run, "what was in the batch stays");
    }
    assert!(batch.iter().all(|sample| sample.values[0] > 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever the counters of the kernel do.
    #[test]
    fn no_rate_is_negative(steps in proptest::collection::vec(any::<[u64; 4]>(), 2..8)) {
        let configuration = only(&[
            "network_bytes_recv", "network_errors_out", "disk_io_read_bytes", "disk_io_write_count",
            "cpu_seconds", "cpu_percent", "cpu_core_percent",
        ]);
        let mut bench = Bench::new("healthy", &configuration);
        for step in steps {
            // Higher totals are negative ones without their sign.
            let [a, b, c, d] = step.map(|total| total >> 11);
            let heading = "a|b|c\n|d|e\n";
            bench.write("proc/net/dev", format!("{heading} eth0: {a} 0 {b} 0 0 0 0 0 {c} 0 {d} 0 0 0 0 0\n"));
            bench.write("proc/diskstats", format!("8 0 sda {a} 0 {b} 0 {c} 0 {d} 0 0 0 0\n"));
            bench.write("proc/stat", format!("cpu {a} {b} {c} {d} {a}\ncpu0 {d} {c} {b} {a}\n"));
            let (values, result) = bench.collect();
            prop_assert_eq!(result, Ok(()));
            for (series, value) in values {
                prop_assert!(value >= 0.0 && value.is_finite(), "{} {}", series, value);
                prop_assert!(!series.contains("percent") || value <= 100.0, "{} {}", series, value);
            }
        }
    }
}
