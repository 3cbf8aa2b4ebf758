//! From transitions to what each channel would be told, on virtual time, with nothing sent.
//!
//! The dispatcher and the outboxes are the live ones; every receiver takes everything at once.

use std::sync::Arc;

use crate::model::{Mono, Notification, Now, Transition};
use crate::notify::{ChannelSettings, Preview};
use crate::routing::{Dispatcher, Feedback, Routing};

/// The way of notifications of one declaration.
pub struct Pipeline {
    /// Who is told, and when.
    pub dispatcher: Dispatcher,
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
        Self { dispatcher: Dispatcher::new(routing, now), preview: Preview::new(channels) }
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

    fn turn(&mut self, now: Now, sent: &mut Vec<Sent>) {
        let feedback = Feedback { judged: now.mono, ..Feedback::default() };
        let dispatches = self.dispatcher.advance(&feedback, now).dispatches;
        let told = self.preview.accept(&dispatches, now.wall).into_iter();
        sent.extend(told.map(|(channel, notification)| Sent {
            channel: channel.to_owned(),
            notification,
            at: now,
        }));
    }
}

/// Both clocks when the monotonic one stood at `mono`.
fn earlier(now: Now, mono: Mono) -> Now {
    Now { mono, wall: now.wall.before(now.mono.since(mono)) }
}
