//! Access to Kafka, as the channel and the collector of type `kafka` have it: the brokers, encryption and
//! authentication. It has no client: the channel needs librdkafka's producer, the collector a few requests.

#![warn(missing_docs)]

use std::fmt;
use std::path::PathBuf;

use bellwether_http::{HttpError, read_secret};
use bellwether_schema::{Constraint, Diagnostics, Secret, SourceLocation, Spanned};

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

bellwether_schema::section! {
    /// Encryption and authentication towards Kafka. For a channel, a build without the features `kafka-ssl` and
    /// `kafka-ssl-vendored`, such as that of `make run`, has neither TLS nor SCRAM.
    #[constraints = [
        Constraint::AtMostOne(&["password", "password_file"]),
        Constraint::Needs("cert_file", &["key_file"]),
        Constraint::Needs("key_file", &["cert_file"]),
    ]]
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

impl KafkaSecurity {
    /// Returns whether connections are encrypted.
    #[must_use]
    pub fn encrypts(&self) -> bool {
        matches!(self.protocol, KafkaProtocol::Ssl | KafkaProtocol::SaslSsl)
    }

    /// Returns whether connections are authenticated by SASL.
    #[must_use]
    pub fn authenticates(&self) -> bool {
        matches!(
            self.protocol,
            KafkaProtocol::SaslPlaintext | KafkaProtocol::SaslSsl
        )
    }

    /// Returns whether librdkafka needs OpenSSL for it.
    #[must_use]
    pub fn needs_openssl(&self) -> bool {
        self.encrypts() || (self.authenticates() && self.mechanism != SaslMechanism::Plain)
    }

    /// Returns the password, also from its file. Blocks.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn read_password(&self) -> Result<Option<Secret>, HttpError> {
        match (&self.password, &self.password_file) {
            (Some(password), _) => Ok(Some(password.clone())),
            (None, Some(path)) => read_secret(path).map(Some),
            (None, None) => Ok(None),
        }
    }

    /// Validates the settings without files and network.
    pub fn check(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        self.check_login(at, problems);
        if self.password.is_some() && self.password_file.is_some() {
            problems
                .error(at, "both `password` and `password_file`")
                .hint("keep one");
        }
        if self.cert_file.is_some() != self.key_file.is_some() {
            problems.error(at, "`cert_file` and `key_file` go together");
        }
    }

    fn check_login(&self, at: &SourceLocation, problems: &mut Diagnostics) {
        let protocol = self.protocol.as_str();
        let has_password = self.password.is_some() || self.password_file.is_some();
        if self.authenticates() && (self.user.is_none() || !has_password) {
            problems.error(
                at,
                format!("{protocol} needs `user`, and `password` or `password_file`"),
            );
        }
        if !self.authenticates() && (self.user.is_some() || has_password) {
            problems
                .error(at, format!("{protocol} sends no user and no password"))
                .hint("set `protocol` to sasl_plaintext or sasl_ssl");
        }
    }
}

/// Address of a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerAddress {
    /// Name or IP address; one of version 6 without its brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for BrokerAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

/// Returns the addresses in `HOST:PORT,HOST:PORT`, and reports invalid ones.
pub fn check_brokers(brokers: &Spanned<String>, problems: &mut Diagnostics) -> Vec<BrokerAddress> {
    let addresses = brokers.split(',').map(str::trim).filter_map(|broker| {
        let address = parse_broker(broker);
        if address.is_none() {
            problems
                .error(&brokers.at, format!("not a broker address: {broker:?}"))
                .hint("host:port, several separated by commas");
        }
        address
    });
    addresses.collect()
}

fn parse_broker(broker: &str) -> Option<BrokerAddress> {
    let (host, port) = broker.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = port.parse().ok()?;
    (!host.is_empty()).then(|| BrokerAddress {
        host: host.to_owned(),
        port,
    })
}

#[cfg(test)]
mod tests {
    use bellwether_schema::Section;

    use super::*;

    fn checked(security: &KafkaSecurity) -> Vec<String> {
        let mut problems = Diagnostics::default();
        security.check(&SourceLocation::default(), &mut problems);
        let problems = problems.into_sorted();
        problems.iter().map(ToString::to_string).collect()
    }

    fn defaults() -> KafkaSecurity {
        KafkaSecurity::from_defaults().unwrap()
    }

    #[test]
    fn a_password_needs_a_protocol_that_sends_it() {
        let login = KafkaSecurity {
            user: Some("u".to_owned()),
            password: Some(Secret::new("p")),
            ..defaults()
        };
        let problems = checked(&login);
        assert!(
            problems.len() == 1 && problems[0].contains("plaintext sends no user"),
            "{problems:?}"
        );
        let login = KafkaSecurity {
            protocol: KafkaProtocol::SaslPlaintext,
            ..login
        };
        assert_eq!(checked(&login), [""; 0]);
        let incomplete = KafkaSecurity {
            password: None,
            ..login
        };
        let problems = checked(&incomplete);
        assert!(
            problems.len() == 1 && problems[0].contains("needs `user`, and `password`"),
            "{problems:?}"
        );
    }

    #[test]
    fn encryption_and_scram_need_openssl() {
        let scram = SaslMechanism::ScramSha256;
        for (protocol, mechanism, expected) in [
            (KafkaProtocol::Ssl, SaslMechanism::Plain, true),
            (KafkaProtocol::SaslSsl, SaslMechanism::Plain, true),
            (KafkaProtocol::SaslPlaintext, scram, true),
            (KafkaProtocol::SaslPlaintext, SaslMechanism::Plain, false),
            (KafkaProtocol::Plaintext, scram, false),
        ] {
            let security = KafkaSecurity {
                protocol,
                mechanism,
                ..defaults()
            };
            assert_eq!(security.needs_openssl(), expected, "{security:?}");
        }
    }

    #[test]
    fn addresses_have_a_host_and_a_port() {
        let mut problems = Diagnostics::default();
        let brokers = "a:9092, [::1]:9093,b,:1,c:x".to_owned();
        let addresses = check_brokers(&Spanned::nowhere(brokers), &mut problems);
        let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["a:9092", "[::1]:9093"]);
        assert_eq!(addresses[1].host, "::1");
        assert_eq!(problems.len(), 3);
    }
}
