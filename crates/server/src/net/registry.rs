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

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::net::activity::{Activity, CloseReason};
use crate::net::peer::{Client, Peer};
use crate::net::stream::Stream;
use crate::settings::Limits;
use crate::stats::Stats;

/// Time for which a connection may keep the server waiting before one of a client with as many
/// replaces it.
const GRACE: Duration = Duration::from_millis(100);
/// The same while the response of a scrape is sent, whose client may be slow.
const SCRAPE_GRACE: Duration = Duration::from_millis(200);
/// Interval of the checks of the queue, beside each time a place becomes free.
pub(crate) const QUEUE_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum number of connections whose sockets are checked before one is closed.
const MAX_CANDIDATES: usize = 16;
/// Waiting connections for each place.
const WAITING_PER_PLACE: usize = 4;

/// Connections of one server.
#[derive(Debug)]
pub(crate) struct Registry {
    start: Instant,
    stats: Arc<Stats>,
    inner: Mutex<Inner>,
    /// Requests under way that are not scrapes.
    others: AtomicUsize,
    /// Number of waiting connections.
    crowd: AtomicUsize,
    /// Notified when a connection gets a place.
    opened: Notify,
    /// Notified when a connection begins to wait.
    queued: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    places: usize,
    open: HashMap<u64, Entry>,
    held: HashMap<Client, usize>,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Entry {
    peer: Peer,
    stream: Option<Arc<Stream>>,
    activity: Arc<Activity>,
    cut: CancellationToken,
}

impl Entry {
    /// Time for which the client has kept the server waiting, in milliseconds. Bytes that it has
    /// sent and the server has not read do not count against it.
    fn waited(&self, now: u64) -> Option<u64> {
        let waited = self.activity.waited(now)?;
        let unread = || {
            self.stream
                .as_ref()
                .is_some_and(|stream| stream.has_unread())
        };
        (!self.activity.is_quiet() || !unread()).then_some(waited)
    }
}

#[derive(Debug)]
struct Waiting {
    peer: Peer,
    stream: Option<Arc<Stream>>,
    /// True once its first bytes have come and are those of a scrape.
    is_scrape: bool,
    placed: oneshot::Sender<Place>,
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
        self.registry.inner.lock().remove(self.id);
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

/// A place in the queue, left when dropped.
struct Queued<'a> {
    registry: &'a Registry,
    ticket: u64,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut inner = self.registry.inner.lock();
        inner.waiting.remove(&self.ticket);
        self.registry.crowd.store(inner.waiting.len(), Relaxed);
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
            inner: Mutex::default(),
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
        let (ticket, placed) = {
            let mut inner = self.inner.lock();
            inner.places = *limits.max_connections as usize;
            // Waiting connections go first, unless their clients have more connections.
            if inner.is_lightest(peer.client())
                && let Some(place) = self.try_place(&mut inner, peer, stream)
            {
                return Some(place);
            }
            if inner.waiting.len() >= inner.places * WAITING_PER_PLACE {
                let displaced = inner.displaced_by(peer.client())?;
                inner.waiting.remove(&displaced);
            }
            let (sender, placed) = oneshot::channel();
            let ticket = inner.next;
            inner.next += 1;
            let stream = stream.cloned();
            inner.waiting.insert(
                ticket,
                Waiting {
                    peer,
                    stream,
                    is_scrape: false,
                    placed: sender,
                },
            );
            self.crowd.store(inner.waiting.len(), Relaxed);
            self.queued.notify_one();
            (ticket, placed)
        };
        let _queued = Queued {
            registry: self,
            ticket,
        };
        let mut placed = placed;
        if let Some(stream) = stream {
            tokio::select! {
                place = &mut placed => return place.ok(),
                () = stream.begins_scrape() => self.prefer(ticket),
            }
        }
        placed.await.ok()
    }

    /// Puts a waiting connection before the others of its client.
    fn prefer(&self, ticket: u64) {
        if let Some(waiting) = self.inner.lock().waiting.get_mut(&ticket) {
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
            let mut inner = self.inner.lock();
            while let Some((ticket, peer)) = inner.first() {
                let first = inner.waiting.get(&ticket);
                let stream = first.and_then(|first| first.stream.clone());
                let is_scrape = first.is_some_and(|first| first.is_scrape);
                let Some(place) = self.try_place(&mut inner, peer, stream.as_ref()) else {
                    break;
                };
                place.activity.set_scrape(is_scrape);
                placed.push((inner.waiting.remove(&ticket), place));
            }
            self.crowd.store(inner.waiting.len(), Relaxed);
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
        inner: &mut Inner,
        peer: Peer,
        stream: Option<&Arc<Stream>>,
    ) -> Option<Place> {
        let now = self.now();
        if inner.open.len() >= inner.places {
            let victim = inner.victim(now, peer.client())?;
            self.cut(inner, victim, CloseReason::Evicted);
        }
        let id = inner.next;
        inner.next += 1;
        let activity = Arc::new(Activity::new(now));
        let cut = CancellationToken::new();
        let entry = Entry {
            peer,
            stream: stream.cloned(),
            activity: Arc::clone(&activity),
            cut: cut.clone(),
        };
        inner.open.insert(id, entry);
        self.opened.notify_one();
        *inner.held.entry(peer.client()).or_default() += 1;
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
        let mut inner = self.inner.lock();
        let own = inner.connections_of(client);
        let stuck = |entry: &Entry| {
            let waited = entry.activity.waited(now)?;
            let long = u128::from(waited) >= grace.as_millis() && !entry.activity.is_quiet();
            (long && inner.connections_of(entry.peer.client()) >= own).then_some(waited)
        };
        let longest = inner.longest(stuck);
        if let Some(victim) = longest {
            self.cut(&mut inner, victim, CloseReason::Evicted);
        }
    }

    /// Closes the connection that has kept the server waiting longest, to make room when the system
    /// has no descriptor left. Removes from the queue the last connection of the client with the
    /// most.
    pub(crate) fn evict_longest_waiting(&self) {
        let now = self.now();
        let mut inner = self.inner.lock();
        if let Some(last) = inner.last() {
            inner.waiting.remove(&last);
            self.crowd.store(inner.waiting.len(), Relaxed);
        }
        if let Some(victim) = inner.longest(|entry| entry.waited(now)) {
            self.cut(&mut inner, victim, CloseReason::Evicted);
        }
    }

    /// Closes every connection that has passed a timeout. Returns after what time to look again, if
    /// no phase of a connection begins before; none while there is no connection.
    pub(crate) fn reap(&self, limits: &Limits) -> Option<Duration> {
        let now = self.now();
        let mut inner = self.inner.lock();
        let (overdue, next): (Vec<_>, Vec<_>) = inner
            .open
            .iter()
            .map(|(id, entry)| (*id, entry.activity.deadline(limits)))
            .partition(|(_, (deadline, _))| *deadline <= now);
        for (id, (_, reason)) in overdue {
            self.cut(&mut inner, id, reason);
        }
        let next = next.into_iter().map(|(_, (deadline, _))| deadline).min()?;
        Some(Duration::from_millis(next - now))
    }

    /// Waits until a connection gets a place.
    pub(crate) async fn occupied(&self) {
        while self.inner.lock().open.is_empty() {
            self.opened.notified().await;
        }
    }

    /// Closes all connections, or only those without a request under way.
    pub(crate) fn close(&self, only_quiet: bool) {
        let mut inner = self.inner.lock();
        inner.waiting.clear();
        for entry in inner.open.values() {
            if !only_quiet || entry.activity.is_quiet() {
                entry.cut.cancel();
            }
        }
    }

    fn cut(&self, inner: &mut Inner, id: u64, cut: CloseReason) {
        // Leaves the table at once: its task may take a moment to end.
        if let Some(entry) = inner.remove(id) {
            entry.cut.cancel();
            self.stats.count_closed(cut);
            tracing::debug!(peer = %entry.peer, reason = cut.as_str(), "connection closed");
        }
    }
}

impl Inner {
    fn connections_of(&self, client: Client) -> usize {
        self.held.get(&client).copied().unwrap_or_default()
    }

    fn remove(&mut self, id: u64) -> Option<Entry> {
        let entry = self.open.remove(&id)?;
        let client = entry.peer.client();
        if let Some(held) = self.held.get_mut(&client) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&client);
            }
        }
        Some(entry)
    }

    /// Returns true if every waiting client has more connections than `client`.
    fn is_lightest(&self, client: Client) -> bool {
        let own = self.connections_of(client);
        self.waiting
            .values()
            .all(|waiting| self.connections_of(waiting.peer.client()) > own)
    }

    /// Next in the queue: of the client with the fewest connections the first scrape, else the first.
    fn first(&self) -> Option<(u64, Peer)> {
        let next = self.waiting.iter().min_by_key(|(ticket, waiting)| {
            let held = self.connections_of(waiting.peer.client());
            (held, !waiting.is_scrape, **ticket)
        });
        next.map(|(ticket, waiting)| (*ticket, waiting.peer))
    }

    /// Number of waiting connections of each client.
    fn queue(&self) -> HashMap<Client, usize> {
        let mut queue = HashMap::new();
        for waiting in self.waiting.values() {
            *queue.entry(waiting.peer.client()).or_default() += 1;
        }
        queue
    }

    /// Last waiting connection of the client with the most.
    fn last(&self) -> Option<u64> {
        let queue = self.queue();
        self.waiting
            .iter()
            .map(|(ticket, waiting)| (queue.get(&waiting.peer.client()), *ticket))
            .max()
            .map(|(_, ticket)| ticket)
    }

    /// Waiting connection that leaves a full queue for one of `client`; none if that client has the
    /// most in it.
    fn displaced_by(&self, client: Client) -> Option<u64> {
        let queue = self.queue();
        let own = queue.get(&client).copied().unwrap_or_default();
        let last = self.last()?;
        let most = self
            .waiting
            .get(&last)
            .and_then(|last| queue.get(&last.peer.client()))?;
        (*most > own + 1).then_some(last)
    }

    /// Connection with the highest `waited`, of the client with the most connections.
    fn longest(&self, waited: impl Fn(&Entry) -> Option<u64>) -> Option<u64> {
        let all = self.open.iter().filter_map(|(id, entry)| {
            Some((
                self.connections_of(entry.peer.client()),
                waited(entry)?,
                Reverse(*id),
            ))
        });
        all.max().map(|(_, _, Reverse(id))| id)
    }

    /// Connection to close for a new one of `client`: never one of a client with fewer connections.
    /// Of a client that would still have more, any: best one that keeps the server waiting, else
    /// one whose response has not begun. Of others one that has kept the server waiting for long
    /// enough. A scrape under way goes after the others, and has longer to be read; then one whose last
    /// request was a scrape.
    fn victim(&self, now: u64, client: Client) -> Option<u64> {
        let own = self.connections_of(client);
        let rank = |entry: &Entry, waited: Option<u64>| {
            let activity = &entry.activity;
            // A head that never ends may begin like that of a scrape.
            let grace = match activity.is_scraping() && !activity.is_quiet() {
                true => SCRAPE_GRACE,
                false => GRACE,
            };
            let long = waited.is_some_and(|waited| u128::from(waited) >= grace.as_millis());
            let held = self.connections_of(entry.peer.client());
            let may_go = held >= own + 2 || (held >= own && long);
            may_go.then_some((
                held,
                !activity.is_scraping(),
                waited.is_some(),
                !activity.is_answering(),
                !activity.scraped(),
                waited,
            ))
        };
        let all = self.open.iter();
        let ranked = all.filter_map(|(id, entry)| {
            Some((rank(entry, entry.activity.waited(now))?, Reverse(*id)))
        });
        let mut best: Vec<_> = ranked.collect();
        best.sort_unstable();
        // Checking a socket is a system call, so only few are.
        let looked = best
            .iter()
            .rev()
            .take(MAX_CANDIDATES)
            .filter_map(|(_, Reverse(id))| {
                let entry = self.open.get(id)?;
                Some((rank(entry, entry.waited(now))?, Reverse(*id)))
            });
        looked.max().map(|(_, Reverse(id))| id)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::task::{Context, Poll, Waker};

    use bellwether_schema::Spanned;
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn limits(max: u32) -> Limits {
        Limits {
            max_connections: Spanned::nowhere(max),
            ..Limits::default()
        }
    }

    fn ip(last: u8) -> Peer {
        IpAddr::from([10, 0, 0, last]).into()
    }

    async fn later(millis: u64) {
        tokio::time::advance(Duration::from_millis(millis)).await;
    }

    fn registry() -> Arc<Registry> {
        Arc::new(Registry::new(Arc::default()))
    }

    /// Returns a place if one is free at once.
    fn place(registry: &Arc<Registry>, last: u8, max: u32) -> Option<Place> {
        let limits = limits(max);
        let mut waiting = std::pin::pin!(registry.place(ip(last), None, &limits));
        match waiting
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(place) => place,
            Poll::Pending => None,
        }
    }

    /// Future that is polled by hand.
    struct ByHand<F>(std::pin::Pin<Box<F>>);

    fn by_hand<F: Future<Output = ()>>(future: F) -> ByHand<F> {
        ByHand(Box::pin(future))
    }

    impl<F: Future<Output = ()>> ByHand<F> {
        fn is_ready(&mut self) -> bool {
            let mut context = Context::from_waker(Waker::noop());
            self.0.as_mut().poll(&mut context).is_ready()
        }

        fn is_pending(&mut self) -> bool {
            !self.is_ready()
        }
    }

    fn cut(places: &[Place]) -> Vec<bool> {
        places
            .iter()
            .map(|place| place.cut.is_cancelled())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_connection_waited_for_longest_gives_way() {
        let registry = registry();
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(place(&registry, 1, 3).unwrap());
            later(1000).await;
        }
        places[0].activity.begin(registry.now());
        let newcomer = place(&registry, 1, 3).unwrap();
        assert_eq!(
            cut(&places),
            [false, true, false],
            "the oldest is being served"
        );
        places[2].activity.begin(registry.now());
        newcomer.activity.begin(registry.now());
        assert!(place(&registry, 1, 3).is_none(), "all are being served");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_with_many_takes_no_place_of_one_with_few() {
        let registry = registry();
        let lone = place(&registry, 7, 4).unwrap();
        later(100_000).await;
        let many: Vec<Place> = (0..3).map(|_| place(&registry, 1, 4).unwrap()).collect();
        for place in &many {
            place.activity.begin(registry.now());
        }
        assert!(place(&registry, 1, 4).is_none());
        assert!(!lone.cut.is_cancelled());
        let newcomer = place(&registry, 2, 4).unwrap();
        assert_eq!(
            cut(&many).iter().filter(|cut| **cut).count(),
            1,
            "not even when it is busy"
        );
        assert!(!lone.cut.is_cancelled() && !newcomer.cut.is_cancelled());
        assert_eq!(registry.stats.closed_by_server()[&CloseReason::Evicted], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_scrape_under_way_goes_after_the_others_of_its_client() {
        let registry = registry();
        let places: Vec<Place> = (0..3).map(|_| place(&registry, 1, 3).unwrap()).collect();
        for place in &places {
            place.activity.begin(registry.now());
        }
        places[0].activity.set_scrape(true);
        places[0].activity.response_started();
        places[0].activity.wrote(true, registry.now());
        later(150).await;
        assert!(place(&registry, 1, 3).is_none(), "it may be slow");
        let other = place(&registry, 2, 3).unwrap();
        assert_eq!(cut(&places), [false, true, false]);
        later(50).await;
        assert!(place(&registry, 1, 3).is_some() && !other.cut.is_cancelled());
        assert_eq!(cut(&places), [true, true, false], "but not for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_end_is_no_scrape_under_way() {
        let registry = registry();
        let place_of_one = place(&registry, 1, 1).unwrap();
        place_of_one.activity.set_scrape(true);
        later(100).await;
        assert!(place(&registry, 1, 1).is_some() && place_of_one.cut.is_cancelled());
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_is_pushed_out_before_it_could_speak() {
        let registry = registry();
        let places: Vec<Place> = (0..4).map(|_| place(&registry, 1, 4).unwrap()).collect();
        later(50).await;
        assert!(place(&registry, 1, 4).is_none());
        assert_eq!(cut(&places), [false; 4]);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_connections_are_admitted_by_client_and_then_in_order() {
        let registry = registry();
        let places: Vec<Place> = (0..4).map(|_| place(&registry, 1, 4).unwrap()).collect();
        for place in &places {
            place.activity.begin(registry.now());
        }
        let mut order = Vec::new();
        let wait = |last: u8| {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move { registry.place(ip(last), None, &limits(4)).await })
        };
        let (first, second) = (wait(1), wait(1));
        while registry.inner.lock().waiting.len() < 2 {
            tokio::task::yield_now().await;
        }
        assert!(registry.is_crowded());
        let other = place(&registry, 2, 4).expect("it has fewer than the one with four");
        drop(places);
        for waiting in [first, second] {
            order.push(waiting.await.unwrap().unwrap());
        }
        assert!(!registry.is_crowded() && !other.cut.is_cancelled());
        let ids: Vec<u64> = order.iter().map(|place| place.id).collect();
        assert!(ids.is_sorted(), "{ids:?}");
    }

    #[tokio::test]
    async fn of_one_client_a_scrape_goes_before_what_came_earlier() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let registry = registry();
        let mut places: Vec<Place> = (0..2).map(|_| place(&registry, 1, 2).unwrap()).collect();
        for place in &places {
            place.activity.begin(registry.now());
        }
        let (admitted, mut order) = tokio::sync::mpsc::unbounded_channel();
        let mut clients = Vec::new();
        for head in [
            "GET /api/v1/query?query=up",
            "GET /metricsx",
            "GET /metrics HTTP/1.1",
        ] {
            let mut client = tokio::net::TcpStream::connect(listener.local_addr().unwrap())
                .await
                .unwrap();
            client.write_all(head.as_bytes()).await.unwrap();
            let (stream, _) = listener.accept().await.unwrap();
            let (registry, stream) = (Arc::clone(&registry), Arc::new(Stream::Tcp(stream)));
            let (admitted, waiting) = (admitted.clone(), registry.inner.lock().waiting.len());
            let queue = Arc::clone(&registry);
            tokio::spawn(async move {
                let place = registry.place(ip(1), Some(&stream), &limits(2)).await;
                admitted.send((head, place)).ok();
            });
            while queue.inner.lock().waiting.len() == waiting {
                tokio::task::yield_now().await;
            }
            clients.push(client);
        }
        let is_known = |registry: &Registry| {
            let inner = registry.inner.lock();
            inner.waiting.values().any(|waiting| waiting.is_scrape)
        };
        while !is_known(&registry) {
            tokio::task::yield_now().await;
        }
        drop(places.pop());
        let (head, _place) = order.recv().await.unwrap();
        assert_eq!(head, "GET /metrics HTTP/1.1");
        drop(places);
        assert_eq!(order.recv().await.unwrap().0, "GET /api/v1/query?query=up");
    }

    #[tokio::test(start_paused = true)]
    async fn the_queue_is_bounded_and_fair_too() {
        let registry = registry();
        let places: Vec<Place> = (0..2).map(|_| place(&registry, 9, 2).unwrap()).collect();
        for place in &places {
            place.activity.begin(registry.now());
        }
        let wait = |last: u8| {
            let registry = Arc::clone(&registry);
            tokio::spawn(async move { registry.place(ip(last), None, &limits(2)).await })
        };
        let mut waiting = Vec::new();
        for _ in 0..8 {
            let before = registry.inner.lock().waiting.len();
            waiting.push(wait(9));
            while registry.inner.lock().waiting.len() == before {
                tokio::task::yield_now().await;
            }
        }
        assert!(
            wait(9).await.unwrap().is_none(),
            "the client with the most is turned away"
        );
        let _place = wait(3).await.unwrap().expect("another is let in");
        assert_eq!(registry.inner.lock().waiting.len(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn other_requests_leave_places_for_scrapes() {
        let registry = registry();
        let under_way: Vec<_> = (0..14)
            .map(|_| registry.other_request(&limits(16)).unwrap())
            .collect();
        assert!(registry.other_request(&limits(16)).is_none());
        drop(under_way);
        assert!(registry.other_request(&limits(16)).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn places_come_back_and_the_overdue_go() {
        let registry = registry();
        for _ in 0..100 {
            drop(place(&registry, 1, 8).unwrap());
        }
        assert_eq!(registry.stats.connections(), 0);
        let (slow, idle) = (
            place(&registry, 1, 8).unwrap(),
            place(&registry, 1, 8).unwrap(),
        );
        idle.activity.begin(0);
        idle.activity.end(0, 0);
        later(9000).await;
        registry.reap(&limits(8));
        assert!(!slow.cut.is_cancelled());
        later(1000).await;
        registry.reap(&limits(8));
        assert!(slow.cut.is_cancelled() && !idle.cut.is_cancelled());
        assert_eq!(registry.stats.closed_by_server()[&CloseReason::Header], 1);
        drop((slow, idle));
        assert!(registry.inner.lock().held.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn checks_sleep_until_the_next_deadline() {
        let registry = registry();
        assert_eq!(registry.reap(&limits(8)), None, "no connection, no check");
        let mut occupied = by_hand(registry.occupied());
        assert!(occupied.is_pending());
        let idle = place(&registry, 1, 8).unwrap();
        assert!(occupied.is_ready());
        later(4000).await;
        let header = Some(Duration::from_secs(6));
        assert_eq!(registry.reap(&limits(8)), header);
        idle.activity.begin(registry.now());
        idle.activity.end(0, registry.now());
        let idle_timeout = Some(Duration::from_secs(300));
        assert_eq!(registry.reap(&limits(8)), idle_timeout);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiting_connection_wakes_the_admission() {
        let registry = registry();
        let mut crowded = by_hand(registry.crowded());
        let _open = place(&registry, 1, 1).unwrap();
        assert!(crowded.is_pending());
        let limits = limits(1);
        let mut waiting = std::pin::pin!(registry.place(ip(1), None, &limits));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        assert!(crowded.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_stuck_answer_makes_room_for_an_exposition() {
        let registry = registry();
        let second = Duration::from_secs(1);
        let quiet = place(&registry, 1, 8).unwrap();
        let stuck = place(&registry, 1, 8).unwrap();
        stuck.activity.begin(registry.now());
        stuck.activity.wrote(true, registry.now());
        registry.evict_stuck(second, ip(1).client());
        assert!(!stuck.cut.is_cancelled(), "not long enough");
        later(1000).await;
        let others: Vec<Place> = (0..3).map(|_| place(&registry, 2, 8).unwrap()).collect();
        registry.evict_stuck(second, ip(2).client());
        assert!(
            !stuck.cut.is_cancelled(),
            "its client has fewer connections"
        );
        drop(others);
        registry.evict_stuck(second, ip(2).client());
        assert!(stuck.cut.is_cancelled() && !quiet.cut.is_cancelled());
        registry.evict_longest_waiting();
        assert!(quiet.cut.is_cancelled());
    }
}
