//! Limits what one rule may ask of history, and measures what it took.

use std::sync::Arc;
use std::time::Duration;

use bellwether_promql::Guard;
use bellwether_rules as rules;
use parking_lot::Mutex;
use tokio::time::Instant;

/// How long history may take to answer one rule.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Samples that one rule may hold at once: 160 MB.
const MAX_SAMPLES: u64 = 10_000_000;
/// Bytes of labels, texts and regular expressions that one rule may hold beside them.
const MAX_BYTES: u64 = 128 << 20;

/// The evaluation under way, if there is one.
#[derive(Default)]
pub(super) struct Watch {
    current: Mutex<Option<(Instant, Arc<Guard>)>>,
}

impl Watch {
    /// How often [`Watch::enforce`] must be called.
    pub(super) const EVERY: Duration = Duration::from_millis(100);

    /// Ends an evaluation that takes too long.
    pub(super) fn enforce(&self) {
        if let Some((began, guard)) = &*self.current.lock()
            && began.elapsed() > TIMEOUT
        {
            guard.time_out();
        }
    }

    /// Ends the evaluation under way: nobody waits for it.
    pub(super) fn cancel(&self) {
        if let Some((_, guard)) = &*self.current.lock() {
            guard.cancel();
        }
    }
}

impl rules::QueryLimiter for Watch {
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
