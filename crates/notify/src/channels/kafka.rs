//! Channel that publishes to a Kafka topic.
//!
//! Delivered means that the broker's delivery report said so: `acks=all`, idempotent, key = the
//! alert's fingerprint, so the changes of one alert stay in order in one partition. At least once:
//! an attempt whose report did not come in time is made again with the same `id`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bellwether_core::Notification;
use bellwether_http::read_secret;
use bellwether_schema::{Diagnostics, HumanDuration, Secret, SourceLocation, Spanned};
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};

use super::broker_log::BrokerLog;
use super::cloud_event::CloudEvent;
use super::{Attempt, Batch, Channel, Context, DeliveryError, Sender};
use crate::wire::Message;

bellwether_schema::string_enum! {
    /// Security protocols of brokers.
    pub enum KafkaProtocol {
        /// Neither encrypted nor authenticated.
        Plaintext = "plaintext" | "PLAINTEXT",
        /// Encrypted.
        Ssl = "ssl" | "SSL",
        /// Authenticated, not encrypted.
        SaslPlaintext = "sasl_plaintext" | "SASL_PLAINTEXT",
        /// Encrypted and authenticated.
        SaslSsl = "sasl_ssl" | "SASL_SSL",
    }
}

bellwether_schema::string_enum! {
    /// Authentication mechanisms.
    pub enum SaslMechanism {
        /// Name and password, not hashed.
        Plain = "PLAIN" | "plain",
        /// SCRAM with SHA-256.
        ScramSha256 = "SCRAM-SHA-256" | "scram-sha-256",
        /// SCRAM with SHA-512.
        ScramSha512 = "SCRAM-SHA-512" | "scram-sha-512",
    }
}

bellwether_schema::string_enum! {
    /// Formats of a message in Kafka.
    pub enum KafkaFormat {
        /// Bellwether's own JSON.
        Json = "json",
        /// A CloudEvent in binary mode: the same JSON, with the attributes as `ce_` headers.
        Binary = "cloudevents_binary",
        /// A CloudEvent in structured mode: JSON with the attributes, and the same JSON as `data`.
        Structured = "cloudevents_structured",
    }
}

bellwether_schema::section! {
    /// Channel of type `kafka`: publishes one JSON message per notification, keyed by the alert's
    /// fingerprint.
    pub struct KafkaChannel {
        /// Brokers to start from: `host:port`, several separated by commas.
        pub brokers: Spanned<String>,
        /// Topic.
        pub topic: Spanned<String>,
        /// Format of a message.
        pub format: KafkaFormat = KafkaFormat::Json,
        /// Source of CloudEvents, a URI reference. By default the external URL of Bellwether;
        /// without that, `/bellwether` and the name of this instance.
        pub source: Option<Spanned<String>>,
        /// Time that an attempt waits for the delivery reports before it counts as failed.
        pub timeout: HumanDuration = HumanDuration::secs(30),
        /// Encryption and authentication.
        pub security: KafkaSecurity,
        /// Further options of librdkafka by their own names: `linger.ms`, `compression.type`.
        pub options: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
    }
}

bellwether_schema::section! {
    /// Encryption and authentication towards Kafka. A build without the features `kafka-ssl` and
    /// `kafka-ssl-vendored`, of which the second is a default, has neither TLS nor SCRAM.
    pub struct KafkaSecurity {
        /// Protocol of the brokers.
        pub protocol: KafkaProtocol = KafkaProtocol::Plaintext,
        /// Authentication mechanism of a `sasl_` protocol.
        pub mechanism: SaslMechanism = SaslMechanism::Plain,
        /// User name.
        pub user: Option<String>,
        /// Password.
        pub password: Option<Secret>,
        /// File that holds the password.
        pub password_file: Option<PathBuf>,
        /// PEM file with the authorities that brokers' certificates are checked against. Without
        /// it, those of the system.
        pub ca_file: Option<PathBuf>,
        /// PEM file with the client's certificate.
        pub cert_file: Option<PathBuf>,
        /// PEM file with its key.
        pub key_file: Option<PathBuf>,
        /// Password of the key file.
        pub key_password: Option<Secret>,
    }
}

/// True if this build supports encryption.
const HAS_TLS: bool = cfg!(any(feature = "kafka-ssl", feature = "kafka-ssl-vendored"));

/// Options of librdkafka that are settings of the channel, with their keys.
const OWNED: [(&str, &str); 12] = [
    ("bootstrap.servers", "brokers"),
    ("metadata.broker.list", "brokers"),
    ("message.timeout.ms", "timeout"),
    ("delivery.timeout.ms", "timeout"),
    ("security.protocol", "security.protocol"),
    ("sasl.mechanism", "security.mechanism"),
    ("sasl.mechanisms", "security.mechanism"),
    ("sasl.username", "security.user"),
    ("sasl.password", "security.password"),
    ("ssl.ca.location", "security.ca_file"),
    ("ssl.certificate.location", "security.cert_file"),
    ("ssl.key.location", "security.key_file"),
];

/// Options that the delivery guarantee depends on.
const FIXED: [&str; 3] = ["acks", "request.required.acks", "enable.idempotence"];
/// Interval of librdkafka's statistics.
const STATISTICS: Duration = Duration::from_secs(3);

impl KafkaSecurity {
    fn encrypts(&self) -> bool {
        matches!(self.protocol, KafkaProtocol::Ssl | KafkaProtocol::SaslSsl)
    }

    fn authenticates(&self) -> bool {
        matches!(
            self.protocol,
            KafkaProtocol::SaslPlaintext | KafkaProtocol::SaslSsl
        )
    }

    fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let scram = self.authenticates() && self.mechanism != SaslMechanism::Plain;
        let needed = if self.encrypts() {
            self.protocol.as_str()
        } else {
            self.mechanism.as_str()
        };
        if (self.encrypts() || scram) && !HAS_TLS {
            problems
                .error(
                    at,
                    format!("this build has no TLS for Kafka, which {needed} needs"),
                )
                .hint("build with `--features kafka-ssl` or `--features kafka-ssl-vendored`");
        }
        let has_password = self.password.is_some() || self.password_file.is_some();
        if self.authenticates() && (self.user.is_none() || !has_password) {
            let protocol = self.protocol.as_str();
            problems.error(
                at,
                format!("{protocol} needs `user`, and `password` or `password_file`"),
            );
        }
        if !self.authenticates() && (self.user.is_some() || has_password) {
            let protocol = self.protocol.as_str();
            problems
                .error(at, format!("{protocol} sends no user and no password"))
                .hint("set `protocol` to sasl_plaintext or sasl_ssl");
        }
        if self.password.is_some() && self.password_file.is_some() {
            problems
                .error(at, "both `password` and `password_file`")
                .hint("keep one");
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            problems.error(at, "`cert_file` and `key_file` go together");
        }
    }
}

impl KafkaChannel {
    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        for broker in self.brokers.split(',').map(str::trim) {
            let port = broker
                .rsplit_once(':')
                .and_then(|(_, port)| port.parse::<u16>().ok());
            if port.is_none() {
                problems
                    .error(
                        &self.brokers.at,
                        format!("not a broker address: {broker:?}"),
                    )
                    .hint("host:port, several separated by commas");
            }
        }
        let topic_byte = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        if !(1..=249).contains(&self.topic.len()) || !self.topic.bytes().all(topic_byte) {
            problems.error(
                &self.topic.at,
                format!("not a topic name: {:?}", self.topic.value),
            );
        }
        if let Some(source) = &self.source {
            let no_uri = |c: char| c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c);
            if source.is_empty() || source.contains(no_uri) {
                problems.error(
                    &source.at,
                    format!("not a URI reference: {:?}", source.value),
                );
            } else if self.format == KafkaFormat::Json {
                problems
                    .error(&source.at, "only CloudEvents have a source")
                    .hint("set `format` to cloudevents_binary or cloudevents_structured");
            }
        }
        if *self.timeout < Duration::from_secs(1) {
            problems.error(&at.key("timeout"), "must be at least 1s");
        }
        self.security.check(&at.key("security"), problems);
        for (option, value) in &self.options {
            check_option(option, value, problems);
        }
    }

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, String> {
        let password = match (&self.security.password, &self.security.password_file) {
            (Some(password), _) => Some(password.clone()),
            (None, Some(path)) => Some(read_secret(path)?),
            (None, None) => None,
        };
        let config = self.client_config(password.as_ref());
        let log = BrokerLog::new(context.name, context.clock);
        let producer = start_producer(&config, &log)?;
        Ok(Box::new(Kafka {
            config,
            topic: self.topic.value.clone(),
            format: self.format,
            source: self.source.as_ref().map(|source| source.value.clone()),
            sender: context.sender,
            log,
            producer: Mutex::new(Some(producer)),
        }))
    }

    fn client_config(&self, password: Option<&Secret>) -> ClientConfig {
        let security = &self.security;
        let mut config = ClientConfig::new();
        for (option, value) in &self.options {
            config.set(option, &value.value);
        }
        config
            .set("bootstrap.servers", &self.brokers.value)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", self.timeout.as_millis().to_string())
            // Says which brokers are up, so that an error that is over is not shown.
            .set("statistics.interval.ms", STATISTICS.as_millis().to_string())
            .set_log_level(RDKafkaLogLevel::Warning);
        if security.protocol != KafkaProtocol::Plaintext {
            config.set("security.protocol", security.protocol.as_str());
        }
        if security.authenticates() {
            config.set("sasl.mechanism", security.mechanism.as_str());
        }
        let secrets = [
            ("sasl.username", security.user.as_deref()),
            ("sasl.password", password.map(Secret::expose)),
            (
                "ssl.key.password",
                security.key_password.as_ref().map(Secret::expose),
            ),
        ];
        for (option, value) in secrets {
            if let Some(value) = value {
                config.set(option, value);
            }
        }
        let files = [
            ("ssl.ca.location", &security.ca_file),
            ("ssl.certificate.location", &security.cert_file),
            ("ssl.key.location", &security.key_file),
        ];
        for (option, path) in files {
            if let Some(path) = path {
                config.set(option, path.to_string_lossy());
            }
        }
        if security.encrypts() && security.ca_file.is_none() {
            // An OpenSSL that is built along knows no folder of this system.
            config.set("ssl.ca.location", "probe");
        }
        config
    }
}

fn check_option(option: &str, value: &Spanned<String>, problems: &mut Diagnostics) {
    let at = &value.at;
    if let Some((_, key)) = OWNED.iter().find(|(owned, _)| *owned == option) {
        problems
            .error(at, format!("{option} has a setting of its own"))
            .hint(format!("set `{key}`"));
    } else if FIXED.contains(&option) {
        problems
            .error(at, format!("{option} cannot be changed"))
            .hint("the channel needs acks=all and an idempotent producer");
    } else if ["password", "secret", ".pem"]
        .iter()
        .any(|word| option.contains(word))
    {
        // Options are printed with the configuration.
        problems
            .error(at, format!("{option} is not accepted here"))
            .hint("set secrets in `security`");
    } else if let Err(error) = ClientConfig::new()
        .set(option, &value.value)
        .create_native_config()
    {
        let reason = match error {
            KafkaError::ClientConfig(_, reason, ..) => reason,
            other => other.to_string(),
        };
        problems.error(
            at,
            format!("librdkafka rejects {option}={}: {reason}", value.value),
        );
    }
}

type Publisher = FutureProducer<BrokerLog>;

struct Kafka {
    config: ClientConfig,
    topic: String,
    format: KafkaFormat,
    source: Option<String>,
    sender: Sender,
    log: BrokerLog,
    /// `None` only while it is being replaced, and after a replacement that failed.
    producer: Mutex<Option<Publisher>>,
}

/// Starts a producer. It connects in the background, so this does not wait for any broker.
fn start_producer(config: &ClientConfig, log: &BrokerLog) -> Result<Publisher, String> {
    config
        .create_with_context(log.clone())
        .map_err(|error| match error {
            // The value may be a secret.
            KafkaError::ClientConfig(_, reason, option, _) => format!("{option}: {reason}"),
            other => other.to_string(),
        })
}

impl Channel for Kafka {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let producer = self.producer().await?;
            let mut failed = None;
            let notifications = &batch.notifications;
            let reports: Vec<_> = notifications
                .iter()
                .map(|notification| self.send(&producer, notification))
                .collect();
            let mut delivered = Vec::with_capacity(notifications.len());
            for (index, report) in reports.into_iter().enumerate() {
                match delivery_result(report).await {
                    Ok(()) => delivered.push(index),
                    Err(error) => keep_worst(&mut failed, error),
                }
            }
            match failed {
                None => {
                    self.log.delivered();
                    Ok(())
                }
                Some(error) => {
                    let message = self.log.explain(&error);
                    let retryable = is_retryable(&error);
                    Err(DeliveryError {
                        retryable,
                        retry_after: None,
                        message,
                        delivered,
                    })
                }
            }
        })
    }

    fn max_batch(&self) -> usize {
        500
    }
}

impl Kafka {
    fn send(
        &self,
        producer: &Publisher,
        notification: &Notification,
    ) -> Result<DeliveryFuture, KafkaError> {
        let key = notification.alert.fingerprint.to_string();
        let (value, headers) = self.encode(notification);
        let mut record = FutureRecord::to(&self.topic).key(&key).payload(&value);
        record.headers = headers;
        producer.send_result(record).map_err(|(error, _)| error)
    }

    /// Returns value and headers of a message.
    fn encode(&self, notification: &Notification) -> (String, Option<OwnedHeaders>) {
        let message = Message::new(notification, &self.sender);
        let event = || CloudEvent::new(notification, &self.sender, self.source.as_deref());
        match self.format {
            KafkaFormat::Json => (message.json(), None),
            KafkaFormat::Binary => (message.json(), Some(event().headers())),
            KafkaFormat::Structured => (event().json(&message), Some(CloudEvent::content_type())),
        }
    }

    /// Returns the producer. One with a fatal error of the idempotent protocol is replaced.
    async fn producer(&self) -> Result<Publisher, DeliveryError> {
        let current = self.producer.lock().clone();
        match current {
            Some(producer) if producer.client().fatal_error().is_none() => return Ok(producer),
            Some(dead) => {
                *self.producer.lock() = None;
                retire(dead);
            }
            None => {}
        }
        let (config, log) = (self.config.clone(), self.log.clone());
        // Starting one reads the certificates.
        let started = tokio::task::spawn_blocking(move || start_producer(&config, &log)).await;
        let producer = match started {
            Ok(Ok(producer)) => producer,
            Ok(Err(message)) => return Err(DeliveryError::transient(message)),
            Err(_) => {
                return Err(DeliveryError::transient(
                    "the producer could not be started",
                ));
            }
        };
        *self.producer.lock() = Some(producer.clone());
        Ok(producer)
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if let Some(producer) = self.producer.lock().take() {
            retire(producer);
        }
    }
}

/// Drops a producer on a blocking thread, as that waits for the producer's threads.
fn retire(producer: Publisher) {
    let ended = std::thread::Builder::new()
        .name("kafka-end".into())
        .spawn(move || drop(producer));
    if let Err(error) = ended {
        tracing::debug!("the end of a Kafka producer had no thread of its own: {error}");
    }
}

/// Waits for the delivery report.
async fn delivery_result(report: Result<DeliveryFuture, KafkaError>) -> Result<(), KafkaError> {
    match report?.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error),
        Err(_) => Err(KafkaError::Canceled),
    }
}

/// Keeps a retryable error of a batch over others: these show again once it is gone.
fn keep_worst(failed: &mut Option<KafkaError>, error: KafkaError) {
    let replace = failed
        .as_ref()
        .is_none_or(|worst| !is_retryable(worst) && is_retryable(&error));
    if replace {
        *failed = Some(error);
    }
}

/// Only an error in the message itself is permanent; permissions and topics can be fixed.
fn is_retryable(error: &KafkaError) -> bool {
    !matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidRecord
                | RDKafkaErrorCode::InvalidMessageSize
        )
    )
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Decode, DecodeContext};

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let mut problems = Diagnostics::default();
        let node = bellwether_schema::parse(text).unwrap();
        let channel =
            KafkaChannel::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
        channel.check(&SourceLocation::default(), &mut problems);
        problems
            .into_sorted()
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_plain_channel_is_fine() {
        assert_eq!(
            problems("{brokers: 'a:9092,b:9092', topic: alerts, options: {linger.ms: 5}}"),
            [""; 0]
        );
    }

    #[test]
    fn addresses_topics_and_options_are_checked_without_a_broker() {
        let messages = problems(
            "brokers: a\ntopic: 'a b'\noptions:\n  linger.ms: x\n  lingr.ms: 5\n  acks: 1\n  \
             sasl.password: x\n  ssl.keystore.password: x\n",
        );
        let expected = [
            "not a broker address: \"a\"",
            "not a topic name: \"a b\"",
            "librdkafka rejects linger.ms=x: Invalid value",
            "librdkafka rejects lingr.ms=5: No such configuration property",
            "acks cannot be changed",
            "sasl.password has a setting of its own\n  hint: set `security.password`",
            "ssl.keystore.password is not accepted here",
        ];
        assert_eq!(messages.len(), expected.len(), "{messages:#?}");
        for (messages, expected) in messages.iter().zip(expected) {
            assert!(
                messages.contains(expected),
                "{messages} should hold {expected}"
            );
        }
    }

    #[test]
    fn a_password_needs_a_protocol_that_sends_it() {
        let messages = problems("{brokers: 'a:1', topic: t, security: {user: u, password: p}}");
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert!(
            messages[0].contains("plaintext sends no user"),
            "{messages:?}"
        );
        let messages =
            problems("{brokers: 'a:1', topic: t, security: {protocol: sasl_plaintext, user: u}}");
        assert!(
            messages[0].contains("needs `user`, and `password`"),
            "{messages:?}"
        );
        let messages = problems(
            "{brokers: 'a:1', topic: t, \
             security: {protocol: sasl_plaintext, user: u, password: p}}",
        );
        assert_eq!(messages, [""; 0]);
    }

    #[test]
    fn tls_needs_a_build_that_has_it() {
        let needs_tls = |security: &str| {
            problems(&format!(
                "{{brokers: 'a:1', topic: t, security: {{{security}}}}}"
            ))
            .iter()
            .any(|problem| problem.contains("no TLS for Kafka"))
        };
        assert_eq!(needs_tls("protocol: ssl"), !HAS_TLS);
        let scram = "protocol: sasl_plaintext, mechanism: SCRAM-SHA-256, user: u, password: p";
        assert_eq!(needs_tls(scram), !HAS_TLS);
        assert!(!needs_tls("protocol: plaintext"));
    }

    #[test]
    fn options_do_not_touch_the_promise() {
        let node = bellwether_schema::parse("{brokers: 'a:1', topic: t, timeout: 7s}").unwrap();
        let mut problems = Diagnostics::default();
        let channel =
            KafkaChannel::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
        let config = channel.client_config(None);
        assert_eq!(config.get("acks"), Some("all"));
        assert_eq!(config.get("enable.idempotence"), Some("true"));
        assert_eq!(config.get("message.timeout.ms"), Some("7000"));
        assert!(config.create_native_config().is_ok());
    }
}
