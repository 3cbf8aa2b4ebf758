//! btrfs, from `/sys/fs/btrfs`.

use std::path::PathBuf;

use super::super::directory::{Directory, entries};
use super::super::part::{Part, PartError, Run, total};
use super::super::settings::Setup;

/// Bytes of a sector in the size of a device.
const SECTOR: f64 = 512.0;
/// Types of block groups.
const TYPES: [&str; 3] = ["data", "metadata", "system"];

struct Btrfs(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Btrfs(setup.sys("fs/btrfs")))
}

/// A file system.
struct FileSystem {
    uuid: String,
    directory: Directory,
    devices: Vec<String>,
}

impl Part for Btrfs {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        // A host without it has no file systems to show, which is a success, as in node_exporter.
        let names = entries(&self.0).unwrap_or_default().into_iter();
        for name in names.filter(|name| name.contains('-')) {
            let directory = Directory::optional(self.0.join(&name))?;
            let uuid = directory
                .text("metadata_uuid")
                .filter(|uuid| !uuid.is_empty());
            FileSystem {
                uuid: uuid.unwrap_or(name),
                devices: entries(&directory.path().join("devices")).unwrap_or_default(),
                directory,
            }
            .push(run);
        }
        Ok(())
    }
}

impl FileSystem {
    fn push(&self, run: &mut Run<'_>) {
        let label = self.directory.text("label").unwrap_or_default();
        let labels = [("uuid", self.uuid.as_str()), ("label", &label)];
        run.out
            .gauge("node_btrfs_info", "Filesystem information", &labels, 1.0);
        let reserve = self.integer("allocation/global_rsv_size");
        let help = "Size of global reserve.";
        run.out.gauge(
            "node_btrfs_global_rsv_size_bytes",
            help,
            &labels[..1],
            reserve,
        );
        self.push_commits(run);
        for kind in TYPES {
            self.push_allocation(kind, run);
        }
        for device in &self.devices {
            let size = self.integer(&format!("devices/{device}/size")) * SECTOR;
            let labels = [("uuid", self.uuid.as_str()), ("device", device)];
            let help = "Size of a device that is part of the filesystem.";
            run.out
                .gauge("node_btrfs_device_size_bytes", help, &labels, size);
        }
    }

    fn integer(&self, file: &str) -> f64 {
        self.directory.integer(file).unwrap_or(0.0)
    }

    fn push_commits(&self, run: &mut Run<'_>) {
        let text = self.directory.text("commit_stats").unwrap_or_default();
        let value = |key: &str| {
            let mut pairs = text.lines().filter_map(|line| line.split_once(' '));
            let found = pairs.find(|(name, _)| *name == key);
            found
                .and_then(|(_, value)| total(value.trim()))
                .unwrap_or(0.0)
        };
        let labels = [("uuid", self.uuid.as_str())];
        let commits = value("commits");
        let help = "The total number of commits that have occurred.";
        run.out
            .counter("node_btrfs_commits_total", help, &labels, commits);
        let last = value("last_commit_ms") / 1000.0;
        let help = "Duration of the most recent commit, in seconds.";
        run.out
            .gauge("node_btrfs_last_commit_seconds", help, &labels, last);
        let longest = value("max_commit_ms") / 1000.0;
        let help = "Duration of the slowest commit, in seconds.";
        run.out
            .gauge("node_btrfs_max_commit_seconds", help, &labels, longest);
        let sum = value("total_commit_ms") / 1000.0;
        let help = "Sum of the duration of all commits, in seconds.";
        run.out
            .counter("node_btrfs_commit_seconds_total", help, &labels, sum);
    }

    fn push_allocation(&self, kind: &str, run: &mut Run<'_>) {
        let labels = [("uuid", self.uuid.as_str()), ("block_group_type", kind)];
        let reserved = self.integer(&format!("allocation/{kind}/bytes_reserved"));
        let help = "Amount of space reserved for a data type";
        run.out
            .gauge("node_btrfs_reserved_bytes", help, &labels, reserved);
        let directory = self.directory.path().join("allocation").join(kind);
        for layout in entries(&directory).unwrap_or_default() {
            if !directory.join(&layout).is_dir() {
                continue;
            }
            let labels = [labels[0], labels[1], ("mode", layout.as_str())];
            let at = format!("allocation/{kind}/{layout}");
            let used = self.integer(&format!("{at}/used_bytes"));
            let help = "Amount of used space by a layout/data type";
            run.out.gauge("node_btrfs_used_bytes", help, &labels, used);
            let size = self.integer(&format!("{at}/total_bytes"));
            let help = "Amount of space allocated for a layout/data type";
            run.out.gauge("node_btrfs_size_bytes", help, &labels, size);
            let ratio = ratio(&layout, self.devices.len() as f64);
            let help = "Data allocation ratio for a layout/data type";
            run.out
                .gauge("node_btrfs_allocation_ratio", help, &labels, ratio);
        }
    }
}

/// Returns the raw bytes per byte of data.
fn ratio(layout: &str, devices: f64) -> f64 {
    match layout {
        "single" | "raid0" => 1.0,
        "dup" | "raid1" | "raid10" => 2.0,
        "raid1c3" => 3.0,
        "raid1c4" => 4.0,
        "raid5" => devices / (devices - 1.0),
        "raid6" => devices / (devices - 2.0),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn allocations_have_their_type_and_layout() {
        let host = Host::below(
            "sys/fs/btrfs/0abb23a9-579b-43e6-ad30-227ef47fcb9d",
            &[
                ("label", "fixture\n"),
                ("allocation/global_rsv_size", "16777216\n"),
                ("allocation/data/bytes_reserved", "7\n"),
                ("allocation/data/raid5/total_bytes", "2147483648\n"),
                ("allocation/data/raid5/used_bytes", "808189952\n"),
                ("devices/loop25/size", "20971520\n"),
                ("devices/loop26/size", "20971520\n"),
                ("devices/loop27/size", "20971520\n"),
                (
                    "commit_stats",
                    "commits 258051\nlast_commit_ms 1000\nmax_commit_ms 51462\ntotal_commit_ms 47836090\n",
                ),
            ],
        );
        let lines = collect(&host, "btrfs", "").unwrap();
        let uuid = "uuid=\"0abb23a9-579b-43e6-ad30-227ef47fcb9d\"";
        for expected in [
            format!("node_btrfs_info{{label=\"fixture\", {uuid}}} 1"),
            format!("node_btrfs_max_commit_seconds{{{uuid}}} 51.462"),
            format!(
                "node_btrfs_used_bytes{{block_group_type=\"data\", mode=\"raid5\", {uuid}}} 808189952"
            ),
            format!(
                "node_btrfs_allocation_ratio{{block_group_type=\"data\", mode=\"raid5\", {uuid}}} 1.5"
            ),
            format!("node_btrfs_device_size_bytes{{device=\"loop25\", {uuid}}} 10737418240"),
        ] {
            assert!(lines.contains(&expected), "{expected}: {lines:?}");
        }
        assert_eq!(lines.len(), 6 + 3 + 3 + 3);
    }
}
