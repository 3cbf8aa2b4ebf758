//! A channel tried by hand: a marked sample through its own code, past filters and queue.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{
    Alert, AlertState, Cause, Fingerprint, Group, Labels, Notification, Severity, Status,
    UnixMillis,
};
use tokio::time::Instant;

use super::channels::{Batch, BuildError, Channel, Context, Sender, WallClock};
use super::settings::ChannelSettings;

/// Rule of the sample.
const RULE: &str = "bellwether_test";

/// What came of one message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestResult {
    /// What it said.
    pub status: Status,
    /// Why it was not taken, and whether another attempt may succeed.
    pub refused: Option<(String, bool)>,
    /// How long the receiver took.
    pub took: Duration,
}

/// Sends a sample to the channel `name`, and where `resolve` is set its end. It touches no queue,
/// and does not look at whether the channel is enabled.
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
    let build = tokio::task::spawn_blocking(move || kind.build(context)).await;
    let built = build
        .map_err(|error| error.to_string())
        .and_then(|built| built);
    let built = built.map_err(|message| BuildError {
        channel: name.to_owned(),
        message,
    })?;
    let begin = clock();
    let mut all = vec![attempt(&*built, sample(name, severity, begin, None)).await];
    if resolve {
        all.push(attempt(&*built, sample(name, severity, begin, Some(clock()))).await);
    }
    Ok(all)
}

async fn attempt(channel: &dyn Channel, sample: Notification) -> TestResult {
    let status = sample.status;
    let batch = Batch {
        news: vec![sample],
        standing: Vec::new(),
        digest: None,
    };
    let start = Instant::now();
    let result = channel.deliver(&batch).await;
    let refused = result.err().map(|error| (error.message, error.retryable));
    TestResult {
        status,
        refused,
        took: start.elapsed(),
    }
}

/// Nobody should take it for an alert.
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
        reason: "somebody tries this channel".into(),
        at,
    }
}
