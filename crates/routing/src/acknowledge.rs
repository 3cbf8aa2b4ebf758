//! Who takes care of which alert.
//!
//! An acknowledged alert is neither repeated nor escalated; what changes of it is still told. It
//! ends with its time, or with the alert.

use std::collections::BTreeMap;

use bellwether_core::{Fingerprint, UnixMillis};

/// Somebody takes care of an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Who.
    pub by: String,
    /// What they say of it.
    pub comment: String,
    /// Since when.
    pub at: UnixMillis,
    /// Until when; `None`: until the alert resolves.
    pub until: Option<UnixMillis>,
}

/// Acknowledgements by alert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acknowledgements(BTreeMap<Fingerprint, Acknowledgement>);

impl Acknowledgements {
    /// Notes that somebody takes care of `alert`; in place of whoever did before.
    pub fn set(&mut self, alert: Fingerprint, one: Acknowledgement) {
        self.0.insert(alert, one);
    }

    /// Nobody does any more; who did.
    pub fn remove(&mut self, alert: Fingerprint) -> Option<Acknowledgement> {
        self.0.remove(&alert)
    }

    /// Who takes care of `alert` now.
    #[must_use]
    pub fn holding(&self, alert: Fingerprint, now: UnixMillis) -> Option<&Acknowledgement> {
        self.0
            .get(&alert)
            .filter(|one| one.until.is_none_or(|until| now < until))
    }

    /// All, those among them that ended by their time.
    pub fn iter(&self) -> impl Iterator<Item = (Fingerprint, &Acknowledgement)> {
        self.0.iter().map(|(alert, one)| (*alert, one))
    }

    /// Keeps those that `wanted` accepts.
    pub fn retain(&mut self, wanted: impl Fn(Fingerprint, &Acknowledgement) -> bool) {
        self.0.retain(|alert, one| wanted(*alert, one));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_until_its_time_or_until_it_is_taken_back() {
        let ack = |until| Acknowledgement {
            by: "ada".into(),
            comment: "on it".into(),
            at: UnixMillis(0),
            until,
        };
        let mut all = Acknowledgements::default();
        let (one, other) = (Fingerprint(1), Fingerprint(2));
        all.set(one, ack(Some(UnixMillis(10))));
        all.set(other, ack(None));
        assert!(all.holding(one, UnixMillis(9)).is_some());
        assert!(all.holding(one, UnixMillis(10)).is_none());
        assert!(all.holding(other, UnixMillis(i64::MAX)).is_some());
        all.retain(|alert, _| alert == other);
        assert_eq!(all.iter().count(), 1);
        assert!(all.remove(other).is_some());
        assert!(all.holding(other, UnixMillis(0)).is_none());
    }
}
