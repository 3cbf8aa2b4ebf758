//! Notifications that the channels would send, without sending them.
//!
//! Used by replay and by tests of rules. Filters and outboxes are those of deliveries; the caller
//! decides when a channel delivers.

use std::collections::HashSet;
use std::sync::Arc;

use bellwether_core::{
    Alert, Dispatch, Fingerprint, Group, MonoMillis, Notification, NotifiedState, Now, UnixMillis,
};
use hashbrown::HashMap;

use super::channel_state::REJECTED;
use super::filter::Filter;
use super::journal;
use super::outbox::{DropReason, Outbox, Record};
use super::settings::{ChannelSettings, named};

/// Nothing is resent here, so dropped notifications leave no dead letters.
const NO_DEAD_LETTERS: DropReason<'_> = DropReason {
    reason: REJECTED,
    error: "",
    at: UnixMillis(0),
    max_dead_letters: 0,
};

/// The enabled channels of a configuration, each with its outbox in memory.
pub struct Preview {
    channels: Vec<PreviewChannel>,
}

struct PreviewChannel {
    name: String,
    filter: Filter,
    capacity: usize,
    outbox: Outbox,
}

impl Preview {
    /// Creates the enabled ones of `channels`, with empty outboxes.
    #[must_use]
    pub fn new(channels: &[ChannelSettings]) -> Self {
        let channels = named(channels)
            .into_iter()
            .filter(|(_, channel)| channel.common.enabled)
            .map(|(name, channel)| PreviewChannel {
                name,
                filter: Filter::new(&channel.common),
                capacity: channel.common.queue.capacity,
                outbox: Outbox::default(),
            })
            .collect();
        Self { channels }
    }

    /// Names of the channels, in the order of the configuration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|channel| channel.name.as_str())
    }

    /// Queues and delivers the notifications of `dispatches` at once. Returns each with the name of
    /// its channel.
    pub fn accept(&mut self, dispatches: &[Dispatch], at: Now) -> Vec<(&str, Notification)> {
        let queued = self.queue(dispatches);
        for channel in &mut self.channels {
            channel.deliver_all(at);
        }
        self.with_names(queued)
    }

    /// Queues the notifications of `dispatches`, in their order. Returns each with the name of its
    /// channel.
    pub fn offer(&mut self, dispatches: &[Dispatch]) -> Vec<(&str, Notification)> {
        let queued = self.queue(dispatches);
        self.with_names(queued)
    }

    fn queue(&mut self, dispatches: &[Dispatch]) -> Vec<(usize, Notification)> {
        let mut queued = Vec::new();
        for dispatch in dispatches {
            for (index, channel) in self.channels.iter_mut().enumerate() {
                let is_addressed = dispatch
                    .to
                    .as_deref()
                    .is_none_or(|to| to.iter().any(|name| **name == channel.name));
                if is_addressed {
                    let notifications = channel.offer(&dispatch.notifications).into_iter();
                    queued.extend(notifications.map(|notification| (index, notification)));
                }
            }
        }
        queued
    }

    fn with_names(&self, queued: Vec<(usize, Notification)>) -> Vec<(&str, Notification)> {
        queued
            .into_iter()
            .map(|(index, notification)| (self.channels[index].name.as_str(), notification))
            .collect()
    }

    /// Queues a resolved notification for each notified alert that is not in `still_firing`, as
    /// after a restart. Returns each with the name of its channel.
    pub fn reconcile(
        &mut self,
        still_firing: &HashSet<Fingerprint>,
        now: UnixMillis,
    ) -> Vec<(&str, Notification)> {
        let mut queued = Vec::new();
        for channel in &mut self.channels {
            let resolved = channel.outbox.resolved_for_inactive(still_firing, now);
            let notifications = channel.offer(&resolved).into_iter();
            queued.extend(notifications.map(|notification| (channel.name.as_str(), notification)));
        }
        queued
    }

    /// Returns the alerts of `group` that the channel `name` was notified of and that still fire;
    /// none unless the group includes its firing alerts.
    #[must_use]
    pub fn still_firing(&self, name: &str, group: &Group) -> Vec<Arc<Alert>> {
        self.channel(name)
            .map_or_else(Vec::new, |channel| channel.outbox.still_firing(group, &[]))
    }

    /// Drops the notifications beyond the capacity of each queue. Returns each with the name of its
    /// channel.
    pub fn trim(&mut self) -> Vec<(&str, Notification)> {
        let mut all = Vec::new();
        for channel in &mut self.channels {
            channel.outbox.trim(channel.capacity, &NO_DEAD_LETTERS);
            let dropped = channel.outbox.take_dropped().into_iter();
            all.extend(dropped.map(|notification| (channel.name.as_str(), notification)));
        }
        all
    }

    /// Queued notifications of the channel `name`, oldest first.
    #[must_use]
    pub fn queued(&self, name: &str) -> Vec<Notification> {
        self.channel(name).map_or_else(Vec::new, |channel| {
            let entries = channel.outbox.queue();
            entries.map(|entry| entry.notification.clone()).collect()
        })
    }

    /// Delivers all that is queued for the channel `name`, and returns it.
    pub fn deliver_all(&mut self, name: &str, at: Now) -> Vec<Notification> {
        self.channel_mut(name)
            .map_or_else(Vec::new, |channel| channel.deliver_all(at))
    }

    /// Returns the oldest queued notification of the channel `name`.
    #[must_use]
    pub fn oldest(&self, name: &str) -> Option<Notification> {
        let entry = self.channel(name)?.outbox.queue().next()?;
        Some(entry.notification.clone())
    }

    /// Delivers the oldest queued notification of the channel `name`.
    pub fn deliver_oldest(&mut self, name: &str, at: Now) {
        if let Some(channel) = self.channel_mut(name)
            && let Some(oldest) = channel.oldest()
        {
            channel.outbox.mark_delivered(oldest, at);
        }
    }

    /// Rejects the oldest notification of the channel `name` for good. Returns all that is dropped
    /// with it.
    pub fn reject_oldest(&mut self, name: &str) -> Vec<Notification> {
        self.drop_oldest(name, &NO_DEAD_LETTERS)
    }

    /// Like [`Preview::reject_oldest`] with the error of the service, and leaves a dead letter.
    pub fn reject_oldest_for(
        &mut self,
        name: &str,
        error: &str,
        at: UnixMillis,
    ) -> Vec<Notification> {
        let reason = DropReason {
            error,
            at,
            max_dead_letters: usize::MAX,
            ..NO_DEAD_LETTERS
        };
        self.drop_oldest(name, &reason)
    }

    fn drop_oldest(&mut self, name: &str, reason: &DropReason<'_>) -> Vec<Notification> {
        let Some(channel) = self.channel_mut(name) else {
            return Vec::new();
        };
        if let Some(oldest) = channel.oldest() {
            channel.outbox.drop_entry(oldest, reason);
        }
        channel.outbox.take_dropped()
    }

    /// Returns the outboxes with the names of their channels.
    pub(super) fn into_outboxes(self) -> impl Iterator<Item = (String, Outbox)> {
        let channels = self.channels.into_iter();
        channels.map(|channel| (channel.name, channel.outbox))
    }

    /// Firing alerts that any channel was notified of.
    #[must_use]
    pub fn notified(&self) -> HashMap<Fingerprint, NotifiedState> {
        let mut all = HashMap::new();
        for channel in &self.channels {
            channel.outbox.add_notified(&mut all);
        }
        all
    }

    /// Time of the last firing notification of `alert` on the channel `name`; `now` where one is
    /// queued.
    #[must_use]
    pub fn last_notified(
        &self,
        name: &str,
        alert: Fingerprint,
        now: MonoMillis,
    ) -> Option<MonoMillis> {
        self.channel(name)?.outbox.last_notified(alert, now)
    }

    /// Reads each outbox from its journal again, as after a restart at `now`.
    pub fn reopen(&mut self, now: Now) {
        for channel in &mut self.channels {
            (channel.outbox, _) = journal::read(&journal::lines(&channel.outbox.records()), now);
        }
    }

    fn channel(&self, name: &str) -> Option<&PreviewChannel> {
        self.channels.iter().find(|channel| channel.name == name)
    }

    fn channel_mut(&mut self, name: &str) -> Option<&mut PreviewChannel> {
        self.channels
            .iter_mut()
            .find(|channel| channel.name == name)
    }
}

impl PreviewChannel {
    /// Returns the sequence number of the oldest queued notification.
    fn oldest(&self) -> Option<u64> {
        self.outbox.queue().next().map(|entry| entry.seq)
    }

    fn offer<'a>(
        &mut self,
        notifications: impl IntoIterator<Item = &'a Notification>,
    ) -> Vec<Notification> {
        let mut queued = Vec::new();
        for notification in notifications {
            for record in self.outbox.accept(self.filter.decide(notification)) {
                if let Record::Push { notification, .. } = record {
                    queued.push(notification);
                }
            }
        }
        queued
    }

    fn deliver_all(&mut self, at: Now) -> Vec<Notification> {
        let entries: Vec<_> = self
            .outbox
            .queue()
            .map(|entry| (entry.seq, entry.notification.clone()))
            .collect();
        let mut delivered = Vec::with_capacity(entries.len());
        for (seq, notification) in entries {
            self.outbox.mark_delivered(seq, at);
            delivered.push(notification);
        }
        delivered
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Alert, AlertState, Severity, Status};

    use super::*;
    use crate::testing::{decoded, firing, notification_of, resolved};

    fn preview(yaml: &str) -> Preview {
        Preview::new(&decoded::<Vec<_>>(yaml))
    }

    /// The dispatch of a transition of an alert from the state `from`, without routes.
    fn dispatch(from: AlertState, to: AlertState, severity: Severity) -> Option<Dispatch> {
        let fires = to == AlertState::Firing;
        let mut transition = if fires {
            firing("disk", "/")
        } else {
            resolved("disk", "/")
        };
        transition.alert = Arc::new(Alert {
            severity,
            ..Alert::clone(&transition.alert)
        });
        let is_notified = fires || from == AlertState::Firing;
        is_notified.then(|| Dispatch {
            to: None,
            notifications: vec![notification_of(&transition)],
        })
    }

    #[test]
    fn only_the_channels_of_the_dispatch_are_notified() {
        let mut preview = preview("[{type: log}, {type: log, name: pager}]");
        let pager: Arc<[Arc<str>]> = ["pager".into()].into();
        let notifications = vec![notification_of(&firing("disk", "/"))];
        let notified = preview.accept(
            &[Dispatch {
                to: Some(pager),
                notifications,
            }],
            Now::default(),
        );
        assert_eq!(
            notified
                .iter()
                .map(|(channel, _)| *channel)
                .collect::<Vec<_>>(),
            ["pager"]
        );
    }

    #[test]
    fn a_channel_gets_the_alerts_of_its_filters_and_their_resolved() {
        use AlertState::{Firing, Inactive, Pending};
        let mut preview = preview(
            "[{type: log}, {type: log, name: pager, min_severity: critical},
              {type: log, name: quiet, send_resolved: false}, {type: log, name: off, enabled: false}]",
        );
        assert_eq!(
            preview.names().collect::<Vec<_>>(),
            ["log", "pager", "quiet"]
        );
        let mut notified = |from, to, severity| -> Vec<(String, Status)> {
            let Some(dispatch) = dispatch(from, to, severity) else {
                return Vec::new();
            };
            let all = preview.accept(&[dispatch], Now::default());
            all.into_iter()
                .map(|(name, note)| (name.to_owned(), note.status))
                .collect()
        };
        assert_eq!(notified(Inactive, Pending, Severity::Warning), []);
        let both = [
            ("log".to_owned(), Status::Firing),
            ("quiet".to_owned(), Status::Firing),
        ];
        assert_eq!(notified(Pending, Firing, Severity::Warning), both);
        assert_eq!(notified(Firing, Firing, Severity::Critical).len(), 3);
        let ends = [
            ("log".to_owned(), Status::Resolved),
            ("pager".to_owned(), Status::Resolved),
        ];
        assert_eq!(notified(Firing, Inactive, Severity::Critical), ends);
        assert_eq!(notified(Firing, Inactive, Severity::Critical), []);
    }
}
