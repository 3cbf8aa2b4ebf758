//! Settings of HTTP clients that the exporters of Prometheus share.
//!
//! Source: Prometheus, `http_config.go` of the module `common`.

use bellwether_schema::Pos;

use super::fields::{Fields, Pair};
use super::secrets::{Address, headers, put_file, variable};
use super::yaml::{Map, Yaml};

/// Reason why a user or a token beside another one has no counterpart.
pub(super) const SECOND: &str = "a second kind of authorization";

/// Takes user, password and token, and puts them into `map` with `pairs` as headers. The name of the collector is that
/// of files with secrets. Of several kinds of authorization the first is taken.
pub(super) fn authorization(
    fields: &mut Fields<'_>,
    mut pairs: Vec<Pair<'_>>,
    name: &str,
    map: &mut Map,
) {
    let mut scheme = None;
    if fields.has("basic_auth") {
        basic_auth(fields.within("basic_auth"), name, map);
    } else if fields.has("bearer_token") || fields.has("bearer_token_file") {
        token(fields, "bearer_token", "bearer_token_file", name, map);
    } else if fields.has("authorization") {
        let mut inner = fields.within("authorization");
        let kind = inner.text("type").unwrap_or("Bearer");
        if kind.eq_ignore_ascii_case("bearer") {
            token(&mut inner, "credentials", "credentials_file", name, map);
        } else {
            scheme = inner.text_at("credentials");
        }
        inner.finish(map);
    }
    if map.has("basic_auth") || map.has("bearer_token_file") || scheme.is_some() {
        drop_authorization(&mut pairs, map);
    }
    let mut headers = headers(pairs, name, map);
    if let Some((_, at)) = scheme {
        let value = variable(map, name, "Authorization", at);
        headers.put("Authorization", value);
    }
    map.put_filled("headers", headers);
}

/// Leaves the header `Authorization` out, beside a user or a token.
pub(super) fn drop_authorization(pairs: &mut Vec<Pair<'_>>, map: &mut Map) {
    pairs.retain(|(header, _, at)| {
        let is_second = header.eq_ignore_ascii_case("authorization");
        if is_second {
            map.lose(*at, format!("{header}: {SECOND}"));
        }
        !is_second
    });
}

fn basic_auth(mut fields: Fields<'_>, name: &str, map: &mut Map) {
    let user = fields.text("username").unwrap_or_default();
    let file = fields.text("password_file");
    let password = fields.text_at("password");
    put_basic_auth(map, user, file, password.map(|(_, at)| at), name);
    fields.finish(map);
}

/// Puts a user with the file of its password.
pub(super) fn put_basic_auth(
    map: &mut Map,
    user: &str,
    file: Option<&str>,
    password: Option<Pos>,
    name: &str,
) {
    let mut basic = Map::default();
    basic.put("username", Yaml::text(user));
    match (file.filter(|file| !file.is_empty()), password) {
        (Some(file), _) => basic.put("password_file", Yaml::text(file)),
        (None, Some(at)) => put_file(&mut basic, "password_file", name, at),
        (None, None) => {}
    }
    map.notes.append(&mut basic.notes);
    map.put("basic_auth", basic.into());
}

/// Takes a token, or its file.
fn token(fields: &mut Fields<'_>, key: &str, file_key: &str, name: &str, map: &mut Map) {
    let token = fields.text_at(key);
    match (fields.text(file_key).filter(|file| !file.is_empty()), token) {
        (Some(file), _) => map.put("bearer_token_file", Yaml::text(file)),
        (None, Some((_, at))) => put_file(map, "bearer_token_file", name, at),
        (None, None) => {}
    }
}

/// Takes the certificate authorities, and puts them into `map`.
pub(super) fn tls(fields: &mut Fields<'_>, map: &mut Map) {
    let mut tls = fields.within("tls_config");
    let file = tls.text("ca_file").filter(|file| !file.is_empty());
    map.put_some("ca_file", file.map(Yaml::text));
    tls.skip_if("insecure_skip_verify", &["false"]);
    let reason = "certificates are always checked: name the authority in ca_file";
    tls.lose("insecure_skip_verify", reason, map);
    tls.finish(map);
}

/// Takes the proxy; one with a user has no counterpart.
pub(super) fn proxy(fields: &mut Fields<'_>, map: &mut Map) {
    let url = fields.parsed("proxy_url", |text| {
        let address = Address::parse(text)?;
        let is_plain = address.user.is_empty() && !address.has_password;
        (is_plain && address.url.scheme() == "http").then(|| text.trim().to_owned())
    });
    map.put_some("proxy_url", url.map(|url| Yaml::text(&url)));
}
