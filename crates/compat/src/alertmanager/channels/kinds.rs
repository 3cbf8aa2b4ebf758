//! Conversion of the keys of each integration over HTTP.

use bellwether_core::Severity;
use bellwether_schema::{Key, Node, Pos, Value};

use super::super::fields::{Fields, map, scalar};
use super::http::Proof;
use super::{ChannelConversion, OnUntranslatable, items, split};

pub(super) fn slack(it: &mut ChannelConversion<'_, '_, '_>) {
    let (by_token, proof) = slack_access(it);
    it.http(proof);
    if by_token && !it.output.has("token") && !it.output.has("token_file") {
        let hint = "`http_config.authorization.credentials`, or `app_token`";
        it.error("api_url", it.pos, "a bot needs a token to post", Some(hint));
    }
    if by_token {
        it.addressed("channel", "channel");
    } else if let Some((_, pos)) = it
        .fields
        .text("channel")
        .filter(|(name, _)| !name.is_empty())
    {
        let hint = "make a webhook for each channel, or use a bot's token";
        it.warn(
            "channel",
            pos,
            "a webhook posts to the channel that it was made for",
            Some(hint),
        );
    }
    it.expanded("username", "username");
    it.expanded("icon_emoji", "icon_emoji");
    it.message("title", "title");
    it.message("text", "text");
    it.same("timeout", "timeout");
    leave_defaults(
        it,
        &[
            "color",
            "title_link",
            "pretext",
            "fallback",
            "footer",
            "icon_url",
        ],
    );
}

/// Converts the way to Slack: a bot's token or a webhook. Returns whether it is a token.
fn slack_access(it: &mut ChannelConversion<'_, '_, '_>) -> (bool, Proof) {
    let mut url = it.fields.clone();
    let bot = ["app_token", "app_token_file"]
        .into_iter()
        .any(|key| url.take_non_empty(key).is_some());
    let own = ["api_url", "api_url_file"]
        .into_iter()
        .any(|key| url.take_non_empty(key).is_some());
    let mut global = it.global.clone();
    if bot || (!own && global.take_non_empty("slack_app_token").is_some()) {
        let by_token = it.secret("app_token", "slack_app_token", "token");
        it.fields.take("app_url");
        return (by_token, Proof::Own);
    }
    let posts = it.fields.clone().text("api_url");
    let general = it.global.clone().text("slack_api_url").filter(|_| !own);
    if let Some((url, pos)) = posts.or(general).filter(|(url, _)| is_method(url)) {
        // URL of the bot API; its token is in `http_config`.
        it.fields.take("api_url");
        let api = url
            .trim_end_matches('/')
            .trim_end_matches("/chat.postMessage");
        it.output.put_text("api_url", api, pos);
        return (true, Proof::Bot);
    }
    if !it.secret("api_url", "slack_api_url", "url") {
        it.error(
            "api_url",
            it.pos,
            "neither `api_url` nor `slack_api_url` in `global`",
            None,
        );
    }
    (false, Proof::Own)
}

pub(super) fn pagerduty(it: &mut ChannelConversion<'_, '_, '_>) {
    for key in ["service_key", "service_key_file"] {
        if let Some(node) = it.fields.take(key) {
            let hint = "make an integration \"Events API v2\" and write its key as `routing_key`";
            it.error(key, node.pos, "the Events API v1 is not spoken", Some(hint));
            return;
        }
    }
    let templated = it
        .fields
        .clone()
        .text("routing_key")
        .is_some_and(|(k, _)| k.contains("{{"));
    if templated {
        it.addressed("routing_key", "routing_key");
    } else if !it.secret("routing_key", "", "routing_key") {
        it.error("routing_key", it.pos, "missing key \"routing_key\"", None);
    }
    // Alertmanager has one incident for a group.
    it.output.put_text("incident_per", "group", it.pos);
    if let Some(Node {
        value: Value::Scalar(url),
        pos,
    }) = it.or_global("url", "pagerduty_url")
    {
        let host = url.trim_end_matches('/').trim_end_matches("/v2/enqueue");
        it.output.put_text("api_url", host, pos);
    }
    it.message("description", "title");
    if let Some((severity, pos)) = it.fields.text("severity") {
        for_each_severity(it, "severities", severity, pos);
    }
    details(it);
    it.http(Proof::Own);
    it.same("timeout", "timeout");
    leave_defaults(it, &["client", "client_url", "source"]);
}

pub(super) fn opsgenie(it: &mut ChannelConversion<'_, '_, '_>) {
    if !it.secret("api_key", "opsgenie_api_key", "api_key") {
        it.error(
            "api_key",
            it.pos,
            "neither `api_key` nor `opsgenie_api_key` in `global`",
            None,
        );
    }
    if let Some(Node {
        value: Value::Scalar(url),
        pos,
    }) = it.or_global("api_url", "opsgenie_api_url")
    {
        it.output
            .put_text("api_url", url.trim_end_matches('/'), pos);
    }
    it.message("message", "title");
    it.message("description", "text");
    if let Some(node) = it.fields.take("responders") {
        let all = items(node);
        let each = all
            .iter()
            .enumerate()
            .map(|(number, node)| responder(it, number, node));
        let responders = each.collect();
        it.output.put(
            "responders",
            Node {
                pos: node.pos,
                value: Value::List(responders),
            },
        );
    }
    if let Some((tags, pos)) = it.fields.text("tags") {
        if !tags.contains("{{") {
            it.output.put("tags", split(tags, pos));
        } else if let Some(tags) = it.translated("tags", tags, pos, OnUntranslatable::Warn) {
            // One template may result in several.
            it.output.put(
                "tags",
                Node {
                    pos,
                    value: Value::List(vec![scalar(&tags, pos)]),
                },
            );
        }
    }
    details(it);
    if let Some((priority, pos)) = it.fields.text("priority") {
        for_each_severity(it, "priorities", priority, pos);
    }
    it.http(Proof::Own);
    it.same("timeout", "timeout");
    leave_defaults(it, &["source"]);
}

/// Converts further details, each of which is a template.
fn details(it: &mut ChannelConversion<'_, '_, '_>) {
    let mut details = it.fields.within("details");
    let mut entries: Vec<(Key, Node)> = Vec::new();
    for (name, at) in details.clone().remaining() {
        let Some((text, pos)) = details.text(name).filter(|(text, _)| !text.is_empty()) else {
            continue;
        };
        let path = format!("details.{name}");
        if let Some(text) = it.translated(&path, text, pos, OnUntranslatable::Warn) {
            entries.push((
                Key {
                    text: name.to_owned(),
                    pos: at.pos,
                },
                scalar(&text, pos),
            ));
        }
    }
    if !entries.is_empty() {
        it.output.put_raw("details", map(it.pos, entries));
    }
}

/// Converts a responder of Opsgenie; `username` is the name of a user.
fn responder(it: &mut ChannelConversion<'_, '_, '_>, number: usize, node: &Node) -> Node {
    let Value::Map(entries) = &node.value else {
        return node.clone();
    };
    let mut mapping = Vec::new();
    for (key, value) in entries {
        let text = if key.text == "username" {
            "name"
        } else {
            &key.text
        };
        let path = format!("responders[{number}].{}", key.text);
        let value = match &value.value {
            Value::Scalar(text) if text.is_empty() => continue,
            Value::Scalar(text) => {
                let text = it.translated(&path, text, value.pos, OnUntranslatable::Reject);
                text.map_or_else(|| value.clone(), |text| scalar(&text, value.pos))
            }
            _ => value.clone(),
        };
        mapping.push((
            Key {
                text: text.to_owned(),
                pos: key.pos,
            },
            value,
        ));
    }
    map(node.pos, mapping)
}

/// Returns true if `url` is Slack's API for bots.
fn is_method(url: &str) -> bool {
    url.trim_end_matches('/').ends_with("/chat.postMessage")
}

/// Sets the same value for each severity, unless it is a template.
fn for_each_severity(it: &mut ChannelConversion<'_, '_, '_>, own: &str, word: &str, pos: Pos) {
    let key = if own == "priorities" {
        "priority"
    } else {
        "severity"
    };
    if word.contains("{{") {
        it.warn(
            key,
            pos,
            "it follows the severity of the alert here",
            Some("see `severities` and `priorities` of the channels"),
        );
        return;
    }
    let each = Severity::ALL.map(|severity| {
        (
            Key {
                text: severity.as_str().to_owned(),
                pos,
            },
            scalar(word, pos),
        )
    });
    it.output.put(own, map(pos, each.to_vec()));
}

pub(super) fn webhook(it: &mut ChannelConversion<'_, '_, '_>) {
    let url = it.fields.clone().text("url");
    if let Some((_, pos)) = url.filter(|(url, _)| url.contains("{{")) {
        it.error(
            "url",
            pos,
            "no template can stand here",
            Some("a webhook for each, and routes"),
        );
    }
    if !it.secret("url", "", "url") {
        it.error("url", it.pos, "missing key \"url\"", None);
    }
    it.http(Proof::Any);
    match it.fields.text("max_alerts") {
        Some(("0", pos)) => it.output.put_text("max_alerts", MANY, pos),
        Some((most, pos)) => it.output.put_text("max_alerts", most, pos),
        None => it.output.put_text("max_alerts", MANY, it.pos),
    }
    if let Some((timeout, pos)) = it
        .fields
        .text("timeout")
        .filter(|(timeout, _)| *timeout != "0s")
    {
        it.output.put_text("timeout", timeout, pos);
    }
}

/// Maximum number of alerts in a request, as Alertmanager has none.
const MANY: &str = "10000";

pub(super) fn telegram(it: &mut ChannelConversion<'_, '_, '_>) {
    if !it.secret("bot_token", "telegram_bot_token", "token") {
        it.error(
            "bot_token",
            it.pos,
            "neither `bot_token` nor one in `global`",
            None,
        );
    }
    if let Some(url) = it.or_global("api_url", "telegram_api_url") {
        it.output.put("api_url", url);
    }
    it.same("chat_id", "chat_id");
    it.same("message_thread_id", "message_thread_id");
    it.same("disable_notifications", "disable_notification");
    let mode = it.fields.text("parse_mode");
    match mode.filter(|(mode, _)| !mode.eq_ignore_ascii_case("html")) {
        None => it.message("message", "text"),
        Some((mode, pos)) => {
            let hint = "write `message` in HTML; the channel sends its default text";
            it.warn(
                "parse_mode",
                pos,
                &format!("messages are HTML, not {mode:?}"),
                Some(hint),
            );
            it.fields.take("message");
        }
    }
    it.http(Proof::Own);
}

pub(super) fn discord(it: &mut ChannelConversion<'_, '_, '_>) {
    if !it.secret("webhook_url", "", "url") {
        it.error("webhook_url", it.pos, "missing key \"webhook_url\"", None);
    }
    it.message("title", "title");
    it.message("message", "text");
    it.expanded("username", "username");
    it.expanded("avatar_url", "avatar_url");
    it.http(Proof::Own);
    leave_defaults(it, &["content"]);
}

pub(super) fn msteams(it: &mut ChannelConversion<'_, '_, '_>) {
    let hint = "make a workflow in Teams, and `msteamsv2_configs` with its URL";
    it.warn(
        "webhook_url",
        it.pos,
        "connectors of Teams are retired: cards go to a workflow",
        Some(hint),
    );
    teams(it);
}

pub(super) fn teams(it: &mut ChannelConversion<'_, '_, '_>) {
    if !it.secret("webhook_url", "", "url") {
        it.error("webhook_url", it.pos, "missing key \"webhook_url\"", None);
    }
    it.message("title", "title");
    it.message("text", "text");
    it.http(Proof::Own);
    it.same("timeout", "timeout");
    leave_defaults(it, &["summary"]);
}

/// Removes those of `keys` that have Alertmanager's default value.
fn leave_defaults(it: &mut ChannelConversion<'_, '_, '_>, keys: &[&str]) {
    for key in keys {
        let value: Option<(&str, Pos)> = Fields::text(&mut it.fields.clone(), key);
        if value.is_some_and(|(text, _)| text.is_empty() || super::is_default(text)) {
            it.fields.take(key);
        }
    }
}
