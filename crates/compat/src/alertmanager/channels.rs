//! Import of receivers: each of their integrations becomes a channel.

use std::collections::BTreeSet;

use bellwether_schema::{Node, Pos, SourceLocation, Value};

use super::fields::{Fields, MappingBuilder, scalar};
use super::{Report, items};
use crate::go::{self, Dialect};

mod email;
mod http;
mod kinds;

/// Integration of Alertmanager.
struct Kind {
    /// Key in Alertmanager.
    key: &'static str,
    /// Type of the channel.
    channel: &'static str,
    /// Default of `send_resolved`.
    resolved: bool,
    /// Converts its keys.
    make: fn(&mut ChannelConversion<'_, '_, '_>),
}

const KINDS: [Kind; 9] = [
    Kind {
        key: "slack_configs",
        channel: "slack",
        resolved: false,
        make: kinds::slack,
    },
    Kind {
        key: "pagerduty_configs",
        channel: "pagerduty",
        resolved: true,
        make: kinds::pagerduty,
    },
    Kind {
        key: "opsgenie_configs",
        channel: "opsgenie",
        resolved: true,
        make: kinds::opsgenie,
    },
    Kind {
        key: "webhook_configs",
        channel: "webhook",
        resolved: true,
        make: kinds::webhook,
    },
    Kind {
        key: "email_configs",
        channel: "email",
        resolved: false,
        make: email::email,
    },
    Kind {
        key: "telegram_configs",
        channel: "telegram",
        resolved: true,
        make: kinds::telegram,
    },
    Kind {
        key: "discord_configs",
        channel: "discord",
        resolved: true,
        make: kinds::discord,
    },
    Kind {
        key: "msteams_configs",
        channel: "teams",
        resolved: true,
        make: kinds::msteams,
    },
    Kind {
        key: "msteamsv2_configs",
        channel: "teams",
        resolved: true,
        make: kinds::teams,
    },
];

/// Handling of a text that cannot be translated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OnUntranslatable {
    /// Warning; the text is left out.
    Warn,
    /// Error.
    Reject,
}

/// Conversion of one integration to a channel.
struct ChannelConversion<'m, 'n, 'a> {
    /// Keys of the integration.
    fields: Fields<'n>,
    /// Defaults of all integrations.
    global: &'m Fields<'n>,
    /// Channel.
    output: MappingBuilder,
    /// Start of the integration.
    pos: Pos,
    report: &'m mut Report<'a>,
}

/// Imports the channels and receivers of the file.
pub(super) fn all(top: &mut Fields<'_>, report: &mut Report<'_>) -> (Vec<Node>, Vec<Node>) {
    let global = top.within("global");
    let (mut channels, mut receivers) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    let entries = match top.take("receivers").map(|node| &node.value) {
        Some(Value::List(receivers)) => receivers.as_slice(),
        _ => &[],
    };
    for (number, node) in entries.iter().enumerate() {
        let fields = Fields::of(node, &format!("receivers[{number}]"));
        let mut import = ReceiverImport {
            global: &global,
            names: &mut names,
            channels: &mut channels,
            report,
        };
        receivers.push(import.receiver(node, fields));
    }
    (channels, receivers)
}

/// Import of one receiver.
struct ReceiverImport<'i, 'a> {
    global: &'i Fields<'i>,
    /// Names of channels so far.
    names: &'i mut BTreeSet<String>,
    channels: &'i mut Vec<Node>,
    report: &'i mut Report<'a>,
}

impl ReceiverImport<'_, '_> {
    /// Adds the channels of a receiver. Returns the receiver.
    fn receiver(&mut self, node: &Node, mut fields: Fields<'_>) -> Node {
        let mut mapping = MappingBuilder::at(node.pos);
        let name = fields.take("name");
        let mut own = Vec::new();
        for kind in &KINDS {
            let integrations = fields.take(kind.key).map(|node| &node.value);
            let Some(Value::List(integrations)) = integrations else {
                continue;
            };
            for (number, integration) in integrations.iter().enumerate() {
                let path = format!("{}.{}[{number}]", fields.path(), kind.key);
                let channel = free_name(name, kind.channel, self.names);
                let conversion = ChannelConversion {
                    fields: Fields::of(integration, &path),
                    global: self.global,
                    output: MappingBuilder::at(integration.pos),
                    pos: integration.pos,
                    report: self.report,
                };
                if let Some(node) = conversion.channel(kind, &channel) {
                    self.channels.push(node);
                    own.push(scalar(&channel, integration.pos));
                }
            }
        }
        if let Some(name) = name {
            mapping.put("name", name.clone());
        }
        let value = Value::List(own);
        let pos = node.pos;
        mapping.put("channels", Node { pos, value });
        self.report_remaining(&fields);
        mapping.node()
    }

    /// Reports the keys without a counterpart.
    fn report_remaining(&mut self, fields: &Fields<'_>) {
        for (key, at) in fields.remaining() {
            if key.ends_with("_configs") {
                let hint = "a `webhook` or `exec` channel can tell it; write the receiver so";
                let message = format!("there is no channel for `{key}`");
                self.report.error(&at, message, Some(hint));
            } else {
                self.report.warn(&at, format!("`{key}` is ignored"), None);
            }
        }
    }
}

/// Returns a unique name for a channel of the receiver `name`, usable as a file name.
fn free_name(name: Option<&Node>, channel: &str, names: &mut BTreeSet<String>) -> String {
    let name = match name.map(|node| &node.value) {
        Some(Value::Scalar(name)) => name.as_str(),
        _ => "",
    };
    let stem: String = name
        .chars()
        .map(|c: char| {
            if c.is_ascii_alphanumeric() || "-_".contains(c) {
                c
            } else {
                '-'
            }
        })
        .take(40)
        .collect();
    let first = format!("{stem}-{channel}");
    let others = (2..).map(|number| format!("{first}-{number}"));
    let mut all = std::iter::once(first.clone()).chain(others);
    let free = all.find(|name| !names.contains(name)).unwrap_or(first);
    names.insert(free.clone());
    free
}

impl ChannelConversion<'_, '_, '_> {
    /// Returns the channel; `None` after an error.
    fn channel(mut self, kind: &Kind, name: &str) -> Option<Node> {
        let before = self.report.problems.len();
        self.output.put_text("type", kind.channel, self.pos);
        self.output.put_text("name", name, self.pos);
        match self.fields.take("send_resolved") {
            Some(node) => self.output.put("send_resolved", node.clone()),
            None => self
                .output
                .put_text("send_resolved", &kind.resolved.to_string(), self.pos),
        }
        (kind.make)(&mut self);
        self.report.warn_remaining(self.fields);
        (self.report.problems.len() == before).then(|| self.output.node())
    }

    fn warn(&mut self, key: &str, pos: Pos, message: &str, hint: Option<&str>) {
        self.report
            .warn(&self.fields.at_key(key, pos), message, hint);
    }

    fn error(&mut self, key: &str, pos: Pos, message: &str, hint: Option<&str>) {
        self.report
            .error(&self.fields.at_key(key, pos), message, hint);
    }

    /// Takes the value of `key`, or that of `general` in `global`.
    fn or_global(&mut self, key: &str, general: &str) -> Option<Node> {
        let own = self.fields.take_non_empty(key);
        own.or_else(|| self.global.clone().take_non_empty(general))
            .cloned()
    }

    /// Copies a value to the key `own`.
    fn same(&mut self, key: &str, own: &str) {
        if let Some(node) = self.fields.take_non_empty(key) {
            self.output.put(own, node.clone());
        }
    }

    /// Translates a text that may be a template; without a translation it is left out.
    fn expanded(&mut self, key: &str, own: &str) {
        let Some((text, pos)) = self.fields.text(key) else {
            return;
        };
        if is_default(text) || text.is_empty() {
            return;
        }
        if let Some(text) = self.translated(key, text, pos, OnUntranslatable::Warn) {
            self.output.put_text(own, &text, pos);
        }
    }

    /// Translates an address, which may be a template; without a translation it is an error.
    fn addressed(&mut self, key: &str, own: &str) {
        let Some((text, pos)) = self.fields.text(key) else {
            return;
        };
        if let Some(text) = self.translated(key, text, pos, OnUntranslatable::Reject) {
            self.output.put_text(own, &text, pos);
        }
    }

    /// Translates a text; `None` after a diagnostic.
    fn translated(
        &mut self,
        key: &str,
        text: &str,
        pos: Pos,
        or: OnUntranslatable,
    ) -> Option<String> {
        if !text.contains("{{") {
            return Some(text.to_owned());
        }
        match go::translate(text, Dialect::Message) {
            Ok(template) => Some(template),
            Err(foreign) => {
                let message = format!("cannot be translated: {}", foreign.what);
                let hint = foreign.hint.as_deref();
                match or {
                    OnUntranslatable::Reject => self.error(key, pos, &message, hint),
                    OnUntranslatable::Warn => {
                        self.warn(key, pos, &format!("{message}: it is ignored"), hint);
                    }
                }
                None
            }
        }
    }

    /// Copies a secret of the file or of a file of its own: `key` or `key_file`, or those of
    /// `global`. Returns true if there is one.
    fn secret(&mut self, key: &str, general: &str, own: &str) -> bool {
        let mut global = self.global.clone();
        let source = self
            .fields
            .take_non_empty(key)
            .map(|node| (node, false))
            .or_else(|| {
                self.fields
                    .take_non_empty(&file_key(key))
                    .map(|node| (node, true))
            })
            .or_else(|| global.take_non_empty(general).map(|node| (node, false)))
            .or_else(|| {
                global
                    .take_non_empty(&file_key(general))
                    .map(|node| (node, true))
            });
        match source {
            Some((node, false)) => self.output.put(own, node.clone()),
            Some((node, true)) => self.output.put(&file_key(own), self.report.path(node)),
            None => return false,
        }
        true
    }

    /// Translates the template of a message; without a translation the channel has its default
    /// message.
    fn message(&mut self, key: &str, own: &str) {
        let Some((text, pos)) = self.fields.text(key) else {
            return;
        };
        let at = self.fields.at_key(key, pos);
        self.put_message(own, text, &at);
    }

    fn put_message(&mut self, own: &str, text: &str, at: &SourceLocation) {
        if is_default(text) || text.is_empty() {
            return;
        }
        match go::translate_with(text, Dialect::Message, &self.report.library) {
            Ok(template) => self.output.put_raw(own, scalar(&template, at.pos)),
            Err(foreign) => {
                let message = format!("cannot be translated: {}", foreign.what);
                let usual = "the channel sends its default text";
                let hint = foreign
                    .hint
                    .map_or_else(|| usual.into(), |hint| format!("{hint}; {usual}"));
                self.report.warn(at, message, Some(&hint));
            }
        }
    }
}

/// Returns the key of the file that holds the value of `key`.
fn file_key(key: &str) -> String {
    format!("{key}_file")
}

/// Returns true if `text` is one of Alertmanager's default templates.
fn is_default(text: &str) -> bool {
    let inside = text
        .trim()
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    let words: Vec<&str> = inside.into_iter().flat_map(str::split_whitespace).collect();
    matches!(words.as_slice(), ["template", name, "."] if name.contains(".default."))
}

/// Splits a comma-separated list.
fn split(text: &str, pos: Pos) -> Node {
    let parts = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    Node {
        pos,
        value: Value::List(parts.map(|part| scalar(part, pos)).collect()),
    }
}
