//! The open connections: who may stay, who must go.
//!
//! Owns the table, the judgement which connection gives way to a newer one, and the tokens that
//! close them. Opens and closes no socket itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::activity::{Activity, Cut};
use super::settings::Limits;
use super::stats::Stats;

/// All connections of one server.
#[derive(Debug)]
pub(super) struct Registry {
    start: Instant,
    stats: Arc<Stats>,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    next: u64,
    open: HashMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    peer: IpAddr,
    activity: Arc<Activity>,
    cut: CancellationToken,
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
        self.registry.inner.lock().open.remove(&self.id);
        self.registry.stats.one_closed();
    }
}

impl Registry {
    pub(super) fn new(stats: Arc<Stats>) -> Self {
        Self { start: Instant::now(), stats, inner: Mutex::default() }
    }

    /// Milliseconds since the server started.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// A place for a new connection. When all are taken, the connection that has kept the server
    /// waiting longest gives way; of several clients first one of the client that holds the most,
    /// so that one client with hundreds of connections cannot push the others out. None when all
    /// are being served.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr, limits: &Limits) -> Option<Place> {
        let now = self.now();
        let mut inner = self.inner.lock();
        if inner.open.len() >= *limits.max_connections as usize {
            let victim = inner.victim(now, |_| true)?;
            self.cut(&mut inner, victim, Cut::Evicted);
        }
        let id = inner.next;
        inner.next += 1;
        let activity = Arc::new(Activity::new(now));
        let cut = CancellationToken::new();
        inner.open.insert(id, Entry { peer, activity: Arc::clone(&activity), cut: cut.clone() });
        self.stats.one_opened();
        Some(Place { id, registry: Arc::clone(self), activity, cut })
    }

    /// Closes the connection whose client has let an answer wait longest, at least for `grace`:
    /// what makes room when all pages under way are stuck.
    pub(super) fn evict_stuck(&self, grace: Duration) {
        let now = self.now();
        self.evict(now, |activity| {
            let waited = activity.waited(now).map(u128::from);
            !activity.is_quiet() && waited.is_some_and(|waited| waited >= grace.as_millis())
        });
    }

    /// Closes the connection that has kept the server waiting longest, whatever it waits for: what
    /// makes room when the system has no descriptor left.
    pub(super) fn evict_one(&self) {
        self.evict(self.now(), |_| true);
    }

    fn evict(&self, now: u64, may_go: impl Fn(&Activity) -> bool) {
        let mut inner = self.inner.lock();
        if let Some(victim) = inner.victim(now, may_go) {
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
        for entry in self.inner.lock().open.values() {
            if !only_quiet || entry.activity.is_quiet() {
                entry.cut.cancel();
            }
        }
    }

    fn cut(&self, inner: &mut Inner, id: u64, cut: Cut) {
        // Leaves the table at once: its task may take a moment to end.
        if let Some(entry) = inner.open.remove(&id) {
            entry.cut.cancel();
            self.stats.cut(cut);
            tracing::debug!(peer = %entry.peer, reason = cut.as_str(), "closed a connection");
        }
    }
}

impl Inner {
    /// Whom to close: of the clients that keep the server waiting, one of the client with the most
    /// connections, and of its connections the one waited for longest.
    fn victim(&self, now: u64, may_go: impl Fn(&Activity) -> bool) -> Option<u64> {
        let mut held: HashMap<IpAddr, u32> = HashMap::new();
        for entry in self.open.values() {
            *held.entry(entry.peer).or_default() += 1;
        }
        self.open
            .iter()
            .filter(|(_, entry)| may_go(&entry.activity))
            .filter_map(|(id, entry)| {
                let waited = entry.activity.waited(now)?;
                Some((held.get(&entry.peer).copied(), waited, std::cmp::Reverse(*id)))
            })
            .max()
            .map(|(_, _, id)| id.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::Spanned;

    fn limits(max: u32) -> Limits {
        Limits { max_connections: Spanned::nowhere(max), ..Limits::default() }
    }

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    async fn later(seconds: u64) {
        tokio::time::advance(Duration::from_secs(seconds)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_one_waited_for_longest_gives_way() {
        let registry = Arc::new(Registry::new(Arc::default()));
        let mut places = Vec::new();
        for _ in 0..3 {
            places.push(registry.admit(ip(1), &limits(3)).unwrap());
            later(1).await;
        }
        places[0].activity.begin(registry.now());
        let newcomer = registry.admit(ip(1), &limits(3)).unwrap();
        let cut: Vec<bool> = places.iter().map(|place| place.cut.is_cancelled()).collect();
        assert_eq!(cut, [false, true, false], "the oldest is being served");
        places[2].activity.begin(registry.now());
        newcomer.activity.begin(registry.now());
        assert!(registry.admit(ip(1), &limits(3)).is_none(), "all are being served");
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_with_the_most_connections_gives_way() {
        let registry = Arc::new(Registry::new(Arc::default()));
        let lone = registry.admit(ip(7), &limits(4)).unwrap();
        later(100).await;
        let many: Vec<Place> = (0..3).map(|_| registry.admit(ip(1), &limits(4)).unwrap()).collect();
        let _newcomer = registry.admit(ip(2), &limits(4)).unwrap();
        assert!(!lone.cut.is_cancelled());
        assert!(many[0].cut.is_cancelled());
        assert_eq!(registry.stats.cuts()[&Cut::Evicted], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn places_come_back_and_the_overdue_go() {
        let registry = Arc::new(Registry::new(Arc::default()));
        for _ in 0..100 {
            drop(registry.admit(ip(1), &limits(8)).unwrap());
        }
        assert_eq!(registry.stats.connections(), 0);
        let (slow, idle) = (
            registry.admit(ip(1), &limits(8)).unwrap(),
            registry.admit(ip(1), &limits(8)).unwrap(),
        );
        idle.activity.begin(0);
        idle.activity.end(0);
        later(9).await;
        registry.reap(&limits(8));
        assert!(!slow.cut.is_cancelled());
        later(1).await;
        registry.reap(&limits(8));
        assert!(slow.cut.is_cancelled() && !idle.cut.is_cancelled());
        assert_eq!(registry.stats.cuts()[&Cut::Header], 1);
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_stuck_answer_makes_room_for_a_page() {
        let registry = Arc::new(Registry::new(Arc::default()));
        let quiet = registry.admit(ip(1), &limits(8)).unwrap();
        let stuck = registry.admit(ip(1), &limits(8)).unwrap();
        stuck.activity.begin(registry.now());
        stuck.activity.wrote(true, registry.now());
        registry.evict_stuck(Duration::from_secs(1));
        assert!(!stuck.cut.is_cancelled(), "not long enough");
        later(1).await;
        registry.evict_stuck(Duration::from_secs(1));
        assert!(stuck.cut.is_cancelled() && !quiet.cut.is_cancelled());
        registry.evict_one();
        assert!(quiet.cut.is_cancelled());
    }
}
