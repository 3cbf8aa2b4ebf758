//! Addresses of databases.

use bellwether_schema::Pos;
use reqwest::Url;

use super::super::secrets::{Address, put_file};
use super::super::yaml::{Map, Yaml};

/// Parameters of an address, as a collector of type `sql` has them.
const POSTGRES: [&str; 11] = [
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
];
const MYSQL: [&str; 5] = ["socket", "ssl-ca", "ssl-cert", "ssl-key", "ssl-mode"];

/// Reason why an address has no counterpart.
pub(super) const DATABASES: &str = "only PostgreSQL, MySQL, MariaDB and SQLite can be asked";

/// An address of a database in the form of a collector.
pub(in crate::convert) struct Dsn {
    /// URL without the password.
    pub(in crate::convert) url: Url,
    pub(in crate::convert) has_password: bool,
    /// Parameters without a counterpart.
    lost: Vec<String>,
}

impl Dsn {
    /// Parses an address; `None` if it is of a database that the collector does not know.
    pub(in crate::convert) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let address = Address::parse(&without_protocol(text)).or_else(|| Address::parse(text))?;
        let mut url = address.url;
        let known: &[&str] = match url.scheme() {
            "postgres" | "postgresql" => &POSTGRES,
            "mysql" | "mariadb" => &MYSQL,
            "sqlite" | "sqlite3" | "file" => &[],
            _ => return None,
        };
        if matches!(url.scheme(), "sqlite3" | "file") {
            url = Url::parse(&format!("sqlite://{}", url.path())).ok()?;
        }
        let is_sqlite = url.scheme() == "sqlite";
        if is_sqlite && (url.has_host() || !url.path().starts_with('/')) {
            return None;
        }
        let has_password = !is_sqlite
            && (address.has_password || url.query_pairs().any(|(key, _)| key == "password"));
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let (kept, lost): (Vec<_>, Vec<_>) = pairs
            .into_iter()
            .partition(|(key, _)| known.contains(&key.as_str()));
        url.set_query(None);
        if !kept.is_empty() {
            url.query_pairs_mut().extend_pairs(kept);
        }
        let lost = lost
            .into_iter()
            .map(|(key, _)| key)
            .filter(|key| key != "password");
        Some(Self {
            url,
            has_password,
            lost: lost.collect(),
        })
    }

    /// Puts the address into a collector, and the file of its password.
    pub(in crate::convert) fn put(&self, collector: &mut Map, name: &str, at: Pos) {
        collector.put("dsn", Yaml::text(self.url.as_str()));
        if self.has_password {
            put_file(collector, "password_file", name, at);
        }
        for parameter in &self.lost {
            collector.lose(at, format!("the parameter {parameter} of the address"));
        }
    }
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
                "mysql://u@localhost/d?socket=%2Frun%2Fm.sock",
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
        ] {
            let dsn = Dsn::parse(text).unwrap();
            let found = (
                dsn.url.as_str(),
                dsn.has_password,
                dsn.lost.iter().filter(|key| !key.is_empty()).count(),
            );
            let lost = if text.contains("unix") { 0 } else { lost };
            assert_eq!(found, (url, has_password, lost), "{text}");
        }
        for text in [
            "sqlserver://u:p@h",
            "clickhouse://h",
            "",
            "x",
            "oracle://u:p@h:1521/d",
        ] {
            assert!(Dsn::parse(text).is_none(), "{text}");
        }
    }
}
