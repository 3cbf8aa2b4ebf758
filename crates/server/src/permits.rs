//! How many answers that are not small are made and under way at once.
//!
//! Owns the permits and the queue for them, which is fair by client: whoever holds the fewest goes
//! first. Scrapes have a reserve beside them that no other path takes, and of which one client
//! takes one at most.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::peer::Client;

/// What a permit is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    /// `/metrics`.
    Scrape,
    /// Everything else.
    Other,
}

/// All permits of one server.
#[derive(Debug)]
pub(super) struct Permits(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Those for anything that are free.
    free: usize,
    /// Those for scrapes alone that are free.
    reserve: usize,
    /// Clients that hold one of the reserve.
    in_reserve: HashSet<Client>,
    /// Permits of both kinds by client.
    held: HashMap<Client, usize>,
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    client: Client,
    lane: Lane,
    granted: oneshot::Sender<Permit>,
}

/// The right to make one answer and to have it under way; given back when dropped.
#[derive(Debug)]
pub(super) struct Permit {
    permits: Arc<Permits>,
    client: Client,
    reserved: bool,
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.give_back(self.client, self.reserved);
    }
}

#[cfg(test)]
impl Permit {
    /// One that counts nowhere.
    pub(super) fn of_none() -> Self {
        let client = super::peer::Peer::Socket.client();
        let permits = Arc::new(Permits::new(0));
        permits.0.lock().held.insert(client, 1);
        Self {
            permits,
            client,
            reserved: false,
        }
    }
}

/// A place in the queue, left when dropped.
struct Queued<'a> {
    permits: &'a Permits,
    ticket: u64,
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.permits.0.lock().waiting.remove(&self.ticket);
    }
}

impl Permits {
    /// `count` for anything, and a quarter of that, at least two, for scrapes beside them.
    pub(super) fn new(count: usize) -> Self {
        Self(Mutex::new(State {
            free: count,
            reserve: (count / 4).max(2),
            in_reserve: HashSet::new(),
            held: HashMap::new(),
            waiting: BTreeMap::new(),
            next: 0,
        }))
    }

    /// Waits for a permit. Dropping the future leaves the queue.
    pub(super) async fn acquire(self: &Arc<Self>, client: Client, lane: Lane) -> Option<Permit> {
        let (ticket, granted) = {
            let mut state = self.0.lock();
            if let Some(reserved) = state.take(client, lane) {
                return Some(Permit {
                    permits: Arc::clone(self),
                    client,
                    reserved,
                });
            }
            let (sender, granted) = oneshot::channel();
            let ticket = state.next;
            state.next += 1;
            state.waiting.insert(
                ticket,
                Waiting {
                    client,
                    lane,
                    granted: sender,
                },
            );
            (ticket, granted)
        };
        let _queued = Queued {
            permits: self,
            ticket,
        };
        granted.await.ok()
    }

    fn give_back(self: &Arc<Self>, client: Client, reserved: bool) {
        let granted = {
            let mut state = self.0.lock();
            state.put_back(client, reserved);
            state.grant()
        };
        if let Some((
            Waiting {
                client, granted, ..
            },
            reserved,
        )) = granted
        {
            let permit = Permit {
                permits: Arc::clone(self),
                client,
                reserved,
            };
            // One that has left in the meantime gives it back at once.
            drop(granted.send(permit));
        }
    }
}

impl State {
    /// Takes a permit if one is free; whether it is of the reserve.
    fn take(&mut self, client: Client, lane: Lane) -> Option<bool> {
        let reserved = if self.free > 0 {
            self.free -= 1;
            false
        } else if self.may_reserve(client, lane) {
            self.reserve -= 1;
            self.in_reserve.insert(client);
            true
        } else {
            return None;
        };
        *self.held.entry(client).or_default() += 1;
        Some(reserved)
    }

    fn may_reserve(&self, client: Client, lane: Lane) -> bool {
        lane == Lane::Scrape && self.reserve > 0 && !self.in_reserve.contains(&client)
    }

    fn put_back(&mut self, client: Client, reserved: bool) {
        if reserved {
            self.reserve += 1;
            self.in_reserve.remove(&client);
        } else {
            self.free += 1;
        }
        if let Some(held) = self.held.get_mut(&client) {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&client);
            }
        }
    }

    /// Whose turn it is, if anybody's: the client with the fewest permits, and of its requests the
    /// one that came first.
    fn grant(&mut self) -> Option<(Waiting, bool)> {
        let may =
            |waiting: &Waiting| self.free > 0 || self.may_reserve(waiting.client, waiting.lane);
        let (ticket, client, lane) = self
            .waiting
            .iter()
            .filter(|(_, waiting)| may(waiting))
            .map(|(ticket, waiting)| (*ticket, waiting.client, waiting.lane))
            .min_by_key(|(ticket, client, _)| {
                (self.held.get(client).copied().unwrap_or_default(), *ticket)
            })?;
        let reserved = self.take(client, lane)?;
        self.waiting
            .remove(&ticket)
            .map(|waiting| (waiting, reserved))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::pin::Pin;

    use super::*;
    use crate::peer::Peer;

    fn client(last: u8) -> Client {
        Peer::from(IpAddr::from([10, 0, 0, last])).client()
    }

    fn now(future: impl Future<Output = Option<Permit>>) -> Option<Permit> {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(permit) => permit,
            std::task::Poll::Pending => None,
        }
    }

    #[test]
    fn a_reserve_is_for_scrapes_one_for_each_client() {
        let permits = Arc::new(Permits::new(2));
        let take = |last, lane| now(permits.acquire(client(last), lane));
        let first = take(1, Lane::Other).unwrap();
        let _second = take(2, Lane::Other).unwrap();
        assert!(take(3, Lane::Other).is_none(), "all are taken");
        let scrape = take(1, Lane::Scrape).unwrap();
        assert!(
            take(1, Lane::Scrape).is_none(),
            "one client, one of the reserve"
        );
        let _other = take(2, Lane::Scrape).unwrap();
        assert!(take(3, Lane::Scrape).is_none(), "the reserve is two");
        drop(scrape);
        assert!(take(3, Lane::Other).is_none(), "what is reserved stays so");
        assert!(take(3, Lane::Scrape).is_some());
        drop(first);
        assert!(take(3, Lane::Other).is_some());
        assert!(
            permits.0.lock().waiting.is_empty(),
            "nobody waits who has left"
        );
    }

    #[tokio::test]
    async fn the_client_with_the_fewest_goes_first() {
        let permits = Arc::new(Permits::new(2));
        let held = [
            permits.acquire(client(1), Lane::Other).await.unwrap(),
            permits.acquire(client(1), Lane::Other).await.unwrap(),
        ];
        let order = Arc::new(Mutex::new(Vec::new()));
        let wait = |last: u8| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let (permits, order) = (Arc::clone(&permits), Arc::clone(&order));
            Box::pin(async move {
                let _permit = permits.acquire(client(last), Lane::Other).await.unwrap();
                order.lock().push(last);
            })
        };
        let mut tasks = Vec::new();
        for last in [1, 1, 2, 3] {
            let before = permits.0.lock().waiting.len();
            tasks.push(tokio::spawn(wait(last)));
            while permits.0.lock().waiting.len() == before {
                tokio::task::yield_now().await;
            }
        }
        let [one, two] = held;
        drop(one);
        for task in tasks.split_off(2) {
            task.await.unwrap();
        }
        assert_eq!(
            order.lock()[..2],
            [2, 3],
            "others before the one that holds some"
        );
        drop(two);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), [2, 3, 1, 1]);
        let state = permits.0.lock();
        assert_eq!((state.free, state.held.len()), (2, 0));
    }
}
