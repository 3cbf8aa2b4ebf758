//! Space and inodes of the mounted file systems.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::MetricId;

use super::super::catalogue::Figure;
use super::super::file::HostFile;
use super::super::parse::{BadLines, Mount, mounts, percent};
use super::super::probe::{Outcome, Prober};
use super::super::resolve::Declared;
use super::super::skipped::{What, Why};
use super::{Group, Metric, Roots, Run};

/// What `statvfs` tells of a file system, in its blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Usage {
    pub(in super::super) block_size: u64,
    pub(in super::super) blocks: u64,
    pub(in super::super) free: u64,
    /// What of the free ones ordinary users may fill.
    pub(in super::super) available: u64,
    pub(in super::super) inodes: u64,
    pub(in super::super) inodes_free: u64,
}

impl Usage {
    /// Asks the kernel. Blocks for as long as the file system does.
    pub(in super::super) fn of(path: &Path) -> std::io::Result<Self> {
        let found = rustix::fs::statvfs(path)?;
        Ok(Self {
            block_size: found.f_frsize,
            blocks: found.f_blocks,
            free: found.f_bfree,
            available: found.f_bavail,
            inodes: found.f_files,
            inodes_free: found.f_ffree,
        })
    }

    /// Used over used and available, as df has it: blocks kept for root are neither.
    pub(in super::super) fn used_percent(&self) -> Option<f64> {
        let used = self.blocks.saturating_sub(self.free) as f64;
        let usable = used + self.available as f64;
        (usable > 0.0).then(|| percent(used, usable))
    }

    /// None on file systems that make inodes as they need them.
    pub(in super::super) fn inodes_percent(&self) -> Option<f64> {
        let used = self.inodes.saturating_sub(self.inodes_free) as f64;
        (self.inodes > 0).then(|| percent(used, self.inodes as f64))
    }

    pub(in super::super) fn available_bytes(&self) -> f64 {
        self.available as f64 * self.block_size as f64
    }

    pub(in super::super) fn total_bytes(&self) -> f64 {
        self.blocks as f64 * self.block_size as f64
    }
}

type Pick = fn(&Usage) -> Option<f64>;

struct Mounts {
    file: HostFile,
    rootfs: PathBuf,
    metrics: Vec<Metric<Pick>>,
    prober: Prober<Usage>,
    /// The mount table that `targets` was made from. It rarely changes.
    table: Vec<u8>,
    targets: Vec<Target>,
}

/// A mount point that some metric wants.
struct Target {
    /// Where to ask, under our own root.
    path: Arc<Path>,
    label: String,
    /// Indices of the metrics.
    wanted_by: Vec<usize>,
}

/// Index of `mount_point` among the dimensions of the figures.
const MOUNT_POINT: usize = 0;

pub(super) fn group(
    roots: &Roots<'_>,
    declared: &[(MetricId, Declared)],
    prober: Prober<Usage>,
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(declared, |figure| match figure {
        Figure::Mount(pick) => Some(pick),
        _ => None,
    });
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(Mounts {
        // Our own table: the paths are asked about in our own name space.
        file: roots.proc("self/mountinfo"),
        rootfs: roots.rootfs.to_owned(),
        metrics,
        prober,
        table: Vec::new(),
        targets: Vec::new(),
    }))
}

impl Group for Mounts {
    fn collect(&mut self, run: &mut Run<'_>) {
        let Some((bytes, path)) = run.required(&mut self.file) else {
            return;
        };
        if bytes.is_empty() || bytes != self.table {
            let mut bad = BadLines::default();
            let mounts = mounts(bytes, &mut bad);
            run.account(path, &bad, !mounts.is_empty());
            self.targets = targets(mounts, &self.rootfs, &self.metrics);
            // One with bad lines is not remembered, so that they are counted each time.
            if bad.is_empty() {
                bytes.clone_into(&mut self.table);
            }
        }
        let (targets, metrics) = (&self.targets, &mut self.metrics);
        let paths = targets.iter().map(|target| Arc::clone(&target.path));
        self.prober.ask(paths, |index, outcome| match outcome {
            Outcome::Answered(Ok(usage)) => push(&targets[index], metrics, &usage, run),
            Outcome::Answered(Err(error)) => {
                run.skipped
                    .count(What::Mount, Why::of(&error), &targets[index].path, &error);
            }
            Outcome::Unanswered => {
                run.skipped.count(
                    What::Mount,
                    Why::Timeout,
                    &targets[index].path,
                    &"no answer",
                );
            }
        });
    }
}

/// File systems without blocks are views on the kernel, not places that fill up.
fn push(target: &Target, metrics: &mut [Metric<Pick>], usage: &Usage, run: &mut Run<'_>) {
    if usage.blocks == 0 {
        return;
    }
    for &index in &target.wanted_by {
        let metric = &mut metrics[index];
        if let Some(value) = (metric.pick)(usage) {
            metric.push(&[&target.label], value, run);
        }
    }
}

/// The mount points that the metrics want. Those of networks and of user space come last: a dead
/// one must not keep the others waiting.
fn targets(mounts: Vec<Mount>, rootfs: &Path, metrics: &[Metric<Pick>]) -> Vec<Target> {
    let mounts = beneath(mounts, rootfs);
    let mut wanted_by = vec![Vec::new(); mounts.len()];
    for (index, metric) in metrics.iter().enumerate() {
        for mount in wanted(&mounts, metric) {
            wanted_by[mount].push(index);
        }
    }
    let mut remote = Vec::new();
    let mut targets = Vec::new();
    for ((mount, label), wanted_by) in mounts.into_iter().zip(wanted_by) {
        if wanted_by.is_empty() {
            continue;
        }
        let path = under(rootfs, &mount.point);
        let list = if may_hang(&mount.fs_type) {
            &mut remote
        } else {
            &mut targets
        };
        list.push(Target {
            path,
            label,
            wanted_by,
        });
    }
    targets.append(&mut remote);
    targets
}

/// Mounts with their labels, `rootfs` cut off. With the host's root mounted there, only what lies
/// beneath is the host's; where nothing does, the table is one of the host itself.
fn beneath(mounts: Vec<Mount>, rootfs: &Path) -> Vec<(Mount, String)> {
    let ours = mounts.iter().any(|mount| mount.point.starts_with(rootfs));
    let cut = |mut mount: Mount| {
        if ours {
            mount.point = Path::new("/").join(mount.point.strip_prefix(rootfs).ok()?);
        }
        // Asking about an automount point mounts what it stands for.
        let label = mount.point.to_string_lossy().into_owned();
        (mount.fs_type != "autofs").then_some((mount, label))
    };
    mounts.into_iter().filter_map(cut).collect()
}

fn under(rootfs: &Path, point: &Path) -> Arc<Path> {
    match point.strip_prefix("/") {
        Ok(below) if !below.as_os_str().is_empty() => rootfs.join(below).into(),
        _ => rootfs.into(),
    }
}

/// Indices of the mounts that `metric` wants. A file system that is mounted in several places is
/// one that fills up once: it counts where its own root is mounted, and there at the shortest
/// path, unless the declaration names mount points itself.
fn wanted(mounts: &[(Mount, String)], metric: &Metric<Pick>) -> Vec<usize> {
    let admitted = mounts.iter().enumerate().filter(|(_, (mount, label))| {
        metric
            .filter
            .admits(&[label, &mount.device, &mount.fs_type])
    });
    let mut admitted: Vec<usize> = admitted.map(|(index, _)| index).collect();
    if !metric.filter.includes(MOUNT_POINT) {
        admitted.sort_by_key(|&index| {
            let (mount, label) = &mounts[index];
            (&mount.id, !mount.whole, label.len(), index)
        });
        admitted.dedup_by_key(|index| &mounts[*index].0.id);
    }
    admitted
}

/// File systems that ask another machine or another process.
fn may_hang(fs_type: &str) -> bool {
    const REMOTE: [&str; 12] = [
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "nfs",
        "ocfs2",
        "smb",
    ];
    REMOTE.iter().any(|name| fs_type.starts_with(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_is_that_of_df() {
        // 5 % kept for root: df says 74 % of 1000 blocks, rounded up.
        let usage = Usage {
            block_size: 4096,
            blocks: 1000,
            free: 300,
            available: 250,
            ..Usage::default()
        };
        let used = usage.used_percent().unwrap();
        assert!((used - 700.0 / 950.0 * 100.0).abs() < 1e-9, "{used}");
        assert!((usage.total_bytes() - 4_096_000.0).abs() < 1e-9);
        assert_eq!(usage.inodes_percent(), None);
        assert_eq!(Usage::default().used_percent(), None);
    }
}
