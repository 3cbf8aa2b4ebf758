//! Feeds live updates: outcomes of notifications, beside their records in the alert history.

use std::sync::Arc;

use bellwether_notify::{Event, Observer, Outcome};
use bellwether_server::LiveFeed;

/// Returns an observer that passes each event on to `record`, and its outcome to `live`.
pub(super) fn observer(live: Arc<LiveFeed>, record: Observer) -> Observer {
    Arc::new(move |event| {
        record(event);
        if let Some((outcome, error)) = outcome(event) {
            live.notification(event.channel, event.notification, outcome, error);
        }
    })
}

/// Returns the outcome of an attempt in a word, and its error.
fn outcome<'a>(event: &Event<'a>) -> Option<(&'static str, Option<&'a str>)> {
    match event.outcome {
        Outcome::Queued => None,
        Outcome::Delivered { .. } => Some(("delivered", None)),
        Outcome::Retried { error, .. } => Some(("failed", Some(error))),
        Outcome::Rejected { error } => Some(("rejected", Some(error))),
        Outcome::Dropped { reason } => Some(("dropped", Some(reason))),
    }
}
