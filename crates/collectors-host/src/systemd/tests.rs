use std::fs;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

use super::*;

/// In the form of `systemctl show` of systemd 252, written by hand: the tests run without systemd.
const RECORDED: &str = "\
Type=notify
NRestarts=2
MemoryCurrent=5255168
CPUUsageNSec=1250000000
TasksCurrent=1
TasksMax=4915
Id=ssh.service
LoadState=loaded
ActiveState=active
ActiveEnterTimestampMonotonic=5500000

Type=oneshot
NRestarts=0
MemoryCurrent=[not set]
CPUUsageNSec=18446744073709551615
TasksCurrent=[not set]
TasksMax=infinity
Id=backup.service
LoadState=loaded
ActiveState=failed
ActiveEnterTimestampMonotonic=0

NAccepted=7
NConnections=1
NRefused=0
Id=docker.socket
LoadState=loaded
ActiveState=active
ActiveEnterTimestampMonotonic=1000000

Id=-.slice
LoadState=loaded
ActiveState=active

Id=gone.service
LoadState=not-found
ActiveState=inactive
";

/// Collects with a program in the place of `systemctl`.
async fn collect(script: &str, include: Option<&str>) -> (Vec<String>, Option<Failure>) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("stat"), "cpu 1\nbtime 1700000000\n").unwrap();
    fs::write(folder.path().join("units"), RECORDED).unwrap();
    let program = folder.path().join("systemctl");
    let script = script.replace("FOLDER", &folder.path().display().to_string());
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
    let globs =
        |texts: &[&str]| Globs::new(texts.iter().map(|text| (*text).to_owned()).collect()).unwrap();
    let mut collector = SystemdCollector {
        program: program.display().to_string(),
        procfs: folder.path().to_owned(),
        selection: Selection {
            include: include.map(|include| globs(&[include])),
            exclude: globs(&EXCLUDED),
        },
        limit: Duration::from_secs(20),
        output_limit: 100_000,
    };
    let mut batch = Batch::default();
    let mut failure = None;
    // Another thread may start something meanwhile and hold the file open for writing.
    for _ in 0..100 {
        batch.clear();
        failure = collector.collect(&mut batch, Now::default()).await.err();
        if !failure
            .as_ref()
            .is_some_and(|failure| failure.detail.contains("Text file busy"))
        {
            break;
        }
    }
    let lines = batch
        .series
        .lines()
        .map(|line| line.replace("node_systemd_", ""));
    (lines.collect(), failure)
}

const GOOD: &str = "case \"$*\" in *'*') cat FOLDER/units;; *) printf 'Version=252.38-1~deb12u1\\nSystemState=degraded\\n';; esac";

#[tokio::test]
async fn units_have_their_state_and_the_figures_of_their_cgroups() {
    let (lines, failure) = collect(GOOD, None).await;
    assert_eq!(failure, None);
    let active: Vec<&String> = lines
        .iter()
        .filter(|line| line.starts_with("unit_state") && line.ends_with(" 1"))
        .collect();
    assert_eq!(
        active,
        [
            "unit_state{name=\"ssh.service\", state=\"active\", type=\"notify\"} 1",
            "unit_state{name=\"backup.service\", state=\"failed\", type=\"oneshot\"} 1",
            "unit_state{name=\"docker.socket\", state=\"active\"} 1",
        ]
    );
    let others: Vec<&String> = lines
        .iter()
        .filter(|line| !line.starts_with("unit_state"))
        .collect();
    assert_eq!(
        others,
        [
            "unit_start_time_seconds{name=\"ssh.service\"} 1700000005.5",
            "unit_start_time_seconds{name=\"backup.service\"} 0",
            "unit_start_time_seconds{name=\"docker.socket\"} 1700000001",
            "service_restart_total{name=\"ssh.service\"} 2",
            "service_restart_total{name=\"backup.service\"} 0",
            "unit_tasks_current{name=\"ssh.service\"} 1",
            "unit_tasks_max{name=\"ssh.service\"} 4915",
            "unit_memory_current_bytes{name=\"ssh.service\"} 5255168",
            "unit_cpu_seconds_total{name=\"ssh.service\"} 1.25",
            "socket_accepted_connections_total{name=\"docker.socket\"} 7",
            "socket_current_connections{name=\"docker.socket\"} 1",
            "socket_refused_connections_total{name=\"docker.socket\"} 0",
            "units{state=\"activating\"} 0",
            "units{state=\"active\"} 3",
            "units{state=\"deactivating\"} 0",
            "units{state=\"failed\"} 1",
            "units{state=\"inactive\"} 0",
            "system_running 0",
            "version{version=\"252.38-1~deb12u1\"} 252.38",
        ]
    );
    let (lines, _) = collect(GOOD, Some("ssh.*")).await;
    let other = lines
        .iter()
        .filter(|line| line.contains("backup") || line.contains("docker"));
    assert_eq!(other.count(), 0);
}

#[tokio::test]
async fn a_host_without_systemd_is_a_failure_with_its_reason() {
    let (lines, failure) = collect("echo 'System has not been booted' >&2; exit 1", None).await;
    assert_eq!(lines, [""; 0]);
    let detail = failure.unwrap().detail;
    assert!(
        detail.ends_with("systemctl: exit status 1: System has not been booted"),
        "{detail}"
    );
    let (_, failure) = collect("echo garbage", None).await;
    assert_eq!(failure.unwrap().reason, "parse");
}
