//! Producer of a Kafka channel.
//!
//! Delivered means that the broker's delivery report said so: `acks=all`, idempotent, key = the
//! alert's fingerprint, so the changes of one alert stay in order in one partition. At least once:
//! an attempt whose report did not come in time is made again with the same `id`.

mod broker_log;
mod cloud_event;

use std::path::Path;
use std::time::Duration;

use bellwether_core::Notification;
use bellwether_kafka::{KafkaProtocol, KafkaSecurity};
use bellwether_schema::Secret;
use broker_log::BrokerLog;
use cloud_event::CloudEvent;
use parking_lot::Mutex;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::OwnedHeaders;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};

use super::super::{
    Attempt, Batch, Bulletin, Channel, Context, DeliveryError, Sender, SettingsError,
};
use super::{KafkaChannel, KafkaFormat};
use crate::wire::{BulletinMessage, Message, to_json};

/// Interval of librdkafka's statistics.
const STATISTICS: Duration = Duration::from_secs(3);

/// Creates the channel. Blocks, as it may read files.
///
/// # Errors
/// The file of the password cannot be read, or librdkafka rejects the settings.
pub(super) fn build(
    settings: &KafkaChannel,
    context: Context,
) -> Result<Box<dyn Channel>, SettingsError> {
    let password = settings.security.read_password()?;
    let config = client_config(settings, password.as_ref());
    let log = BrokerLog::new(context.name, context.clock);
    let producer = start_producer(&config, &log)?;
    Ok(Box::new(Kafka {
        config,
        topic: settings.topic.value.clone(),
        format: settings.format,
        source: settings.source.as_ref().map(|source| source.value.clone()),
        sender: context.sender,
        log,
        producer: Mutex::new(Some(producer)),
    }))
}

fn client_config(settings: &KafkaChannel, password: Option<&Secret>) -> ClientConfig {
    let mut config = ClientConfig::new();
    for (option, value) in &settings.options {
        config.set(option, &value.value);
    }
    config
        .set("bootstrap.servers", &settings.brokers.value)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set(
            "message.timeout.ms",
            settings.timeout.as_millis().to_string(),
        )
        // Says which brokers are up, so that an error that is over is not shown.
        .set("statistics.interval.ms", STATISTICS.as_millis().to_string())
        .set_log_level(RDKafkaLogLevel::Warning);
    set_security(&mut config, &settings.security, password);
    config
}

fn set_security(config: &mut ClientConfig, security: &KafkaSecurity, password: Option<&Secret>) {
    if security.protocol != KafkaProtocol::Plaintext {
        config.set("security.protocol", security.protocol.as_str());
    }
    if security.authenticates() {
        config.set("sasl.mechanism", security.mechanism.as_str());
    }
    // An OpenSSL that is built along knows no folder of this system.
    let probe = security.encrypts().then(|| "probe".to_owned());
    for (option, value) in [
        ("sasl.username", security.user.clone()),
        ("sasl.password", secret(password)),
        (
            "ssl.ca.location",
            path(security.ca_file.as_deref()).or(probe),
        ),
        (
            "ssl.certificate.location",
            path(security.cert_file.as_deref()),
        ),
        ("ssl.key.location", path(security.key_file.as_deref())),
        ("ssl.key.password", secret(security.key_password.as_ref())),
    ] {
        if let Some(value) = value {
            config.set(option, value);
        }
    }
}

/// Returns the reason why librdkafka rejects a value of `option`.
pub(super) fn option_error(option: &str, value: &str) -> Option<String> {
    let mut config = ClientConfig::new();
    match config.set(option, value).create_native_config().err()? {
        KafkaError::ClientConfig(_, reason, ..) => Some(reason),
        other => Some(other.to_string()),
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
fn start_producer(config: &ClientConfig, log: &BrokerLog) -> Result<Publisher, SettingsError> {
    let started = config.create_with_context(log.clone());
    started.map_err(|error| {
        SettingsError::Kafka(match error {
            // The value may be a secret.
            KafkaError::ClientConfig(_, reason, option, _) => format!("{option}: {reason}"),
            other => other.to_string(),
        })
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
            let Some(error) = failed else {
                self.log.delivered();
                return Ok(());
            };
            Err(DeliveryError {
                delivered,
                ..DeliveryError::new(is_retryable(&error), self.log.explain(&error))
            })
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a Bulletin) -> Attempt<'a> {
        Box::pin(async move {
            let producer = self.producer().await?;
            let (value, headers) = self.encode_bulletin(bulletin)?;
            let report = self.produce(&producer, &bulletin.topic, &value, headers);
            match delivery_result(report).await {
                Ok(()) => {
                    self.log.delivered();
                    Ok(())
                }
                Err(error) => Err(DeliveryError::new(
                    is_retryable(&error),
                    self.log.explain(&error),
                )),
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
        self.produce(producer, &key, &value, headers)
    }

    fn produce(
        &self,
        producer: &Publisher,
        key: &str,
        value: &str,
        headers: Option<OwnedHeaders>,
    ) -> Result<DeliveryFuture, KafkaError> {
        let mut record = FutureRecord::to(&self.topic).key(key).payload(value);
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

    /// Returns value and headers of a message with a bulletin.
    fn encode_bulletin(
        &self,
        bulletin: &Bulletin,
    ) -> Result<(String, Option<OwnedHeaders>), DeliveryError> {
        let message = BulletinMessage::new(bulletin, &self.sender);
        let event = || CloudEvent::of_bulletin(bulletin, &self.sender, self.source.as_deref());
        Ok(match self.format {
            KafkaFormat::Json => (to_json(&message)?, None),
            KafkaFormat::Binary => (to_json(&message)?, Some(event().headers())),
            KafkaFormat::Structured => (event().json(&message), Some(CloudEvent::content_type())),
        })
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
            Ok(Err(error)) => return Err(DeliveryError::transient(error.to_string())),
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

fn path(file: Option<&Path>) -> Option<String> {
    Some(file?.to_string_lossy().into_owned())
}

fn secret(secret: Option<&Secret>) -> Option<String> {
    Some(secret?.expose().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::decoded;

    #[test]
    fn options_do_not_touch_the_promise() {
        let config = client_config(&decoded("{brokers: 'a:1', topic: t, timeout: 7s}"), None);
        assert_eq!(config.get("acks"), Some("all"));
        assert_eq!(config.get("enable.idempotence"), Some("true"));
        assert_eq!(config.get("message.timeout.ms"), Some("7000"));
        assert!(config.create_native_config().is_ok());
    }
}
