//! Errors of connections and queries, in few kinds. Pure.

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlDatabaseError;

use crate::queries::line;

/// Kind of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// No connection, or it broke.
    Connect,
    /// The server rejected the user or the password.
    Auth,
    /// A file could not be read.
    Io,
    /// No answer in time.
    Timeout,
    /// All connections are in use.
    Busy,
    /// The server rejected the query.
    Query,
}

/// Error of a connection or a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SqlError {
    pub(super) kind: Kind,
    /// One line.
    pub(super) text: String,
}

impl Kind {
    /// Returns the reason for [`bellwether_core::Failure`].
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Auth => "auth",
            Self::Io => "io",
            Self::Timeout | Self::Busy => "timeout",
            Self::Query => "query",
        }
    }
}

impl SqlError {
    pub(super) fn new(kind: Kind, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { kind, text }
    }

    /// Returns whether the server answered so, which leaves the connection usable.
    pub(super) fn is_answer(&self) -> bool {
        matches!(self.kind, Kind::Query | Kind::Timeout)
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) => {
                Self::new(kind_of(&**database), line(database.message()))
            }
            sqlx::Error::Io(error) => Self::new(Kind::Connect, line(&error.to_string())),
            other => Self::new(Kind::Connect, line(&other.to_string())),
        }
    }
}

fn kind_of(error: &dyn DatabaseError) -> Kind {
    let number = error.try_downcast_ref::<MySqlDatabaseError>();
    match number.map(MySqlDatabaseError::number) {
        // MariaDB and MySQL, at the end of max_statement_time and max_execution_time.
        Some(1969 | 3024) => Kind::Timeout,
        _ => kind_of_code(&error.code().unwrap_or_default()),
    }
}

/// Sorts an SQLSTATE, or a number of SQLite: <https://www.postgresql.org/docs/current/errcodes-appendix.html>,
/// <https://www.sqlite.org/rescode.html>.
fn kind_of_code(code: &str) -> Kind {
    match code {
        // Canceled by the timeout; 9 is an interrupted, 5 a locked SQLite.
        "57014" | "9" | "5" => Kind::Timeout,
        // Shutdown, crash, start; 14 is a file of SQLite that cannot be opened, 26 another file.
        "57P01" | "57P02" | "57P03" | "14" | "26" => Kind::Connect,
        _ if code.starts_with("28") => Kind::Auth,
        _ if code.starts_with("08") || code.starts_with("53") => Kind::Connect,
        _ => Kind::Query,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_servers_are_sorted() {
        for (code, kind) in [
            ("28P01", Kind::Auth),
            ("28000", Kind::Auth),
            ("57014", Kind::Timeout),
            ("57P01", Kind::Connect),
            ("53300", Kind::Connect),
            ("25006", Kind::Query),
            ("42S02", Kind::Query),
            ("8", Kind::Query),
            ("9", Kind::Timeout),
            ("14", Kind::Connect),
            ("", Kind::Query),
        ] {
            assert_eq!(kind_of_code(code), kind, "{code}");
        }
    }

    #[test]
    fn an_error_of_the_network_is_one_of_the_connection() {
        let error = sqlx::Error::Io(std::io::Error::other("nobody there"));
        let expected = SqlError::new(Kind::Connect, "nobody there");
        assert_eq!(SqlError::from(error), expected);
    }
}
