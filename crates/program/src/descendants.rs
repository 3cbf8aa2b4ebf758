//! Kills all processes that a program started.
//!
//! Its process group is not enough: `setsid` leaves it. Children have their parent's id until the
//! parent ends, and a background process keeps the environment it was given. A process that hides
//! by both on purpose is not found; that needs a sandbox.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// Variable of the environment that holds the mark of one start.
pub(super) const VARIABLE: &str = "BELLWETHER_INVOCATION";

/// Maximum number of looks for what was started meanwhile.
const ROUNDS: usize = 20;

/// Kills all descendants of `leader`, and all processes with `mark` in their environment, until
/// none are left. Reads files of `/proc`.
pub(super) fn kill(leader: Pid, mark: &str) {
    let entry = format!("{VARIABLE}={mark}");
    let mut killed = BTreeSet::new();
    for _ in 0..ROUNDS {
        let candidates = related(leader, &entry).into_iter();
        let new: Vec<Pid> = candidates
            .filter(|pid| killed.insert(pid.as_raw_pid()))
            .collect();
        if new.is_empty() {
            return;
        }
        let handles: Vec<_> = new
            .iter()
            .filter_map(|pid| Some((*pid, pidfd_open(*pid, PidfdFlags::empty()).ok()?)))
            .collect();
        // A number may have been given anew before its handle was made, but not since.
        let still = related(leader, &entry);
        for (_, handle) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
            pidfd_send_signal(handle, Signal::KILL).ok();
        }
    }
}

/// Returns the descendants of `leader`, and the processes with `entry` in their environment; not
/// `leader` itself, as its children could not be found without it.
fn related(leader: Pid, entry: &str) -> Vec<Pid> {
    let parents = parents();
    let descends = |pid: i32| {
        let mut at = pid;
        // A number may be given anew while they are read: no chain goes on for ever.
        for _ in 0..parents.len() {
            match parents.get(&at) {
                Some(parent) if *parent == leader.as_raw_pid() => return true,
                Some(parent) => at = *parent,
                None => return false,
            }
        }
        false
    };
    let pids = parents
        .keys()
        .copied()
        .filter(|pid| *pid != leader.as_raw_pid());
    let ours = pids.filter(|pid| descends(*pid) || is_marked(*pid, entry));
    ours.filter_map(Pid::from_raw).collect()
}

/// Returns the parent of each process.
fn parents() -> BTreeMap<i32, i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(with_parent).collect()
}

fn is_marked(pid: i32, entry: &str) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == entry.as_bytes())
}

/// Returns the process and its parent, unless it ended.
fn with_parent(pid: i32) -> Option<(i32, i32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything but ends at the last parenthesis.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let parent = fields.next()?.parse().ok()?;
    (state != "Z").then_some((pid, parent))
}
