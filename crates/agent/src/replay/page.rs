//! Reads recorded samples in ranges of time, so that memory stays bounded.

use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_promql::{Guard, Queryable, StorageError};

use super::replayer::Replayer;

/// Approximate number of samples in memory; 16 bytes each.
const SAMPLES: usize = 4_000_000;
/// Length of the first range, before the number of samples is known.
const FIRST: Duration = Duration::from_secs(3_600);
/// Maximum length of a range.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Reads range after range into a replayer.
pub(super) struct Pages<'a> {
    source: &'a dyn Queryable,
    guard: &'a Guard,
    next: UnixMillis,
    end: UnixMillis,
    span: Duration,
}

impl<'a> Pages<'a> {
    pub(super) fn new(
        source: &'a dyn Queryable,
        guard: &'a Guard,
        start: UnixMillis,
        end: UnixMillis,
    ) -> Self {
        Self {
            source,
            guard,
            next: start,
            end,
            span: FIRST,
        }
    }

    /// Fills `replayer` with the next range and returns its end; `None` at the end of the samples.
    pub(super) fn next(
        &mut self,
        replayer: &mut Replayer,
    ) -> Result<Option<UnixMillis>, StorageError> {
        if self.next > self.end {
            return Ok(None);
        }
        let span = i64::try_from(self.span.as_millis()).unwrap_or(i64::MAX);
        let last = UnixMillis(self.next.0.saturating_add(span - 1)).min(self.end);
        let samples = replayer.load(self.source, self.next, last, self.guard)?;
        self.guard.release(samples);
        self.next = UnixMillis(last.0 + 1);
        let longer = self
            .span
            .mul_f64(SAMPLES as f64 / (samples as f64).max(1.0));
        // A quiet hour must not make the next page a huge one.
        self.span = longer
            .clamp(self.span / 4, self.span * 4)
            .clamp(Duration::from_secs(60), LONGEST);
        Ok(Some(last))
    }
}
