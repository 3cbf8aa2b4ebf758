//! What librdkafka says, brought into the log without its repetitions.
//!
//! A broker that is down makes librdkafka speak several times a second, for as long as it is down.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::UnixMillis;
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use serde::Deserialize;

use super::WallClock;

/// One subject is written this often at most.
const QUIET: Duration = Duration::from_secs(600);

/// Takes librdkafka's messages for one channel. Copies share what was told.
#[derive(Clone)]
pub(super) struct BrokerLog(Arc<Inner>);

struct Inner {
    channel: String,
    clock: WallClock,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    /// By subject, librdkafka's "facility": when it was last written, and how many since.
    subjects: BTreeMap<String, (UnixMillis, u64)>,
    /// The last error since something was delivered.
    last_error: Option<String>,
}

impl BrokerLog {
    pub(super) fn new(channel: String, clock: WallClock) -> Self {
        Self(Arc::new(Inner {
            channel,
            clock,
            told: Mutex::default(),
        }))
    }

    /// `error`, with the broker's last one where no broker answered: "timed out" alone explains
    /// nothing. An error that comes from a broker needs no other, and shows that one is reached.
    pub(super) fn explain(&self, error: &KafkaError) -> String {
        let mut told = self.0.told.lock();
        match error.rdkafka_error_code() {
            Some(code) if is_silence(code) => match &told.last_error {
                Some(last) => format!("{error}; last error of a broker: {last}"),
                None => error.to_string(),
            },
            Some(_) => {
                told.last_error = None;
                error.to_string()
            }
            None => error.to_string(),
        }
    }

    /// Forgets the last error and the silence: the next outage is news again.
    pub(super) fn delivered(&self) {
        *self.0.told.lock() = Told::default();
    }

    /// How many messages on `subject` were left out since the last one written; `None` where this
    /// one is left out too.
    fn admit(&self, subject: &str) -> Option<u64> {
        let now = (self.0.clock)();
        let mut told = self.0.told.lock();
        match told.subjects.get_mut(subject) {
            Some((last, left_out)) if now.since(*last) < QUIET => {
                *left_out += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                told.subjects.insert(subject.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

/// Whether an error means that nobody answered.
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

/// What is read of librdkafka's statistics.
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
        } else if let Some(left_out) = self.admit(subject) {
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
        let named = |error: &str, broker: &Broker| {
            !broker.nodename.is_empty() && error.contains(&broker.nodename)
        };
        let mut told = self.0.told.lock();
        let Some(error) = &told.last_error else {
            return;
        };
        let of_any = brokers.values().any(|broker| named(error, broker));
        let is_up = |broker: &Broker| broker.state == "UP" && (named(error, broker) || !of_any);
        if brokers.values().any(is_up) {
            told.last_error = None;
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut told = self.0.told.lock();
        let is_summary = error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown);
        if told.last_error.is_none() || !is_summary {
            told.last_error = Some(reason.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;

    #[test]
    fn a_subject_is_told_once_in_a_while() {
        let now = Arc::new(AtomicI64::new(0));
        let read = now.clone();
        let log = BrokerLog::new(
            "k".into(),
            Arc::new(move || UnixMillis(read.load(Ordering::Relaxed))),
        );
        assert_eq!(log.admit("FAIL"), Some(0));
        assert_eq!(log.admit("FAIL"), None);
        assert_eq!(log.admit("FAIL"), None);
        assert_eq!(log.admit("OTHER"), Some(0));
        now.store(600_000, Ordering::Relaxed);
        assert_eq!(log.admit("FAIL"), Some(2));
        assert_eq!(log.admit("FAIL"), None);
        log.delivered();
        assert_eq!(log.admit("FAIL"), Some(0));
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
