//! Pools of ZFS: a directory each.

use std::path::Path;

use super::super::super::directory::{entries, read};
use super::super::super::part::{GAUGE, Run, total};
use super::{metric, numbers, rows, text};

/// States of a pool, in lower case.
const STATES: [&str; 7] = [
    "online",
    "degraded",
    "faulted",
    "offline",
    "removed",
    "unavail",
    "suspended",
];

pub(super) fn push(directory: &Path, pool: &str, run: &mut Run<'_>) {
    push_io(&text(&directory.join("io")).unwrap_or_default(), pool, run);
    for name in entries(directory).unwrap_or_default() {
        if name.starts_with("objset-") {
            push_dataset(&text(&directory.join(name)).unwrap_or_default(), pool, run);
        }
    }
    if let Ok(state) = read(&directory.join("state")) {
        run.out
            .begin("node_zfs_zpool_state", GAUGE, "kstat.zfs.misc.state");
        for known in STATES {
            let is_current = f64::from(u8::from(state.eq_ignore_ascii_case(known)));
            let labels = [("zpool", pool), ("state", known)];
            run.out.push(&labels, is_current);
        }
    }
}

/// Adds a file with a line of names and a line of numbers.
fn push_io(text: &str, pool: &str, run: &mut Run<'_>) {
    let mut lines = text.lines().skip_while(|line| !line.starts_with("nread"));
    let (names, values) = (lines.next(), lines.next());
    let names = names.unwrap_or_default().split_whitespace();
    for (name, value) in names.zip(values.unwrap_or_default().split_whitespace()) {
        if let Some(value) = total(value) {
            let help = format!("kstat.zfs.misc.io.{name}");
            let metric = metric("node_zfs_zpool", name);
            run.out.untyped(&metric, &help, &[("zpool", pool)], value);
        }
    }
}

fn push_dataset(text: &str, pool: &str, run: &mut Run<'_>) {
    let mut names = rows(text).filter(|(name, ..)| *name == "dataset_name");
    let Some((_, _, dataset)) = names.next() else {
        return;
    };
    for (name, value) in numbers(text) {
        let help = format!("kstat.zfs.misc.objset.{name}");
        let labels = [("zpool", pool), ("dataset", dataset)];
        let metric = metric("node_zfs_zpool_dataset", name);
        run.out.untyped(&metric, &help, &labels, value);
    }
}
