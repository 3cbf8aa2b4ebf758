//! What the server counts about itself, for the self-metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;

use super::activity::Cut;
use super::query::QueryStats;

/// Counters of one server. They outlive a reload.
#[derive(Debug, Default)]
pub struct Stats {
    requests: Mutex<BTreeMap<(&'static str, u16), Requests>>,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    cuts: Mutex<BTreeMap<Cut, u64>>,
    connections: AtomicU64,
    rejected: AtomicU64,
    handshakes_failed: AtomicU64,
    queries: Arc<QueryStats>,
}

/// Requests of one handler that ended with one status code.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requests {
    /// How many.
    pub count: u64,
    /// Time until their answer began, in total.
    pub duration: Duration,
}

impl Stats {
    /// Answered requests by handler (a fixed set of words) and status code.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<(&'static str, u16), Requests> {
        self.requests.lock().clone()
    }

    /// Requests refused because of who sent them, by reason: `peer`, `host`, `cross_site`,
    /// `forwarded`, `token`, `password`, `rate`.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<&'static str, u64> {
        self.refusals.lock().clone()
    }

    /// Connections that the server closed on a client that kept it waiting.
    #[must_use]
    pub fn cuts(&self) -> BTreeMap<Cut, u64> {
        self.cuts.lock().clone()
    }

    /// Connections that the server closed on its client, turned away because every other one was
    /// being served (`full`), or gave up over a failed TLS handshake (`handshake`), by reason.
    #[must_use]
    pub fn closed(&self) -> Vec<(&'static str, u64)> {
        let cuts = self
            .cuts()
            .into_iter()
            .map(|(cut, count)| (cut.as_str(), count));
        let others = [
            ("full", self.rejected()),
            ("handshake", self.handshakes_failed()),
        ];
        cuts.chain(others.into_iter().filter(|(_, count)| *count > 0))
            .collect()
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Connections turned away because every other one was being served.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }

    /// TLS handshakes that failed: plain HTTP sent to a TLS port, no or a wrong client certificate.
    #[must_use]
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Relaxed)
    }

    /// What the queries of history count.
    #[must_use]
    pub fn queries(&self) -> &Arc<QueryStats> {
        &self.queries
    }

    pub(super) fn answered(&self, handler: &'static str, code: u16, duration: Duration) {
        let mut requests = self.requests.lock();
        let entry = requests.entry((handler, code)).or_default();
        entry.count += 1;
        entry.duration += duration;
    }

    pub(super) fn refused(&self, reason: &'static str) {
        *self.refusals.lock().entry(reason).or_default() += 1;
    }

    pub(super) fn cut(&self, cut: Cut) {
        *self.cuts.lock().entry(cut).or_default() += 1;
    }

    pub(super) fn one_opened(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(super) fn one_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub(super) fn one_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    pub(super) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Relaxed);
    }
}
