//! Errors of brokers.

use std::fmt;
use std::io;

use thiserror::Error;

/// A question that a broker did not answer.
#[derive(Debug, Error)]
pub(super) enum BrokerError {
    /// No connection, or one that ended.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The broker's certificate or our own is not accepted.
    #[error("TLS: {0}")]
    Tls(io::Error),
    /// A file of the settings, or another setting, cannot be used.
    #[error("{0}")]
    Settings(String),
    /// The answer is larger than the limit; often it is none of Kafka.
    #[error(
        "the answer is larger than {limit} bytes: {size}; hint: limits.bytes, or security.protocol if the broker wants TLS"
    )]
    TooLarge {
        /// Its size in bytes.
        size: u32,
        /// The limit.
        limit: u64,
    },
    /// The answer is an error, or none of the protocol.
    #[error("{request}: {error}")]
    Answer {
        /// Name of the request.
        request: &'static str,
        /// Reason.
        error: AnswerError,
    },
    /// The broker does not know the version of a request.
    #[error(
        "{request} in version {version} is not known to this broker; hint: Kafka 1.0 or newer is needed"
    )]
    Version {
        /// Name of the request.
        request: &'static str,
        /// Version of it that is sent.
        version: i16,
    },
    /// The broker does not offer the mechanism.
    #[error("the broker does not offer {mechanism}, but {offered}; hint: security.mechanism")]
    Mechanism {
        /// Configured mechanism.
        mechanism: &'static str,
        /// Mechanisms of the broker.
        offered: String,
    },
    /// User and password were not accepted, or the broker does not know the password.
    #[error("not authenticated: {0}")]
    Authentication(String),
    /// The groups of the broker have more committed offsets than are kept.
    #[error("more than {0} committed offsets; hint: groups.exclude, or a higher limits.series")]
    TooManyOffsets(usize),
}

impl BrokerError {
    /// Returns whether the broker answered with an error code, after which the connection goes on.
    pub(super) fn is_code(&self) -> bool {
        matches!(
            self,
            Self::Answer {
                error: AnswerError::Code(_),
                ..
            }
        )
    }
}

/// An answer that is an error, or not of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum AnswerError {
    /// It is not of the protocol.
    Malformed,
    /// An error code (<https://kafka.apache.org/protocol#protocol_error_codes>).
    Code(i16),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Malformed => "malformed answer",
            Self::Code(14) => "the coordinator of the group is loading",
            Self::Code(15) => "the coordinator of the group is not available",
            Self::Code(16) => "another broker coordinates the group now",
            Self::Code(29) => "not authorized to describe the topic",
            Self::Code(30) => "not authorized to describe the group",
            Self::Code(31) => "not authorized to describe the cluster",
            Self::Code(code) => {
                return write!(
                    out,
                    "error {code} of https://kafka.apache.org/protocol#protocol_error_codes"
                );
            }
        };
        out.write_str(text)
    }
}
