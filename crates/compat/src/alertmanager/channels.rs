//! Receivers: each of their integrations becomes a channel, and they the names of these.

use std::collections::BTreeSet;

use bellwether_schema::{Node, Pos, SourceLocation, Value};

use super::fields::{Fields, Made, scalar};
use super::{Report, items};
use crate::go::{self, Dialect};

mod email;
mod http;
mod kinds;

/// An integration of Alertmanager.
struct Kind {
    /// Its key there.
    key: &'static str,
    /// The type of channel that it becomes.
    channel: &'static str,
    /// Whether ends are told there where nothing is said.
    resolved: bool,
    /// What its keys are here.
    make: fn(&mut Maker<'_, '_, '_>),
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

/// What becomes of a text that cannot be translated.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Otherwise {
    /// It is left out, with a warning.
    Warn,
    /// It is an error.
    Refuse,
}

/// Makes one channel.
struct Maker<'m, 'n, 'a> {
    /// The integration.
    fields: Fields<'n>,
    /// What all have where they say nothing.
    global: &'m Fields<'n>,
    /// The channel.
    made: Made,
    /// Where the integration begins.
    pos: Pos,
    report: &'m mut Report<'a>,
}

/// The channels and the receivers of the file.
pub(super) fn all(top: &mut Fields<'_>, report: &mut Report<'_>) -> (Vec<Node>, Vec<Node>) {
    let global = top.within("global");
    let (mut channels, mut receivers) = (Vec::new(), Vec::new());
    let mut names = BTreeSet::new();
    let declared = match top.take("receivers").map(|node| &node.value) {
        Some(Value::List(receivers)) => receivers.as_slice(),
        _ => &[],
    };
    for (number, node) in declared.iter().enumerate() {
        let mut fields = Fields::of(node, &format!("receivers[{number}]"));
        let mut made = Made::at(node.pos);
        let name = fields.take("name");
        let mut own = Vec::new();
        for kind in &KINDS {
            let Some(integrations) = fields.take(kind.key) else {
                continue;
            };
            let Value::List(integrations) = &integrations.value else {
                continue;
            };
            for (number, integration) in integrations.iter().enumerate() {
                let path = format!("{}.{}[{number}]", fields.path(), kind.key);
                let channel = free_name(name, kind.channel, &mut names);
                let maker = Maker {
                    fields: Fields::of(integration, &path),
                    global: &global,
                    made: Made::at(integration.pos),
                    pos: integration.pos,
                    report,
                };
                if let Some(node) = maker.channel(kind, &channel) {
                    channels.push(node);
                    own.push(scalar(&channel, integration.pos));
                }
            }
        }
        if let Some(name) = name {
            made.put("name", name.clone());
        }
        made.put(
            "channels",
            Node {
                pos: node.pos,
                value: Value::List(own),
            },
        );
        receivers.push(made.node());
        for (key, at) in fields.left() {
            if key.ends_with("_configs") {
                let hint = "a `webhook` or `exec` channel can tell it; write the receiver so";
                report.error(&at, format!("there is no channel for `{key}`"), Some(hint));
            } else {
                report.warn(&at, format!("`{key}` is not kept"), None);
            }
        }
    }
    (channels, receivers)
}

/// A name for a channel of the receiver `name`: what a file may be called.
fn free_name(name: Option<&Node>, channel: &str, names: &mut BTreeSet<String>) -> String {
    let name = match name.map(|node| &node.value) {
        Some(Value::Scalar(name)) => name.as_str(),
        _ => "",
    };
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || "-_".contains(c) {
            c
        } else {
            '-'
        }
    };
    let stem: String = name.chars().map(plain).take(40).collect();
    let first = format!("{stem}-{channel}");
    let others = (2..).map(|number| format!("{first}-{number}"));
    let mut all = std::iter::once(first.clone()).chain(others);
    let free = all.find(|name| !names.contains(name)).unwrap_or(first);
    names.insert(free.clone());
    free
}

impl Maker<'_, '_, '_> {
    /// The channel; `None` where it could not be told anything, which was noted.
    fn channel(mut self, kind: &Kind, name: &str) -> Option<Node> {
        let before = self.report.problems.len();
        self.made.put_text("type", kind.channel, self.pos);
        self.made.put_text("name", name, self.pos);
        match self.fields.take("send_resolved") {
            Some(node) => self.made.put("send_resolved", node.clone()),
            None => self
                .made
                .put_text("send_resolved", &kind.resolved.to_string(), self.pos),
        }
        (kind.make)(&mut self);
        self.report.left(self.fields);
        (self.report.problems.len() == before).then(|| self.made.node())
    }

    fn warn(&mut self, key: &str, pos: Pos, message: &str, hint: Option<&str>) {
        self.report
            .warn(&self.fields.at_key(key, pos), message, hint);
    }

    fn error(&mut self, key: &str, pos: Pos, message: &str, hint: Option<&str>) {
        self.report
            .error(&self.fields.at_key(key, pos), message, hint);
    }

    /// The value of `key`, or that of `general` in `global`.
    fn or_global(&mut self, key: &str, general: &str) -> Option<Node> {
        let own = self.fields.said(key);
        own.or_else(|| self.global.clone().said(general)).cloned()
    }

    /// A value that is the same here under the name `own`.
    fn same(&mut self, key: &str, own: &str) {
        if let Some(node) = self.fields.said(key) {
            self.made.put(own, node.clone());
        }
    }

    /// A text that may be a template; where it cannot be translated, it is left out.
    fn expanded(&mut self, key: &str, own: &str) {
        let Some((text, pos)) = self.fields.text(key) else {
            return;
        };
        if is_default(text) || text.is_empty() {
            return;
        }
        if let Some(text) = self.translated(key, text, pos, Otherwise::Warn) {
            self.made.put_text(own, &text, pos);
        }
    }

    /// The same of one that says where to: nobody can do without.
    fn addressed(&mut self, key: &str, own: &str) {
        let Some((text, pos)) = self.fields.text(key) else {
            return;
        };
        if let Some(text) = self.translated(key, text, pos, Otherwise::Refuse) {
            self.made.put_text(own, &text, pos);
        }
    }

    /// A text as it is said here; `None` where its template cannot be, which is noted.
    fn translated(&mut self, key: &str, text: &str, pos: Pos, or: Otherwise) -> Option<String> {
        if !text.contains("{{") {
            return Some(text.to_owned());
        }
        match go::translate(text, Dialect::Message) {
            Ok(template) => Some(template),
            Err(foreign) => {
                let message = format!("cannot be translated: {}", foreign.what);
                let hint = foreign.hint.as_deref();
                match or {
                    Otherwise::Refuse => self.error(key, pos, &message, hint),
                    Otherwise::Warn => {
                        self.warn(key, pos, &format!("{message}: it is not kept"), hint);
                    }
                }
                None
            }
        }
    }

    /// A secret in the file or in one of its own: `key` or `key_file`; those of `global` where
    /// there is neither. Whether there was one.
    fn secret(&mut self, key: &str, general: &str, own: &str) -> bool {
        let file = |key: &str| format!("{key}_file");
        let mut global = self.global.clone();
        let found = self.fields.said(key).map(|node| (node, false));
        let found = found.or_else(|| self.fields.said(&file(key)).map(|node| (node, true)));
        let found = found.or_else(|| global.said(general).map(|node| (node, false)));
        let found = found.or_else(|| global.said(&file(general)).map(|node| (node, true)));
        match found {
            Some((node, false)) => self.made.put(own, node.clone()),
            Some((node, true)) => self.made.put(&file(own), self.report.path(node)),
            None => return false,
        }
        true
    }

    /// A message: its template, translated. Where that cannot be, the channel says it its own way.
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
            Ok(template) => self.made.put_raw(own, scalar(&template, at.pos)),
            Err(foreign) => {
                let message = format!("cannot be translated: {}", foreign.what);
                let usual = "the channel's own words are told";
                let hint = foreign
                    .hint
                    .map_or_else(|| usual.into(), |hint| format!("{hint}; {usual}"));
                self.report.warn(at, message, Some(&hint));
            }
        }
    }
}

/// Whether `text` is one of the templates that Alertmanager comes with.
fn is_default(text: &str) -> bool {
    let inside = text
        .trim()
        .strip_prefix("{{")
        .and_then(|rest| rest.strip_suffix("}}"));
    let words: Vec<&str> = inside.into_iter().flat_map(str::split_whitespace).collect();
    matches!(words.as_slice(), ["template", name, "."] if name.contains(".default."))
}

/// A list as it is written in one text, between commas.
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
