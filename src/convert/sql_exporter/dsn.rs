//! Addresses of databases.

use bellwether_collectors::dsn_parameters;
use bellwether_schema::Pos;
use reqwest::Url;

use super::super::secrets::{Address, put_file};
use super::super::yaml::{Map, Yaml};

/// Reason why an address has no counterpart.
const DATABASES: &str = "only PostgreSQL, MySQL, MariaDB and SQLite can be asked";

const UNREADABLE: &str = "the address cannot be read as a URL";
/// Beginnings of the addresses that are read.
const SCHEMES: [&str; 7] = [
    "postgres:",
    "postgresql:",
    "mysql:",
    "mariadb:",
    "sqlite:",
    "sqlite3:",
    "file:",
];

/// An address of a database in the form of a collector.
pub(in crate::convert) struct Dsn {
    /// URL without the password; `None` for a variable.
    pub(in crate::convert) url: Option<Url>,
    /// Text as the collector has it.
    text: Yaml,
    has_password: bool,
    /// Parameters without a counterpart.
    pub(in crate::convert) lost: Vec<String>,
}

impl Dsn {
    /// Parses an address.
    ///
    /// # Errors
    /// The reason why it has no counterpart.
    pub(in crate::convert) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if is_variable(text) {
            return Ok(Self {
                url: None,
                text: Yaml::raw(text),
                has_password: false,
                lost: Vec::new(),
            });
        }
        if text.contains("${") {
            return Err(UNREADABLE);
        }
        let url = without_protocol(text);
        let is_known = SCHEMES.iter().any(|scheme| url.starts_with(scheme));
        Self::of_url(&url).ok_or(if is_known { UNREADABLE } else { DATABASES })
    }

    fn of_url(text: &str) -> Option<Self> {
        let with_host = with_host(text);
        let address = Address::parse(with_host.as_deref().unwrap_or(text))?;
        let mut url = address.url;
        let parameters: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        if matches!(url.scheme(), "sqlite3" | "file") {
            url = Url::parse(&format!("sqlite://{}", url.path())).ok()?;
        }
        let known = dsn_parameters(url.scheme())?;
        let is_sqlite = url.scheme() == "sqlite";
        if is_sqlite && (url.has_host() || !url.path().starts_with('/')) {
            return None;
        }
        let has_password = !is_sqlite
            && (address.has_password || parameters.iter().any(|(key, _)| key == "password"));
        let (kept, lost): (Vec<_>, Vec<_>) = parameters
            .into_iter()
            .partition(|(key, _)| known.contains(&key.as_str()));
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
            // Paths are for people to read.
            let query = url.query().map(|query| query.replace("%2F", "/"));
            url.set_query(query.as_deref());
        }
        let lost = lost
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| key != "password");
        Some(Self {
            text: Yaml::text(url.as_str()),
            url: Some(url),
            has_password,
            lost: lost.collect(),
        })
    }

    /// Puts the address into a collector, and the file of its password.
    pub(in crate::convert) fn put(&self, collector: &mut Map, name: &str, at: Pos) {
        collector.put("dsn", self.text.clone());
        if self.has_password {
            put_file(collector, "password_file", name, at);
        }
        for parameter in &self.lost {
            collector.lose(at, format!("the parameter {parameter} of the address"));
        }
    }
}

/// Returns whether a text is `${NAME}`, and nothing else.
fn is_variable(text: &str) -> bool {
    let name = text
        .strip_prefix("${")
        .and_then(|text| text.strip_suffix('}'));
    name.is_some_and(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// Returns the address of a PostgreSQL with a host, which may be left out: `postgres://user@/database?host=/run`.
fn with_host(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let (authority, behind) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let has_none = authority.is_empty() || authority.ends_with('@');
    (has_none && matches!(scheme, "postgres" | "postgresql"))
        .then(|| format!("{scheme}://{authority}localhost{behind}"))
}

/// Returns the address in Go's form for MySQL, `user:password@tcp(host:3306)/database`, as a URL.
fn without_protocol(text: &str) -> String {
    let is_mysql = text.starts_with("mysql://") || !text.contains("://");
    let Some((before, behind)) = text.split_once("@tcp(").filter(|_| is_mysql) else {
        let socket = text
            .split_once("@unix(")
            .filter(|_| is_mysql)
            .and_then(|(before, behind)| {
                let (path, rest) = behind.split_once(')')?;
                let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
                Some(format!(
                    "{}@localhost{database}?socket={path}&{query}",
                    scheme(before)
                ))
            });
        return socket.unwrap_or_else(|| text.to_owned());
    };
    match behind.split_once(')') {
        Some((host, rest)) => format!("{}@{host}{rest}", scheme(before)),
        None => text.to_owned(),
    }
}

fn scheme(before: &str) -> String {
    format!("mysql://{}", before.trim_start_matches("mysql://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_no_password() {
        for (text, url, has_password, lost) in [
            (
                "postgres://u:p@h:5432/d?sslmode=disable&connect_timeout=3",
                "postgres://u@h:5432/d?sslmode=disable",
                true,
                1,
            ),
            ("mysql://u:p@tcp(h:3306)/d", "mysql://u@h:3306/d", true, 0),
            (
                "u:p@tcp(h:3306)/d?parseTime=true",
                "mysql://u@h:3306/d",
                true,
                1,
            ),
            (
                "mysql://u@unix(/run/m.sock)/d",
                "mysql://u@localhost/d?socket=/run/m.sock",
                false,
                1,
            ),
            (
                "postgres://h/d?user=u&password=p",
                "postgres://h/d?user=u",
                true,
                0,
            ),
            ("sqlite:///a.db", "sqlite:///a.db", false, 0),
            (
                "postgres://u:p@/db?host=/var/run/postgresql",
                "postgres://u@localhost/db?host=/var/run/postgresql",
                true,
                0,
            ),
            (
                "postgres:///db?user=u",
                "postgres://localhost/db?user=u",
                false,
                0,
            ),
        ] {
            let dsn = Dsn::parse(text).unwrap();
            let found = (
                dsn.url.as_ref().unwrap().as_str(),
                dsn.has_password,
                dsn.lost.iter().filter(|key| !key.is_empty()).count(),
            );
            let lost = if text.contains("unix") { 0 } else { lost };
            assert_eq!(found, (url, has_password, lost), "{text}");
        }
        for (text, reason) in [
            ("sqlserver://u:p@h", DATABASES),
            ("clickhouse://h", DATABASES),
            ("", DATABASES),
            ("x", DATABASES),
            ("oracle://u:p@h:1521/d", DATABASES),
            ("postgres://u:p@h:port/d", UNREADABLE),
            ("u:p@tcp(h:port)/d", UNREADABLE),
            ("sqlite:a.db", UNREADABLE),
        ] {
            assert_eq!(Dsn::parse(text).err(), Some(reason), "{text}");
        }
    }

    #[test]
    fn a_variable_stays_as_it_is() {
        let mut collector = Map::default();
        let dsn = Dsn::parse("${SHOP_DSN}").unwrap();
        dsn.put(&mut collector, "shop", Pos::default());
        assert_eq!(collector.fields[0].1, Yaml::raw("${SHOP_DSN}"));
        assert!(collector.notes.is_empty());
        for text in [
            "${A}${B}",
            "${A:-postgres://u:p@h/d}",
            "postgres://u:p@${H}/d",
        ] {
            assert!(Dsn::parse(text).is_err(), "{text}");
        }
    }
}
