//! Collectors of the list `collectors` that look at this host: real processes and programs.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::agent::Agent;

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
