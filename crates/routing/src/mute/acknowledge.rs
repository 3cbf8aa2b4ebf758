//! Acknowledgements: a user works on an alert.
//!
//! An acknowledged alert is neither repeated nor escalated; its changes are still notified. An
//! acknowledgement ends at its time, or with the alert.

use std::collections::BTreeMap;

use bellwether_core::{Fingerprint, UnixMillis};

/// Acknowledgement of one alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// Author.
    pub by: String,
    /// Comment.
    pub comment: String,
    /// Time of the acknowledgement.
    pub at: UnixMillis,
    /// End; `None`: until the alert resolves.
    pub until: Option<UnixMillis>,
}

/// Acknowledgements by alert.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acknowledgements(BTreeMap<Fingerprint, Acknowledgement>);

impl Acknowledgements {
    /// Sets the acknowledgement of `alert`, in place of an earlier one.
    pub fn set(&mut self, alert: Fingerprint, acknowledgement: Acknowledgement) {
        self.0.insert(alert, acknowledgement);
    }

    /// Removes and returns the acknowledgement of `alert`.
    pub fn remove(&mut self, alert: Fingerprint) -> Option<Acknowledgement> {
        self.0.remove(&alert)
    }

    /// Returns the acknowledgement of `alert` unless it has ended.
    #[must_use]
    pub fn active(&self, alert: Fingerprint, now: UnixMillis) -> Option<&Acknowledgement> {
        self.0
            .get(&alert)
            .filter(|acknowledgement| acknowledgement.until.is_none_or(|until| now < until))
    }

    /// Returns all, including those that have ended by their time.
    pub fn iter(&self) -> impl Iterator<Item = (Fingerprint, &Acknowledgement)> {
        self.0
            .iter()
            .map(|(alert, acknowledgement)| (*alert, acknowledgement))
    }

    /// Keeps those for which `keep` returns true.
    pub fn retain(&mut self, keep: impl Fn(Fingerprint, &Acknowledgement) -> bool) {
        self.0
            .retain(|alert, acknowledgement| keep(*alert, acknowledgement));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_active_until_its_end_or_until_it_is_removed() {
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
        assert!(all.active(one, UnixMillis(9)).is_some());
        assert!(all.active(one, UnixMillis(10)).is_none());
        assert!(all.active(other, UnixMillis(i64::MAX)).is_some());
        all.retain(|alert, _| alert == other);
        assert_eq!(all.iter().count(), 1);
        assert!(all.remove(other).is_some());
        assert!(all.active(other, UnixMillis(0)).is_none());
    }
}
