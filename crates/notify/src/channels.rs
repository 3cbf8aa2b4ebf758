//! Register of all channel types.
//!
//! To add a type: write one file in this folder that implements [`Channel`], and add its `mod` line
//! and its line in `channel_types!`.

use bellwether_schema::{Diagnostics, MapReader, Section, SourceLocation, Variant};

pub use self::email::AddressError;
pub use self::templates::TemplateError;
use crate::bulletin::Bulletin;
use crate::channel::{Attempt, Batch, Channel, Context, Digest, Sender, WallClock, same_group};
use crate::error::{BuildError, DeliveryError, MissingClient, SettingsError};

pub mod alertmanager;
mod body_error;
pub mod discord;
pub mod email;
pub mod exec;
mod http;
pub mod kafka;
pub mod log;
mod message;
pub mod opsgenie;
mod pager;
pub mod pagerduty;
pub mod slack;
pub mod teams;
pub mod telegram;
mod templates;
pub mod webhook;

macro_rules! channel_types {
    ($( $(#[doc = $doc:literal])* $variant:ident = $word:literal, $settings:ty; )+) => {
        bellwether_schema::string_enum! {
            /// Types of channels.
            pub enum ChannelType { $( $(#[doc = $doc])* $variant = $word ),+ }
        }

        /// Settings of one type of channel.
        #[derive(Clone, Debug, PartialEq, serde::Serialize)]
        #[serde(untagged)]
        pub enum KindSettings { $( $(#[doc = $doc])* $variant($settings) ),+ }

        impl KindSettings {
            /// Reads the settings of `kind`.
            pub(super) fn read(kind: ChannelType, map: &mut MapReader<'_, '_, '_>) -> Option<Self> {
                match kind { $( ChannelType::$variant =>
                    <$settings as Section>::read(map, None).map(Self::$variant) ),+ }
            }

            /// Describes the settings of each type.
            pub(super) fn variants() -> Vec<Variant> {
                vec![ $( Variant { word: $word, section: <$settings as Section>::doc } ),+ ]
            }

            /// Validates the settings beyond decoding.
            pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
                match self { $( Self::$variant(settings) => settings.check(at, problems) ),+ }
            }

            /// Builds the channel. May read files, so it runs on a blocking thread.
            ///
            /// # Errors
            /// The reason, such as a file that cannot be read.
            pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, BuildError> {
                let name = context.name.clone();
                let channel = match self {
                    $( Self::$variant(settings) => settings.build(context) ),+
                };
                channel.map_err(|error| BuildError { channel: name, error })
            }
        }
    };
}

impl ChannelType {
    /// Returns whether channels of this type deliver messages that are no alerts. The others are for
    /// services that know nothing but alerts; the log has audit lines anyway.
    #[must_use]
    pub fn takes_bulletins(self) -> bool {
        match self {
            Self::Webhook
            | Self::Email
            | Self::Exec
            | Self::Kafka
            | Self::Slack
            | Self::Discord
            | Self::Teams
            | Self::Telegram => true,
            Self::Log | Self::Alertmanager | Self::PagerDuty | Self::Opsgenie => false,
        }
    }
}

impl KindSettings {
    /// Returns an error if this build lacks the client of the type.
    pub(super) fn missing_client(&self) -> Option<MissingClient> {
        match self {
            Self::Kafka(kafka) => kafka.missing_client(),
            _ => None,
        }
    }
}

channel_types! {
    /// Bellwether's own log.
    Log = "log", log::LogChannel;
    /// A Kafka topic.
    Kafka = "kafka", kafka::KafkaChannel;
    /// An HTTP receiver.
    Webhook = "webhook", webhook::WebhookChannel;
    /// Alertmanagers.
    Alertmanager = "alertmanager", alertmanager::AlertmanagerChannel;
    /// Mail.
    Email = "email", email::EmailChannel;
    /// A program.
    Exec = "exec", exec::ExecChannel;
    /// A channel of Slack.
    Slack = "slack", slack::SlackChannel;
    /// A channel of Discord.
    Discord = "discord", discord::DiscordChannel;
    /// A channel of Microsoft Teams.
    Teams = "teams", teams::TeamsChannel;
    /// A chat of Telegram.
    Telegram = "telegram", telegram::TelegramChannel;
    /// A service of PagerDuty.
    PagerDuty = "pagerduty", pagerduty::PagerDutyChannel;
    /// Opsgenie.
    Opsgenie = "opsgenie", opsgenie::OpsgenieChannel;
}
