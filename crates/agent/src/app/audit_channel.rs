//! Audit lines to a channel.
//!
//! A change never waits for it: lines go to a bounded queue, and a task makes messages of them. What does not fit is
//! counted and logged, and is in the log and the audit file all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bellwether_core::{UnixMillis, counted};
use bellwether_logging::audit;
use bellwether_notify::{Bulletin, Notifier};
use bellwether_server::AuditEntry;
use parking_lot::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Most lines that wait for the task.
const CAPACITY: usize = 1_000;
/// Most lines of a message.
const MAX_LINES: usize = 100;
/// Time in which further lines come into the message of the first one.
const WINDOW: Duration = Duration::from_secs(1);

/// Way of audit lines to the channel of the settings.
pub(super) struct AuditChannel {
    lines: Option<Sender<Line>>,
    receiver: Mutex<Option<Receiver<Line>>>,
    lost: AtomicU64,
}

struct Line {
    at: UnixMillis,
    what: String,
    text: String,
}

impl AuditChannel {
    /// Creates the way; without a channel nothing is kept.
    pub(super) fn new(is_enabled: bool) -> Self {
        let (sender, receiver) = is_enabled.then(|| channel(CAPACITY)).unzip();
        Self {
            lines: sender,
            receiver: Mutex::new(receiver),
            lost: AtomicU64::new(0),
        }
    }

    /// Adds the line of `entry`. Never waits.
    pub(super) fn add(&self, entry: &AuditEntry, at: UnixMillis) {
        let Some(lines) = &self.lines else { return };
        let line = Line {
            at,
            what: audit::printable(&entry.what),
            text: audit::line(entry, at),
        };
        if lines.try_send(line).is_err() && self.lost.fetch_add(1, Relaxed) == 0 {
            warn!("the queue of audit lines for the channel is full: lines are only in the log");
        }
    }

    /// Returns the number of lines that are in no message.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Makes messages of the lines for `channel`, sent by `sender`, until `stop`; then of what is left.
    pub(super) async fn run(
        &self,
        channel: String,
        sender: String,
        notifier: Arc<Notifier>,
        stop: CancellationToken,
    ) {
        let Some(mut receiver) = self.receiver.lock().take() else {
            return;
        };
        let to = [channel];
        loop {
            let mut lines = Vec::new();
            tokio::select! {
                _ = receiver.recv_many(&mut lines, 1) => {
                    tokio::select! {
                        () = tokio::time::sleep(WINDOW) => {}
                        () = stop.cancelled() => {}
                    }
                }
                () = stop.cancelled() => receiver.close(),
            }
            while lines.len() < MAX_LINES
                && let Ok(line) = receiver.try_recv()
            {
                lines.push(line);
            }
            if lines.is_empty() {
                return;
            }
            let missing = notifier.publish(bulletin(&lines, &sender), &to).await;
            if !missing.is_empty() {
                self.lost.fetch_add(lines.len() as u64, Relaxed);
                let lost = lines.len();
                warn!(
                    channel = to[0],
                    lost, "audit lines are only in the log: the channel is not active"
                );
            }
        }
    }
}

/// Returns the message with `lines`, of which there is one at least.
fn bulletin(lines: &[Line], sender: &str) -> Bulletin {
    let (first, at) = match lines {
        [] => ("", UnixMillis::default()),
        [first, ..] => (first.what.as_str(), first.at),
    };
    let title = match lines.len() {
        1 => first.to_owned(),
        count => counted(count, "change"),
    };
    let text: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    Bulletin {
        // Two messages never begin with the same line.
        id: format!("audit/{}/{:016x}", at.0, fastrand::u64(..)),
        topic: "audit".into(),
        at,
        title: format!("[AUDIT] {sender}: {title}"),
        text: text.join("\n"),
        document: None,
    }
}

#[cfg(test)]
mod tests {
    use bellwether_server::{Actor, AuditOutcome};

    use super::*;

    fn entry(what: &str) -> AuditEntry {
        AuditEntry {
            action: "silence",
            what: what.into(),
            actor: Actor {
                user: Some("ada".into()),
                from: "10.0.0.7".into(),
                ..Actor::default()
            },
            outcome: AuditOutcome::Done,
        }
    }

    #[test]
    fn a_full_queue_loses_lines_counts_them_and_waits_for_nobody() {
        let channel = AuditChannel::new(true);
        for _ in 0..CAPACITY + 3 {
            channel.add(&entry("silence"), UnixMillis(0));
        }
        assert_eq!(channel.lost(), 3);
        let disabled = AuditChannel::new(false);
        disabled.add(&entry("silence"), UnixMillis(0));
        assert_eq!(disabled.lost(), 0);
    }

    #[test]
    fn a_message_has_the_lines_as_the_log_has_them() {
        let line = |what: &str| Line {
            at: UnixMillis(0),
            what: what.into(),
            text: audit::line(&entry(what), UnixMillis(0)),
        };
        let one = bulletin(&[line("silence a")], "host-1");
        assert_eq!(one.title, "[AUDIT] host-1: silence a");
        assert_eq!(
            one.text,
            "1970-01-01T00:00:00Z audit: silence a action=\"silence\" outcome=\"done\" user=\"ada\" from=\"10.0.0.7\""
        );
        let two = bulletin(&[line("silence a"), line("reload")], "host-1");
        assert_eq!(two.title, "[AUDIT] host-1: 2 changes");
        assert_eq!(two.text.lines().count(), 2);
        assert_ne!(one.id, two.id);
    }
}
