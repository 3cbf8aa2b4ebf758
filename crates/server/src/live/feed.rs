//! Way of collections and events from the application to the clients.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::{AlertState, Fingerprint, Notification, Origin, Transition, UnixMillis};
use bellwether_routing::Suppression;
use hyper::body::Bytes;
use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::message;
use super::message_type::MessageType;
use crate::api::alerts::view_alerts;

/// Collections that may wait for their evaluation; the oldest ones are forgotten, see
/// [`Commits::next`](super::rounds).
const COLLECTIONS: usize = 64;
/// Events that a client may be behind. One that is further behind gets a fresh `initial_data`.
const EVENTS: usize = 64;

/// Collection whose samples are committed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Collected {
    pub(super) origin: Origin,
    /// Time of the samples.
    pub(super) at: UnixMillis,
}

/// Event as every client gets it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    /// Type of the message.
    pub(super) kind: MessageType,
    /// The message.
    pub(super) text: Bytes,
}

/// Way of collections and events to the clients of live updates. It outlives a server, and costs
/// next to nothing while there is no client.
#[derive(Debug)]
pub struct LiveFeed {
    collections: broadcast::Sender<Collected>,
    events: broadcast::Sender<Event>,
    /// Number of events so far.
    sequence: AtomicU64,
}

impl Default for LiveFeed {
    fn default() -> Self {
        Self {
            collections: broadcast::Sender::new(COLLECTIONS),
            events: broadcast::Sender::new(EVENTS),
            sequence: AtomicU64::new(0),
        }
    }
}

impl LiveFeed {
    /// Notes that the samples which `origin` collected at `at` are committed.
    pub fn collected(&self, origin: Origin, at: UnixMillis) {
        // An error says that no server has clients.
        self.collections.send(Collected { origin, at }).ok();
    }

    /// Returns true if an event would reach somebody.
    fn has_listeners(&self) -> bool {
        self.events.receiver_count() > 0
    }

    /// Sends the alerts that fire, change their severity or resolve, with what suppresses their
    /// notifications, for which `suppressions` is asked if anybody listens.
    pub fn transitions(
        &self,
        transitions: &[Transition],
        suppressions: impl FnOnce() -> HashMap<Fingerprint, Suppression>,
    ) {
        if transitions.is_empty() {
            return;
        }
        let suppressions = match self.has_listeners() {
            true => suppressions(),
            false => HashMap::new(),
        };
        for transition in transitions {
            let kind = match (transition.from, transition.alert.state) {
                (_, AlertState::Firing) => MessageType::AlertTriggered,
                (AlertState::Firing, _) => MessageType::AlertResolved,
                _ => continue,
            };
            let alert = std::slice::from_ref(&transition.alert);
            self.send(kind, || {
                let view = view_alerts(alert, &suppressions).pop();
                view.unwrap_or_default()
            });
        }
    }

    /// Sends the outcome of an attempt to notify: `delivered`, `failed`, `rejected`, `dropped`, with
    /// the error.
    pub fn notification(
        &self,
        channel: &str,
        notification: &Notification,
        outcome: &'static str,
        error: Option<&str>,
    ) {
        self.send(MessageType::Notification, || {
            let mut data = json!({
                "channel": channel,
                "status": outcome,
                "alert": &*notification.alert.rule,
                "fingerprint": notification.alert.fingerprint.to_string(),
            });
            if let Some(error) = error {
                data["error"] = json!(error);
            }
            data
        });
    }

    /// Sends that a reload succeeded, or its errors.
    pub fn reloaded(&self, error: Option<&str>) {
        self.send(MessageType::Reload, || match error {
            None => json!({"success": true}),
            Some(error) => json!({"success": false, "error": error}),
        });
    }

    /// Counts an event, and sends it if anybody listens.
    fn send(&self, kind: MessageType, data: impl FnOnce() -> Value) {
        self.sequence.fetch_add(1, Relaxed);
        if self.has_listeners() {
            let text = message::event(kind, &data());
            self.events.send(Event { kind, text }).ok();
        }
    }

    /// Number of events so far.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence.load(Relaxed)
    }

    /// Returns the collections from now on.
    pub(super) fn collections(&self) -> broadcast::Receiver<Collected> {
        self.collections.subscribe()
    }

    /// Returns the events from now on.
    pub(super) fn events(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }
}
