//! Collectors of the list `collectors` that look at this host: real processes and programs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::support::agent::Agent;
use crate::support::poll;

/// A configuration with one collector, four times a second.
fn config(collector: &str) -> String {
    format!(
        "performance_monitor:\n  collection_interval: 250ms\n  collectors:\n    - {collector}\n"
    )
}

/// Processes of one name; killed when dropped.
struct Processes(Vec<Child>);

impl Processes {
    /// Starts a copy of the shell under `name`, so that the processes have it, which loops for ever.
    fn busy(folder: &Path, name: &str, count: usize) -> Self {
        let program = folder.join(name);
        std::fs::copy("/bin/sh", &program).unwrap();
        let start = |_| {
            Command::new(&program)
                .args(["-c", "while :; do :; done"])
                .stdin(Stdio::null())
                .spawn()
                .unwrap()
        };
        Self((0..count).map(start).collect())
    }

    /// Kills one of them.
    fn end(&mut self) {
        let mut child = self.0.pop().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        while !self.0.is_empty() {
            self.end();
        }
    }
}

#[test]
fn a_group_of_processes_is_followed_until_the_last_one_is_killed() {
    let folder = TempDir::new().unwrap();
    let mut processes = Processes::busy(folder.path(), "bw-busy", 2);
    let agent = Agent::start(
        folder.path(),
        &config(
            "{name: processes, type: process, top: 3, groups: [{name: busy, comm: bw-busy}, \
             {name: none, exe: /nowhere/none}, {name: \"{{ comm }}\", comm: bw-*}]}",
        ),
    );
    let series = |name: &str| format!("namedprocess_namegroup_{name}{{groupname=\"busy\"");
    agent.wait_for_value(&series("num_procs"), |count| count == 2.0);
    let user = series("cpu_seconds_total") + ",mode=\"user\"";
    let before = agent.wait_for_value(&user, |seconds| seconds > 0.1);
    agent.wait_for_value(&series("open_filedesc"), |count| count >= 6.0);
    let none = "namedprocess_namegroup_num_procs{groupname=\"none\"";
    assert_eq!(agent.value(none), Some(0.0));
    let top = "namedprocess_top_cpu_usage_ratio{comm=\"bw-busy\"";
    agent.wait_for_value(top, |ratio| ratio > 0.05);

    processes.end();
    agent.wait_for_value(&series("num_procs"), |count| count == 1.0);
    assert!(agent.value(&user).unwrap() >= before);
    processes.end();
    agent.wait_for_value(&series("num_procs"), |count| count == 0.0);
    assert!(agent.value(&user).unwrap() >= before, "of those that ended");
    assert_eq!(agent.value(&series("open_filedesc")), Some(0.0));
    let (_, exposition) = agent.get("/metrics");
    let other = exposition.contains("groupname=\"bw-busy\"");
    assert!(!other, "the first group that matches has them all");
}

/// Writes an executable script.
fn script(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    // Under another name first: a file that is open for writing cannot be started.
    std::fs::write(folder.join("new"), format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(folder.join("new"), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::rename(folder.join("new"), &path).unwrap();
    path
}

#[test]
fn a_program_is_run_again_and_one_that_hangs_costs_itself() {
    let folder = TempDir::new().unwrap();
    let count = folder.path().join("count");
    let good = format!(
        "echo x >> {0}; echo \"runs_total $(wc -l < {0})\"",
        count.display()
    );
    let good = script(folder.path(), "good", &good);
    let pid = folder.path().join("pid");
    let hang = format!(
        "sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait",
        pid.display()
    );
    let hang = script(folder.path(), "hang", &hang);
    let yaml = format!(
        "performance_monitor:\n  collection_interval: 500ms\n  alerting: {{allow_exec: true}}\n  collectors:\n    \
         - {{name: good, type: exec, command: [{}]}}\n    \
         - {{name: hang, type: exec, command: [{}], environment: {{KEY: sesame-42}}}}\n    \
         - {{name: endless, type: exec, command: [/bin/sh, -c, \"while :; do echo a 1; done\"], limits: {{bytes: 10KiB}}}}\n    \
         - {{name: fails, type: exec, command: [/bin/sh, -c, \"echo $KEY >&2; exit 3\"], environment: {{KEY: sesame-42}}}}\n",
        good.display(),
        hang.display()
    );
    let agent = Agent::start(folder.path(), &yaml);
    agent.wait_for_value("runs_total", |runs| runs >= 3.0);
    agent.wait_for_log(&["collector failed", "\"hang\"", "timeout"]);
    agent.wait_for_log(&["larger than 10240 bytes"]);
    let log = agent.wait_for_log(&["exit status 3"]);
    assert!(log.contains("<secret>"), "{log}");
    assert_eq!(
        agent.value("a "),
        None,
        "an output that is too long brings nothing"
    );
    assert!(!agent.log().join("\n").contains("sesame-42"));
    let hanging = std::fs::read_to_string(&pid).unwrap();
    agent.wait_for_value("runs_total", |runs| runs >= 5.0);
    poll("the end of what hung", Duration::from_secs(30), || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", hanging.trim()));
        stat.map_or(true, |stat| stat.contains(") Z "))
            .then_some(())
    });
    // Another program takes the place of the one that failed.
    script(folder.path(), "hang", "echo after 7");
    agent.wait_for_value("after", |value| value == 7.0);
}

#[test]
fn the_root_cgroup_of_this_host_has_its_cpu_time() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(
        folder.path(),
        &config("{name: cgroups, type: cgroup, include: /}"),
    );
    let series = "container_cpu_usage_seconds_total{id=\"/\"";
    let before = agent.wait_for_value(series, |seconds| seconds > 0.0);
    let _busy = Processes::busy(folder.path(), "bw-cgroup", 1);
    agent.wait_for_value(series, |seconds| seconds > before + 0.1);
}

#[test]
fn units_come_from_systemd_or_the_failure_says_why_not() {
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(
        folder.path(),
        &config("{name: units, type: systemd}").replace("250ms", "5s"),
    );
    if Path::new("/run/systemd/system").exists() {
        agent.wait_for_value("node_systemd_units{state=\"active\"", |units| units > 0.0);
    } else {
        agent.wait_for_log(&["collector failed", "systemctl: "]);
    }
}
