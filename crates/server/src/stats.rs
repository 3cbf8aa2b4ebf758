//! Counters of the server.

mod self_metrics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
pub use self_metrics::SELF_METRICS;

use crate::api::query::QueryStats;
use crate::live::LiveStats;
use crate::net::activity::CloseReason;

/// Counters of one server. They survive a reload.
#[derive(Debug, Default)]
pub struct Stats {
    requests: Mutex<BTreeMap<(&'static str, u16), Requests>>,
    rejected_requests: Mutex<BTreeMap<&'static str, u64>>,
    closed_by_server: Mutex<BTreeMap<CloseReason, u64>>,
    connections: AtomicU64,
    rejected: AtomicU64,
    handshakes_failed: AtomicU64,
    queries: Arc<QueryStats>,
    live: Arc<LiveStats>,
}

/// Requests of one endpoint that ended with one status code.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Requests {
    pub count: u64,
    /// Total time until the responses began.
    pub duration: Duration,
}

impl Stats {
    /// Answered requests by endpoint (a fixed set of names) and status code.
    #[must_use]
    pub fn requests(&self) -> BTreeMap<(&'static str, u16), Requests> {
        self.requests.lock().clone()
    }

    /// Requests denied because of their client, by reason: `peer`, `host`, `cross_site`,
    /// `forwarded`, `token`, `password`, `rate`.
    #[must_use]
    pub fn rejected_requests(&self) -> BTreeMap<&'static str, u64> {
        self.rejected_requests.lock().clone()
    }

    /// Connections that the server closed because the client kept it waiting, by reason.
    #[must_use]
    pub fn closed_by_server(&self) -> BTreeMap<CloseReason, u64> {
        self.closed_by_server.lock().clone()
    }

    /// Open connections.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Relaxed)
    }

    /// Connections rejected because all others were being served.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.rejected.load(Relaxed)
    }

    /// Failed TLS handshakes: plain HTTP sent to a TLS port, no client certificate or a wrong one.
    #[must_use]
    pub fn handshakes_failed(&self) -> u64 {
        self.handshakes_failed.load(Relaxed)
    }

    /// Counters of the queries of history.
    #[must_use]
    pub fn queries(&self) -> &Arc<QueryStats> {
        &self.queries
    }

    /// Clients of live updates.
    #[must_use]
    pub fn live_clients(&self) -> usize {
        self.live.clients()
    }

    /// Results that slow clients of live updates did not get, since newer ones replaced them.
    #[must_use]
    pub fn live_dropped(&self) -> u64 {
        self.live.dropped()
    }

    pub(crate) fn live(&self) -> &Arc<LiveStats> {
        &self.live
    }

    pub(crate) fn answered(&self, handler: &'static str, code: u16, duration: Duration) {
        let mut requests = self.requests.lock();
        let entry = requests.entry((handler, code)).or_default();
        entry.count += 1;
        entry.duration += duration;
    }

    pub(crate) fn count_rejected(&self, reason: &'static str) {
        *self.rejected_requests.lock().entry(reason).or_default() += 1;
    }

    pub(crate) fn count_closed(&self, reason: CloseReason) {
        *self.closed_by_server.lock().entry(reason).or_default() += 1;
    }

    pub(crate) fn connection_opened(&self) {
        self.connections.fetch_add(1, Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections.fetch_sub(1, Relaxed);
    }

    pub(crate) fn connection_rejected(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    pub(crate) fn handshake_failed(&self) {
        self.handshakes_failed.fetch_add(1, Relaxed);
    }
}
