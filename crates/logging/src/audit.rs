//! Audit lines: one event for each change that people make, for the log and the audit file, and as text for a channel.
//!
//! A line begins with `audit:` and the change in words, and has the rest as fields. Every value comes from a
//! client, so nothing in it may begin a line, move the cursor or change the direction of text.

use bellwether_core::UnixMillis;
use bellwether_server::{AuditEntry, AuditOutcome};
use tracing::{info, warn};

use crate::printable::{controls_text, is_invisible};

/// Target of the events.
pub const TARGET: &str = "bellwether::audit";

/// Limit of a value in characters.
const LONGEST: usize = 1_000;

/// Writes the line of `entry`.
pub fn record(entry: &AuditEntry) {
    let AuditEntry {
        action,
        what,
        actor,
        outcome,
    } = entry;
    let what = printable(what);
    let from = printable(&actor.from);
    let user = actor.user.as_deref().map(printable);
    let via = actor.via.as_deref().map(printable);
    let (user, via) = (user.as_deref(), via.as_deref());
    let auth = actor.auth;
    match outcome {
        AuditOutcome::Done => {
            info!(target: TARGET, action, outcome = "done", user, auth, from, via, "audit: {what}");
        }
        AuditOutcome::Failed(error) => {
            let error = printable(error);
            warn!(target: TARGET, action, outcome = "failed", error, user, auth, from, via, "audit: {what}");
        }
        AuditOutcome::Rejected(error) => {
            let error = printable(error);
            warn!(target: TARGET, action, outcome = "rejected", error, user, auth, from, via, "audit: {what}");
        }
    }
}

/// Returns the line of `entry` with its time, as the log has it.
#[must_use]
pub fn line(entry: &AuditEntry, at: UnixMillis) -> String {
    let (outcome, error) = match &entry.outcome {
        AuditOutcome::Done => ("done", None),
        AuditOutcome::Failed(error) => ("failed", Some(error)),
        AuditOutcome::Rejected(error) => ("rejected", Some(error)),
    };
    let fields = [
        ("action", Some(entry.action)),
        ("outcome", Some(outcome)),
        ("error", error.map(String::as_str)),
        ("user", entry.actor.user.as_deref()),
        ("auth", entry.actor.auth),
        ("from", Some(entry.actor.from.as_str())),
        ("via", entry.actor.via.as_deref()),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| {
        let value = printable(value?);
        Some(format!(" {name}={value:?}"))
    });
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    let what = printable(&entry.what);
    format!("{at} audit: {what}{}", fields.collect::<String>())
}

/// Joins lines with `; `, escapes what could forge a line or hide a part of it, and shortens text that is too long.
pub fn printable(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let mut out = String::with_capacity(text.len());
    for (index, character) in lines.join("; ").chars().enumerate() {
        if index == LONGEST {
            out.push_str("...");
            break;
        }
        match character {
            character if is_hidden(character) => out.extend(character.escape_unicode()),
            character => out.push(character),
        }
    }
    out
}

fn is_hidden(character: char) -> bool {
    controls_text(character) || is_invisible(character)
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;

    use bellwether_server::Actor;
    use parking_lot::Mutex;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// Lines of a log.
    #[derive(Clone, Default)]
    pub(crate) struct Lines(pub(crate) Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().extend(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().clone()).unwrap()
        }
    }

    fn recorded(entry: &AuditEntry) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let layer = tracing_subscriber::fmt::layer()
            .without_time()
            .with_target(false)
            .with_ansi(false)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, || record(entry));
        lines.text()
    }

    fn entry(outcome: AuditOutcome) -> AuditEntry {
        AuditEntry {
            action: "silence",
            what: "silence {alertname=\"disk_full\"} by \"ada\"".into(),
            actor: Actor {
                user: Some("ada".into()),
                auth: Some("password"),
                from: "10.0.0.7".into(),
                via: None,
            },
            outcome,
        }
    }

    #[test]
    fn a_line_says_who_did_what_from_where_and_how_it_ended() {
        assert_eq!(
            recorded(&entry(AuditOutcome::Done)),
            " INFO audit: silence {alertname=\"disk_full\"} by \"ada\" action=\"silence\" outcome=\"done\" \
             user=\"ada\" auth=\"password\" from=\"10.0.0.7\"\n"
        );
        let rejected = AuditEntry {
            actor: Actor {
                user: None,
                auth: None,
                via: Some("x-forwarded-for: 203.0.113.9".into()),
                ..entry(AuditOutcome::Done).actor
            },
            ..entry(AuditOutcome::Rejected("a token is required".into()))
        };
        assert_eq!(
            recorded(&rejected),
            " WARN audit: silence {alertname=\"disk_full\"} by \"ada\" action=\"silence\" outcome=\"rejected\" \
             error=\"a token is required\" from=\"10.0.0.7\" via=\"x-forwarded-for: 203.0.113.9\"\n"
        );
    }

    #[test]
    fn nothing_of_a_client_begins_a_line_or_hides_a_part_of_one() {
        let hostile = "x\r\n INFO audit: silence\u{1b}[2K\u{202e}\u{2028}\u{9b}\u{7f}";
        let entry = AuditEntry {
            what: hostile.into(),
            actor: Actor {
                user: Some(hostile.into()),
                auth: None,
                from: hostile.into(),
                via: Some(hostile.into()),
            },
            ..entry(AuditOutcome::Failed(hostile.into()))
        };
        let line = recorded(&entry);
        assert_eq!(line.lines().count(), 1, "{line}");
        let line = line.trim_end_matches('\n');
        assert!(!line.chars().any(is_hidden), "{line:?}");
        assert!(
            line.contains("audit: x; INFO audit: silence\\u{1b}"),
            "{line}"
        );
    }

    #[test]
    fn a_long_value_is_shortened() {
        assert_eq!(printable(&"a".repeat(LONGEST + 1)).len(), LONGEST + 3);
        assert_eq!(printable(&"a".repeat(LONGEST)).len(), LONGEST);
    }
}
