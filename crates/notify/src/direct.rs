//! Direct delivery by the channel's own code, without filters and queue: tests of a channel, and
//! bulletins that somebody waits for.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Group, Labels, Notification, Severity, Status,
    UnixMillis,
};
use tokio::time::Instant;

use super::bulletin::Bulletin;
use super::channel::{Attempt, Batch, Channel, Context, Sender, WallClock};
use super::error::{BuildError, DeliveryError};
use super::settings::ChannelSettings;

/// Rule of the sample.
const RULE: &str = "bellwether_test";

/// Result of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectResult {
    /// Kind of the message: `firing`, `resolved` or `bulletin`.
    pub sample: &'static str,
    /// Error; `None` for a success.
    pub error: Option<DeliveryError>,
    /// Duration of the attempt.
    pub took: Duration,
}

/// Sends a sample to the channel `name`, and its resolved if `resolve` is set. Uses no queue, and
/// ignores `enabled`. A channel that is not notified of alerts gets a bulletin.
///
/// # Errors
/// The channel cannot be built.
pub async fn test_send(
    name: &str,
    channel: &ChannelSettings,
    context: (Sender, WallClock),
    severity: Severity,
    resolve: bool,
) -> Result<Vec<DirectResult>, BuildError> {
    let clock = context.1.clone();
    let begin = clock();
    if !channel.common.alerts {
        let bulletin = test_bulletin(name, begin);
        return Ok(vec![
            send_bulletin(name, channel, context, &bulletin).await?,
        ]);
    }
    let built = build(name, channel, context).await?;
    let mut results = vec![attempt(&*built, sample(name, severity, begin, None)).await];
    if resolve {
        results.push(attempt(&*built, sample(name, severity, begin, Some(clock()))).await);
    }
    Ok(results)
}

/// Sends `bulletin` to the channel `name`. Uses no queue, and ignores `enabled`.
///
/// # Errors
/// The channel cannot be built.
pub async fn send_bulletin(
    name: &str,
    channel: &ChannelSettings,
    context: (Sender, WallClock),
    bulletin: &Bulletin,
) -> Result<DirectResult, BuildError> {
    let built = build(name, channel, context).await?;
    Ok(timed("bulletin", built.publish(bulletin)).await)
}

async fn build(
    name: &str,
    channel: &ChannelSettings,
    (sender, clock): (Sender, WallClock),
) -> Result<Box<dyn Channel>, BuildError> {
    let kind = channel.kind.clone();
    let context = Context {
        name: name.to_owned(),
        sender,
        clock,
    };
    tokio::task::spawn_blocking(move || kind.build(context))
        .await
        .map_err(|error| BuildError {
            channel: name.to_owned(),
            error: error.into(),
        })?
}

async fn attempt(channel: &dyn Channel, sample: Notification) -> DirectResult {
    let status = sample.status.as_str();
    let batch = Batch::new(vec![sample]);
    timed(status, channel.deliver(&batch)).await
}

async fn timed(sample: &'static str, attempt: Attempt<'_>) -> DirectResult {
    let start = Instant::now();
    let error = attempt.await.err();
    DirectResult {
        sample,
        error,
        took: start.elapsed(),
    }
}

fn test_bulletin(channel: &str, at: UnixMillis) -> Bulletin {
    Bulletin {
        id: format!("test-{}", at.0),
        topic: "test".into(),
        at,
        title: format!("[TEST] channel {channel}"),
        text: test_text(channel),
        document: None,
    }
}

fn test_text(channel: &str) -> String {
    format!("This is a test of the channel {channel}. Nothing is wrong.")
}

/// Creates a notification that cannot be mistaken for an alert.
fn sample(
    channel: &str,
    severity: Severity,
    begin: UnixMillis,
    end: Option<UnixMillis>,
) -> Notification {
    let labels = Labels::from([("test".to_owned(), "true".to_owned())]);
    let text = test_text(channel);
    let alert = Alert {
        fingerprint: Fingerprint::of(RULE, &labels),
        rule: RULE.into(),
        severity,
        labels,
        annotations: Labels::from([("summary".to_owned(), text.clone())]),
        message: text,
        value: None,
        fired_value: None,
        peak: None,
        threshold: None,
        state: if end.is_some() {
            AlertState::Inactive
        } else {
            AlertState::Firing
        },
        active_at: begin,
        fired_at: Some(begin),
        resolved_at: end,
    };
    let at = end.unwrap_or(begin);
    Notification {
        id: format!("{}-{}-{}", alert.fingerprint, begin.0, at.0),
        status: if end.is_some() {
            Status::Resolved
        } else {
            Status::Firing
        },
        cause: Cause::Test,
        group: Arc::new(Group {
            key: format!("{{}}:{{alertname={RULE:?}}}"),
            labels: Labels::from([("alertname".to_owned(), RULE.to_owned())]),
            ..Group::default()
        }),
        alert: Arc::new(alert),
        reason: "test of this channel".into(),
        at,
    }
}
