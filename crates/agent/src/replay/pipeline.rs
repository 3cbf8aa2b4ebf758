//! From transitions to the notifications of each channel, on virtual time, with nothing sent.
//!
//! Dispatcher and outboxes are the live ones; each channel delivers everything at once.

use std::collections::HashSet;
use std::sync::Arc;

use bellwether_core::{Alert, Fingerprint, Group, MonoMillis, Notification, Now, Transition};
use bellwether_notify::{ChannelSettings, Preview};
use bellwether_routing::{Dispatcher, Feedback, Routing};

/// Alert pipeline of one configuration.
pub struct Pipeline {
    /// Routes, groups and mute times.
    pub dispatcher: Dispatcher,
    routing: Arc<Routing>,
    preview: Preview,
}

/// A notification that would have been sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// Channel.
    pub channel: String,
    pub notification: Notification,
    pub at: Now,
}

impl Pipeline {
    /// Creates a pipeline without alerts and notifications.
    #[must_use]
    pub fn new(routing: Arc<Routing>, channels: &[ChannelSettings], now: Now) -> Self {
        let dispatcher = Dispatcher::new(Arc::clone(&routing), now);
        Self {
            dispatcher,
            routing,
            preview: Preview::new(channels),
        }
    }

    /// Advances to `now`: sends what was due before, and processes `transitions`.
    pub fn advance(&mut self, transitions: &[Transition], now: Now) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(due) = Some(self.dispatcher.next()).filter(|due| *due < now.mono) {
            self.dispatch(earlier(now, due), &mut sent);
        }
        self.dispatcher.apply(transitions, now);
        self.dispatch(now, &mut sent);
        sent
    }

    /// Confirms alerts from before a restart whose series have samples again.
    pub fn confirm(&mut self, alerts: &[Fingerprint], now: Now) {
        self.dispatcher.confirm(alerts, now.mono);
    }

    /// Restarts: outboxes, silences and acknowledgements are on disk; `firing` are the alerts that
    /// fired at the stop.
    pub fn restart(&mut self, firing: Vec<Arc<Alert>>, now: Now) {
        let fresh = Dispatcher::new(Arc::clone(&self.routing), now);
        let before = std::mem::replace(&mut self.dispatcher, fresh);
        self.dispatcher
            .restore(firing, self.preview.notified(), now);
        self.dispatcher.restore_state(before.state(), now);
    }

    /// Resolves alerts that channels were notified of and that are neither in `firing` nor known to
    /// the dispatcher.
    pub fn reconcile(&mut self, mut firing: HashSet<Fingerprint>, now: Now) -> Vec<Sent> {
        firing.extend(self.dispatcher.tracked_alerts());
        let ended: Vec<Sent> = self
            .preview
            .reconcile(&firing, now.wall)
            .into_iter()
            .map(|(channel, notification)| sent(channel, notification, now))
            .collect();
        for notification in &ended {
            self.preview.deliver_all(&notification.channel, now);
        }
        ended
    }

    /// Returns the firing alerts that a channel was notified of, if the group includes them.
    #[must_use]
    pub fn firing(&self, channel: &str, group: &Group) -> Vec<Arc<Alert>> {
        self.preview.still_firing(channel, group)
    }

    fn dispatch(&mut self, now: Now, all: &mut Vec<Sent>) {
        let feedback = Feedback {
            last_evaluation: now.mono,
            ..Feedback::default()
        };
        let dispatches = self
            .dispatcher
            .advance(
                &feedback,
                &|channel, alert| self.preview.last_notified(channel, alert, now.mono),
                now,
            )
            .dispatches;
        let notifications = self.preview.accept(&dispatches, now).into_iter();
        all.extend(notifications.map(|(channel, notification)| sent(channel, notification, now)));
    }
}

fn sent(channel: &str, notification: Notification, at: Now) -> Sent {
    Sent {
        channel: channel.to_owned(),
        notification,
        at,
    }
}

/// Returns both clocks at the monotonic time `mono`.
fn earlier(now: Now, mono: MonoMillis) -> Now {
    Now {
        mono,
        wall: now.wall.before(now.mono.since(mono)),
    }
}
