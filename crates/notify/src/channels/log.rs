//! Channel that writes to Bellwether's own log.
//!
//! One event per notification, target `bellwether::alert`. Destination and format of the log are
//! settings of the logging section.

use std::future::ready;

use bellwether_core::{Notification, Status, braced};
use bellwether_schema::{Diagnostics, SourceLocation};

use super::{Attempt, Batch, Channel, Context, Sender, SettingsError};
use crate::wire::Message;

bellwether_schema::string_enum! {
    /// Levels of the log.
    pub enum LogLevel {
        /// For developers.
        Debug = "debug",
        /// For the record.
        Info = "info",
        /// Needs a look.
        Warning = "warning" | "warn",
        /// Needs action.
        Error = "error",
    }
}

bellwether_schema::string_enum! {
    /// Formats of a notification in the log.
    pub enum LogForm {
        /// One sentence.
        Text = "text",
        /// The JSON document that Kafka gets.
        Json = "json",
    }
}

bellwether_schema::section! {
    /// Channel of type `log`: writes each notification to Bellwether's own log.
    pub struct LogChannel {
        /// Level of firing alerts. Resolved ones have `info`, or `debug` if this is `debug`.
        pub level: LogLevel = LogLevel::Warning,
        /// Format of the message. By default a sentence with the details as fields, in the format
        /// of the log.
        pub format: Option<LogForm>,
    }
}

impl LogChannel {
    pub(super) fn check(&self, _: &SourceLocation, _: &mut Diagnostics) {}

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        Ok(Box::new(Log {
            settings: self.clone(),
            sender: context.sender,
        }))
    }
}

struct Log {
    settings: LogChannel,
    sender: Sender,
}

impl Channel for Log {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        for notification in &batch.notifications {
            self.write(notification);
        }
        Box::pin(ready(Ok(())))
    }

    fn max_batch(&self) -> usize {
        256
    }
}

macro_rules! event {
    ($level:expr, $($event:tt)*) => {
        match $level {
            LogLevel::Debug => tracing::debug!(target: "bellwether::alert", $($event)*),
            LogLevel::Info => tracing::info!(target: "bellwether::alert", $($event)*),
            LogLevel::Warning => tracing::warn!(target: "bellwether::alert", $($event)*),
            LogLevel::Error => tracing::error!(target: "bellwether::alert", $($event)*),
        }
    };
}

impl Log {
    fn write(&self, notification: &Notification) {
        let level = match (notification.status, self.settings.level) {
            (Status::Firing, level) => level,
            (Status::Resolved, LogLevel::Debug) => LogLevel::Debug,
            (Status::Resolved, _) => LogLevel::Info,
        };
        let alert = &*notification.alert;
        match self.settings.format {
            Some(LogForm::Json) => {
                event!(level, "{}", Message::new(notification, &self.sender).json());
            }
            Some(LogForm::Text) => {
                let labels = braced(&alert.labels);
                event!(
                    level,
                    "{}: {} {labels}",
                    sentence(notification),
                    one_line(&notification.reason)
                );
            }
            None => event!(
                level,
                rule = &*alert.rule,
                severity = alert.severity.as_str(),
                status = notification.status.as_str(),
                labels = braced(&alert.labels),
                reason = notification.reason,
                value = alert.value,
                fingerprint = %alert.fingerprint,
                "{}", sentence(notification)
            ),
        }
    }
}

/// `firing: high_cpu (warning): CPU usage above 85%`.
fn sentence(notification: &Notification) -> String {
    let alert = &notification.alert;
    let status = notification.status.as_str();
    let head = format!("{status}: {} ({})", alert.rule, alert.severity.as_str());
    if alert.message.is_empty() {
        head
    } else {
        format!("{head}: {}", one_line(&alert.message))
    }
}

/// Replaces control characters and marks of the direction of text: label values come from applications
/// and must not forge lines of the log, or parts of one.
fn one_line(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(is_hidden, " ")
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::testing::notification;

    /// A writer that the test reads back.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(settings: LogChannel, notifications: &[Notification]) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(move || writer.clone())
            .with_ansi(false)
            .without_time()
            .with_max_level(tracing::Level::DEBUG)
            .finish();
        let log = Log {
            settings,
            sender: Sender::default(),
        };
        tracing::subscriber::with_default(subscriber, || {
            for notification in notifications {
                log.write(notification);
            }
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn firing_at_the_level_and_resolved_at_info() {
        let both = [
            notification("disk", "/data", Status::Firing),
            notification("disk", "/data", Status::Resolved),
        ];
        let text = written(
            LogChannel {
                level: LogLevel::Error,
                format: None,
            },
            &both,
        );
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].starts_with(
                "ERROR bellwether::alert: firing: disk (warning): disk of /data rule=\"disk\" \
                 severity=\"warning\" status=\"firing\" labels=\"{mount=\\\"/data\\\"}\""
            ),
            "{text}"
        );
        assert!(
            lines[1]
                .trim_start()
                .starts_with("INFO bellwether::alert: resolved: disk"),
            "{text}"
        );
    }

    #[test]
    fn the_json_form_is_the_document_of_kafka() {
        let firing = notification("disk", "/data", Status::Firing);
        let expected = Message::new(&firing, &Sender::default()).json();
        let settings = LogChannel {
            level: LogLevel::Warning,
            format: Some(LogForm::Json),
        };
        let text = written(settings, &[firing]);
        assert_eq!(
            text.trim_end(),
            format!(" WARN bellwether::alert: {expected}")
        );
    }

    #[test]
    fn a_label_cannot_forge_a_line() {
        let mut firing = notification("disk", "/a\nERROR forged", Status::Firing);
        let mut alert = (*firing.alert).clone();
        alert.message = "x\nERROR \u{202e}forged".into();
        firing.alert = Arc::new(alert);
        for format in [None, Some(LogForm::Text), Some(LogForm::Json)] {
            let settings = LogChannel {
                level: LogLevel::Warning,
                format,
            };
            let text = written(settings, std::slice::from_ref(&firing));
            assert_eq!(text.lines().count(), 1, "{text}");
            let is_json = matches!(format, Some(LogForm::Json));
            assert!(is_json || !text.contains('\u{202e}'), "{text:?}");
        }
    }
}
