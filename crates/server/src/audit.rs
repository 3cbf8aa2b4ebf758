//! Audit: who changed what, or tried to, from where, and with which outcome.
//!
//! Owns the entries and the limit of those about rejected requests. The application writes the entries.

use std::collections::HashMap;
use std::time::Duration;

use bellwether_core::MonoMillis;
use hyper::header::HeaderMap;

use crate::auth::control::FORWARDED_BY;
use crate::auth::users::credentials;
use crate::net::peer::Client;

/// A change, or an attempt at one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Kind of the change in one word: `silence`, `reload`.
    pub action: &'static str,
    /// The change in words.
    pub what: String,
    pub actor: Actor,
    pub outcome: AuditOutcome,
}

/// Outcome of a change, with its error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditOutcome {
    Done,
    Failed(String),
    /// The client may not make the change.
    Rejected(String),
}

/// Author of a change, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actor {
    /// Name of the user. Of a rejected request it is only what the client says.
    pub user: Option<String>,
    /// Reason to let it pass: `password`, `session`, `token`, `proxy`, `socket` (its file mode), `address`,
    /// `signal` or `command`.
    pub auth: Option<&'static str>,
    /// Address of the client, or another place that the change came from.
    pub from: String,
    /// Headers of proxies that the request came through. Only a trusted proxy tells the truth.
    pub via: Option<String>,
}

impl AuditEntry {
    /// Creates an entry whose outcome is that of `result`.
    pub fn of<T, E: ToString>(
        action: &'static str,
        what: impl Into<String>,
        actor: Actor,
        result: &Result<T, E>,
    ) -> Self {
        let outcome = match result {
            Ok(_) => AuditOutcome::Done,
            Err(error) => AuditOutcome::Failed(error.to_string()),
        };
        Self {
            action,
            what: what.into(),
            actor,
            outcome,
        }
    }
}

/// Returns the name of the user that the headers name.
pub(crate) fn user_of(headers: &HeaderMap) -> Option<String> {
    credentials(headers).map(|(user, _)| user)
}

/// Returns the headers of proxies as `name: value`.
pub(crate) fn via(headers: &HeaderMap) -> Option<String> {
    let lines: Vec<String> = FORWARDED_BY
        .iter()
        .flat_map(|name| headers.get_all(name).iter().map(move |value| (name, value)))
        .map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes())))
        .collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// Limit of entries about rejected requests, so that a guesser cannot fill the disk.
#[derive(Debug, Default)]
pub(crate) struct Rejections {
    /// End of the current minute.
    end: MonoMillis,
    by_client: HashMap<Client, u32>,
    total: u32,
    unlogged: u64,
}

impl Rejections {
    const WINDOW: Duration = Duration::from_secs(60);
    const PER_CLIENT: u32 = 5;
    const IN_TOTAL: u32 = 50;

    /// Returns whether an entry about `client` may be added, with the number of those before it that were not.
    pub(crate) fn admit(&mut self, client: Client, now: MonoMillis) -> Option<u64> {
        if now >= self.end {
            self.by_client.clear();
            self.total = 0;
            self.end = now.after(Self::WINDOW);
        }
        if self.total >= Self::IN_TOTAL {
            self.unlogged += 1;
            return None;
        }
        // Only clients with an entry are remembered: no more than `IN_TOTAL`.
        let count = self.by_client.entry(client).or_default();
        if *count >= Self::PER_CLIENT {
            self.unlogged += 1;
            return None;
        }
        *count += 1;
        self.total += 1;
        Some(std::mem::take(&mut self.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::net::peer::Peer;

    fn client(address: &str) -> Client {
        Peer::from(address.parse::<IpAddr>().unwrap()).client()
    }

    #[test]
    fn a_guesser_is_logged_five_times_a_minute_and_others_still_are() {
        let mut rejections = Rejections::default();
        let now = MonoMillis(1_000);
        let admitted = (0..20)
            .filter_map(|_| rejections.admit(client("10.0.0.1"), now))
            .count();
        assert_eq!(admitted, 5);
        assert_eq!(rejections.admit(client("10.0.0.2"), now), Some(15));
        assert_eq!(rejections.admit(client("10.0.0.1"), now), None);
        let later = now.after(Duration::from_secs(60));
        assert_eq!(rejections.admit(client("10.0.0.1"), later), Some(1));
    }

    #[test]
    fn many_guessers_share_a_limit() {
        let mut rejections = Rejections::default();
        let admitted = (0..200)
            .filter_map(|index| rejections.admit(client(&format!("10.0.0.{index}")), MonoMillis(0)))
            .count();
        assert_eq!(admitted, 50);
        assert_eq!(rejections.by_client.len(), 50);
    }

    #[test]
    fn every_header_of_a_proxy_is_named() {
        let mut headers = HeaderMap::new();
        assert_eq!(via(&headers), None);
        headers.insert("x-forwarded-for", "203.0.113.9".parse().unwrap());
        headers.append("via", "1.1 edge".parse().unwrap());
        assert_eq!(
            via(&headers).as_deref(),
            Some("via: 1.1 edge, x-forwarded-for: 203.0.113.9")
        );
    }
}
