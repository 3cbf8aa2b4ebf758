//! Secrets of the source, which are never written: a file or a variable takes their place.

use bellwether_schema::Pos;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::fields::Pair;
use super::http_client::put_basic_auth;
use super::yaml::{Map, Yaml};

/// Words in the names of headers and variables that have a secret.
const WORDS: [&str; 8] = [
    "auth",
    "token",
    "secret",
    "pass",
    "pwd",
    "key",
    "cookie",
    "credential",
];

/// Returns whether a header or a variable is named like a secret, or is a URL with a password.
pub(super) fn is_secret(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|word| name.contains(word))
        || Address::parse(value).is_some_and(|address| address.has_password)
}

/// Sets `key` to the path of a file that people have to write: `/etc/bellwether/shop.password`.
pub(super) fn put_file(map: &mut Map, key: &str, name: &str, at: Pos) {
    let kind = match key.contains("token") {
        true => "token",
        false => "password",
    };
    let path = format!("/etc/bellwether/{name}.{kind}");
    map.complete(at, format!("the {kind} is not copied: write it to {path}"));
    map.put(key, Yaml::text(&path));
}

/// Returns a reference to a variable in place of a secret, such as `${SHOP_X_TOKEN}`.
pub(super) fn variable(map: &mut Map, name: &str, key: &str, at: Pos) -> Yaml {
    let variable = format!("{name}_{key}").to_ascii_uppercase();
    let variable = variable.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let variable = match variable.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("_{variable}"),
        false => variable,
    };
    map.complete(
        at,
        format!("the value of {key} is not copied: set the variable {variable}"),
    );
    Yaml::raw(&format!("${{{variable}}}"))
}

/// Returns headers; a secret one is a variable, and noted in `map`.
pub(super) fn headers(pairs: Vec<Pair<'_>>, name: &str, map: &mut Map) -> Map {
    let mut headers = Map::default();
    for (header, value, at) in pairs {
        if HeaderName::try_from(header).is_err() || HeaderValue::from_str(value).is_err() {
            map.lose(at, format!("the header {header}"));
            continue;
        }
        let value = match is_secret(header, value) {
            true => variable(map, name, header, at),
            false => Yaml::text(value),
        };
        headers.put(header, value);
    }
    headers
}

/// An address without its password.
pub(super) struct Address {
    pub(super) url: Url,
    /// User, percent-encoded; empty if there is none.
    pub(super) user: String,
    pub(super) has_password: bool,
}

impl Address {
    /// Parses a URL; `None` if it is none. Its user stays in it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut url = Url::parse(text.trim()).ok()?;
        let has_password = url.password().is_some();
        if has_password {
            url.set_password(None).ok()?;
        }
        Some(Self {
            user: url.username().to_owned(),
            has_password,
            url,
        })
    }
}

/// Puts the URL of an HTTP server, and its user and password as `basic_auth`. Returns false if it is no such URL, or has
/// a secret in its parameters.
pub(super) fn put_url(map: &mut Map, text: &str, name: &str, at: Pos) -> bool {
    let address = Address::parse(text).filter(|address| {
        let is_http = matches!(address.url.scheme(), "http" | "https");
        let mut parameters = address.url.query_pairs();
        is_http && !parameters.any(|(key, value)| is_secret(&key, &value))
    });
    let Some(mut address) = address else {
        return false;
    };
    if address.user.is_empty() && !address.has_password {
        map.put("url", Yaml::text(text.trim()));
        return true;
    }
    address.url.set_username("").ok();
    map.put("url", Yaml::text(address.url.as_str()));
    let password = address.has_password.then_some(at);
    put_basic_auth(map, &address.user, None, password, name);
    true
}

#[cfg(test)]
mod tests {
    use super::super::write::write;
    use super::*;

    #[test]
    fn passwords_are_left_out() {
        let mut map = Map::default();
        assert!(put_url(
            &mut map,
            "http://u:s3cret@x:8080/a?b=c",
            "shop",
            Pos::default()
        ));
        let pairs = vec![
            ("X-Api-Key", "s3cret", Pos::default()),
            ("Accept", "a/b", Pos::default()),
            ("X-Proxy", "http://u:s3cret@proxy", Pos::default()),
            ("<<", "a", Pos::default()),
        ];
        let headers = headers(pairs, "1-shop", &mut map);
        map.put("headers", headers.into());
        let text = write(&map, &[]);
        assert!(!text.contains("s3cret"), "{text}");
        for line in [
            "url: \"http://x:8080/a?b=c\"",
            "basic_auth: {username: u, password_file: /etc/bellwether/shop.password}",
            "headers: {X-Api-Key: \"${_1_SHOP_X_API_KEY}\", Accept: a/b, X-Proxy: \"${_1_SHOP_X_PROXY}\"}",
            "# to complete: the password is not copied: write it to /etc/bellwether/shop.password",
        ] {
            assert!(text.contains(line), "{text}");
        }
        assert!(!put_url(&mut map, "ftp://x", "shop", Pos::default()));
    }
}
