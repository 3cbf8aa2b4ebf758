//! Errors of channels. No message holds a secret.

use std::time::Duration;

use bellwether_http::HttpError;
use bellwether_program::AccountError;
use thiserror::Error;
use tokio::task::JoinError;

use crate::channels::{AddressError, TemplateError};

/// A channel that could not be built.
#[derive(Debug, Error)]
#[error("channel {channel}: {error}")]
pub struct BuildError {
    /// Name of the channel.
    pub channel: String,
    /// Reason.
    pub error: SettingsError,
}

/// Settings that no channel can be built from, as they are or as this host is.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A URL, certificate authority or file with a secret cannot be used.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The URL of an API is invalid.
    #[error("api_url: {0}")]
    ApiUrl(String),
    /// The URL of Telegram's API is invalid with the token in it.
    #[error("api_url and token are no valid URL: {0}")]
    TokenUrl(String),
    /// The secret of this key is configured neither in the configuration nor in a file.
    #[error("neither `{0}` nor `{0}_file`")]
    MissingSecret(&'static str),
    /// The URL of an incoming webhook of Slack is that of a method.
    #[error("chat.postMessage is a method for bots, and needs a bot's token")]
    MethodOfBots,
    /// A template is invalid.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The template of a key is invalid.
    #[error("{key}: {error}")]
    TemplateOf {
        /// Path of the key.
        key: String,
        /// Reason.
        error: TemplateError,
    },
    /// A mail address is invalid.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A program cannot run as a user.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// The client of Kafka rejects the settings.
    #[error("{0}")]
    Kafka(String),
    /// This build lacks the client.
    #[error(transparent)]
    MissingClient(#[from] MissingClient),
    /// The task that built the channel was aborted.
    #[error(transparent)]
    Aborted(#[from] JoinError),
}

/// A client that this build lacks.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("{error}; hint: {hint}")]
pub struct MissingClient {
    /// Message.
    pub error: &'static str,
    /// Advice on a fix.
    pub hint: &'static str,
}

/// A failed attempt to deliver a batch, in whole or in part.
#[derive(Clone, Debug, Default, Error, PartialEq, Eq)]
#[error("{message}")]
pub struct DeliveryError {
    /// True if the same attempt may succeed later.
    pub retryable: bool,
    /// Delay that the service asks for.
    pub retry_after: Option<Duration>,
    /// Message.
    pub message: String,
    /// Indices of the notifications that were delivered nevertheless, ascending.
    pub delivered: Vec<usize>,
}

impl DeliveryError {
    /// Creates an error of which nothing was delivered.
    pub fn new(retryable: bool, message: impl Into<String>) -> Self {
        Self {
            retryable,
            message: message.into(),
            ..Self::default()
        }
    }

    /// Creates a retryable error.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::new(true, message)
    }

    /// Creates an error that the same batch would meet again.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::new(false, message)
    }

    /// Raises the delay before a retry to `delay`, if there is a retry.
    #[must_use]
    pub fn with_delay(mut self, delay: Option<Duration>) -> Self {
        self.retry_after = self.retry_after.max(delay.filter(|_| self.retryable));
        self
    }
}
