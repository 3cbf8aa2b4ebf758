//! Error of this crate.

use std::path::{Path, PathBuf};

use bellwether_schema::Size;
use thiserror::Error;

use super::response::error_chain;

/// Invalid settings of HTTP, files that cannot be read, or a response that is not whole. No message
/// holds a secret.
#[derive(Debug, Error)]
pub enum HttpError {
    /// The text is not a URL.
    #[error("not a URL: {0}")]
    InvalidUrl(String),
    /// The scheme of the URL is neither `http` nor `https`.
    #[error("not an HTTP URL: its scheme is {0:?}")]
    Scheme(String),
    /// Name or value of a header is invalid.
    #[error("invalid header {0:?}")]
    InvalidHeader(String),
    /// A file with a secret cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    SecretFile {
        /// Path of the file.
        path: PathBuf,
        /// Error of the file system.
        error: std::io::Error,
    },
    /// The task that read a file with a secret was aborted.
    #[error("reading a file with a secret was aborted")]
    Aborted,
    /// The file of certificate authorities cannot be used.
    #[error("ca_file {}: {reason}", path.display())]
    CaFile {
        /// Path of the file.
        path: PathBuf,
        /// Reason.
        reason: String,
    },
    /// A text in PEM has no certificate, or an invalid one.
    #[error("{0}")]
    Certificate(String),
    /// The HTTP client rejects the settings.
    #[error("{}", error_chain(.0))]
    Client(reqwest::Error),
    /// The body of a response was cut off.
    #[error("{}", error_chain(.0))]
    CutOff(reqwest::Error),
    /// The body of a response is larger than it may be.
    #[error("larger than {0}")]
    TooLarge(Size),
    /// TLS rejects the certificates or the protocol versions.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
    /// The certificate authorities of a file cannot be used.
    #[error(transparent)]
    Verifier(#[from] rustls::client::VerifierBuilderError),
}

impl HttpError {
    pub(super) fn in_ca_file(path: &Path, reason: impl ToString) -> Self {
        Self::CaFile {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// For diagnostics, which are texts.
impl From<HttpError> for String {
    fn from(error: HttpError) -> Self {
        error.to_string()
    }
}
