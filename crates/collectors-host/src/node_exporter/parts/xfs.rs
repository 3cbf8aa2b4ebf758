//! XFS, from `/sys/fs/xfs/*/stats/stats`.

use std::path::PathBuf;

use super::super::directory::{entries, read};
use super::super::part::{COUNTER, Part, PartError, Run, total};
use super::super::settings::Setup;

/// Metrics with the first word of their line and their column behind it.
const METRICS: [(&str, &str, usize, &str); 39] = [
    (
        "extent_allocation_extents_allocated_total",
        "extent_alloc",
        0,
        "Number of extents allocated for a filesystem.",
    ),
    (
        "extent_allocation_blocks_allocated_total",
        "extent_alloc",
        1,
        "Number of blocks allocated for a filesystem.",
    ),
    (
        "extent_allocation_extents_freed_total",
        "extent_alloc",
        2,
        "Number of extents freed for a filesystem.",
    ),
    (
        "extent_allocation_blocks_freed_total",
        "extent_alloc",
        3,
        "Number of blocks freed for a filesystem.",
    ),
    (
        "allocation_btree_lookups_total",
        "abt",
        0,
        "Number of allocation B-tree lookups for a filesystem.",
    ),
    (
        "allocation_btree_compares_total",
        "abt",
        1,
        "Number of allocation B-tree compares for a filesystem.",
    ),
    (
        "allocation_btree_records_inserted_total",
        "abt",
        2,
        "Number of allocation B-tree records inserted for a filesystem.",
    ),
    (
        "allocation_btree_records_deleted_total",
        "abt",
        3,
        "Number of allocation B-tree records deleted for a filesystem.",
    ),
    (
        "block_mapping_reads_total",
        "blk_map",
        0,
        "Number of block map for read operations for a filesystem.",
    ),
    (
        "block_mapping_writes_total",
        "blk_map",
        1,
        "Number of block map for write operations for a filesystem.",
    ),
    (
        "block_mapping_unmaps_total",
        "blk_map",
        2,
        "Number of block unmaps (deletes) for a filesystem.",
    ),
    (
        "block_mapping_extent_list_insertions_total",
        "blk_map",
        3,
        "Number of extent list insertions for a filesystem.",
    ),
    (
        "block_mapping_extent_list_deletions_total",
        "blk_map",
        4,
        "Number of extent list deletions for a filesystem.",
    ),
    (
        "block_mapping_extent_list_lookups_total",
        "blk_map",
        5,
        "Number of extent list lookups for a filesystem.",
    ),
    (
        "block_mapping_extent_list_compares_total",
        "blk_map",
        6,
        "Number of extent list compares for a filesystem.",
    ),
    (
        "block_map_btree_lookups_total",
        "bmbt",
        0,
        "Number of block map B-tree lookups for a filesystem.",
    ),
    (
        "block_map_btree_compares_total",
        "bmbt",
        1,
        "Number of block map B-tree compares for a filesystem.",
    ),
    (
        "block_map_btree_records_inserted_total",
        "bmbt",
        2,
        "Number of block map B-tree records inserted for a filesystem.",
    ),
    (
        "block_map_btree_records_deleted_total",
        "bmbt",
        3,
        "Number of block map B-tree records deleted for a filesystem.",
    ),
    (
        "directory_operation_lookup_total",
        "dir",
        0,
        "Number of file name directory lookups which miss the operating systems directory name lookup cache.",
    ),
    (
        "directory_operation_create_total",
        "dir",
        1,
        "Number of times a new directory entry was created for a filesystem.",
    ),
    (
        "directory_operation_remove_total",
        "dir",
        2,
        "Number of times an existing directory entry was created for a filesystem.",
    ),
    (
        "directory_operation_getdents_total",
        "dir",
        3,
        "Number of times the directory getdents operation was performed for a filesystem.",
    ),
    (
        "inode_operation_attempts_total",
        "ig",
        0,
        "Number of times the OS looked for an XFS inode in the inode cache.",
    ),
    (
        "inode_operation_found_total",
        "ig",
        1,
        "Number of times the OS looked for and found an XFS inode in the inode cache.",
    ),
    (
        "inode_operation_recycled_total",
        "ig",
        2,
        "Number of times the OS found an XFS inode in the cache, but could not use it as it was being recycled.",
    ),
    (
        "inode_operation_missed_total",
        "ig",
        3,
        "Number of times the OS looked for an XFS inode in the cache, but did not find it.",
    ),
    (
        "inode_operation_duplicates_total",
        "ig",
        4,
        "Number of times the OS tried to add a missing XFS inode to the inode cache, but found it had already been added by another process.",
    ),
    (
        "inode_operation_reclaims_total",
        "ig",
        5,
        "Number of times the OS reclaimed an XFS inode from the inode cache to free memory for another purpose.",
    ),
    (
        "inode_operation_attribute_changes_total",
        "ig",
        6,
        "Number of times the OS explicitly changed the attributes of an XFS inode.",
    ),
    (
        "read_calls_total",
        "rw",
        1,
        "Number of read(2) system calls made to files in a filesystem.",
    ),
    (
        "write_calls_total",
        "rw",
        0,
        "Number of write(2) system calls made to files in a filesystem.",
    ),
    (
        "vnode_active_total",
        "vnodes",
        0,
        "Number of vnodes not on free lists for a filesystem.",
    ),
    (
        "vnode_allocate_total",
        "vnodes",
        1,
        "Number of times vn_alloc called for a filesystem.",
    ),
    (
        "vnode_get_total",
        "vnodes",
        2,
        "Number of times vn_get called for a filesystem.",
    ),
    (
        "vnode_hold_total",
        "vnodes",
        3,
        "Number of times vn_hold called for a filesystem.",
    ),
    (
        "vnode_release_total",
        "vnodes",
        4,
        "Number of times vn_rele called for a filesystem.",
    ),
    (
        "vnode_reclaim_total",
        "vnodes",
        5,
        "Number of times vn_reclaim called for a filesystem.",
    ),
    (
        "vnode_remove_total",
        "vnodes",
        6,
        "Number of times vn_remove called for a filesystem.",
    ),
];

struct Xfs(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Xfs(setup.sys("fs/xfs")))
}

impl Part for Xfs {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        // A host without it has no file systems to show, which is a success, as in node_exporter.
        let names = entries(&self.0).unwrap_or_default().into_iter();
        // `stats` is the sum of all.
        let devices = names.filter(|name| name != "stats").filter_map(|name| {
            let text = read(&self.0.join(&name).join("stats/stats")).ok()?;
            Some((name, text))
        });
        let devices: Vec<(String, String)> = devices.collect();
        if devices.is_empty() {
            return Ok(());
        }
        for (name, row, column, help) in METRICS {
            run.out.begin(&format!("node_xfs_{name}"), COUNTER, help);
            for (device, text) in &devices {
                run.out
                    .push(&[("device", device)], value(text, row, column));
            }
        }
        Ok(())
    }
}

/// Returns a number; 0 if the kernel does not have it.
fn value(text: &str, row: &str, column: usize) -> f64 {
    let mut rows = text.lines().filter_map(|line| line.split_once(' '));
    let numbers = rows
        .find(|(word, _)| *word == row)
        .map(|(_, numbers)| numbers);
    let number = numbers.and_then(|numbers| numbers.split_whitespace().nth(column));
    number.and_then(total).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn rows_have_their_metrics_by_device() {
        let stats = "extent_alloc 1 0 2 3\nabt 0 0 0 0\nig 29 17 0 52 0 0 0\nrw 28 7\nvnodes 4 0 0 0 1 1 1 0\n";
        let host = Host::with(&[
            ("sys/fs/xfs/sda1/stats/stats", stats),
            ("sys/fs/xfs/stats/stats", stats),
        ]);
        let lines = collect(&host, "xfs", "").unwrap();
        assert_eq!(lines.len(), 39);
        for expected in [
            "node_xfs_extent_allocation_blocks_freed_total{device=\"sda1\"} 3",
            "node_xfs_inode_operation_missed_total{device=\"sda1\"} 52",
            "node_xfs_read_calls_total{device=\"sda1\"} 7",
            "node_xfs_write_calls_total{device=\"sda1\"} 28",
        ] {
            assert!(
                lines.iter().any(|line| line == expected),
                "{expected}: {lines:?}"
            );
        }
    }
}
