//! Permits for responses that are not small.
//!
//! Owns the permits and the queue for them, which is fair by client: the client that holds the
//! fewest goes first. Scrapes have a reserve that no other path uses, and of which one client holds
//! one at most.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::net::peer::Client;

/// Use of a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PermitKind {
    /// `/metrics`.
    Scrape,
    /// Everything else.
    Other,
}

/// Permits of one server.
#[derive(Debug)]
pub(crate) struct Permits(Mutex<State>);

#[derive(Debug)]
struct State {
    /// Free permits for anything.
    free: usize,
    /// Free permits of the reserve for scrapes.
    reserve: usize,
    /// Clients that hold a permit of the reserve.
    in_reserve: HashSet<Client>,
    /// Permits of both kinds by client.
    held: HashMap<Client, usize>,
    waiting: BTreeMap<u64, Waiting>,
    next: u64,
}

#[derive(Debug)]
struct Waiting {
    client: Client,
    kind: PermitKind,
    granted: oneshot::Sender<Permit>,
}

/// Right to make and send one response; given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit {
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
    /// Permit that is not limited.
    pub(crate) fn unlimited() -> Self {
        let client = crate::net::peer::Peer::Socket(None).client();
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
    /// Creates `count` permits for anything, and a reserve for scrapes of a quarter as many, at
    /// least two.
    pub(crate) fn new(count: usize) -> Self {
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
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        client: Client,
        kind: PermitKind,
    ) -> Option<Permit> {
        let (ticket, granted) = {
            let mut state = self.0.lock();
            if let Some(reserved) = state.try_take(client, kind) {
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
                    kind,
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
            // A client that has left in the meantime gives it back at once.
            drop(granted.send(permit));
        }
    }
}

impl State {
    /// Takes a permit if one is free; true if it is of the reserve.
    fn try_take(&mut self, client: Client, kind: PermitKind) -> Option<bool> {
        let reserved = if self.free > 0 {
            self.free -= 1;
            false
        } else if self.may_reserve(client, kind) {
            self.reserve -= 1;
            self.in_reserve.insert(client);
            true
        } else {
            return None;
        };
        *self.held.entry(client).or_default() += 1;
        Some(reserved)
    }

    fn may_reserve(&self, client: Client, kind: PermitKind) -> bool {
        kind == PermitKind::Scrape && self.reserve > 0 && !self.in_reserve.contains(&client)
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

    /// Grants a permit to the client with the fewest permits, and of its requests to the first.
    fn grant(&mut self) -> Option<(Waiting, bool)> {
        let may =
            |waiting: &Waiting| self.free > 0 || self.may_reserve(waiting.client, waiting.kind);
        let (ticket, client, kind) = self
            .waiting
            .iter()
            .filter(|(_, waiting)| may(waiting))
            .map(|(ticket, waiting)| (*ticket, waiting.client, waiting.kind))
            .min_by_key(|(ticket, client, _)| {
                (self.held.get(client).copied().unwrap_or_default(), *ticket)
            })?;
        let reserved = self.try_take(client, kind)?;
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
    use crate::net::peer::Peer;

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
        let take = |last, kind| now(permits.acquire(client(last), kind));
        let first = take(1, PermitKind::Other).unwrap();
        let _second = take(2, PermitKind::Other).unwrap();
        assert!(take(3, PermitKind::Other).is_none(), "all are taken");
        let scrape = take(1, PermitKind::Scrape).unwrap();
        assert!(
            take(1, PermitKind::Scrape).is_none(),
            "one client, one of the reserve"
        );
        let _other = take(2, PermitKind::Scrape).unwrap();
        assert!(take(3, PermitKind::Scrape).is_none(), "the reserve is two");
        drop(scrape);
        assert!(
            take(3, PermitKind::Other).is_none(),
            "what is reserved stays so"
        );
        assert!(take(3, PermitKind::Scrape).is_some());
        drop(first);
        assert!(take(3, PermitKind::Other).is_some());
        assert!(
            permits.0.lock().waiting.is_empty(),
            "nobody waits who has left"
        );
    }

    #[tokio::test]
    async fn the_client_with_the_fewest_goes_first() {
        let permits = Arc::new(Permits::new(2));
        let held = [
            permits.acquire(client(1), PermitKind::Other).await.unwrap(),
            permits.acquire(client(1), PermitKind::Other).await.unwrap(),
        ];
        let order = Arc::new(Mutex::new(Vec::new()));
        let wait = |last: u8| -> Pin<Box<dyn Future<Output = ()> + Send>> {
            let (permits, order) = (Arc::clone(&permits), Arc::clone(&order));
            Box::pin(async move {
                let _permit = permits
                    .acquire(client(last), PermitKind::Other)
                    .await
                    .unwrap();
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
        let [first, second] = held;
        drop(first);
        for task in tasks.split_off(2) {
            task.await.unwrap();
        }
        assert_eq!(
            order.lock()[..2],
            [2, 3],
            "others before the one that holds some"
        );
        drop(second);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock(), [2, 3, 1, 1]);
        let state = permits.0.lock();
        assert_eq!((state.free, state.held.len()), (2, 0));
    }
}
