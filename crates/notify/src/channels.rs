//! The contract of a channel, and the list of those there are.
//!
//! A channel only makes one attempt to hand over a batch. Queues, retries, order and counting are
//! the delivery loop's. To add a type: one file beside these, its `mod` line and its line in
//! `channel_types!`.

use std::fmt;
use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Alert, Group, Labels, Notification, Now, Status, UnixMillis};
use bellwether_schema::{Diagnostics, MapReader, Section, Shape, SourceLocation};

pub mod alertmanager;
mod brief;
mod broker_log;
mod cloud_event;
pub mod discord;
pub mod email;
pub mod exec;
mod http;
pub mod kafka;
pub mod log;
pub mod opsgenie;
pub mod pagerduty;
mod said;
pub mod slack;
pub mod teams;
pub mod telegram;
mod texts;
pub mod webhook;

/// What an attempt resolves to.
pub type Attempt<'a> = Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + 'a>>;

/// What one attempt hands over.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// What is told, oldest first; at least one, and no two of one alert.
    pub news: Vec<Notification>,
    /// Others of the group of the first that this channel was told of and that still fire, by
    /// start; empty where groups are not told whole.
    pub standing: Vec<Arc<Alert>>,
    /// Set where the channel's rate limit held `news` back: they may be of many groups then, and
    /// one message tells of all.
    pub digest: Option<Digest>,
}

/// Why notifications of many groups come in one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    /// Since when they were held back.
    pub since: UnixMillis,
    /// How many more began and ended meanwhile, and are not told at all.
    pub over: usize,
}

impl Batch {
    /// The group of the first; of a digest only one of many.
    #[must_use]
    pub fn group(&self) -> &Group {
        static NONE: std::sync::LazyLock<Group> = std::sync::LazyLock::new(Group::default);
        self.news.first().map_or(&NONE, |first| &first.group)
    }

    /// Firing while anything in it fires.
    #[must_use]
    pub fn status(&self) -> Status {
        let fires = |one: &Notification| one.status == Status::Firing;
        let firing = !self.standing.is_empty() || self.news.iter().any(fires);
        if firing {
            Status::Firing
        } else {
            Status::Resolved
        }
    }
}

/// A place where notifications go.
pub trait Channel: Send + Sync + 'static {
    /// Makes one attempt to hand over `batch`. `Ok` only once the receiver has said that it took
    /// all of its news.
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a>;

    /// Most news of one batch.
    fn max_batch(&self) -> usize;

    /// Whether `next` may go in the batch that `first` opens. A channel whose message tells of one
    /// group says so here; [`same_group`] is the usual answer.
    fn joins(&self, _first: &Notification, _next: &Notification) -> bool {
        true
    }

    /// Whether one message may tell of many groups, as of those that a rate limit held back.
    fn digests(&self) -> bool {
        true
    }

    /// How often the receiver is to be reminded; `None` where it keeps what it was told.
    fn refresh_interval(&self) -> Option<Duration> {
        None
    }

    /// Reminds the receiver: `standing` is all that this channel was told of or is about to be,
    /// and that still fires. May run beside [`Channel::deliver`]; what fails is only logged, as
    /// the next one tells all again.
    fn refresh<'a>(&'a self, _standing: &'a [Arc<Alert>]) -> Attempt<'a> {
        Box::pin(ready(Ok(())))
    }
}

/// Whether two notifications are told together.
#[must_use]
pub fn same_group(first: &Notification, next: &Notification) -> bool {
    Arc::ptr_eq(&first.group, &next.group) || first.group == next.group
}

/// Why an attempt failed, in whole or in part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryError {
    /// Whether another attempt may succeed.
    pub retryable: bool,
    /// How long the receiver asks to wait.
    pub retry_after: Option<Duration>,
    /// What happened; never holds a secret.
    pub message: String,
    /// Indices of the news that got through all the same, ascending.
    pub delivered: Vec<usize>,
}

impl DeliveryError {
    /// A failure that may pass.
    pub fn transient(message: impl Into<String>) -> Self {
        Self {
            retryable: true,
            message: message.into(),
            ..Self::default()
        }
    }

    /// A failure that another attempt with the same content would meet again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }
}

/// Who speaks: added to what leaves the process, so that a receiver of many can tell them apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sender {
    /// Labels of every notification, such as `instance`; an alert's own win.
    pub labels: Labels,
    /// Where people reach Bellwether's pages; may be empty.
    pub url: String,
}

/// Reads both clocks; handed in, so that tests can turn them.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// Reads the wall clock.
pub type WallClock = Arc<dyn Fn() -> UnixMillis + Send + Sync>;

/// What a channel is built with besides its settings.
#[derive(Clone)]
pub struct Context {
    /// Name of the channel.
    pub name: String,
    /// Who speaks.
    pub sender: Sender,
    /// Reads the wall clock.
    pub clock: WallClock,
}

/// A channel that could not be built.
#[derive(Debug, PartialEq, Eq)]
pub struct BuildError {
    /// Its name.
    pub channel: String,
    /// What is wrong; never holds a secret.
    pub message: String,
}

impl fmt::Display for BuildError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "channel {}: {}", self.channel, self.message)
    }
}

impl std::error::Error for BuildError {}

macro_rules! channel_types {
    ($( $(#[$doc:meta])* $variant:ident = $word:literal, $heading:literal, $settings:ty; )+) => {
        bellwether_schema::string_enum! {
            /// Types of channels.
            pub enum ChannelType { $( $(#[$doc])* $variant = $word ),+ }
        }

        /// The keys of one type.
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        pub enum KindSettings { $( $(#[$doc])* $variant($settings) ),+ }

        impl KindSettings {
            /// Reads the keys of `kind`.
            pub(super) fn read(kind: ChannelType, map: &mut MapReader<'_, '_, '_>) -> Option<Self> {
                match kind { $( ChannelType::$variant =>
                    <$settings as Section>::read(map).map(Self::$variant) ),+ }
            }

            /// A heading and the keys of each type, for the reference.
            pub(super) fn shapes() -> Vec<(&'static str, Shape)> {
                vec![ $( ($heading, Shape::Section(<$settings as Section>::doc)) ),+ ]
            }

            /// Judges what decoding cannot.
            pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
                match self { $( Self::$variant(settings) => settings.check(at, problems) ),+ }
            }

            /// Makes the channel. May read files, so it runs on a blocking thread.
            ///
            /// # Errors
            /// What keeps it from being made, such as a file that cannot be read.
            pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, String> {
                match self { $( Self::$variant(settings) => settings.build(context) ),+ }
            }
        }
    };
}

channel_types! {
    /// Bellwether's own log.
    Log = "log", "(type: log)", log::LogChannel;
    /// A Kafka topic.
    Kafka = "kafka", "(type: kafka)", kafka::KafkaChannel;
    /// An HTTP receiver.
    Webhook = "webhook", "(type: webhook)", webhook::WebhookChannel;
    /// Alertmanagers.
    Alertmanager = "alertmanager", "(type: alertmanager)", alertmanager::AlertmanagerChannel;
    /// Mail.
    Email = "email", "(type: email)", email::EmailChannel;
    /// A program.
    Exec = "exec", "(type: exec)", exec::ExecChannel;
    /// A channel of Slack.
    Slack = "slack", "(type: slack)", slack::SlackChannel;
    /// A channel of Discord.
    Discord = "discord", "(type: discord)", discord::DiscordChannel;
    /// A channel of Microsoft Teams.
    Teams = "teams", "(type: teams)", teams::TeamsChannel;
    /// A chat of Telegram.
    Telegram = "telegram", "(type: telegram)", telegram::TelegramChannel;
    /// A service of PagerDuty.
    PagerDuty = "pagerduty", "(type: pagerduty)", pagerduty::PagerDutyChannel;
    /// Opsgenie.
    Opsgenie = "opsgenie", "(type: opsgenie)", opsgenie::OpsgenieChannel;
}
