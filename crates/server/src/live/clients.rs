//! Places of the clients, shared by client address as connections are.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::auth::reader::Reader;
use crate::net::peer::Client;

/// Reason for which the server closes a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goodbye {
    /// The agent stops, or the server moves to another address.
    Stop,
    /// The rules of access have changed.
    Access,
    /// A client of another address needs the place.
    Replaced,
    /// The client may no longer read, for this reason.
    Ended(&'static str),
}

/// Table of the connected clients.
#[derive(Debug, Default)]
pub(super) struct Clients {
    next: u64,
    open: BTreeMap<u64, Entry>,
    closed: bool,
}

#[derive(Debug)]
struct Entry {
    client: Client,
    reader: Arc<Reader>,
    goodbye: oneshot::Sender<Goodbye>,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// Gives `client` one of `places`. If all are taken, the newest of the address with the most
    /// gives way, unless `client` would then have as many. None if there is no place.
    pub(super) fn admit(
        &mut self,
        client: Client,
        reader: Arc<Reader>,
        places: usize,
    ) -> Option<(u64, oneshot::Receiver<Goodbye>)> {
        if self.closed || places == 0 {
            return None;
        }
        if self.open.len() >= places {
            let victim = self.victim(client)?;
            self.dismiss(victim, Goodbye::Replaced);
        }
        let id = self.next;
        self.next += 1;
        let (goodbye, receiver) = oneshot::channel();
        let entry = Entry {
            client,
            reader,
            goodbye,
        };
        self.open.insert(id, entry);
        Some((id, receiver))
    }

    fn victim(&self, client: Client) -> Option<u64> {
        let mut held: HashMap<Client, usize> = HashMap::new();
        for entry in self.open.values() {
            *held.entry(entry.client).or_default() += 1;
        }
        let own = held.get(&client).copied().unwrap_or_default();
        let count = |entry: &Entry| held.get(&entry.client).copied().unwrap_or_default();
        let newest = self
            .open
            .iter()
            .max_by_key(|(id, entry)| (count(entry), **id));
        newest
            .filter(|(_, entry)| count(entry) > own + 1)
            .map(|(id, _)| *id)
    }

    fn dismiss(&mut self, id: u64, why: Goodbye) {
        if let Some(entry) = self.open.remove(&id) {
            entry.goodbye.send(why).ok();
        }
    }

    /// Gives a place back.
    pub(super) fn remove(&mut self, id: u64) {
        self.open.remove(&id);
    }

    /// Ends the sessions of the readers for which `ended` returns a reason.
    pub(super) fn dismiss_ended(&mut self, ended: impl Fn(&Reader) -> Option<&'static str>) {
        let reasons = self
            .open
            .iter()
            .filter_map(|(id, entry)| Some((*id, ended(&entry.reader)?)));
        for (id, reason) in reasons.collect::<Vec<_>>() {
            self.dismiss(id, Goodbye::Ended(reason));
        }
    }

    /// Ends all sessions; with [`Goodbye::Stop`] there are no new ones.
    pub(super) fn dismiss_all(&mut self, why: Goodbye) {
        self.closed |= why == Goodbye::Stop;
        for (_, entry) in std::mem::take(&mut self.open) {
            entry.goodbye.send(why).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::auth::reader::testing::anonymous;
    use crate::net::peer::Peer;

    fn reader() -> Arc<Reader> {
        Arc::new(anonymous())
    }

    fn client(last: u8) -> Client {
        Peer::from(IpAddr::from([10, 0, 0, last])).client()
    }

    #[test]
    fn the_address_with_the_most_clients_gives_way() {
        let mut clients = Clients::default();
        let mut held: Vec<_> = (0..3)
            .map(|_| clients.admit(client(1), reader(), 3).unwrap().1)
            .collect();
        assert!(
            clients.admit(client(1), reader(), 3).is_none(),
            "its own do not give way"
        );
        let (_, mut second) = clients.admit(client(2), reader(), 3).unwrap();
        assert_eq!(held.pop().unwrap().try_recv(), Ok(Goodbye::Replaced));
        assert!(
            clients.admit(client(2), reader(), 3).is_none(),
            "it would have as many"
        );
        assert_eq!(clients.len(), 3);
        clients.dismiss_all(Goodbye::Access);
        assert_eq!(second.try_recv(), Ok(Goodbye::Access));
        assert!(clients.admit(client(3), reader(), 3).is_some());
        clients.dismiss_all(Goodbye::Stop);
        assert!(clients.admit(client(3), reader(), 3).is_none());
        assert!(Clients::default().admit(client(1), reader(), 0).is_none());
    }
}
