//! Table of open connections and queue of waiting ones; pure, but for a look at their sockets.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::Place;
use crate::net::activity::Activity;
use crate::net::peer::{Client, Peer};
use crate::net::stream::Stream;

/// Time for which a connection may keep the server waiting before one of a client with as many
/// replaces it.
const GRACE: Duration = Duration::from_millis(100);
/// The same while the response of a scrape is sent, whose client may be slow.
const SCRAPE_GRACE: Duration = Duration::from_millis(200);
/// Maximum number of connections whose sockets are checked before one is closed.
const MAX_CANDIDATES: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) next: u64,
    pub(super) places: usize,
    pub(super) open: HashMap<u64, Entry>,
    pub(super) held: HashMap<Client, usize>,
    pub(super) waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) peer: Peer,
    pub(super) stream: Option<Arc<Stream>>,
    pub(super) activity: Arc<Activity>,
    pub(super) cut: CancellationToken,
}

impl Entry {
    /// Time for which the client has kept the server waiting, in milliseconds. Bytes that it has
    /// sent and the server has not read do not count against it.
    pub(super) fn waited(&self, now: u64) -> Option<u64> {
        let waited = self.activity.waited(now)?;
        if !self.activity.is_quiet() {
            return Some(waited);
        }
        let stream = self.stream.as_ref();
        let unread = stream.is_some_and(|stream| stream.has_unread());
        (!unread).then_some(waited)
    }
}

#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) peer: Peer,
    pub(super) stream: Option<Arc<Stream>>,
    /// True once its first bytes have come and are those of a scrape.
    pub(super) is_scrape: bool,
    pub(super) placed: oneshot::Sender<Place>,
}

impl Table {
    pub(super) fn connections_of(&self, client: Client) -> usize {
        self.held.get(&client).copied().unwrap_or_default()
    }

    pub(super) fn remove(&mut self, id: u64) -> Option<Entry> {
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
    pub(super) fn is_lightest(&self, client: Client) -> bool {
        let own = self.connections_of(client);
        self.waiting
            .values()
            .all(|waiting| self.connections_of(waiting.peer.client()) > own)
    }

    /// Next in the queue: of the client with the fewest connections the first scrape, else the first.
    pub(super) fn first(&self) -> Option<(u64, Peer)> {
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
    pub(super) fn last(&self) -> Option<u64> {
        let queue = self.queue();
        self.waiting
            .iter()
            .map(|(ticket, waiting)| (queue.get(&waiting.peer.client()), *ticket))
            .max()
            .map(|(_, ticket)| ticket)
    }

    /// Waiting connection that leaves a full queue for one of `client`; none if that client has the
    /// most in it.
    pub(super) fn displaced_by(&self, client: Client) -> Option<u64> {
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
    pub(super) fn longest(&self, waited: impl Fn(&Entry) -> Option<u64>) -> Option<u64> {
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
    pub(super) fn victim(&self, now: u64, client: Client) -> Option<u64> {
        let own = self.connections_of(client);
        let ranked = self.open.iter().filter_map(|(id, entry)| {
            let waited = entry.activity.waited(now);
            Some((self.rank(entry, waited, own)?, Reverse(*id)))
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
                Some((self.rank(entry, entry.waited(now), own)?, Reverse(*id)))
            });
        looked.max().map(|(_, Reverse(id))| id)
    }

    /// Rank of a connection that has kept the server waiting for `waited`, the first to close highest;
    /// none if it does not give way to a client with `own` connections.
    fn rank(&self, entry: &Entry, waited: Option<u64>, own: usize) -> Option<Rank> {
        let activity = &entry.activity;
        // A head that never ends may begin like that of a scrape.
        let grace = match activity.is_scraping() && !activity.is_quiet() {
            true => SCRAPE_GRACE,
            false => GRACE,
        };
        let long = waited.is_some_and(|waited| u128::from(waited) >= grace.as_millis());
        let held = self.connections_of(entry.peer.client());
        let may_go = held >= own + 2 || (held >= own && long);
        may_go.then_some(Rank {
            held,
            not_scraping: !activity.is_scraping(),
            waits: waited.is_some(),
            not_answering: !activity.is_answering(),
            not_scraped: !activity.scraped(),
            waited,
        })
    }
}

/// Order in which connections are closed to make room.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    held: usize,
    not_scraping: bool,
    waits: bool,
    not_answering: bool,
    not_scraped: bool,
    waited: Option<u64>,
}
