//! Clients and topics of one server.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use bellwether_promql::{Guard, Pool};
use bellwether_tsdb::store::Store;
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use parking_lot::Mutex;
use rustix::process::{Resource, getrlimit};
use tokio::sync::{Notify, Semaphore, oneshot, watch};
use tokio_util::task::TaskTracker;

use super::catalog::Catalog;
use super::clients::{Clients, Goodbye};
use super::initial::Initial;
use super::message::Subject;
use super::stats::LiveStats;
use super::topic::Topic;
use crate::api::query::Jobs;
use crate::api::response::ApiError;
use crate::api::threads::Threads;
use crate::auth::access::Access;
use crate::auth::reader::{Reader, Rights};
use crate::net::peer::Client;

/// Evaluations of new topics at once.
const FIRST_EVALUATIONS: usize = 2;
/// Jobs at once: those, a slow topic, the round, `initial_data`, and topics that became slow.
pub(crate) const JOBS: u32 = FIRST_EVALUATIONS as u32 + 6;
/// Open files and sockets beside connections and live clients.
const OTHER_DESCRIPTORS: u64 = 256;

/// Clients and topics of one server.
pub(crate) struct Hub {
    clients: Mutex<Clients>,
    topics: Mutex<Topics>,
    catalog: Mutex<Option<Arc<Catalog>>>,
    /// Bytes of texts and results of all topics.
    memory: Arc<Pool>,
    /// Evaluations; apart from those of the API, which may be slow.
    pub(super) jobs: Jobs,
    /// Permits of first evaluations.
    pub(super) firsts: Semaphore,
    /// Permit of topics that are evaluated one at a time, beside the rounds.
    pub(super) line: Semaphore,
    /// Number of published rounds.
    pub(super) rounds: watch::Sender<u64>,
    pub(super) initial: tokio::sync::Mutex<Option<Initial>>,
    pub(super) stats: Arc<LiveStats>,
    pub(super) sessions: TaskTracker,
    /// Notified when the first client comes and the last one goes.
    changed: Notify,
}

#[derive(Default)]
struct Topics {
    by_subject: HashMap<Subject, Weak<Topic>>,
    /// Number of topics at which those without clients are removed.
    prune_at: usize,
}

/// Place of a client, given back when dropped.
pub(crate) struct Seat {
    hub: Arc<Hub>,
    id: u64,
    pub(super) reader: Arc<Reader>,
    /// Told when the server closes the session.
    pub(super) goodbye: oneshot::Receiver<Goodbye>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.hub.clients.lock().remove(self.id);
        self.hub.stats.disconnected();
        self.hub.changed.notify_one();
    }
}

impl Hub {
    /// Creates a hub without clients, whose evaluations run on `threads`.
    pub(crate) fn new(access: &Access, threads: &Arc<Threads>, stats: Arc<LiveStats>) -> Self {
        let memory = access.query.total_memory();
        let jobs = Jobs::new(JOBS, u32::MAX, memory, Arc::default(), Arc::clone(threads));
        Self {
            clients: Mutex::default(),
            topics: Mutex::default(),
            catalog: Mutex::default(),
            memory: Arc::new(Pool::new(access.live.max_memory.0)),
            jobs,
            firsts: Semaphore::new(FIRST_EVALUATIONS),
            line: Semaphore::new(1),
            rounds: watch::Sender::new(0),
            initial: tokio::sync::Mutex::default(),
            stats,
            sessions: TaskTracker::new(),
            changed: Notify::new(),
        }
    }

    /// Gives a new client a place.
    ///
    /// # Errors
    /// All are taken, or the server stops.
    pub(crate) fn admit(
        self: &Arc<Self>,
        client: Client,
        reader: Reader,
        access: &Access,
    ) -> Result<Seat, ApiError> {
        let reader = Arc::new(reader);
        let places = places(access);
        let admitted = self
            .clients
            .lock()
            .admit(client, Arc::clone(&reader), places);
        let (id, goodbye) = admitted.ok_or_else(|| {
            let message = "too many clients of live updates";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message)
                .hint("raise prometheus.live.max_clients, and the limit of open files with it")
                .header(RETRY_AFTER, "10")
        })?;
        self.stats.connected();
        self.changed.notify_one();
        let hub = Arc::clone(self);
        Ok(Seat {
            hub,
            id,
            reader,
            goodbye,
        })
    }

    /// Returns true while there are clients.
    pub(super) fn has_clients(&self) -> bool {
        self.clients.lock().len() > 0
    }

    /// Waits until the first client has come.
    pub(super) async fn occupied(&self) {
        while !self.has_clients() {
            self.changed.notified().await;
        }
    }

    /// Waits until the last client has gone.
    pub(super) async fn emptied(&self) {
        while self.has_clients() {
            self.changed.notified().await;
        }
    }

    /// Ends the sessions whose clients may no longer read.
    pub(crate) fn dismiss_ended(&self, rights: &Rights<'_>) {
        let mut clients = self.clients.lock();
        clients.dismiss_ended(|reader| reader.ended(rights));
    }

    /// Ends the sessions whose clients may no longer read under the new rules, or might not.
    pub(crate) fn access_changed(&self, old: &Access, rights: &Rights<'_>) {
        self.dismiss_ended(rights);
        if !old.has_same_readers(rights.access) {
            self.clients.lock().dismiss_all(Goodbye::Access);
        }
    }

    /// Ends all sessions; there are no new ones.
    pub(crate) fn close(&self) {
        self.clients.lock().dismiss_all(Goodbye::Stop);
        self.sessions.close();
    }

    /// Waits for the end of all sessions.
    pub(crate) async fn closed(&self) {
        self.sessions.wait().await;
    }

    /// Returns the topic of `subject`, a new one if it has no client yet.
    ///
    /// # Errors
    /// Subscriptions hold too much memory.
    pub(super) fn topic(&self, subject: &Subject) -> Result<Arc<Topic>, ApiError> {
        let mut topics = self.topics.lock();
        if let Some(topic) = topics.by_subject.get(subject).and_then(Weak::upgrade) {
            return Ok(topic);
        }
        if topics.by_subject.len() >= topics.prune_at {
            topics.prune();
        }
        // Once in the topic and once as its key.
        let charged = self.charge(2 * subject.text().len() + size_of::<Topic>())?;
        let topic = Arc::new(Topic::new(subject.clone(), charged));
        topics
            .by_subject
            .insert(subject.clone(), Arc::downgrade(&topic));
        Ok(topic)
    }

    /// Topics with clients.
    pub(super) fn topics(&self) -> Vec<Arc<Topic>> {
        let mut topics = self.topics.lock();
        topics.prune();
        topics
            .by_subject
            .values()
            .filter_map(Weak::upgrade)
            .collect()
    }

    /// Charges for `bytes` that a subscription holds, until the guard is dropped.
    ///
    /// # Errors
    /// All subscriptions together hold too much.
    pub(super) fn charge(&self, bytes: usize) -> Result<Guard, ApiError> {
        let guard = Guard::within(u64::MAX, u64::MAX, Arc::clone(&self.memory));
        match guard.charge_bytes(bytes) {
            Ok(()) => Ok(guard),
            Err(_) => Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "all subscriptions together hold too much memory",
            )
            .hint("subscribe to fewer series, or raise prometheus.live.max_memory")),
        }
    }

    /// Names of the metrics of `store`; those of the last store are kept while there are clients.
    pub(super) fn catalog(&self, store: &Arc<Store>) -> Arc<Catalog> {
        let mut catalog = self.catalog.lock();
        match &*catalog {
            Some(catalog) if Arc::ptr_eq(catalog.store(), store) => Arc::clone(catalog),
            _ => {
                let new = Arc::new(Catalog::new(Arc::clone(store)));
                *catalog = Some(Arc::clone(&new));
                new
            }
        }
    }

    /// Wakes the clients: some topics have new results.
    pub(super) fn publish(&self) {
        self.rounds.send_modify(|rounds| *rounds += 1);
    }

    /// Forgets what only clients need. Harmless if one has come meanwhile.
    pub(super) async fn forget(&self) {
        *self.catalog.lock() = None;
        self.topics.lock().prune();
        *self.initial.lock().await = None;
    }
}

impl Topics {
    fn prune(&mut self) {
        self.by_subject.retain(|_, topic| topic.strong_count() > 0);
        self.by_subject.shrink_to(16);
        self.prune_at = 2 * self.by_subject.len() + 16;
    }
}

/// Number of places for clients: as configured, but so that descriptors remain for all connections.
fn places(access: &Access) -> usize {
    let configured = u64::from(access.live.max_clients);
    let reserved = u64::from(*access.limits.max_connections) + OTHER_DESCRIPTORS;
    let free = getrlimit(Resource::Nofile)
        .current
        .map_or(configured, |limit| limit.saturating_sub(reserved));
    usize::try_from(configured.min(free)).unwrap_or(usize::MAX)
}
