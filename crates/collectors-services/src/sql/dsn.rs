//! Addresses of databases. Pure.

use std::fmt;
use std::path::PathBuf;

use bellwether_schema::Secret;
use reqwest::Url;

/// Kind of a database server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Server {
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    Sqlite,
}

/// Address of a database. It may have a password, so it is never printed as a whole.
#[derive(Clone)]
pub(super) struct Dsn {
    pub(super) server: Server,
    pub(super) url: Url,
    /// File of SQLite; empty for others.
    pub(super) file: PathBuf,
}

/// Error of an address, without its text.
#[derive(Debug, PartialEq)]
pub(super) struct DsnError {
    pub(super) message: String,
    pub(super) hint: String,
}

const EXAMPLES: &str = "such as postgres://monitor@localhost:5432/shop, mysql://monitor@localhost/shop or sqlite:///var/lib/shop.db";

impl Dsn {
    /// Parses a DSN.
    ///
    /// # Errors
    /// Not a URL, another scheme, or a parameter that the server does not have.
    pub(super) fn parse(text: &Secret) -> Result<Self, DsnError> {
        let url = Url::parse(text.expose().trim())
            .map_err(|error| DsnError::new(format!("not a DSN: {error}"), EXAMPLES))?;
        let server = Server::of_scheme(url.scheme()).ok_or_else(|| {
            let message = format!("not a scheme of a database: {:?}", url.scheme());
            DsnError::new(message, EXAMPLES)
        })?;
        server.check_parameters(&url)?;
        let file = match server {
            Server::Sqlite => sqlite_file(&url)?,
            Server::Postgres | Server::MySql => PathBuf::new(),
        };
        Ok(Self { server, url, file })
    }
}

/// Scheme, host and port, or the file of SQLite.
impl fmt::Display for Dsn {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.server == Server::Sqlite {
            return write!(out, "{}", self.file.display());
        }
        let host = self.url.host_str().filter(|host| !host.is_empty());
        write!(out, "{}://", self.url.scheme())?;
        out.write_str(host.unwrap_or("localhost"))?;
        match self.url.port() {
            Some(port) => write!(out, ":{port}"),
            None => Ok(()),
        }
    }
}

impl DsnError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

/// Returns the parameters behind `?` that a DSN of this scheme may have; `None` for a database that cannot be asked.
#[must_use]
pub fn dsn_parameters(scheme: &str) -> Option<&'static [&'static str]> {
    Server::of_scheme(scheme).map(Server::parameters)
}

impl Server {
    fn of_scheme(scheme: &str) -> Option<Self> {
        match scheme {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            "sqlite" => Some(Self::Sqlite),
            _ => None,
        }
    }

    /// Returns the parameters behind `?` that a DSN may have. The driver would log others with their values.
    fn parameters(self) -> &'static [&'static str] {
        match self {
            Self::Postgres => &[
                "application_name",
                "dbname",
                "host",
                "hostaddr",
                "options",
                "port",
                "sslcert",
                "sslkey",
                "sslmode",
                "sslrootcert",
                "user",
            ],
            Self::MySql => &["socket", "ssl-ca", "ssl-cert", "ssl-key", "ssl-mode"],
            Self::Sqlite => &[],
        }
    }

    fn check_parameters(self, url: &Url) -> Result<(), DsnError> {
        let known = self.parameters();
        let mut pairs = url.query_pairs();
        match pairs.find(|(key, _)| !known.contains(&&**key)) {
            None => Ok(()),
            Some((key, _)) => Err(DsnError::new(
                format!("unknown parameter of the DSN: {key:?}"),
                match known.is_empty() {
                    true => "SQLite has none".to_owned(),
                    false => format!("one of {}", known.join(", ")),
                },
            )),
        }
    }
}

fn sqlite_file(url: &Url) -> Result<PathBuf, DsnError> {
    let is_local = url.host_str().is_none_or(str::is_empty) && url.path().starts_with('/');
    let path = Url::parse(&format!("file://{}", url.path())).ok();
    let path = path.and_then(|url| url.to_file_path().ok());
    path.filter(|_| is_local).ok_or_else(|| {
        DsnError::new(
            "not an absolute path of a file",
            "three slashes: sqlite:///var/lib/shop.db",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Dsn, DsnError> {
        Dsn::parse(&Secret::new(text))
    }

    #[test]
    fn an_address_is_shown_without_user_password_and_database() {
        for (text, server, shown) in [
            (
                "postgres://u:s3cret@db.example:5433/shop?sslmode=require",
                Server::Postgres,
                "postgres://db.example:5433",
            ),
            (
                "postgresql:///shop?host=/run/postgresql",
                Server::Postgres,
                "postgresql://localhost",
            ),
            ("mariadb://u@[::1]/", Server::MySql, "mariadb://[::1]"),
            (
                "sqlite:///var/lib/a%20b.db",
                Server::Sqlite,
                "/var/lib/a b.db",
            ),
            ("sqlite:/var/lib/a.db", Server::Sqlite, "/var/lib/a.db"),
        ] {
            let dsn = parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"));
            assert_eq!((dsn.server, dsn.to_string().as_str()), (server, shown));
        }
    }

    #[test]
    fn an_error_says_nothing_of_the_password() {
        for (text, message) in [
            ("s3cret", "not a DSN: "),
            ("postgres://u:s3cret@host:99999/", "not a DSN: "),
            (
                "oracle://u:s3cret@host/",
                "scheme of a database: \"oracle\"",
            ),
            (
                "mysql://u@host/?password=s3cret",
                "parameter of the DSN: \"password\"",
            ),
            ("sqlite://shop.db", "absolute path"),
            ("sqlite:shop.db", "absolute path"),
            (
                "sqlite:///shop.db?mode=rwc",
                "parameter of the DSN: \"mode\"",
            ),
        ] {
            let error = parse(text).err().unwrap();
            let is_good = error.message.contains(message) && !error.message.contains("s3cret");
            assert!(is_good, "{text}: {error:?}");
        }
    }
}
