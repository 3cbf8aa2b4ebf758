//! Errors of connections and statements, in few kinds.
//!
//! Pure: converts the client library's errors to a kind and one line of text without secrets.

use neo4rs::{Error, Neo4jClientErrorKind, Neo4jErrorKind, Neo4jSecurityErrorKind};

use crate::queries::line;

/// Kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No connection, or it broke.
    Connect,
    /// The server rejected the user or the password.
    Auth,
    /// No answer in time.
    Timeout,
    /// A file could not be read.
    Io,
    /// All connections are in use.
    Busy,
    /// The server rejected the statement, or its result does not fit.
    Query,
    /// The server does not support the statement: a procedure is missing or forbidden.
    Missing,
}

/// Error of a connection or a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Neo4jError {
    pub(super) kind: Kind,
    /// One line, without secrets.
    pub(super) text: String,
}

impl Neo4jError {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        Self {
            kind,
            text: text.into(),
        }
    }

    /// Returns the reason for [`bellwether_core::Failure`].
    pub(super) fn reason(&self) -> &'static str {
        match self.kind {
            Kind::Connect => "connect",
            Kind::Auth => "auth",
            Kind::Timeout | Kind::Busy => "timeout",
            Kind::Io => "io",
            Kind::Query | Kind::Missing => "query",
        }
    }

    /// Returns whether the server answered, so that the connection is still usable.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self.kind, Kind::Query | Kind::Missing)
    }
}

impl From<Error> for Neo4jError {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Neo4j(server) => {
                let kind = server_error_kind(server.kind(), server.code(), server.message());
                return Self::new(
                    kind,
                    format!("{}: {}", server.code(), line(server.message())),
                );
            }
            Error::AuthenticationError(message) if !is_retryable(message) => Kind::Auth,
            Error::ConnectionTimedOut => Kind::Timeout,
            Error::UnknownType(_) | Error::DeserializationError(_) | Error::ConversionError => {
                Kind::Query
            }
            _ => Kind::Connect,
        };
        let text = match &error {
            Error::IOError { detail } => line(&detail.to_string()),
            other => line(&other.to_string()),
        };
        Self::new(kind, text)
    }
}

fn server_error_kind(kind: Neo4jErrorKind, code: &str, message: &str) -> Kind {
    use Neo4jSecurityErrorKind as Security;
    // Functions, unlike procedures, have no code of their own.
    let unknown_function =
        code == "Neo.ClientError.Statement.SyntaxError" && message.starts_with("Unknown function");
    if code == "Neo.ClientError.Procedure.ProcedureNotFound" || unknown_function {
        return Kind::Missing;
    }
    if code.starts_with("Neo.ClientError.Transaction.TransactionTimedOut") {
        return Kind::Timeout;
    }
    match kind {
        Neo4jErrorKind::Client(Neo4jClientErrorKind::Security(security)) => match security {
            Security::Forbidden => Kind::Missing,
            Security::Authentication
            | Security::AuthorizationExpired
            | Security::TokenExpired
            | Security::Other
            | Security::Unknown => Kind::Auth,
        },
        _ => Kind::Query,
    }
}

/// Returns whether an authentication error is retryable. The client library keeps only its text; a
/// server that starts or stops rejects clients as well, and that needs no backoff.
fn is_retryable(message: &str) -> bool {
    [
        "unavailable",
        "not available",
        "starting",
        "shutting down",
        "shutdown",
        "stopp",
    ]
    .iter()
    .any(|word| message.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_code(code: &str, message: &str) -> Kind {
        server_error_kind(Neo4jErrorKind::from(code), code, message)
    }

    #[test]
    fn rejections_by_code() {
        for (code, message, kind) in [
            (
                "Neo.ClientError.Statement.SyntaxError",
                "Invalid input",
                Kind::Query,
            ),
            (
                "Neo.ClientError.Statement.SyntaxError",
                "Unknown function 'apoc.x'",
                Kind::Missing,
            ),
            (
                "Neo.ClientError.Statement.AccessMode",
                "Writing in read",
                Kind::Query,
            ),
            (
                "Neo.ClientError.Procedure.ProcedureNotFound",
                "",
                Kind::Missing,
            ),
            ("Neo.ClientError.Security.Forbidden", "", Kind::Missing),
            ("Neo.ClientError.Security.Unauthorized", "", Kind::Auth),
            (
                "Neo.ClientError.Security.CredentialsExpired",
                "",
                Kind::Auth,
            ),
            (
                "Neo.ClientError.Transaction.TransactionTimedOutClientConfiguration",
                "",
                Kind::Timeout,
            ),
            ("Neo.ClientError.Database.DatabaseNotFound", "", Kind::Query),
            (
                "Neo.TransientError.General.DatabaseUnavailable",
                "",
                Kind::Query,
            ),
            ("Neo.DatabaseError.General.UnknownError", "", Kind::Query),
        ] {
            assert_eq!(of_code(code, message), kind, "{code}");
        }
    }

    #[test]
    fn rejected_greetings() {
        let kind =
            |message: &str| Neo4jError::from(Error::AuthenticationError(message.into())).kind;
        assert_eq!(
            kind("The client is unauthorized due to authentication failure."),
            Kind::Auth
        );
        assert_eq!(kind("Database 'system' is unavailable."), Kind::Connect);
    }

    #[test]
    fn an_error_of_the_network_is_one_of_the_connection() {
        let error = Neo4jError::from(Error::from(std::io::Error::other("nobody there")));
        assert_eq!(error, Neo4jError::new(Kind::Connect, "nobody there"));
    }
}
