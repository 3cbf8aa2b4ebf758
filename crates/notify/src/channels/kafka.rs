//! Channel that publishes to a Kafka topic: its settings and their checks.
//!
//! Every build knows the settings; only one with the feature `kafka` has the client, in [`producer`].

#[cfg(not(feature = "kafka"))]
mod absent;
#[cfg(feature = "kafka")]
mod producer;

use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(not(feature = "kafka"))]
use absent as producer;
use bellwether_kafka::{KafkaSecurity, check_brokers};
use bellwether_schema::{Diagnostics, HumanDuration, SourceLocation, Spanned};

use super::{Channel, Context, SettingsError};
use crate::error::MissingClient;

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
    /// fingerprint, and one per report or message of audit lines, keyed by its kind and name. A build
    /// without the feature `kafka`, which is a default, cannot have one.
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

/// Error of an enabled channel in a build without the client.
const MISSING_CLIENT: MissingClient = MissingClient {
    error: "this binary was built without Kafka",
    hint: "build with `--features kafka`, or remove the channel",
};

/// Error of an enabled channel that needs TLS or SCRAM, in a build whose client has neither.
const MISSING_TLS: MissingClient = MissingClient {
    error: "this binary was built without TLS and SCRAM to Kafka",
    hint: "`make build` has them, `make run` has not; cargo needs `--features kafka-ssl-vendored`",
};

/// True if the client of this build has TLS and SCRAM.
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

impl KafkaChannel {
    /// Returns an error if this build lacks the client, or its TLS if that is needed.
    pub(super) fn missing_client(&self) -> Option<MissingClient> {
        if !cfg!(feature = "kafka") {
            return Some(MISSING_CLIENT);
        }
        (self.security.needs_openssl() && !HAS_TLS).then_some(MISSING_TLS)
    }

    pub(super) fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        check_brokers(&self.brokers, problems);
        self.check_topic(problems);
        self.check_source(problems);
        if *self.timeout < Duration::from_secs(1) {
            problems.error(&at.key("timeout"), "must be at least 1s");
        }
        self.security.check(&at.key("security"), problems);
        for (option, value) in &self.options {
            check_option(option, value, problems);
        }
    }

    fn check_topic(&self, problems: &mut Diagnostics) {
        if !(1..=249).contains(&self.topic.len())
            || !self
                .topic
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            problems.error(
                &self.topic.at,
                format!("not a topic name: {:?}", self.topic.value),
            );
        }
    }

    fn check_source(&self, problems: &mut Diagnostics) {
        let Some(source) = &self.source else { return };
        if source.is_empty()
            || source.contains(|c: char| {
                c.is_whitespace() || c.is_control() || "<>\"{}|\\^`".contains(c)
            })
        {
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

    pub(super) fn build(&self, context: Context) -> Result<Box<dyn Channel>, SettingsError> {
        producer::build(self, context)
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
    } else if let Some(reason) = producer::option_error(option, value) {
        problems.error(
            at,
            format!("librdkafka rejects {option}={}: {reason}", value.value),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::checked;

    fn problems(text: &str) -> Vec<String> {
        checked(text, KafkaChannel::check).1
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
            "brokers: a\ntopic: 'a b'\noptions:\n  acks: 1\n  sasl.password: x\n  \
             ssl.keystore.password: x\n",
        );
        let expected = [
            "not a broker address: \"a\"",
            "not a topic name: \"a b\"",
            "acks cannot be changed",
            "sasl.password has a setting of its own\n  hint: set `security.password`",
            "ssl.keystore.password is not accepted here",
        ];
        assert_messages(&messages, &expected);
    }

    #[test]
    #[cfg(feature = "kafka")]
    fn options_are_checked_by_librdkafka() {
        let messages = problems("{brokers: 'a:1', topic: t, options: {linger.ms: x, lingr.ms: 5}}");
        let expected = [
            "librdkafka rejects linger.ms=x: Invalid value",
            "librdkafka rejects lingr.ms=5: No such configuration property",
        ];
        assert_messages(&messages, &expected);
    }

    fn assert_messages(messages: &[String], expected: &[&str]) {
        assert_eq!(messages.len(), expected.len(), "{messages:#?}");
        for (messages, expected) in messages.iter().zip(expected) {
            assert!(
                messages.contains(expected),
                "{messages} should hold {expected}"
            );
        }
    }
}
