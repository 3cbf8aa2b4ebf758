//! Space and inodes of the mounted file systems.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_core::MetricId;

use super::super::catalogue::Measurement;
use super::super::file::HostFile;
use super::super::parse::{BadLines, Mount, mounts, percent};
use super::super::probe::{Outcome, Prober};
use super::super::resolve::ResolvedMetric;
use super::super::skipped::{SkipReason, SkippedPart};
use super::{Group, Metric, Roots, Run};

/// Values of `statvfs`, in blocks of the file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Usage {
    pub(in super::super) block_size: u64,
    pub(in super::super) blocks: u64,
    pub(in super::super) free: u64,
    /// Free blocks that ordinary users may fill.
    pub(in super::super) available: u64,
    pub(in super::super) inodes: u64,
    pub(in super::super) inodes_free: u64,
}

impl Usage {
    /// Calls `statvfs`, which blocks as long as the file system does.
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

    /// Returns used / (used + available) as df does; blocks reserved for root are neither.
    pub(in super::super) fn used_percent(&self) -> Option<f64> {
        let used = self.blocks.saturating_sub(self.free) as f64;
        let usable = used + self.available as f64;
        (usable > 0.0).then(|| percent(used, usable))
    }

    /// `None` for file systems that create inodes on demand.
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
    /// Mount table of `targets`. It rarely changes.
    table: Vec<u8>,
    targets: Vec<Target>,
}

/// A mount point of some metric.
struct Target {
    /// Path of the probe, under the root of this process.
    path: Arc<Path>,
    label: String,
    /// Indices of its metrics.
    wanted_by: Vec<usize>,
}

/// Index of `mount_point` among the dimensions of the metrics.
const MOUNT_POINT: usize = 0;

pub(super) fn group(
    roots: &Roots<'_>,
    configured: &[(MetricId, ResolvedMetric)],
    prober: Prober<Usage>,
) -> Option<Box<dyn Group>> {
    let metrics = Metric::all(configured, |measurement| match measurement {
        Measurement::Mount(pick) => Some(pick),
        _ => None,
    });
    if metrics.is_empty() {
        return None;
    }
    Some(Box::new(Mounts {
        // The table of this process, since the paths are probed in its name space.
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
            run.record_bad_lines(path, &bad, !mounts.is_empty());
            self.targets = targets(mounts, &self.rootfs, &self.metrics);
            // A table with bad lines is read again each time, so that they are counted.
            if bad.is_empty() {
                bytes.clone_into(&mut self.table);
            }
        }
        let (targets, metrics) = (&self.targets, &mut self.metrics);
        let paths = targets.iter().map(|target| Arc::clone(&target.path));
        self.prober
            .probe_all(paths, |index, outcome| match outcome {
                Outcome::Answered(Ok(usage)) => push(&targets[index], metrics, &usage, run),
                Outcome::Answered(Err(error)) => {
                    run.skipped.count(
                        SkippedPart::Mount,
                        SkipReason::of(&error),
                        &targets[index].path,
                        &error,
                    );
                }
                Outcome::Unanswered => {
                    run.skipped.count(
                        SkippedPart::Mount,
                        SkipReason::Timeout,
                        &targets[index].path,
                        &"no answer",
                    );
                }
            });
    }
}

/// File systems without blocks are views of the kernel and cannot fill up.
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

/// Returns the mount points of the metrics. Network and user-space file systems come last: a dead
/// one must not delay the others.
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

/// Returns the mounts with their labels, without `rootfs`. If the host's root is mounted there, only
/// mounts below it are the host's; if there are none, the table is that of the host itself.
fn beneath(mounts: Vec<Mount>, rootfs: &Path) -> Vec<(Mount, String)> {
    let ours = mounts.iter().any(|mount| mount.point.starts_with(rootfs));
    mounts
        .into_iter()
        .filter_map(|mut mount| {
            if ours {
                mount.point = Path::new("/").join(mount.point.strip_prefix(rootfs).ok()?);
            }
            // A probe of an automount point would mount its file system.
            let label = mount.point.to_string_lossy().into_owned();
            (mount.fs_type != "autofs").then_some((mount, label))
        })
        .collect()
}

fn under(rootfs: &Path, point: &Path) -> Arc<Path> {
    match point.strip_prefix("/") {
        Ok(below) if !below.as_os_str().is_empty() => rootfs.join(below).into(),
        _ => rootfs.into(),
    }
}

/// Returns the indices of the mounts that `metric` selects. A file system with several mounts counts
/// once: at the mount of its root, and there at the shortest path, unless the configuration selects
/// mount points by name.
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

/// Returns whether file systems of a type depend on another machine or process, which may never answer.
#[must_use]
pub fn may_hang(fs_type: &str) -> bool {
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
        // 5 % reserved for root: df says 74 % of 1000 blocks, rounded up.
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
