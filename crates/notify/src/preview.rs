//! What the channels would be told, without telling them.

use std::collections::HashSet;
use std::sync::Arc;

use bellwether_core::{
    Alert, Dispatch, Fingerprint, Group, MonoMillis, Notification, NotifiedState, Now, UnixMillis,
};
use hashbrown::HashMap;

use super::filter::Filter;
use super::journal;
use super::mailbox::REFUSED;
use super::outbox::{GivenUp, Outbox, Record};
use super::settings::{ChannelSettings, named};

/// Nothing is sent again here, so no letter is kept of what is given up.
const UNKEPT: GivenUp<'_> = GivenUp {
    reason: REFUSED,
    error: "",
    at: UnixMillis(0),
    keep: 0,
};

/// The enabled channels of a declaration, each with its queue and what it was told so far. The same
/// filters and the same rules of what must be told as for delivery; when a receiver takes what
/// waits, the caller says.
pub struct Preview {
    channels: Vec<Previewed>,
}

struct Previewed {
    name: String,
    filter: Filter,
    capacity: usize,
    outbox: Outbox,
}

impl Preview {
    /// Channels that were told nothing yet.
    #[must_use]
    pub fn new(channels: &[ChannelSettings]) -> Self {
        let named = named(channels).into_iter();
        let enabled = named.filter(|(_, channel)| channel.common.enabled);
        let channels = enabled.map(|(name, channel)| Previewed {
            name,
            filter: Filter::new(&channel.common),
            capacity: channel.common.queue.capacity,
            outbox: Outbox::default(),
        });
        Self {
            channels: channels.collect(),
        }
    }

    /// The names of the channels, in the order of the declaration.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.channels.iter().map(|channel| channel.name.as_str())
    }

    /// What each channel would be told of `dispatches`, all of which it takes at once: its name and
    /// the notification.
    pub fn accept(&mut self, dispatches: &[Dispatch], at: Now) -> Vec<(&str, Notification)> {
        let told = self.queue(dispatches);
        for channel in &mut self.channels {
            channel.take(at);
        }
        self.named(told)
    }

    /// Queues what the channels must hear of `dispatches`, in their order: each with what.
    pub fn offer(&mut self, dispatches: &[Dispatch]) -> Vec<(&str, Notification)> {
        let queued = self.queue(dispatches);
        self.named(queued)
    }

    fn queue(&mut self, dispatches: &[Dispatch]) -> Vec<(usize, Notification)> {
        let mut all = Vec::new();
        for dispatch in dispatches {
            for (index, channel) in self.channels.iter_mut().enumerate() {
                let meant = |to: &[Arc<str>]| to.iter().any(|name| **name == channel.name);
                if dispatch.to.as_deref().is_none_or(meant) {
                    let queued = channel.offer(&dispatch.notifications).into_iter();
                    all.extend(queued.map(|one| (index, one)));
                }
            }
        }
        all
    }

    fn named(&self, all: Vec<(usize, Notification)>) -> Vec<(&str, Notification)> {
        all.into_iter()
            .map(|(index, one)| (self.channels[index].name.as_str(), one))
            .collect()
    }

    /// Queues the ends of what is open and not in `standing`, as after a restart.
    pub fn reconcile(
        &mut self,
        standing: &HashSet<Fingerprint>,
        now: UnixMillis,
    ) -> Vec<(&str, Notification)> {
        let mut all = Vec::new();
        for channel in &mut self.channels {
            let gone = channel.outbox.gone(standing, now);
            let queued = channel.offer(&gone).into_iter();
            all.extend(queued.map(|notification| (channel.name.as_str(), notification)));
        }
        all
    }

    /// What the channel `name` was told of that still fires, of a group that is told whole.
    #[must_use]
    pub fn standing(&self, name: &str, group: &Group) -> Vec<Arc<Alert>> {
        let channel = self.channels.iter().find(|channel| channel.name == name);
        channel.map_or_else(Vec::new, |channel| channel.outbox.standing(group, &[]))
    }

    /// Gives up what is beyond the capacity of each queue: the channel, and what.
    pub fn trim(&mut self) -> Vec<(&str, Notification)> {
        let mut all = Vec::new();
        for channel in &mut self.channels {
            channel.outbox.trim(channel.capacity, &UNKEPT);
            let given_up = channel.outbox.take_given_up().into_iter();
            all.extend(given_up.map(|one| (channel.name.as_str(), one)));
        }
        all
    }

    /// What waits for `channel`, oldest first.
    #[must_use]
    pub fn waiting(&self, channel: &str) -> Vec<Notification> {
        let known = self.channels.iter().filter(|known| known.name == channel);
        known
            .flat_map(|known| known.outbox.queue())
            .map(|e| e.notification.clone())
            .collect()
    }

    /// The receiver of `channel` takes all that waits.
    pub fn take(&mut self, channel: &str, at: Now) -> Vec<Notification> {
        let known = self.channels.iter_mut().find(|known| known.name == channel);
        known.map_or_else(Vec::new, |known| known.take(at))
    }

    /// The receiver of `channel` refuses the oldest for good: that, and what makes no sense without.
    pub fn refuse(&mut self, channel: &str) -> Vec<Notification> {
        let known = self.channels.iter_mut().find(|known| known.name == channel);
        let Some(outbox) = known.map(|known| &mut known.outbox) else {
            return Vec::new();
        };
        let oldest = outbox.queue().next().map(|entry| entry.seq);
        if let Some(oldest) = oldest {
            outbox.give_up(oldest, &UNKEPT);
        }
        outbox.take_given_up()
    }

    /// What any channel was told of alerts whose end is still to come.
    #[must_use]
    pub fn told(&self) -> HashMap<Fingerprint, NotifiedState> {
        let mut all = HashMap::new();
        for channel in &self.channels {
            channel.outbox.note_told(&mut all);
        }
        all
    }

    /// When a channel was told last that an alert fires; `now` where it is about to be.
    #[must_use]
    pub fn last_told(
        &self,
        channel: &str,
        alert: Fingerprint,
        now: MonoMillis,
    ) -> Option<MonoMillis> {
        let known = self.channels.iter().find(|known| known.name == channel)?;
        known.outbox.last_told(alert, now)
    }

    /// Goes on from what the journals hold, as after a restart that is `now`.
    pub fn reopen(&mut self, now: Now) {
        for channel in &mut self.channels {
            (channel.outbox, _) = journal::read(&journal::lines(&channel.outbox.records()), now);
        }
    }
}

impl Previewed {
    fn offer<'a>(
        &mut self,
        notifications: impl IntoIterator<Item = &'a Notification>,
    ) -> Vec<Notification> {
        let records = notifications.into_iter().flat_map(|one| {
            self.filter
                .take(&mut self.outbox, one)
                .into_iter()
                .filter_map(|record| match record {
                    Record::Push { notification, .. } => Some(notification),
                    _ => None,
                })
        });
        records.collect()
    }

    fn take(&mut self, at: Now) -> Vec<Notification> {
        let waiting: Vec<_> = self
            .outbox
            .queue()
            .map(|entry| (entry.seq, entry.notification.clone()))
            .collect();
        let take = |(seq, notification)| {
            self.outbox.done(seq, at);
            notification
        };
        waiting.into_iter().map(take).collect()
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Alert, AlertState, Severity, Status};
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

    use super::*;
    use crate::samples::{firing, resolved, told};

    fn preview(yaml: &str) -> Preview {
        let mut problems = Diagnostics::default();
        let node = parse(yaml).unwrap();
        let channels =
            Vec::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
        Preview::new(&channels)
    }

    /// What is told of an alert that was in the state `from`, with no routes.
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
        let heard = fires || from == AlertState::Firing;
        heard.then(|| Dispatch {
            to: None,
            notifications: vec![told(&transition)],
        })
    }

    #[test]
    fn only_the_channels_that_are_meant_are_told() {
        let mut preview = preview("[{type: log}, {type: log, name: pager}]");
        let pager: Arc<[Arc<str>]> = ["pager".into()].into();
        let notifications = vec![told(&firing("disk", "/"))];
        let told = preview.accept(
            &[Dispatch {
                to: Some(pager),
                notifications,
            }],
            Now::default(),
        );
        assert_eq!(
            told.iter().map(|(channel, _)| *channel).collect::<Vec<_>>(),
            ["pager"]
        );
    }

    #[test]
    fn a_channel_is_told_what_passes_its_filters_and_of_its_end() {
        use AlertState::{Firing, Inactive, Pending};
        let mut preview = preview(
            "[{type: log}, {type: log, name: pager, min_severity: critical},
              {type: log, name: quiet, send_resolved: false}, {type: log, name: off, enabled: false}]",
        );
        assert_eq!(
            preview.names().collect::<Vec<_>>(),
            ["log", "pager", "quiet"]
        );
        let mut told = |from, to, severity| -> Vec<(String, Status)> {
            let Some(dispatch) = dispatch(from, to, severity) else {
                return Vec::new();
            };
            let all = preview.accept(&[dispatch], Now::default());
            all.into_iter()
                .map(|(name, note)| (name.to_owned(), note.status))
                .collect()
        };
        assert_eq!(told(Inactive, Pending, Severity::Warning), []);
        let both = [
            ("log".to_owned(), Status::Firing),
            ("quiet".to_owned(), Status::Firing),
        ];
        assert_eq!(told(Pending, Firing, Severity::Warning), both);
        assert_eq!(told(Firing, Firing, Severity::Critical).len(), 3);
        let ends = [
            ("log".to_owned(), Status::Resolved),
            ("pager".to_owned(), Status::Resolved),
        ];
        assert_eq!(told(Firing, Inactive, Severity::Critical), ends);
        assert_eq!(told(Firing, Inactive, Severity::Critical), []);
    }
}
