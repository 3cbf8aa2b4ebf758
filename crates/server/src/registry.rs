//! The open connections: who may stay, who must go, who waits for a place.
//!
//! Owns the table, the queue for a place in it, the decision which connection gives way to a newer
//! one, and the tokens that close them. Opens and closes no socket itself.
//!
//! Places are shared by client: of those that wait, the client with the fewest connections is let
//! in first, and it takes the place of one of a client that has more. A client with as many waits
//! until a place is free or one of its equals has kept the server waiting for [`GRACE`]. While
//! anybody waits, answers end their connection, so that the queue moves.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Cut};
use super::peer::{Client, Peer};
use super::settings::Limits;
use super::stats::Stats;
use super::stream::Stream;

/// How long a connection may keep the server waiting before one of a client with as many takes its
/// place.
const GRACE: Duration = Duration::from_millis(100);
/// How often those that wait are looked at, beside each time a place becomes free.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// Connections whose sockets are looked at before one is closed.
const LOOKED_AT: usize = 16;
/// How many may wait for each place.
const WAITING_PER_PLACE: usize = 4;

/// All connections of one server.
#[derive(Debug)]
pub(super) struct Registry {
    start: Instant,
    stats: Arc<Stats>,
    inner: Mutex<Inner>,
    /// Requests under way but for scrapes.
    others: AtomicUsize,
    /// How many wait for a place.
    crowd: AtomicUsize,
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
    /// For how long the client has kept the server waiting, in milliseconds. What it has sent and
    /// nobody has read yet is none of its doing.
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
    placed: oneshot::Sender<Place>,
}

/// A place in the table, given back when dropped.
#[derive(Debug)]
pub(super) struct Place {
    id: u64,
    registry: Arc<Registry>,
    /// What the connection does.
    pub(super) activity: Arc<Activity>,
    /// Cancelled when the connection must go.
    pub(super) cut: CancellationToken,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.inner.lock().remove(self.id);
        self.registry.stats.one_closed();
        self.registry.let_in();
    }
}

/// A request under way on another path than `/metrics`; counted until dropped.
#[derive(Debug)]
pub(super) struct OtherRequest(Arc<Registry>);

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

/// Places that only scrapes and what is not known yet may take: an eighth, two at least.
fn reserve(places: usize) -> usize {
    (places / 8).max(2)
}

impl Registry {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self {
            start: Instant::now(),
            stats,
            inner: Mutex::default(),
            others: AtomicUsize::new(0),
            crowd: AtomicUsize::new(0),
        }
    }

    /// Milliseconds since the server started.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A place for a new connection, which it may have to wait for. None when too many wait.
    pub(super) async fn place(
        self: &Arc<Self>,
        peer: Peer,
        stream: Option<&Arc<Stream>>,
        limits: &Limits,
    ) -> Option<Place> {
        let (ticket, placed) = {
            let mut inner = self.inner.lock();
            inner.places = *limits.max_connections as usize;
            // Who waits goes first, but for one whose client has less.
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
                    placed: sender,
                },
            );
            self.crowd.store(inner.waiting.len(), Relaxed);
            (ticket, placed)
        };
        let _queued = Queued {
            registry: self,
            ticket,
        };
        placed.await.ok()
    }

    /// Whether connections wait for a place, so that none should be kept alive.
    pub(super) fn is_crowded(&self) -> bool {
        self.crowd.load(Relaxed) > 0
    }

    /// Lets in whoever may come in by now.
    pub(super) fn let_in(self: &Arc<Self>) {
        if !self.is_crowded() {
            return;
        }
        let mut placed = Vec::new();
        {
            let mut inner = self.inner.lock();
            while let Some((ticket, peer)) = inner.first() {
                let stream = inner
                    .waiting
                    .get(&ticket)
                    .and_then(|first| first.stream.clone());
                let Some(place) = self.try_place(&mut inner, peer, stream.as_ref()) else {
                    break;
                };
                placed.push((inner.waiting.remove(&ticket), place));
            }
            self.crowd.store(inner.waiting.len(), Relaxed);
        }
        for (waiting, place) in placed {
            // One that has left in the meantime gives it back at once.
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
            self.cut(inner, victim, Cut::Evicted);
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
        *inner.held.entry(peer.client()).or_default() += 1;
        self.stats.one_opened();
        Some(Place {
            id,
            registry: Arc::clone(self),
            activity,
            cut,
        })
    }

    /// Begins a request that is no scrape. None where as many are under way as may be, so that
    /// places remain for scrapes.
    pub(super) fn other_request(self: &Arc<Self>, limits: &Limits) -> Option<OtherRequest> {
        let places = *limits.max_connections as usize;
        let most = places.saturating_sub(reserve(places));
        let request = OtherRequest(Arc::clone(self));
        (self.others.fetch_add(1, Relaxed) < most).then_some(request)
    }

    /// Closes the connection whose client has let an answer wait longest, at least for `grace`:
    /// what makes room when all answers under way are stuck. None of a client that has fewer
    /// connections than `client`.
    pub(super) fn evict_stuck(&self, grace: Duration, client: Client) {
        let now = self.now();
        let mut inner = self.inner.lock();
        let own = inner.held(client);
        let stuck = |entry: &Entry| {
            let waited = entry.activity.waited(now)?;
            let long = u128::from(waited) >= grace.as_millis() && !entry.activity.is_quiet();
            (long && inner.held(entry.peer.client()) >= own).then_some(waited)
        };
        let longest = inner.longest(stuck);
        if let Some(victim) = longest {
            self.cut(&mut inner, victim, Cut::Evicted);
        }
    }

    /// Closes the connection that has kept the server waiting longest, whatever it waits for: what
    /// makes room when the system has no descriptor left. Of those in the queue, the last of the
    /// client with the most goes too.
    pub(super) fn evict_one(&self) {
        let now = self.now();
        let mut inner = self.inner.lock();
        if let Some(last) = inner.last() {
            inner.waiting.remove(&last);
            self.crowd.store(inner.waiting.len(), Relaxed);
        }
        if let Some(victim) = inner.longest(|entry| entry.waited(now)) {
            self.cut(&mut inner, victim, Cut::Evicted);
        }
    }

    /// Closes every connection that has passed a limit.
    pub(super) fn reap(&self, limits: &Limits) {
        let now = self.now();
        let mut inner = self.inner.lock();
        let overdue: Vec<(u64, Cut)> = inner
            .open
            .iter()
            .filter_map(|(id, entry)| Some((*id, entry.activity.overdue(now, limits)?)))
            .collect();
        for (id, cut) in overdue {
            self.cut(&mut inner, id, cut);
        }
    }

    /// Closes all connections, or only those without a request under way.
    pub(super) fn close(&self, only_quiet: bool) {
        let mut inner = self.inner.lock();
        inner.waiting.clear();
        for entry in inner.open.values() {
            if !only_quiet || entry.activity.is_quiet() {
                entry.cut.cancel();
            }
        }
    }

    fn cut(&self, inner: &mut Inner, id: u64, cut: Cut) {
        // Leaves the table at once: its task may take a moment to end.
        if let Some(entry) = inner.remove(id) {
            entry.cut.cancel();
            self.stats.cut(cut);
            tracing::debug!(peer = %entry.peer, reason = cut.as_str(), "closed a connection");
        }
    }
}

impl Inner {
    fn held(&self, client: Client) -> usize {
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

    /// Whether nobody waits whose client has as few connections as `client`.
    fn is_lightest(&self, client: Client) -> bool {
        let own = self.held(client);
        self.waiting
            .values()
            .all(|waiting| self.held(waiting.peer.client()) > own)
    }

    /// Who is let in next: of the client with the fewest connections the one that came first.
    fn first(&self) -> Option<(u64, Peer)> {
        let all = self
            .waiting
            .iter()
            .map(|(ticket, waiting)| (*ticket, waiting.peer));
        all.min_by_key(|(ticket, peer)| (self.held(peer.client()), *ticket))
    }

    /// How many connections of each client wait.
    fn queue(&self) -> HashMap<Client, usize> {
        let mut queue = HashMap::new();
        for waiting in self.waiting.values() {
            *queue.entry(waiting.peer.client()).or_default() += 1;
        }
        queue
    }

    /// Of those that wait, the last of the client with the most.
    fn last(&self) -> Option<u64> {
        let queue = self.queue();
        let length = |waiting: &Waiting| queue.get(&waiting.peer.client()).copied();
        let all = self
            .waiting
            .iter()
            .map(|(ticket, waiting)| (length(waiting), *ticket));
        all.max().map(|(_, ticket)| ticket)
    }

    /// Who leaves the full queue for one of `client`; none where that has the most in it.
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

    /// The connection for which `waited` is highest, of the client with the most.
    fn longest(&self, waited: impl Fn(&Entry) -> Option<u64>) -> Option<u64> {
        let all = self.open.iter().filter_map(|(id, entry)| {
            Some((self.held(entry.peer.client()), waited(entry)?, Reverse(*id)))
        });
        all.max().map(|(_, _, Reverse(id))| id)
    }

    /// Whom to close for a newcomer of `client`: never one of a client with fewer connections. Of a
    /// client that would still have more, any: best one that keeps the server waiting, else one
    /// whose answer has not begun. Of others one that has kept it waiting for long enough. One that
    /// was last scraped on goes after those that were not.
    fn victim(&self, now: u64, client: Client) -> Option<u64> {
        let own = self.held(client);
        let rank = |entry: &Entry, waited: Option<u64>| {
            let long = waited.is_some_and(|waited| u128::from(waited) >= GRACE.as_millis());
            let held = self.held(entry.peer.client());
            let may_go = held >= own + 2 || (held >= own && long);
            let (answering, scraped) = (entry.activity.is_answering(), entry.activity.scraped());
            may_go.then_some((held, waited.is_some(), !answering, !scraped, waited))
        };
        let all = self.open.iter();
        let ranked = all.filter_map(|(id, entry)| {
            Some((rank(entry, entry.activity.waited(now))?, Reverse(*id)))
        });
        let mut best: Vec<_> = ranked.collect();
        best.sort_unstable();
        // The sockets of few are looked at.
        let looked = best
            .iter()
            .rev()
            .take(LOOKED_AT)
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

    /// A place that is there at once.
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

    fn cut(places: &[Place]) -> Vec<bool> {
        places
            .iter()
            .map(|place| place.cut.is_cancelled())
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_waited_for_longest_gives_way() {
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
        assert_eq!(registry.stats.cuts()[&Cut::Evicted], 1);
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
    async fn who_waits_is_let_in_by_client_and_then_in_order() {
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
        assert_eq!(registry.stats.cuts()[&Cut::Header], 1);
        drop((slow, idle));
        assert!(registry.inner.lock().held.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_stuck_answer_makes_room_for_a_page() {
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
        registry.evict_one();
        assert!(quiet.cut.is_cancelled());
    }
}
