//! Import of `http_config`.

use bellwether_schema::{Key, Node, Value};

use super::super::fields::{Fields, map};
use super::ChannelConversion;

/// Authentication of requests.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// As `http_config` says.
    Any,
    /// By a key of the integration itself.
    Own,
    /// By the token of a bot, which is a key of the channel.
    Bot,
}

impl ChannelConversion<'_, '_, '_> {
    /// Converts `http_config`, or that of `global`.
    pub(super) fn http(&mut self, proof: Proof) {
        let path = self.fields.at_key("http_config", self.pos).path;
        let own = self.fields.take("http_config");
        let general = self.global.clone().take("http_config");
        let Some(node) = own.or(general) else { return };
        let path = if own.is_some() {
            &*path
        } else {
            "global.http_config"
        };
        let mut http = Fields::of(node, path);
        for key in ["proxy_url", "proxy_from_environment"] {
            if let Some(value) = http.take_non_empty(key) {
                self.output.put(key, value.clone());
            }
        }
        if let Some(follow) = http.take("follow_redirects") {
            if proof == Proof::Any {
                self.output.put("follow_redirects", follow.clone());
            } else if follow.value != Value::Scalar("true".into()) {
                let at = http.at_key("follow_redirects", follow.pos);
                self.report
                    .warn(&at, "redirects of a service are followed", None);
            }
        }
        self.tls(http.within("tls_config"));
        self.authorization(&mut http, proof);
        if let Some(oauth) = http.take("oauth2") {
            let at = http.at_key("oauth2", oauth.pos);
            self.report.error(
                &at,
                "there is no OAuth 2.0",
                Some("use a token or a password"),
            );
        }
        if proof == Proof::Any {
            self.headers(http.within("http_headers"));
        }
        self.report.warn_remaining(http);
    }

    pub(super) fn tls(&mut self, mut tls: Fields<'_>) {
        if let Some(file) = tls.take_non_empty("ca_file") {
            self.output.put("ca_file", self.report.path(file));
        }
        if let Some(file) = tls.take_non_empty("cert_file") {
            let at = tls.at_key("cert_file", file.pos);
            tls.take("key_file");
            self.report.error(
                &at,
                "there are no certificates of clients",
                Some("use a token"),
            );
        }
        if let Some(skip) = tls.take("insecure_skip_verify")
            && skip.value == Value::Scalar("true".into())
        {
            let at = tls.at_key("insecure_skip_verify", skip.pos);
            let hint = "name the authority in `ca_file`";
            self.report
                .warn(&at, "certificates are always checked", Some(hint));
        }
        self.report.warn_remaining(tls);
    }

    fn authorization(&mut self, http: &mut Fields<'_>, proof: Proof) {
        let mut token = http.within("authorization");
        let basic = http.take("basic_auth");
        if proof == Proof::Own {
            self.report.warn_remaining(token);
            if let Some(basic) = basic {
                let at = http.at_key("basic_auth", basic.pos);
                self.report.warn(&at, "`basic_auth` is ignored", None);
            }
            return;
        }
        if let Some((kind, pos)) = token.text("type")
            && !kind.eq_ignore_ascii_case("bearer")
        {
            let at = token.at_key("type", pos);
            self.report.error(
                &at,
                format!("no authorization of type {kind:?}"),
                Some("Bearer"),
            );
        }
        let own = if proof == Proof::Bot {
            "token"
        } else {
            "bearer_token"
        };
        if let Some(credentials) = token.take_non_empty("credentials") {
            self.output.put(own, credentials.clone());
        }
        if let Some(file) = token.take_non_empty("credentials_file") {
            self.output
                .put(&format!("{own}_file"), self.report.path(file));
        }
        self.report.warn_remaining(token);
        if let Some(basic) = basic {
            self.output
                .put("basic_auth", self.with_path(basic, "password_file"));
        }
    }

    /// Returns `node` with the path in `key` resolved.
    fn with_path(&self, node: &Node, key: &str) -> Node {
        let Value::Map(entries) = &node.value else {
            return node.clone();
        };
        map(
            node.pos,
            entries
                .iter()
                .map(|(name, value)| {
                    let value = if name.text == key {
                        self.report.path(value)
                    } else {
                        value.clone()
                    };
                    (name.clone(), value)
                })
                .collect(),
        )
    }

    fn headers(&mut self, headers: Fields<'_>) {
        let mut all = Vec::new();
        for (name, at) in headers.remaining() {
            let mut header = headers.clone().within(name);
            let values = ["values", "secrets"]
                .into_iter()
                .filter_map(|key| header.take(key));
            let values: Vec<&Node> = values.collect();
            match values.first().map(|node| &node.value) {
                Some(Value::List(values)) if values.len() == 1 => {
                    all.push((
                        Key {
                            text: name.to_owned(),
                            pos: at.pos,
                        },
                        values[0].clone(),
                    ));
                }
                _ => {
                    let hint = Some("one value, in this file");
                    self.report
                        .error(&at, format!("the header {name:?} cannot be sent"), hint);
                }
            }
        }
        if !all.is_empty() {
            self.output.put("headers", map(self.pos, all));
        }
    }
}
