//! Space of mounted file systems, from the mount table of process 1 and `statfs`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::statfs;

use super::super::part::{GAUGE, Part, PartError, ProcFile, Run};
use super::super::settings::{Filter, Setup};
use crate::system::parse::{BadLines, Mount, all_mounts};
use crate::system::{Outcome, Prober, may_hang};

/// Space of a file system, in bytes and in inodes.
#[derive(Clone, Copy, Debug)]
struct Space {
    size: f64,
    free: f64,
    available: f64,
    files: f64,
    files_free: f64,
}

type Get = fn(&Space) -> f64;

const METRICS: [(&str, &str, Get); 5] = [
    ("size_bytes", "Filesystem size in bytes.", |space| {
        space.size
    }),
    ("free_bytes", "Filesystem free space in bytes.", |space| {
        space.free
    }),
    (
        "avail_bytes",
        "Filesystem space available to non-root users in bytes.",
        |space| space.available,
    ),
    ("files", "Filesystem total file nodes.", |space| space.files),
    ("files_free", "Filesystem total free file nodes.", |space| {
        space.files_free
    }),
];

struct Filesystem {
    table: ProcFile,
    rootfs: PathBuf,
    mount_points: Filter,
    fs_types: Filter,
    prober: Prober<Space>,
    /// Content of the table when `targets` were made of it.
    known: Vec<u8>,
    targets: Vec<Target>,
}

/// A mount that is shown.
struct Target {
    path: Arc<Path>,
    device: String,
    mount_point: String,
    fs_type: String,
    major: String,
    minor: String,
    is_read_only: bool,
}

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    let tables = ["1/mountinfo", "self/mountinfo"].map(|file| setup.proc(file));
    Box::new(Filesystem {
        table: ProcFile::first_of(tables.into()),
        rootfs: setup.host.rootfs.clone(),
        mount_points: setup.filters.mount_points.clone(),
        fs_types: setup.filters.fs_types.clone(),
        prober: Prober::new(Arc::new(Space::of), setup.mount_timeout),
        known: Vec::new(),
        targets: Vec::new(),
    })
}

impl Space {
    /// Calls `statfs`, which blocks as long as the file system does.
    fn of(path: &Path) -> std::io::Result<Self> {
        let found = statfs(path)?;
        let bytes = |blocks: u64| blocks as f64 * found.f_bsize as f64;
        Ok(Self {
            size: bytes(found.f_blocks),
            free: bytes(found.f_bfree),
            available: bytes(found.f_bavail),
            files: found.f_files as f64,
            files_free: found.f_ffree as f64,
        })
    }
}

impl Part for Filesystem {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        self.update_targets()?;
        let targets = &self.targets;
        let mut answers: Vec<Result<Space, String>> = vec![Err(String::new()); targets.len()];
        let paths = targets.iter().map(|target| Arc::clone(&target.path));
        self.prober.probe_all(paths, |index, outcome| {
            answers[index] = match outcome {
                Outcome::Answered(answer) => answer.map_err(|error| message(&error)),
                Outcome::Unanswered => Err("mountpoint timeout".to_owned()),
            };
        });
        push(targets, &answers, run);
        Ok(())
    }
}

impl Filesystem {
    /// Reads the mount table, which rarely changes.
    fn update_targets(&mut self) -> Result<(), PartError> {
        let table = self.table.bytes()?;
        if table == self.known && !table.is_empty() {
            return Ok(());
        }
        table.clone_into(&mut self.known);
        let mut seen = HashSet::new();
        let mounts = all_mounts(&self.known, &mut BadLines::default());
        let mut targets: Vec<Target> = mounts
            .into_iter()
            .map(|mount| Target::new(mount, &self.rootfs))
            .filter(|target| self.mount_points.selects(&target.mount_point))
            .filter(|target| self.fs_types.selects(&target.fs_type))
            .filter(|target| seen.insert(target.identity()))
            .collect();
        // Those that may hang come last, so that they delay no other.
        targets.sort_by_key(|target| may_hang(&target.fs_type));
        self.targets = targets;
        Ok(())
    }
}

impl Target {
    fn new(mount: Mount, rootfs: &Path) -> Self {
        let below = mount.point.strip_prefix(rootfs).ok();
        let mount_point = match below {
            Some(below) => Path::new("/").join(below),
            None => mount.point,
        };
        let path = match mount_point.strip_prefix("/") {
            Ok(below) if !below.as_os_str().is_empty() => rootfs.join(below),
            _ => rootfs.to_owned(),
        };
        let id = String::from_utf8_lossy(&mount.id).into_owned();
        let (major, minor) = id.split_once(':').unwrap_or((&id, ""));
        Self {
            path: path.into(),
            device: mount.device,
            mount_point: mount_point.to_string_lossy().into_owned(),
            fs_type: mount.fs_type,
            major: major.to_owned(),
            minor: minor.to_owned(),
            is_read_only: mount.read_only,
        }
    }

    /// Labels that all its series have: a mount with those of another one is not shown again.
    fn identity(&self) -> (String, String, String) {
        (
            self.device.clone(),
            self.mount_point.clone(),
            self.fs_type.clone(),
        )
    }

    fn labels<'t>(&'t self, error: &'t str) -> [(&'t str, &'t str); 4] {
        [
            ("device", &self.device),
            ("mountpoint", &self.mount_point),
            ("fstype", &self.fs_type),
            ("device_error", error),
        ]
    }
}

fn push(targets: &[Target], answers: &[Result<Space, String>], run: &mut Run<'_>) {
    let shown = || targets.iter().zip(answers);
    let error = |answer: &Result<Space, String>| answer.as_ref().err().cloned().unwrap_or_default();
    let help = "Whether an error occurred while getting statistics for the given device.";
    run.out.begin("node_filesystem_device_error", GAUGE, help);
    for (target, answer) in shown() {
        let failed = f64::from(u8::from(answer.is_err()));
        run.out.push(&target.labels(&error(answer)), failed);
    }
    let help = "Filesystem read-only status.";
    run.out.begin("node_filesystem_readonly", GAUGE, help);
    for (target, answer) in shown() {
        let read_only = f64::from(u8::from(target.is_read_only));
        run.out.push(&target.labels(&error(answer)), read_only);
    }
    for (name, help, get) in METRICS {
        run.out
            .begin(&format!("node_filesystem_{name}"), GAUGE, help);
        for (target, answer) in shown() {
            if let Ok(space) = answer {
                run.out.push(&target.labels(""), get(space));
            }
        }
    }
    let help = "Filesystem mount information.";
    run.out.begin("node_filesystem_mount_info", GAUGE, help);
    for (target, _) in shown().filter(|(_, answer)| answer.is_ok()) {
        let labels = [
            ("device", target.device.as_str()),
            ("major", &target.major),
            ("minor", &target.minor),
            ("mountpoint", &target.mount_point),
        ];
        run.out.push(&labels, 1.0);
    }
}

/// Returns an error as Go prints it: `permission denied`.
fn message(error: &std::io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut characters = text.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, Parts, collect};
    use super::*;

    const TABLE: &str = "1 0 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n2 1 8:2 / /data rw - ext4 /dev/sda2 ro\n\
        3 1 0:5 / /proc rw - proc proc rw\n4 1 0:6 / /run/user rw - tmpfs tmpfs rw\n5 1 8:3 / /gone rw - xfs /dev/sdc rw\n";

    #[test]
    fn mounts_have_their_space_and_those_that_fail_their_error() {
        let host = Host::with(&[
            ("proc/1/mountinfo", TABLE),
            ("root/data/file", ""),
            ("root/run/user/file", ""),
        ]);
        let lines = collect(&host, "filesystem", "").unwrap();
        for expected in [
            "node_filesystem_readonly{device=\"/dev/sda1\", fstype=\"ext4\", mountpoint=\"/\"} 0",
            "node_filesystem_readonly{device=\"/dev/sda2\", fstype=\"ext4\", mountpoint=\"/data\"} 1",
            "node_filesystem_device_error{device=\"/dev/sda1\", fstype=\"ext4\", mountpoint=\"/\"} 0",
            "node_filesystem_device_error{device=\"/dev/sdc\", device_error=\"no such file or directory\", fstype=\"xfs\", mountpoint=\"/gone\"} 1",
            "node_filesystem_mount_info{device=\"/dev/sda2\", major=\"8\", minor=\"2\", mountpoint=\"/data\"} 1",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
        let sizes = lines
            .iter()
            .filter(|line| line.starts_with("node_filesystem_size_bytes"));
        assert_eq!(sizes.count(), 3, "{lines:?}");
        let yaml = "filesystem: {mount_points_include: ^/data$, fs_types_exclude: tmpfs}";
        let lines = collect(&host, "filesystem", yaml).unwrap();
        assert!(
            lines.len() == 8 && lines.iter().all(|line| line.contains("/data")),
            "{lines:?}"
        );
    }

    #[test]
    fn a_mount_that_hangs_costs_itself() {
        let host = Host::with(&[("proc/1/mountinfo", TABLE), ("root/data/file", "")]);
        let mut filesystem = Filesystem {
            table: ProcFile::new(host.path("proc/1/mountinfo")),
            rootfs: host.path("root"),
            mount_points: Filter::default(),
            fs_types: Filter::default(),
            prober: Prober::new(
                Arc::new(|path: &Path| {
                    while path.ends_with("data") {
                        std::thread::park();
                    }
                    Space::of(Path::new("/"))
                }),
                std::time::Duration::from_millis(100),
            ),
            known: Vec::new(),
            targets: Vec::new(),
        };
        for _ in 0..2 {
            let lines = Parts::collect_part(&mut filesystem).unwrap();
            let errors: Vec<_> = lines
                .iter()
                .filter(|line| line.contains("device_error="))
                .collect();
            assert_eq!(errors.len(), 2, "{errors:?}");
            assert!(errors[0].contains(
                "device_error=\"mountpoint timeout\", fstype=\"ext4\", mountpoint=\"/data\"} 1"
            ));
        }
    }
}
