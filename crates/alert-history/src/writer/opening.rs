//! Opening of the folder: its segments, and damage that they have since the last process.

use std::io;
use std::path::Path;

use tracing::warn;

use super::Writer;
use crate::files::{self, Listed, Lock, UnusableFile};
use crate::newest::NewestSegment;
use crate::parts::Segment;

impl Writer {
    /// Locks the folder, and adopts its segments. Records so far are after those of the segments.
    pub(super) fn open_folder(&mut self, folder: &Path) -> Result<(), String> {
        let cannot_read = |error: io::Error| format!("cannot read: {}: {error}", folder.display());
        let lock = Lock::acquire(folder)?;
        let Listed {
            mut segments,
            unusable,
        } = files::list(folder).map_err(cannot_read)?;
        self.report_unusable(&unusable);
        if let Some(last) = segments.last_mut() {
            self.cut_torn_end(last).map_err(cannot_read)?;
        }
        self.report_missing(folder, segments.last());
        let least_next = unusable.iter().map(|file| file.first.saturating_add(1));
        let least_next = least_next.max().unwrap_or(0);
        self.shared.with(|state| state.adopt(segments, least_next));
        self.lock = Some(lock);
        Ok(())
    }

    fn report_unusable(&self, unusable: &[UnusableFile]) {
        for UnusableFile { path, error, .. } in unusable {
            let path = path.display();
            warn!("a segment of the alert history is skipped: {path}: {error}");
            self.shared.with(|state| state.counts.damaged += 1);
        }
    }

    /// Scans the last segment, and leaves out an incomplete write at its end.
    fn cut_torn_end(&self, last: &mut Segment) -> io::Result<()> {
        let bytes = last.read()?;
        let end = memchr::memrchr(b'\n', &bytes).map_or(0, |end| end as u64 + 1);
        let torn = last.bytes - end;
        last.bytes = end;
        let damaged = last.scan()?;
        self.shared.with(|state| {
            state.counts.torn_bytes += torn;
            state.counts.damaged += damaged;
        });
        if torn > 0 || damaged > 0 {
            let path = last.path.display();
            warn!(torn, damaged, %path, "damaged parts of the alert history are skipped");
        }
        Ok(())
    }

    /// Reports records that are missing at the end, by the file of the process before.
    fn report_missing(&mut self, folder: &Path, last: Option<&Segment>) {
        let saved = match NewestSegment::read(folder) {
            Ok(Some(saved)) => saved,
            Ok(None) => return,
            Err(error) => {
                warn!(
                    "{error}; missing records at the end of the alert history would not be detected"
                );
                return;
            }
        };
        let end = last.map_or(0, |last| last.first.saturating_add(last.records));
        let missing = saved.end().saturating_sub(end.max(saved.first));
        let truncated = last.filter(|last| last.first >= saved.first);
        if missing > 0 {
            let cause = match truncated {
                Some(last) => format!("{} was truncated", last.path.display()),
                None => format!("{}/{:020}-*.jsonl is gone", folder.display(), saved.first),
            };
            warn!(
                missing,
                "the newest records of the alert history are missing: {cause}; hint: to restore \
                 them, stop Bellwether, copy the complete file back and start again"
            );
            self.shared.with(|state| state.counts.damaged += missing);
        }
    }
}
