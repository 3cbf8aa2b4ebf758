//! Alerts that another one stood for until a short time ago.

use bellwether_core::{Fingerprint, Now, Transition};

use super::dispatcher::Dispatcher;
use super::tracked::Tracked;
use super::view::View;

impl Dispatcher {
    fn is_inhibited(&self, alert: Fingerprint, known: &Tracked) -> bool {
        let view = View {
            alert: &known.alert,
            sender: &self.routing.sender,
        };
        known.stands() && self.inhibitions.inhibitor(alert, &view).is_some()
    }

    /// The alerts that others stand for.
    pub(super) fn inhibited(&self) -> Vec<Fingerprint> {
        if !self.inhibitions.any() {
            return Vec::new();
        }
        let inhibited = self
            .alerts
            .iter()
            .filter(|(key, known)| self.is_inhibited(**key, known));
        inhibited.map(|(key, _)| *key).collect()
    }

    /// The alerts that others stand for, and perhaps no longer after these transitions: all are
    /// looked at only where the transitions are about one that stands for others.
    pub(super) fn may_become_uninhibited(&self, transitions: &[Transition]) -> Vec<Fingerprint> {
        let changed = transitions
            .iter()
            .map(|transition| transition.alert.fingerprint);
        if changed.clone().any(|key| self.inhibitions.is_source(key)) {
            return self.inhibited();
        }
        let inhibited = |key: &Fingerprint| {
            self.alerts
                .get(key)
                .is_some_and(|known| self.is_inhibited(*key, known))
        };
        match self.inhibitions.any() {
            true => changed.filter(inhibited).collect(),
            false => Vec::new(),
        }
    }

    /// Notes which of the alerts that others stood for until `now` are free.
    pub(super) fn note_uninhibited(&mut self, inhibited: &[Fingerprint], now: Now) {
        for key in inhibited {
            let known = self.alerts.get(key).filter(|known| known.stands());
            if known.is_none_or(|known| self.is_inhibited(*key, known)) {
                continue;
            }
            let Some(known) = self.alerts.get_mut(key) else {
                continue;
            };
            known.uninhibited = Some(now);
            let groups = known.groups.clone();
            self.unsaved = true;
            for group in groups {
                self.flush_at(group, now.mono);
            }
        }
    }

    /// Those that were not told everywhere since, and when others stood for them last.
    pub(super) fn waiting_uninhibited(&self) -> impl Iterator<Item = (Fingerprint, Now)> {
        self.alerts.iter().filter_map(|(key, known)| {
            let since = known.uninhibited.filter(|_| known.stands())?;
            let untold = known.groups.iter().any(|group| {
                let member = self
                    .groups
                    .get(group)
                    .and_then(|group| group.members.get(key));
                member.is_some_and(|member| member.told.is_none())
            });
            untold.then_some((*key, since))
        })
    }

    /// Whether what a restart goes on from changed otherwise than by an order, since that was asked
    /// last.
    pub fn take_unsaved(&mut self) -> bool {
        std::mem::take(&mut self.unsaved)
    }
}
