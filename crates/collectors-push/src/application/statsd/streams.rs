//! Lines over TCP and Unix sockets, beside those of the thread for UDP.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use bellwether_core::Now;
use bellwether_recorder::Recorder;
use bellwether_runtime::Clock;
use parking_lot::Mutex;

use super::intake::Intake;
use super::mapping::Translation;
use super::settings::Statsd;
use crate::sockets::LineReceiver;

/// Records lines of several connections.
pub(crate) struct StreamLines {
    intake: Mutex<Intake>,
    translation: ArcSwap<Translation>,
    lines: AtomicU64,
}

impl StreamLines {
    /// Creates a receiver for `recorder`, which follows reloads itself.
    pub(crate) fn new(settings: &Statsd, recorder: Recorder) -> Self {
        let clock = Clock::start();
        Self {
            intake: Mutex::new(Intake::new(recorder, Box::new(move || clock.now().wall))),
            translation: ArcSwap::from_pointee(Translation::new(settings)),
            lines: AtomicU64::new(0),
        }
    }

    /// Continues with `settings`.
    pub(crate) fn retarget(&self, settings: &Statsd) {
        let translation = Translation::new(settings);
        self.translation.store(Arc::new(translation));
    }

    /// Returns the number of lines received so far.
    pub(crate) fn received(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }
}

impl LineReceiver for StreamLines {
    fn receive(&self, lines: &[u8], _: Now) {
        let counted = self.intake.lock().packet(&self.translation.load(), lines);
        self.lines.fetch_add(counted, Ordering::Relaxed);
    }
}
