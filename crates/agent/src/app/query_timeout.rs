//! Limits time and memory of the history queries of one rule, and measures their duration.

use std::sync::Arc;
use std::time::Duration;

use bellwether_promql::Guard;
use bellwether_rules as rules;
use parking_lot::Mutex;
use tokio::time::Instant;

/// Timeout of the queries of one rule.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Samples that the queries of one rule may hold: 160 MB.
const MAX_SAMPLES: u64 = 10_000_000;
/// Bytes of labels, strings and regular expressions that the queries of one rule may hold.
const MAX_BYTES: u64 = 128 << 20;

/// Start and guard of the running evaluation.
#[derive(Default)]
pub(super) struct QueryTimeout {
    current: Mutex<Option<(Instant, Arc<Guard>)>>,
}

impl QueryTimeout {
    /// Interval at which [`QueryTimeout::enforce`] must be called.
    pub(super) const EVERY: Duration = Duration::from_millis(100);

    /// Ends an evaluation that exceeds the timeout.
    pub(super) fn enforce(&self) {
        if let Some((began, guard)) = &*self.current.lock()
            && began.elapsed() > TIMEOUT
        {
            guard.time_out();
        }
    }

    /// Cancels the running evaluation.
    pub(super) fn cancel(&self) {
        if let Some((_, guard)) = &*self.current.lock() {
            guard.cancel();
        }
    }
}

impl rules::QueryLimiter for QueryTimeout {
    fn begin(&self) -> Arc<Guard> {
        let guard = Arc::new(Guard::within(MAX_SAMPLES, MAX_BYTES, Arc::default()));
        *self.current.lock() = Some((Instant::now(), guard.clone()));
        guard
    }

    fn end(&self) -> Duration {
        self.current
            .lock()
            .take()
            .map(|(began, _)| began.elapsed())
            .unwrap_or_default()
    }
}
