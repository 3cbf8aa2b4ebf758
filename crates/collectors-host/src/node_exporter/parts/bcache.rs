//! Block caches, from `/sys/fs/bcache`.

mod size;

use std::path::PathBuf;

use bellwether_core::Kind;
use size::{signed, size};

use super::super::directory::{Directory, entries, numbered};
use super::super::part::{COUNTER, GAUGE, Part, PartError, Run};
use super::super::settings::Setup;

/// A metric with its file.
type Metric = (&'static str, &'static str, Option<Kind>, &'static str);

/// Metrics of a cache set.
const SET: [Metric; 10] = [
    (
        "average_key_size_sectors",
        "average_key_size",
        GAUGE,
        "Average data per key in the btree (sectors).",
    ),
    (
        "btree_cache_size_bytes",
        "btree_cache_size",
        GAUGE,
        "Amount of memory currently used by the btree cache.",
    ),
    (
        "cache_available_percent",
        "cache_available_percent",
        GAUGE,
        "Percentage of cache device without dirty data, usable for writeback (may contain clean cached data).",
    ),
    ("congested", "congested", GAUGE, "Congestion."),
    (
        "root_usage_percent",
        "root_usage_percent",
        GAUGE,
        "Percentage of the root btree node in use (tree depth increases if too high).",
    ),
    ("tree_depth", "tree_depth", GAUGE, "Depth of the btree."),
    (
        "active_journal_entries",
        "internal/active_journal_entries",
        GAUGE,
        "Number of journal entries that are newer than the index.",
    ),
    (
        "btree_nodes",
        "internal/btree_nodes",
        GAUGE,
        "Total nodes in the btree.",
    ),
    (
        AVERAGE_DURATION,
        "internal/btree_read_average_duration_us",
        GAUGE,
        "Average btree read duration.",
    ),
    (
        "cache_read_races_total",
        "internal/cache_read_races",
        COUNTER,
        "Counts instances where while data was being read from the cache, the bucket was reused and invalidated - i.e. where the pointer was stale after the read completed.",
    ),
];
/// The one whose file has, in spite of its name, nanoseconds.
const AVERAGE_DURATION: &str = "btree_read_average_duration_seconds";
/// Metrics of a backing device.
const BACKING: [Metric; 8] = [
    (
        "dirty_data_bytes",
        "dirty_data",
        GAUGE,
        "Amount of dirty data for this backing device in the cache.",
    ),
    (
        "bypassed_bytes_total",
        "stats_total/bypassed",
        COUNTER,
        "Amount of IO (both reads and writes) that has bypassed the cache.",
    ),
    (
        "cache_hits_total",
        "stats_total/cache_hits",
        COUNTER,
        "Hits counted per individual IO as bcache sees them.",
    ),
    (
        "cache_misses_total",
        "stats_total/cache_misses",
        COUNTER,
        "Misses counted per individual IO as bcache sees them.",
    ),
    (
        "cache_bypass_hits_total",
        "stats_total/cache_bypass_hits",
        COUNTER,
        "Hits for IO intended to skip the cache.",
    ),
    (
        "cache_bypass_misses_total",
        "stats_total/cache_bypass_misses",
        COUNTER,
        "Misses for IO intended to skip the cache.",
    ),
    (
        "cache_miss_collisions_total",
        "stats_total/cache_miss_collisions",
        COUNTER,
        "Instances where data insertion from cache miss raced with write (data already present).",
    ),
    (
        READAHEADS,
        "stats_total/cache_readaheads",
        COUNTER,
        "Count of times readahead occurred.",
    ),
];
/// The one that is shown only if it is not 0: newer kernels do not have it.
const READAHEADS: &str = "cache_readaheads_total";
/// Metrics of a caching device.
const CACHE: [Metric; 3] = [
    (
        "io_errors",
        "io_errors",
        GAUGE,
        "Number of errors that have occurred, decayed by io_error_halflife.",
    ),
    (
        "metadata_written_bytes_total",
        "metadata_written",
        COUNTER,
        "Sum of all non data writes (btree writes and all other metadata).",
    ),
    (
        "written_bytes_total",
        "written",
        COUNTER,
        "Sum of all data that has been written to the cache.",
    ),
];
/// Metrics of `writeback_rate_debug`, with their keys.
const WRITEBACK: [(&str, &str, &str); 5] = [
    (
        "dirty_target_bytes",
        "target",
        "Current dirty data target threshold for this backing device in bytes.",
    ),
    (
        "writeback_rate",
        "rate",
        "Current writeback rate for this backing device in bytes.",
    ),
    (
        "writeback_rate_proportional_term",
        "proportional",
        "Current result of proportional controller, part of writeback rate",
    ),
    (
        "writeback_rate_integral_term",
        "integral",
        "Current result of integral controller, part of writeback rate",
    ),
    (
        "writeback_change",
        "change",
        "Last writeback rate change step for this backing device.",
    ),
];

struct Bcache(PathBuf);

pub(in super::super) fn part(setup: &Setup) -> Box<dyn Part> {
    Box::new(Bcache(setup.sys("fs/bcache")))
}

impl Part for Bcache {
    fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
        // A host without it has no caches to show, which is a success, as in node_exporter.
        let sets = entries(&self.0).unwrap_or_default().into_iter();
        for uuid in sets.filter(|name| name.contains('-')) {
            let set = Directory::optional(self.0.join(&uuid))?;
            push(&set, &SET, &[("uuid", &uuid)], run);
            for (name, _) in numbered(set.path(), "bdev").unwrap_or_default() {
                let device = Directory::optional(set.path().join(&name))?;
                let labels = [("uuid", uuid.as_str()), ("backing_device", &name)];
                push(&device, &BACKING, &labels, run);
                push_writeback(&device, &labels, run);
            }
            for (name, _) in numbered(set.path(), "cache").unwrap_or_default() {
                let device = Directory::optional(set.path().join(&name))?;
                let labels = [("uuid", uuid.as_str()), ("cache_device", &name)];
                push(&device, &CACHE, &labels, run);
            }
        }
        Ok(())
    }
}

/// Adds metrics; as in node_exporter, those without a file are 0.
fn push(directory: &Directory, metrics: &[Metric], labels: &[(&str, &str)], run: &mut Run<'_>) {
    for (name, file, kind, help) in metrics {
        let value = directory
            .text(file)
            .and_then(|text| size(&text))
            .unwrap_or(0.0);
        if *name == READAHEADS && value == 0.0 {
            continue;
        }
        let value = if *name == AVERAGE_DURATION {
            value * 1e-9
        } else {
            value
        };
        run.out.begin(&format!("node_bcache_{name}"), *kind, help);
        run.out.push(labels, value);
    }
}

fn push_writeback(directory: &Directory, labels: &[(&str, &str)], run: &mut Run<'_>) {
    let text = directory.text("writeback_rate_debug").unwrap_or_default();
    for (name, key, help) in WRITEBACK {
        let mut pairs = text.lines().filter_map(|line| line.split_once(':'));
        let found = pairs.find(|(found, _)| *found == key);
        let value = found.and_then(|(_, value)| signed(value.trim().trim_end_matches("/sec")));
        run.out.gauge(
            &format!("node_bcache_{name}"),
            help,
            labels,
            value.unwrap_or(0.0),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Host, collect};

    #[test]
    fn sets_and_devices_have_their_labels() {
        let host = Host::below(
            "sys/fs/bcache/deaddd54-c735-46d5-868e-f331c5fd7c74",
            &[
                ("average_key_size", "0\n"),
                ("internal/btree_read_average_duration_us", "1305\n"),
                ("bdev0/dirty_data", "1.5k\n"),
                ("bdev0/stats_total/cache_hits", "546\n"),
                (
                    "bdev0/writeback_rate_debug",
                    "rate:\t\t1.1M/sec\ndirty:\t\t20.4G\ntarget:\t\t20.4G\nproportional:\t-427.5k\nintegral:\t790.0k\nchange:\t\t321.5k/sec\n",
                ),
                ("cache0/written", "0\n"),
            ],
        );
        let lines = collect(&host, "bcache", "").unwrap();
        assert_eq!(lines.len(), 10 + 7 + 5 + 3);
        let uuid = "uuid=\"deaddd54-c735-46d5-868e-f331c5fd7c74\"";
        for expected in [
            format!("node_bcache_btree_read_average_duration_seconds{{{uuid}}} 0.000001305"),
            format!("node_bcache_cache_hits_total{{backing_device=\"bdev0\", {uuid}}} 546"),
            format!("node_bcache_writeback_rate{{backing_device=\"bdev0\", {uuid}}} 1150976"),
            format!(
                "node_bcache_writeback_rate_proportional_term{{backing_device=\"bdev0\", {uuid}}} -437748"
            ),
        ] {
            assert!(lines.contains(&expected), "{expected}: {lines:?}");
        }
    }
}
