//! Open connections, and the queue of those that wait for a place.
//!
//! Owns the table, the queue, the decision which connection gives way to a newer one, and the
//! tokens that close them. Opens and closes no socket itself.
//!
//! Places are shared by client: of those that wait, the client with the fewest connections is
//! admitted first, and it replaces a connection of a client that has more. A client with as many
//! waits until a place is free or one of its equals has kept the server waiting for [`GRACE`].
//! Of one client's connections a scrape goes first, so that it does not queue behind what else comes
//! from that address.
//! While connections wait, responses end their connection, so that the queue moves.

mod table;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use self::table::{Entry, Table, Waiting};
use crate::net::activity::{Activity, CloseReason};
use crate::net::peer::{Client, Peer};
use crate::net::stream::Stream;
use crate::settings::Limits;
use crate::stats::Stats;

/// Interval of the checks of the queue, beside each time a place becomes free.
pub(crate) const QUEUE_INTERVAL: Duration = Duration::from_millis(20);
/// Waiting connections for each place.
const WAITING_PER_PLACE: usize = 4;

/// Connections of one server.
#[derive(Debug)]
pub(crate) struct Registry {
    start: Instant,
    stats: Arc<Stats>,
    table: Mutex<Table>,
    /// Requests under way that are not scrapes.
    others: AtomicUsize,
    /// Number of waiting connections.
    crowd: AtomicUsize,
    /// Notified when a connection gets a place.
    opened: Notify,
    /// Notified when a connection begins to wait.
    queued: Notify,
}

/// Place in the table, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    id: u64,
    registry: Arc<Registry>,
    /// Activity of the connection.
    pub(crate) activity: Arc<Activity>,
    /// Cancelled when the connection must be closed.
    pub(crate) cut: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.table.lock().remove(self.id);
        self.registry.stats.connection_closed();
        self.registry.admit_waiting();
    }
}

/// Request under way that is not a scrape; counted until dropped.
#[derive(Debug)]
pub(crate) struct OtherRequest(Arc<Registry>);

impl Drop for OtherRequest {
    fn drop(&mut self) {
        self.0.others.fetch_sub(1, Relaxed);
    }
}

/// Outcome of asking for a place.
enum Placement {
    Now(Place),
    Later {
        ticket: u64,
        placed: oneshot::Receiver<Place>,
    },
}

/// A place in the queue, left when dropped.
struct Queued<'a> {
    registry: &'a Registry,
    ticket: u64,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut table = self.registry.table.lock();
        table.waiting.remove(&self.ticket);
        self.registry.crowd.store(table.waiting.len(), Relaxed);
    }
}

/// Places reserved for scrapes and for connections without a request: an eighth, at least two.
fn reserve(places: usize) -> usize {
    (places / 8).max(2)
}

impl Registry {
    pub(crate) fn new(stats: Arc<Stats>) -> Self {
        Self {
            start: Instant::now(),
            stats,
            table: Mutex::default(),
            others: AtomicUsize::new(0),
            crowd: AtomicUsize::new(0),
            opened: Notify::new(),
            queued: Notify::new(),
        }
    }

    /// Milliseconds since the server started.
    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Waits for a place for a new connection. None if too many wait.
    pub(crate) async fn place(
        self: &Arc<Self>,
        peer: Peer,
        stream: Option<&Arc<Stream>>,
        limits: &Limits,
    ) -> Option<Place> {
        let (ticket, mut placed) = match self.place_or_queue(peer, stream, limits)? {
            Placement::Now(place) => return Some(place),
            Placement::Later { ticket, placed } => (ticket, placed),
        };
        let _queued = Queued {
            registry: self,
            ticket,
        };
        if let Some(stream) = stream {
            tokio::select! {
                place = &mut placed => return place.ok(),
                () = stream.begins_scrape() => self.prefer(ticket),
            }
        }
        placed.await.ok()
    }

    /// Gives a new connection its place, or a ticket of the queue. None if too many wait.
    fn place_or_queue(
        self: &Arc<Self>,
        peer: Peer,
        stream: Option<&Arc<Stream>>,
        limits: &Limits,
    ) -> Option<Placement> {
        let mut table = self.table.lock();
        table.places = *limits.max_connections as usize;
        // Waiting connections go first, unless their clients have more connections.
        if table.is_lightest(peer.client())
            && let Some(place) = self.try_place(&mut table, peer, stream)
        {
            return Some(Placement::Now(place));
        }
        if table.waiting.len() >= table.places * WAITING_PER_PLACE {
            let displaced = table.displaced_by(peer.client())?;
            table.waiting.remove(&displaced);
        }
        let (sender, placed) = oneshot::channel();
        let ticket = table.next;
        table.next += 1;
        let waiting = Waiting {
            peer,
            stream: stream.cloned(),
            is_scrape: false,
            placed: sender,
        };
        table.waiting.insert(ticket, waiting);
        self.crowd.store(table.waiting.len(), Relaxed);
        self.queued.notify_one();
        Some(Placement::Later { ticket, placed })
    }

    /// Puts a waiting connection before the others of its client.
    fn prefer(&self, ticket: u64) {
        if let Some(waiting) = self.table.lock().waiting.get_mut(&ticket) {
            waiting.is_scrape = true;
        }
    }

    /// Returns true if connections wait for a place, so that none should be kept alive.
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowd.load(Relaxed) > 0
    }

    /// Waits until a connection waits for a place.
    pub(crate) async fn crowded(&self) {
        while !self.is_crowded() {
            self.queued.notified().await;
        }
    }

    /// Admits the waiting connections that have a place by now.
    pub(crate) fn admit_waiting(self: &Arc<Self>) {
        if !self.is_crowded() {
            return;
        }
        let mut placed = Vec::new();
        {
            let mut table = self.table.lock();
            while let Some((ticket, peer)) = table.first() {
                let first = table.waiting.get(&ticket);
                let stream = first.and_then(|first| first.stream.clone());
                let is_scrape = first.is_some_and(|first| first.is_scrape);
                let Some(place) = self.try_place(&mut table, peer, stream.as_ref()) else {
                    break;
                };
                place.activity.set_scrape(is_scrape);
                placed.push((table.waiting.remove(&ticket), place));
            }
            self.crowd.store(table.waiting.len(), Relaxed);
        }
        for (waiting, place) in placed {
            // A client that has left in the meantime gives it back at once.
            if let Some(waiting) = waiting {
                drop(waiting.placed.send(place));
            }
        }
    }

    fn try_place(
        self: &Arc<Self>,
        table: &mut Table,
        peer: Peer,
        stream: Option<&Arc<Stream>>,
    ) -> Option<Place> {
        let now = self.now();
        if table.open.len() >= table.places {
            let victim = table.victim(now, peer.client())?;
            self.cut(table, victim, CloseReason::Evicted);
        }
        let id = table.next;
        table.next += 1;
        let activity = Arc::new(Activity::new(now));
        let cut = CancellationToken::new();
        let entry = Entry {
            peer,
            stream: stream.cloned(),
            activity: Arc::clone(&activity),
            cut: cut.clone(),
        };
        table.open.insert(id, entry);
        self.opened.notify_one();
        *table.held.entry(peer.client()).or_default() += 1;
        self.stats.connection_opened();
        Some(Place {
            id,
            registry: Arc::clone(self),
            activity,
            cut,
        })
    }

    /// Begins a request that is not a scrape. None if the limit is reached, so that places remain
    /// for scrapes.
    pub(crate) fn other_request(self: &Arc<Self>, limits: &Limits) -> Option<OtherRequest> {
        let places = *limits.max_connections as usize;
        let most = places.saturating_sub(reserve(places));
        let request = OtherRequest(Arc::clone(self));
        (self.others.fetch_add(1, Relaxed) < most).then_some(request)
    }

    /// Closes the connection whose client has not read its response for longest, at least for
    /// `grace`, to make room while all responses under way are stuck. Closes none of a client that
    /// has fewer connections than `client`.
    pub(crate) fn evict_stuck(&self, grace: Duration, client: Client) {
        let now = self.now();
        let mut table = self.table.lock();
        let own = table.connections_of(client);
        let longest = table.longest(|entry| {
            let waited = entry.activity.waited(now)?;
            let long = u128::from(waited) >= grace.as_millis() && !entry.activity.is_quiet();
            (long && table.connections_of(entry.peer.client()) >= own).then_some(waited)
        });
        if let Some(victim) = longest {
            self.cut(&mut table, victim, CloseReason::Evicted);
        }
    }

    /// Closes the connection that has kept the server waiting longest, to make room when the system
    /// has no descriptor left. Removes from the queue the last connection of the client with the
    /// most.
    pub(crate) fn evict_longest_waiting(&self) {
        let now = self.now();
        let mut table = self.table.lock();
        if let Some(last) = table.last() {
            table.waiting.remove(&last);
            self.crowd.store(table.waiting.len(), Relaxed);
        }
        if let Some(victim) = table.longest(|entry| entry.waited(now)) {
            self.cut(&mut table, victim, CloseReason::Evicted);
        }
    }

    /// Closes every connection that has passed a timeout. Returns after what time to look again, if
    /// no phase of a connection begins before; none while there is no connection.
    pub(crate) fn reap(&self, limits: &Limits) -> Option<Duration> {
        let now = self.now();
        let mut table = self.table.lock();
        let (overdue, next): (Vec<_>, Vec<_>) = table
            .open
            .iter()
            .map(|(id, entry)| (*id, entry.activity.deadline(limits)))
            .partition(|(_, (deadline, _))| *deadline <= now);
        for (id, (_, reason)) in overdue {
            self.cut(&mut table, id, reason);
        }
        let next = next.into_iter().map(|(_, (deadline, _))| deadline).min()?;
        Some(Duration::from_millis(next - now))
    }

    /// Waits until a connection gets a place.
    pub(crate) async fn occupied(&self) {
        while self.table.lock().open.is_empty() {
            self.opened.notified().await;
        }
    }

    /// Closes all connections, or only those without a request under way.
    pub(crate) fn close(&self, only_quiet: bool) {
        let mut table = self.table.lock();
        table.waiting.clear();
        for entry in table.open.values() {
            if !only_quiet || entry.activity.is_quiet() {
                entry.cut.cancel();
            }
        }
    }

    fn cut(&self, table: &mut Table, id: u64, cut: CloseReason) {
        // Leaves the table at once: its task may take a moment to end.
        if let Some(entry) = table.remove(id) {
            entry.cut.cancel();
            self.stats.count_closed(cut);
            tracing::debug!(peer = %entry.peer, reason = cut.as_str(), "connection closed");
        }
    }
}

#[cfg(test)]
mod tests;
