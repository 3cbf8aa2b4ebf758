//! Bulletins: messages that are no alerts, such as reports and audit lines.
//!
//! A channel has a queue of bulletins beside its outbox. It is on disk before [`Notifier::publish`] returns, and has
//! a task of its own, so that a bulletin never delays a notification. Both count against one rate limit.
//!
//! [`Notifier::publish`]: crate::Notifier::publish

mod publisher;
mod queue;
mod store;

use bellwether_core::UnixMillis;
use serde::{Deserialize, Serialize};

pub(super) use self::store::BulletinStore;

/// A message that is no alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulletin {
    /// Id; the same for every attempt and after a restart. A channel that delivered it last, or has it queued, does
    /// not get it again.
    pub id: String,
    /// Kind and name, such as `report/weekly`.
    pub topic: String,
    /// Time of what it is about.
    pub at: UnixMillis,
    /// Title on one line.
    pub title: String,
    /// Content without markup, for services that take no document.
    pub text: String,
    /// File of a report.
    pub document: Option<Document>,
}

/// A file in text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    /// Name of the file.
    pub name: String,
    /// Content type with its charset: `text/html; charset=utf-8`.
    pub content_type: String,
    pub content: String,
}

impl Bulletin {
    /// Returns the bytes that it takes in a queue, about.
    fn size(&self) -> usize {
        let document = self.document.as_ref().map_or(0, |one| one.content.len());
        self.title.len() + self.text.len() + document
    }
}

/// Deliveries of the bulletins of one topic by one channel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BulletinStats {
    /// Name of the channel.
    pub channel: String,
    /// Kind and name.
    pub topic: String,
    /// Bulletins delivered since the start of the process.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Bulletins dropped: rejected, expired, or beyond the queue's capacity.
    pub dropped: u64,
    /// Bulletins queued.
    pub queued: usize,
    /// Time of the last delivery, over restarts too.
    pub last_success: Option<UnixMillis>,
    /// Error of the last attempt; `None` after a success.
    pub last_error: Option<String>,
}
