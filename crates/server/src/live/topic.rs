//! Distinct subscriptions, each with its newest result.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_promql::Guard;
use hyper::body::Bytes;
use parking_lot::Mutex;
use tokio::sync::OnceCell;
use tokio::time::Instant;

use super::catalog::Sources;
use super::message::Subject;
use super::rounds::Round;

/// Part of the time that the evaluations of one topic may take, as one of so many.
const LOAD: u32 = 10;

/// A distinct subscription, shared by its clients.
pub(crate) struct Topic {
    pub(super) subject: Subject,
    /// Set once the first evaluation has succeeded; the clients before wait for it together.
    pub(super) first: OnceCell<()>,
    state: Mutex<State>,
    /// Charged for the text.
    _charged: Guard,
}

struct State {
    version: u64,
    newest: Newest,
    sources: Sources,
    /// Duration of the last evaluation.
    took: Duration,
    evaluated: Instant,
    /// True while it is evaluated, or is about to be.
    is_claimed: bool,
    /// Charged for the result.
    charged: Option<Guard>,
}

/// Newest result of a topic.
#[derive(Clone, Debug)]
pub(super) struct Newest {
    pub(super) at: UnixMillis,
    /// `"series":[...]`, or why there is none.
    pub(super) result: Result<Bytes, Arc<str>>,
}

impl Topic {
    pub(super) fn new(subject: Subject, charged: Guard) -> Self {
        let newest = Newest {
            at: UnixMillis(0),
            result: Ok(Bytes::from_static(b"\"series\":[]")),
        };
        Self {
            subject,
            first: OnceCell::new(),
            state: Mutex::new(State {
                version: 0,
                newest,
                sources: Sources::Unknown,
                took: Duration::ZERO,
                evaluated: Instant::now(),
                is_claimed: false,
                charged: None,
            }),
            _charged: charged,
        }
    }

    /// Claims the evaluation of the topic for the caller, if a collection of `round` may have changed the
    /// result and nobody is about to evaluate it. Returns after what time: one that takes long is
    /// evaluated less often.
    pub(super) fn claim(&self, round: &Round, now: Instant) -> Option<Duration> {
        let mut state = self.state.lock();
        let is_concerned = match &state.sources {
            Sources::Origins(origins) => round.has_any(origins),
            Sources::Unknown => true,
        };
        if !is_concerned || state.is_claimed || !self.first.initialized() {
            return None;
        }
        state.is_claimed = true;
        let rested = now.saturating_duration_since(state.evaluated);
        Some((state.took * LOAD).saturating_sub(rested))
    }

    /// Duration of the last evaluation.
    pub(super) fn took(&self) -> Duration {
        self.state.lock().took
    }

    /// Sets a new result that began to be made at `began`. The same error again is nothing new.
    pub(super) fn set(
        &self,
        newest: Newest,
        sources: Option<Sources>,
        charged: Option<Guard>,
        began: Instant,
    ) {
        let mut state = self.state.lock();
        state.took = began.elapsed();
        state.evaluated = began;
        state.is_claimed = false;
        if let Some(sources) = sources {
            state.sources = sources;
        }
        let same_error =
            matches!((&state.newest.result, &newest.result), (Err(old), Err(new)) if old == new);
        if !same_error {
            state.version += 1;
            state.newest = newest;
            state.charged = charged;
        }
    }

    /// Returns the newest result with its version, if that is newer than `seen`.
    pub(super) fn newer_than(&self, seen: u64) -> Option<(u64, Newest)> {
        let state = self.state.lock();
        (state.version > seen).then(|| (state.version, state.newest.clone()))
    }

    /// Returns the newest result with its version.
    pub(super) fn newest(&self) -> (u64, Newest) {
        let state = self.state.lock();
        (state.version, state.newest.clone())
    }
}
