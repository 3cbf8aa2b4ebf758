//! Replacement of the producer in a build without the feature `kafka`.

use super::super::{Channel, Context, SettingsError};
use super::{KafkaChannel, MISSING_CLIENT};

/// Returns an error, as there is no client.
pub(super) fn build(_: &KafkaChannel, _: Context) -> Result<Box<dyn Channel>, SettingsError> {
    Err(MISSING_CLIENT.into())
}

/// Accepts any option, as only librdkafka knows them.
pub(super) fn option_error(_: &str, _: &str) -> Option<String> {
    None
}
