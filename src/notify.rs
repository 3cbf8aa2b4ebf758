//! Notifications: who is told, and that it arrives.
//!
//! The settings and the channels are here; the outbox and the delivery loop come next, and until
//! then nothing is sent.
#![allow(dead_code, clippy::unused_async, reason = "the delivery loop comes next")]

mod channels;
mod retry;
#[cfg(test)]
mod samples;
mod settings;
mod wire;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Duration;

pub use channels::*;
pub use settings::{ChannelSettings, check};

use crate::model::{Fingerprint, Transition, Wall};

/// The channels of one declaration.
#[derive(Debug)]
pub struct Notifier;

/// Channels built and not yet in use.
#[derive(Debug)]
pub struct Prepared;

/// What one channel did so far.
#[derive(Clone, Debug)]
pub struct ChannelStats {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: &'static str,
    /// Notifications delivered.
    pub sent: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Notifications given up, by reason.
    pub dropped: Vec<(&'static str, u64)>,
    /// Notifications waiting.
    pub queued: usize,
    /// Why the last attempt failed; none after a success.
    pub last_error: Option<String>,
}

impl Notifier {
    /// Opens the channels; without a state directory their queues are in memory only.
    ///
    /// # Errors
    /// A channel cannot be built.
    pub async fn open(
        _: &[ChannelSettings],
        _: Option<PathBuf>,
        _: Sender,
    ) -> anyhow::Result<Self> {
        Ok(Self)
    }

    /// Writes what must be told into the outbox of each channel, then returns.
    pub async fn notify(&self, _: &[Transition], _: Wall) {}

    /// Resolves what was told as firing and does not fire any more.
    pub async fn reconcile(&self, _: &HashSet<Fingerprint>, _: Wall) {}

    /// Hands over what waits, for at most this long.
    pub async fn stop(&self, _: Duration) {}

    /// Builds channels for a reload; nothing changes yet.
    ///
    /// # Errors
    /// A channel cannot be built.
    pub async fn prepare(&self, _: &[ChannelSettings], _: Sender) -> anyhow::Result<Prepared> {
        Ok(Prepared)
    }

    /// Uses other channels from now on; queues of those with the same name go on.
    pub async fn replace(&self, _: Prepared) {}

    /// What each channel did.
    #[must_use]
    pub fn stats(&self) -> Vec<ChannelStats> {
        Vec::new()
    }
}
