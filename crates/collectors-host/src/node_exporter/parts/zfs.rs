//! ZFS, from `/proc/spl/kstat/zfs`.

mod pools;

use std::path::{Path, PathBuf};

use super::super::directory::entries;
use super::super::part::{Part, PartError, Run, integer};
use super::super::settings::Setup;

/// Files with the prefixes of their metrics.
const FILES: [(&str, &str); 11] = [
    ("abdstats", "node_zfs_abd"),
    ("arcstats", "node_zfs_arc"),
    ("dbufstats", "node_zfs_dbuf"),
    ("dmu_tx", "node_zfs_dmu_tx"),
    ("dnodestats", "node_zfs_dnode"),
    ("fm", "node_zfs_fm"),
    ("vdev_cache_stats", "node_zfs_vdev_cache"),
    ("vdev_mirror_stats", "node_zfs_vdev_mirror"),
    ("xuio_stats", "node_zfs_xuio"),
    ("zfetchstats", "node_zfs_zfetch"),
    ("zil", "node_zfs_zil"),
];
/// Largest file that is read.
const LARGEST: u64 = 1 << 20;
/// Types of values that are whole numbers: signed and unsigned ones of 64 bits.
const NUMBERS: [&str; 2] = ["3", "4"];

struct Zfs(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Zfs(setup.proc("spl/kstat/zfs")))
}

impl Part for Zfs {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        let names = entries(&self.0).map_err(|error| PartError::optional(&self.0, &error))?;
        for (file, prefix) in FILES {
            let Some(text) = text(&self.0.join(file)) else {
                continue;
            };
            for (name, value) in numbers(&text) {
                let help = format!("kstat.zfs.misc.{file}.{name}");
                run.out.untyped(&metric(prefix, name), &help, &[], value);
            }
        }
        for pool in names {
            let directory = self.0.join(&pool);
            if directory.is_dir() {
                pools::push(&directory, &pool, run);
            }
        }
        Ok(())
    }
}

fn text(path: &Path) -> Option<String> {
    let content = bellwether_files::read(path, LARGEST).ok()?;
    Some(String::from_utf8_lossy(&content).into_owned())
}

fn metric(prefix: &str, name: &str) -> String {
    format!("{prefix}_{}", name.replace('-', "_"))
}

/// Returns the lines `name type data` behind the heading with the same words.
fn rows(text: &str) -> impl Iterator<Item = (&str, &str, &str)> {
    let rows = text.lines().filter_map(|line| {
        let line = line.trim();
        let (name, rest) = line.split_once(char::is_whitespace)?;
        let (kind, data) = rest.trim_start().split_once(char::is_whitespace)?;
        Some((name, kind, data.trim_start()))
    });
    rows.skip_while(|row| *row != ("name", "type", "data"))
        .skip(1)
}

fn numbers(text: &str) -> impl Iterator<Item = (&str, f64)> {
    rows(text).filter_map(|(name, kind, data)| {
        let value = integer(data)?;
        NUMBERS.contains(&kind).then_some((name, value))
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn numbers_have_their_names_and_pools_their_labels() {
        let host = Host::with(&[
            (
                "proc/spl/kstat/zfs/arcstats",
                "6 1 0x01 91 4368 5266997922 97951858082072\nname                            type data\nhits                            4    8772612\nanon-size 3 -5\ntext 7 x\n",
            ),
            (
                "proc/spl/kstat/zfs/tank/io",
                "12 3 0x00 1 80 79205351707403 395818011156865\nnread    nwritten reads    writes   wtime    wlentime wupdate  rtime    rlentime rupdate  wcnt     rcnt\n1884160  3206144  22       132      7155162  104112268 1 2 3 4 5 6\n",
            ),
            (
                "proc/spl/kstat/zfs/tank/objset-1",
                "23 1 0x01 7 2160 221578688875 6665999035587\nname                            type data\ndataset_name                    7    tank/my data\nwrites                          4    4\n",
            ),
            ("proc/spl/kstat/zfs/tank/state", "DEGRADED\n"),
        ]);
        let lines = collect(&host, "zfs", "").unwrap();
        assert_eq!(lines.len(), 2 + 12 + 1 + 7);
        for expected in [
            "node_zfs_arc_hits 8772612",
            "node_zfs_arc_anon_size -5",
            "node_zfs_zpool_nwritten{zpool=\"tank\"} 3206144",
            "node_zfs_zpool_dataset_writes{dataset=\"tank/my data\", zpool=\"tank\"} 4",
            "node_zfs_zpool_state{state=\"degraded\", zpool=\"tank\"} 1",
            "node_zfs_zpool_state{state=\"online\", zpool=\"tank\"} 0",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
    }
}
