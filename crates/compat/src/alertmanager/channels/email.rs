//! Import of `email_configs`, and of the `smtp_` keys of `global`.

use bellwether_notify::owned_header;
use bellwether_schema::{Key, Node, Pos, SourceLocation, Value};

use super::super::fields::map;
use super::{ChannelConversion, OnUntranslatable, split};

pub(super) fn email(it: &mut ChannelConversion<'_, '_, '_>) {
    let to = it.fields.text("to");
    addresses(it, to);
    let port = host(it);
    encryption(it, port.as_deref());
    if let Some(node) = it.or_global("hello", "smtp_hello") {
        it.output.put("hello", node);
    }
    authentication(it);
    if it
        .fields
        .clone()
        .text("html")
        .is_some_and(|(html, _)| html.is_empty())
        && let Some(html) = it.fields.take("html")
    {
        it.output.put_raw("html", html.clone());
    }
    it.message("html", "html");
    it.message("text", "text");
    headers(it, to.map(|(to, _)| to));
}

/// Converts recipients and sender.
fn addresses(it: &mut ChannelConversion<'_, '_, '_>, to: Option<(&str, Pos)>) {
    match to {
        Some((to, pos)) if to.contains("{{") => {
            let hint = "a channel for each recipient";
            it.error("to", pos, "no template can stand here", Some(hint));
        }
        Some((to, pos)) => it.output.put("recipients", split(to, pos)),
        None => it.error("to", it.pos, "missing key \"to\"", None),
    }
    match it.or_global("from", "smtp_from") {
        Some(from) => it.output.put("from", from),
        None => {
            let message = "neither `from` nor `smtp_from` in `global`";
            it.error("from", it.pos, message, None);
        }
    }
}

/// Converts user and password.
fn authentication(it: &mut ChannelConversion<'_, '_, '_>) {
    if let Some(node) = it.or_global("auth_username", "smtp_auth_username") {
        it.output.put("username", node);
    }
    it.secret("auth_password", "smtp_auth_password", "password");
    for key in ["auth_secret", "auth_secret_file"] {
        if let Some(node) = it.or_global(key, &format!("smtp_{key}")) {
            let hint = "give `auth_password`";
            it.warn(key, node.pos, "there is no CRAM-MD5", Some(hint));
        }
    }
    if let Some(node) = it.or_global("auth_identity", "smtp_auth_identity") {
        let key = "auth_identity";
        it.warn(key, node.pos, "`auth_identity` is ignored", None);
    }
}

/// Converts the server; returns its port.
fn host(it: &mut ChannelConversion<'_, '_, '_>) -> Option<String> {
    let Some(Node {
        value: Value::Scalar(address),
        pos,
    }) = it.or_global("smarthost", "smtp_smarthost")
    else {
        it.error(
            "smarthost",
            it.pos,
            "neither `smarthost` nor `smtp_smarthost` in `global`",
            None,
        );
        return None;
    };
    let (host, port) = address.rsplit_once(':').unwrap_or((&address, "25"));
    it.output.put_text(
        "smtp_server",
        host.trim_start_matches('[').trim_end_matches(']'),
        pos,
    );
    it.output.put_text("smtp_port", port, pos);
    Some(port.to_owned())
}

fn encryption(it: &mut ChannelConversion<'_, '_, '_>, port: Option<&str>) {
    let implicit = word(it.or_global("force_implicit_tls", "smtp_force_implicit_tls"));
    let required = word(it.or_global("require_tls", "smtp_require_tls"));
    let tls = match (implicit.as_deref(), required.as_deref()) {
        (Some("true"), _) => "tls",
        (None, _) if port == Some("465") => "tls",
        (_, Some("false")) => "opportunistic",
        _ => "starttls",
    };
    it.output.put_text("tls", tls, it.pos);
    let own = it.fields.within("tls_config");
    let general = it.global.clone().within("smtp_tls_config");
    let settings = if own.remaining().next().is_some() {
        own
    } else {
        general
    };
    it.tls(settings);
}

/// Converts the subject, the reply address and further headers. `To` and the like only name people
/// in Alertmanager and send nothing to them; here the channel names each recipient.
fn headers(it: &mut ChannelConversion<'_, '_, '_>, to: Option<&str>) {
    let mut headers = it.fields.within("headers");
    let mut entries: Vec<(Key, Node)> = Vec::new();
    for (name, at) in headers.clone().remaining() {
        let Some((text, pos)) = headers.text(name).filter(|(text, _)| !text.is_empty()) else {
            continue;
        };
        if name.eq_ignore_ascii_case("subject") {
            it.put_message("subject", text, &SourceLocation { pos, ..at });
        } else if name.eq_ignore_ascii_case("reply-to") && !text.contains("{{") {
            it.output.put_text("reply_to", text, pos);
        } else if let Some(hint) = owned_header(name) {
            let people = ["to", "cc", "bcc"].contains(&name.to_ascii_lowercase().as_str());
            if !(people && to == Some(text)) {
                let hint = if people {
                    "mail goes to whom `to` names"
                } else {
                    hint
                };
                let message = format!("the channel writes the header {name:?} itself");
                it.report.warn(&at, message, Some(hint));
            }
        } else if let Some(text) = it.translated(
            &format!("headers.{name}"),
            text,
            pos,
            OnUntranslatable::Warn,
        ) {
            let value = super::scalar(&text, pos);
            entries.push((
                Key {
                    text: name.to_owned(),
                    pos,
                },
                value,
            ));
        }
    }
    if !entries.is_empty() {
        it.output.put("headers", map(it.pos, entries));
    }
}

/// Returns the text of a scalar.
fn word(node: Option<Node>) -> Option<String> {
    match node?.value {
        Value::Scalar(word) => Some(word),
        _ => None,
    }
}
