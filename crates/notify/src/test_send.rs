//! Test of a channel: sends a marked sample by the channel's own code, without filters and queue.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Group, Labels, Notification, Severity, Status,
    UnixMillis,
};
use tokio::time::Instant;

use super::channel::{Batch, Channel, Context, Sender, WallClock};
use super::error::{BuildError, DeliveryError};
use super::settings::ChannelSettings;

/// Rule of the sample.
const RULE: &str = "bellwether_test";

/// Result of one test message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// Status of the sample.
    pub status: Status,
    /// Error; `None` for a success.
    pub error: Option<DeliveryError>,
    /// Duration of the attempt.
    pub took: Duration,
}

/// Sends a sample to the channel `name`, and its resolved if `resolve` is set. Uses no queue, and
/// ignores `enabled`.
///
/// # Errors
/// The channel cannot be built.
pub async fn test_send(
    name: &str,
    channel: &ChannelSettings,
    context: (Sender, WallClock),
    severity: Severity,
    resolve: bool,
) -> Result<Vec<TestResult>, BuildError> {
    let (sender, clock) = context;
    let kind = channel.kind.clone();
    let context = Context {
        name: name.to_owned(),
        sender,
        clock: clock.clone(),
    };
    let built = tokio::task::spawn_blocking(move || kind.build(context))
        .await
        .map_err(|error| BuildError {
            channel: name.to_owned(),
            error: error.into(),
        })??;
    let begin = clock();
    let mut results = vec![attempt(&*built, sample(name, severity, begin, None)).await];
    if resolve {
        results.push(attempt(&*built, sample(name, severity, begin, Some(clock()))).await);
    }
    Ok(results)
}

async fn attempt(channel: &dyn Channel, sample: Notification) -> TestResult {
    let status = sample.status;
    let batch = Batch::new(vec![sample]);
    let start = Instant::now();
    let error = channel.deliver(&batch).await.err();
    TestResult {
        status,
        error,
        took: start.elapsed(),
    }
}

/// Creates a notification that cannot be mistaken for an alert.
fn sample(
    channel: &str,
    severity: Severity,
    begin: UnixMillis,
    end: Option<UnixMillis>,
) -> Notification {
    let labels = Labels::from([("test".to_owned(), "true".to_owned())]);
    let text = format!("This is a test of the channel {channel}. Nothing is wrong.");
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
