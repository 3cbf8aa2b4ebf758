//! Self-metrics of history.

use bellwether_core::{Now, SelfMetrics, SelfMetricsBatch, self_metrics};

use super::History;

self_metrics! {
    SERIES = "bellwether_history_series" Gauge []
        "Series in history.";
    SAMPLES = "bellwether_history_samples" Gauge ["part"]
        "Samples in history by part: head (memory), blocks.";
    APPENDED = "bellwether_history_samples_appended_total" Counter []
        "Samples appended to history.";
    REJECTED = "bellwether_history_samples_rejected_total" Counter ["reason"]
        "Samples that history rejected.";
    LOST = "bellwether_history_samples_lost_total" Counter ["reason"]
        "Samples that were appended to history and lost.";
    DAMAGE = "bellwether_history_corruptions_total" Counter ["part"]
        "Damaged or missing parts of history that are left out, so that the rest stays readable.";
    TORN_BYTES = "bellwether_history_torn_bytes_total" Counter []
        "Bytes of a write that a crash interrupted, cut off when history was opened.";
    HEAD_BYTES = "bellwether_history_head_bytes" Gauge []
        "Memory of the samples that are not in a block yet.";
    DISK_BYTES = "bellwether_history_disk_bytes" Gauge ["part"]
        "History on disk by part: wal, blocks.";
    BLOCKS = "bellwether_history_blocks" Gauge []
        "Blocks of history on disk.";
    WRITE_FAILURES = "bellwether_history_write_failures_total" Counter []
        "Writes of history that failed; the samples wait in memory.";
    OLDEST = "bellwether_history_oldest_timestamp_seconds" Gauge []
        "Time of the oldest sample in history.";
}

impl SelfMetrics for History {
    fn add_self_metrics(&self, batch: &mut SelfMetricsBatch<'_>, _: Now) {
        let stats = self.stats();
        let (rejected, losses) = (stats.rejected, stats.losses);
        batch.push(&SERIES, &[], stats.series as f64);
        batch.push(&SAMPLES, &["head"], stats.head_samples as f64);
        batch.push(&SAMPLES, &["blocks"], stats.block_samples as f64);
        batch.push(&APPENDED, &[], stats.appended as f64);
        batch.push(&REJECTED, &["duplicate"], rejected.duplicate as f64);
        batch.push(&REJECTED, &["out_of_order"], rejected.out_of_order as f64);
        batch.push(&REJECTED, &["series_limit"], rejected.series_limit as f64);
        batch.push(&REJECTED, &["unknown"], rejected.unknown as f64);
        batch.push(&LOST, &["not_written"], stats.dropped as f64);
        batch.push(&LOST, &["memory"], stats.evicted as f64);
        batch.push(&DAMAGE, &["wal_frame"], losses.wal_frames as f64);
        batch.push(&DAMAGE, &["wal_segment"], losses.wal_segments as f64);
        batch.push(&DAMAGE, &["chunk"], losses.chunks as f64);
        batch.push(&DAMAGE, &["block"], losses.blocks as f64);
        batch.push(&DAMAGE, &["missing_block"], losses.missing_blocks as f64);
        batch.push(&TORN_BYTES, &[], losses.torn_bytes as f64);
        batch.push(&HEAD_BYTES, &[], stats.head_bytes as f64);
        batch.push(&DISK_BYTES, &["wal"], stats.wal_bytes as f64);
        batch.push(&DISK_BYTES, &["blocks"], stats.block_bytes as f64);
        batch.push(&BLOCKS, &[], stats.blocks as f64);
        batch.push(&WRITE_FAILURES, &[], stats.fsync_failures as f64);
        if let Some(oldest) = stats.oldest {
            batch.push(&OLDEST, &[], oldest.0 as f64 / 1000.0);
        }
    }
}
