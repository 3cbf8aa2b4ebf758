//! Retention: segments are scanned for their times, and the oldest are deleted.

use std::fs;
use std::time::Duration;

use tracing::warn;

use super::Writer;

/// Time for which a segment must have been too old before it is deleted: a wall clock that is wrong
/// for a minute deletes nothing.
const MIN_TOO_OLD: Duration = Duration::from_secs(3600);

impl Writer {
    /// Scans one segment that was not scanned so far; returns whether there was one.
    pub(super) fn scan_one(&mut self) -> bool {
        let Some(mut segment) = self.shared.with(|state| {
            let mut newest_first = state.segments.iter().rev();
            newest_first.find(|segment| !segment.scanned).cloned()
        }) else {
            return false;
        };
        let damaged = segment.scan().unwrap_or(segment.records);
        segment.scanned = true;
        if damaged > 0 {
            let path = segment.path.display();
            warn!(damaged, %path, "records of the alert history are damaged or missing");
        }
        self.shared.with(|state| {
            state.counts.damaged += damaged;
            if let Some(listed) = state
                .segments
                .iter_mut()
                .find(|listed| listed.path == segment.path)
            {
                *listed = segment;
            }
        });
        true
    }

    /// Deletes the oldest segments beyond the retention and the size limit.
    pub(super) fn delete_old(&mut self) {
        let Some(lock) = &self.lock else { return };
        let now = (self.clock)();
        let max_bytes = self.shared.options.max_bytes;
        let limit = now.wall.before(self.shared.options.retention).0;
        while let Some((segment, bytes)) = self.shared.with(|state| {
            let bytes: u64 = state.segments.iter().map(|segment| segment.bytes).sum();
            (state.segments.len() > 1).then(|| (state.segments[0].clone(), bytes))
        }) {
            if segment.to >= limit {
                self.too_old = None;
            }
            let since = self.too_old.filter(|(first, _)| *first <= segment.first);
            let proven = since.is_some_and(|(_, since)| now.mono.since(since) >= MIN_TOO_OLD);
            if segment.to < limit && since.is_none() {
                self.too_old = Some((segment.first, now.mono));
            }
            if bytes <= max_bytes && !(segment.to < limit && proven) {
                return;
            }
            // A segment that cannot be deleted does not block others.
            if fs::remove_file(&segment.path).is_ok() || !segment.path.exists() {
                lock.sync().ok();
            }
            self.shared
                .with(|state| state.segments.retain(|listed| listed.path != segment.path));
        }
    }
}
