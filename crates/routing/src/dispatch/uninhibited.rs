//! Alerts that were inhibited until a short time ago.

use bellwether_core::{Fingerprint, Now, Transition};

use super::dispatcher::Dispatcher;
use super::tracked::TrackedAlert;
use crate::route::view::View;

impl Dispatcher {
    fn is_inhibited(&self, alert: Fingerprint, tracked: &TrackedAlert) -> bool {
        let view = View {
            alert: &tracked.alert,
            sender: &self.routing.sender,
        };
        tracked.is_active() && self.inhibitions.inhibitor(alert, &view).is_some()
    }

    /// Returns the inhibited alerts.
    pub(super) fn inhibited(&self) -> Vec<Fingerprint> {
        if !self.inhibitions.any() {
            return Vec::new();
        }
        self.alerts
            .iter()
            .filter(|(key, tracked)| self.is_inhibited(**key, tracked))
            .map(|(key, _)| *key)
            .collect()
    }

    /// Returns the inhibited alerts that may be free after these transitions. All alerts are
    /// searched only if a transition is about an inhibiting one.
    pub(super) fn may_become_uninhibited(&self, transitions: &[Transition]) -> Vec<Fingerprint> {
        if !self.inhibitions.any() {
            return Vec::new();
        }
        let mut changed = Vec::new();
        for transition in transitions {
            let key = transition.alert.fingerprint;
            if self.inhibitions.is_source(key) {
                return self.inhibited();
            }
            if let Some(tracked) = self.alerts.get(&key)
                && self.is_inhibited(key, tracked)
            {
                changed.push(key);
            }
        }
        changed
    }

    /// Notes which of the alerts that were inhibited until `now` are free.
    pub(super) fn note_uninhibited(&mut self, inhibited: &[Fingerprint], now: Now) {
        for key in inhibited {
            let tracked = self.alerts.get(key).filter(|tracked| tracked.is_active());
            if tracked.is_none_or(|tracked| self.is_inhibited(*key, tracked)) {
                continue;
            }
            let Some(tracked) = self.alerts.get_mut(key) else {
                continue;
            };
            tracked.uninhibited = Some(now);
            let groups = tracked.groups.clone();
            self.unsaved = true;
            for group in groups {
                self.flush_at(group, now.mono);
            }
        }
    }

    /// Returns alerts that were inhibited and that a group has not notified about since, with the
    /// end of their inhibition.
    pub(super) fn unnotified_since_inhibition(&self) -> impl Iterator<Item = (Fingerprint, Now)> {
        self.alerts.iter().filter_map(|(key, tracked)| {
            let since = tracked.uninhibited.filter(|_| tracked.is_active())?;
            let is_unnotified = tracked.groups.iter().any(|group| {
                let group = self.groups.get(group);
                let member = group.and_then(|group| group.members.get(key));
                member.is_some_and(|member| member.notified.is_none())
            });
            is_unnotified.then_some((*key, since))
        })
    }

    /// Returns whether the state to save changed otherwise than by a command since the last call.
    pub fn take_unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved)
    }
}
