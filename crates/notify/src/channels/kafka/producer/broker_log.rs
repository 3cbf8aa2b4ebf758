//! Log of librdkafka, throttled.
//!
//! While a broker is down, librdkafka logs several times a second.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::UnixMillis;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;

use crate::channel::WallClock;

/// Shortest interval between log lines of one subject.
const QUIET: Duration = Duration::from_secs(600);

/// Receives librdkafka's log of one channel. Clones share their state.
#[derive(Clone)]
pub(super) struct BrokerLog(Arc<Inner>);

struct Inner {
    channel: String,
    clock: WallClock,
    state: Mutex<LogState>,
}

#[derive(Default)]
struct LogState {
    /// By subject, librdkafka's "facility": time of the last log line, and messages suppressed
    /// since.
    subjects: BTreeMap<String, (UnixMillis, u64)>,
    /// Last error since the last delivery.
    last_error: Option<String>,
}

impl BrokerLog {
    pub(super) fn new(channel: String, clock: WallClock) -> Self {
        Self(Arc::new(Inner {
            channel,
            clock,
            state: Mutex::default(),
        }))
    }

    /// `error`, with the broker's last one where no broker answered: "timed out" alone explains
    /// nothing. An error that comes from a broker needs no other, and shows that one is reached.
    pub(super) fn explain(&self, error: &KafkaError) -> String {
        let mut state = self.0.state.lock();
        match error.rdkafka_error_code() {
            Some(code) if is_silence(code) => match &state.last_error {
                Some(last) => format!("{error}; last error of a broker: {last}"),
                None => error.to_string(),
            },
            Some(_) => {
                state.last_error = None;
                error.to_string()
            }
            None => error.to_string(),
        }
    }

    /// Clears the last error and the throttling, so that the next outage is logged.
    pub(super) fn delivered(&self) {
        *self.0.state.lock() = LogState::default();
    }

    /// Returns the number of messages on `subject` that were suppressed since the last one written;
    /// `None` if this one is suppressed too.
    fn throttle(&self, subject: &str) -> Option<u64> {
        let now = (self.0.clock)();
        let mut state = self.0.state.lock();
        match state.subjects.get_mut(subject) {
            Some((last, left_out)) if now.since(*last) < QUIET => {
                *left_out += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                state.subjects.insert(subject.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

/// Returns true if the error means that no broker answered.
fn is_silence(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::MessageTimedOut
            | Code::OperationTimedOut
            | Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
    )
}

/// Part of librdkafka's statistics that is read.
#[derive(Deserialize)]
struct Statistics {
    #[serde(default)]
    brokers: BTreeMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    nodename: String,
    state: String,
}

impl ClientContext for BrokerLog {
    fn log(&self, level: RDKafkaLogLevel, subject: &str, message: &str) {
        if level as u8 > RDKafkaLogLevel::Warning as u8 {
            tracing::debug!(channel = self.0.channel, subject, "librdkafka: {message}");
        } else if let Some(left_out) = self.throttle(subject) {
            tracing::warn!(
                channel = self.0.channel,
                subject,
                left_out,
                "librdkafka: {message}"
            );
        }
    }

    /// Forgets an error of a broker that is up again.
    fn stats_raw(&self, statistics: &[u8]) {
        let Ok(Statistics { brokers }) = serde_json::from_slice(statistics) else {
            return;
        };
        let mut state = self.0.state.lock();
        let Some(error) = &state.last_error else {
            return;
        };
        let names_any = brokers.values().any(|broker| named(error, broker));
        if brokers
            .values()
            .any(|broker| broker.state == "UP" && (named(error, broker) || !names_any))
        {
            state.last_error = None;
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut state = self.0.state.lock();
        let is_summary = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if state.last_error.is_none() || !is_summary {
            state.last_error = Some(reason.to_owned());
        }
    }
}

/// Returns true if the message of `error` has the name of the broker.
fn named(error: &str, broker: &Broker) -> bool {
    !broker.nodename.is_empty() && error.contains(&broker.nodename)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn a_subject_is_throttled() {
        let now = Arc::new(AtomicI64::new(0));
        let read = now.clone();
        let log = BrokerLog::new(
            "k".into(),
            Arc::new(move || UnixMillis(read.load(Ordering::Relaxed))),
        );
        assert_eq!(log.throttle("FAIL"), Some(0));
        assert_eq!(log.throttle("FAIL"), None);
        assert_eq!(log.throttle("FAIL"), None);
        assert_eq!(log.throttle("OTHER"), Some(0));
        now.store(600_000, Ordering::Relaxed);
        assert_eq!(log.throttle("FAIL"), Some(2));
        assert_eq!(log.throttle("FAIL"), None);
        log.delivered();
        assert_eq!(log.throttle("FAIL"), Some(0));
    }

    #[test]
    fn a_timeout_is_explained_by_the_last_error() {
        let log = BrokerLog::new("k".into(), Arc::new(UnixMillis::default));
        let timed_out = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        assert_eq!(log.explain(&timed_out), timed_out.to_string());
        let all_down = KafkaError::Global(RDKafkaErrorCode::AllBrokersDown);
        log.error(all_down.clone(), "1/1 brokers are down");
        log.error(KafkaError::Canceled, "a:1: connection refused");
        log.error(all_down, "1/1 brokers are down");
        let explained = format!("{timed_out}; last error of a broker: a:1: connection refused");
        assert_eq!(log.explain(&timed_out), explained);
    }

    #[test]
    fn an_error_of_a_broker_that_answers_again_is_forgotten() {
        let log = BrokerLog::new("k".into(), Arc::new(UnixMillis::default));
        let of = KafkaError::MessageProduction;
        let timed_out = of(RDKafkaErrorCode::MessageTimedOut);
        let refused = || {
            log.error(
                KafkaError::Canceled,
                "ssl://a:1/bootstrap: connection refused",
            )
        };
        let explained = || log.explain(&timed_out).contains("refused");
        refused();
        let unknown = of(RDKafkaErrorCode::UnknownTopic);
        assert_eq!(log.explain(&unknown), unknown.to_string());
        assert!(!explained(), "the broker has answered meanwhile");
        refused();
        let stats = |a: &str, b: &str| {
            let brokers = [("a:1", a), ("b:1", b)].map(|(name, state)| {
                format!("\"{name}/1\": {{\"nodename\": \"{name}\", \"state\": \"{state}\"}}")
            });
            log.stats_raw(format!("{{\"brokers\": {{{}}}}}", brokers.join(",")).as_bytes());
        };
        log.stats_raw(b"{");
        stats("DOWN", "UP");
        assert!(explained(), "the one that refused is still down");
        stats("UP", "DOWN");
        assert!(!explained());
        log.error(
            KafkaError::Global(RDKafkaErrorCode::AllBrokersDown),
            "2/2 brokers are down",
        );
        stats("DOWN", "UP");
        assert_eq!(log.explain(&timed_out), timed_out.to_string());
    }
}
