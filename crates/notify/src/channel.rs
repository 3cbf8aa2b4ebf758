//! The contract of a channel.
//!
//! A channel makes one attempt to deliver a batch. Queues, retries, order and counters belong to
//! the delivery loop. Knows no type of channel; these are registered in
//! [`channels`](crate::channels).

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bellwether_core::{Alert, Group, Labels, Notification, Now, Status, UnixMillis};

use super::bulletin::Bulletin;
use super::error::DeliveryError;

/// Future of one delivery attempt.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + 'a>>;

/// Notifications of one delivery attempt.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Notifications, oldest first; at least one, and no two of one alert.
    pub notifications: Vec<Notification>,
    /// Other alerts of the first notification's group that this channel was notified of and that
    /// still fire, by start; empty unless the group includes its firing alerts.
    pub still_firing: Vec<Arc<Alert>>,
    /// Set where the channel's rate limit delayed the notifications: they may be of many groups
    /// then, and one message has all of them.
    pub digest: Option<Digest>,
}

/// Reason for notifications of many groups in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Start of the delay.
    pub since: UnixMillis,
    /// Number of further alerts that fired and resolved meanwhile, and are not notified.
    pub ended: usize,
}

impl Batch {
    /// Creates a batch without alerts: what the templates of a bulletin see.
    #[must_use]
    pub(super) fn empty() -> Self {
        Self::new(Vec::new())
    }

    /// Creates a batch of `notifications` alone.
    #[must_use]
    pub fn new(notifications: Vec<Notification>) -> Self {
        Self {
            notifications,
            still_firing: Vec::new(),
            digest: None,
        }
    }

    /// Returns the group of the first notification; in a digest it is only one of many.
    #[must_use]
    pub fn group(&self) -> &Group {
        static NO_GROUP: LazyLock<Group> = LazyLock::new(Group::default);
        self.notifications
            .first()
            .map_or(&NO_GROUP, |first| &first.group)
    }

    /// Returns `Firing` while any alert of the batch fires.
    #[must_use]
    pub fn status(&self) -> Status {
        let is_firing = !self.still_firing.is_empty()
            || self
                .notifications
                .iter()
                .any(|notification| notification.status == Status::Firing);
        if is_firing {
            Status::Firing
        } else {
            Status::Resolved
        }
    }
}

/// A way to a service that receives notifications.
pub trait Channel: Send + Sync + 'static {
    /// Makes one attempt to deliver `batch`. Returns `Ok` only once the service has confirmed all
    /// of its notifications.
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a>;

    /// Makes one attempt to deliver `bulletin`. May run beside [`Channel::deliver`]. Only types that
    /// [`ChannelType::takes_bulletins`](crate::ChannelType::takes_bulletins) names implement it.
    fn publish<'a>(&'a self, _bulletin: &'a Bulletin) -> Attempt<'a> {
        let error = "a channel of this type takes nothing but alerts";
        Box::pin(ready(Err(DeliveryError::permanent(error))))
    }

    /// Returns the most notifications of one batch.
    fn max_batch(&self) -> usize;

    /// Returns true if `next` may go in the batch that `first` opens. A channel whose message is
    /// about one group implements it, usually by [`same_group`].
    fn joins(&self, _first: &Notification, _next: &Notification) -> bool {
        true
    }

    /// Returns true if one message may be about many groups, as after a rate limit.
    fn allows_digest(&self) -> bool {
        true
    }

    /// Returns the interval at which the service needs all firing alerts again; `None` for a
    /// service that remembers them.
    fn refresh_interval(&self) -> Option<Duration> {
        None
    }

    /// Sends all alerts again that this channel was or will be notified of and that still fire. May
    /// run beside [`Channel::deliver`]. A failure is only logged, as the next refresh sends all of
    /// them again.
    fn refresh<'a>(&'a self, _still_firing: &'a [Arc<Alert>]) -> Attempt<'a> {
        Box::pin(ready(Ok(())))
    }
}

/// Returns true if both notifications are of one group.
#[must_use]
pub fn same_group(first: &Notification, next: &Notification) -> bool {
    Arc::ptr_eq(&first.group, &next.group) || first.group == next.group
}

/// Identity of this Bellwether in outgoing notifications, so that a service can tell several apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// Labels of every notification, such as `instance`; an alert's own labels win.
    pub labels: Labels,
    /// External URL of Bellwether; may be empty.
    pub url: String,
}

/// Reads both clocks; a parameter, so that tests can set the time.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Reads the wall clock.
pub type WallClock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// Parameters of a channel besides its settings.
#[derive(Clone)]
pub struct Context {
    /// Name of the channel.
    pub name: String,
    /// Identity of this Bellwether.
    pub sender: Sender,
    /// Wall clock.
    pub clock: WallClock,
}
