//! From transitions to what each channel would be told, on virtual time, with nothing sent.
//!
//! The dispatcher and the outboxes are the live ones; every receiver takes everything at once.

use std::collections::HashSet;
use std::sync::Arc;

use bellwether_core::{Alert, Fingerprint, Group, MonoMillis, Notification, Now, Transition};
use bellwether_notify::{ChannelSettings, Preview};
use bellwether_routing::{Dispatcher, Feedback, Routing};

/// The way of notifications of one declaration.
pub struct Pipeline {
    /// Who is told, and when.
    pub dispatcher: Dispatcher,
    routing: Arc<Routing>,
    preview: Preview,
}

/// One notification that would have been sent.
#[derive(Clone, Debug, PartialEq)]
pub struct Sent {
    /// To which channel.
    pub channel: String,
    /// What.
    pub notification: Notification,
    /// When.
    pub at: Now,
}

impl Pipeline {
    /// Nothing fires and nobody was told of anything.
    #[must_use]
    pub fn new(routing: Arc<Routing>, channels: &[ChannelSettings], now: Now) -> Self {
        let dispatcher = Dispatcher::new(Arc::clone(&routing), now);
        Self {
            dispatcher,
            routing,
            preview: Preview::new(channels),
        }
    }

    /// Goes on to `now`: what was due on the way, and what follows of `transitions`.
    pub fn advance(&mut self, transitions: &[Transition], now: Now) -> Vec<Sent> {
        let mut sent = Vec::new();
        while let Some(due) = Some(self.dispatcher.next()).filter(|due| *due < now.mono) {
            self.turn(earlier(now, due), &mut sent);
        }
        self.dispatcher.take(transitions, now);
        self.turn(now, &mut sent);
        sent
    }

    /// Notes alerts from before a restart whose data were seen since.
    pub fn confirm(&mut self, alerts: &[Fingerprint], now: Now) {
        self.dispatcher.confirm(alerts, now.mono);
    }

    /// Stops, and starts again: outboxes are on disk, and so is what people said; `standing` fired
    /// when it stopped.
    pub fn restart(&mut self, standing: Vec<Arc<Alert>>, now: Now) {
        let fresh = Dispatcher::new(Arc::clone(&self.routing), now);
        let before = std::mem::replace(&mut self.dispatcher, fresh);
        self.dispatcher.restore(standing, self.preview.told(), now);
        self.dispatcher.recall(before.state(), now);
    }

    /// Resolves what was told as firing and is neither in `standing` nor about to be told.
    pub fn reconcile(&mut self, mut standing: HashSet<Fingerprint>, now: Now) -> Vec<Sent> {
        standing.extend(self.dispatcher.known());
        let gone = self.preview.reconcile(&standing, now.wall).into_iter();
        let gone: Vec<Sent> = gone
            .map(|(channel, notification)| sent(channel, notification, now))
            .collect();
        for one in &gone {
            self.preview.take(&one.channel, now);
        }
        gone
    }

    /// What a channel was told of that still fires, of a group that is told whole.
    #[must_use]
    pub fn standing(&self, channel: &str, group: &Group) -> Vec<Arc<Alert>> {
        self.preview.standing(channel, group)
    }

    fn turn(&mut self, now: Now, all: &mut Vec<Sent>) {
        let feedback = Feedback {
            judged: now.mono,
            ..Feedback::default()
        };
        let told =
            |channel: &str, alert: Fingerprint| self.preview.last_told(channel, alert, now.mono);
        let dispatches = self.dispatcher.advance(&feedback, &told, now).dispatches;
        let told = self.preview.accept(&dispatches, now).into_iter();
        all.extend(told.map(|(channel, notification)| sent(channel, notification, now)));
    }
}

fn sent(channel: &str, notification: Notification, at: Now) -> Sent {
    Sent {
        channel: channel.to_owned(),
        notification,
        at,
    }
}

/// Both clocks when the monotonic one stood at `mono`.
fn earlier(now: Now, mono: MonoMillis) -> Now {
    Now {
        mono,
        wall: now.wall.before(now.mono.since(mono)),
    }
}
