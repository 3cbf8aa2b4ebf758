//! Values: their expressions and fields.

use super::super::Untranslatable;

/// Kind of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Number,
    /// Labels or annotations.
    Map,
    /// Labels of a map, ordered.
    Pairs,
    /// Label of a map, with its value.
    Pair,
    /// Data of a template of a rule.
    Rule,
    /// Data of a message of Alertmanager.
    Message,
    /// Alerts of a message.
    Alerts,
    Alert,
    /// Result of a query.
    Samples,
    /// Series of a result.
    Sample,
    /// Arguments of `args` in a definition.
    Args,
    /// Argument of unknown kind.
    Any,
    Other,
}

/// Expression of our templates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Value {
    pub text: String,
    pub kind: Kind,
    /// Set if it needs parentheses as a part of another.
    pub compound: bool,
    /// Set if it may be absent, which is an empty text in Go.
    pub absent: bool,
}

impl Value {
    pub(super) fn new(text: &str, kind: Kind) -> Self {
        Self {
            text: text.to_owned(),
            kind,
            compound: false,
            absent: false,
        }
    }

    pub(super) fn compound(text: String, kind: Kind) -> Self {
        Self {
            text,
            kind,
            compound: true,
            absent: false,
        }
    }

    /// Returns it as a part of another expression.
    pub(super) fn part(&self) -> String {
        if self.compound {
            format!("({})", self.text)
        } else {
            self.text.clone()
        }
    }

    /// Returns it as an operand or argument: an absent value is an empty text.
    pub(super) fn operand(&self) -> String {
        match self.kind == Kind::Text && self.absent {
            true => format!("({} | default(\"\"))", self.part()),
            false => self.part(),
        }
    }

    /// Returns it as it is rendered: numbers as Go prints them.
    pub(super) fn shown(&self) -> String {
        match self.kind {
            Kind::Text => self.text.clone(),
            _ => format!("print({})", self.text),
        }
    }

    /// Returns the iterable of a loop over it, and the kind of its items.
    pub(super) fn items(&self) -> (String, Kind) {
        match self.kind {
            Kind::Map => (format!("{} | dictsort", self.part()), Kind::Pair),
            Kind::Pairs => (self.text.clone(), Kind::Pair),
            Kind::Alerts => (self.text.clone(), Kind::Alert),
            Kind::Samples => (self.text.clone(), Kind::Sample),
            Kind::Any => (self.text.clone(), Kind::Any),
            _ => (self.text.clone(), Kind::Other),
        }
    }

    /// Returns a field of it.
    pub(super) fn field(&self, name: &str, line: u32) -> Result<Self, Untranslatable> {
        let unknown = || Untranslatable::new(line, format!("`.{name}`"));
        match (self.kind, name) {
            (Kind::Rule, "Labels") => Ok(Self::new("series_labels", Kind::Map)),
            (Kind::Rule, "Value") => Ok(Self::new("value", Kind::Number)),
            (Kind::Rule, "ExternalLabels") => Ok(Self::new("external_labels", Kind::Map)),
            (Kind::Rule, "ExternalURL") => Ok(Self::new("external_url", Kind::Text)),
            (Kind::Map, "SortedPairs") => Ok(Self::compound(
                format!("{} | dictsort", self.part()),
                Kind::Pairs,
            )),
            (Kind::Map, "Names") => Ok(Self::compound(
                format!("{} | list | sort", self.part()),
                Kind::Other,
            )),
            (Kind::Map, "Values") => self.field("SortedPairs", line)?.field("Values", line),
            (Kind::Pairs, "Names" | "Values") => {
                let at = if name == "Names" { "first" } else { "last" };
                Ok(Self::compound(
                    format!("{} | map(\"{at}\") | list", self.text),
                    Kind::Other,
                ))
            }
            (Kind::Map, "Remove") => Err(unknown()),
            (Kind::Map, label) => Ok(self.entry(label)),
            (Kind::Pair, "Name") => Ok(Self::new(&format!("{}[0]", self.text), Kind::Text)),
            (Kind::Pair, "Value") => Ok(Self::new(&format!("{}[1]", self.text), Kind::Text)),
            (Kind::Message, _) => self.of_message(name).ok_or_else(unknown),
            (Kind::Alerts, "Firing" | "Resolved") => {
                let status = name.to_lowercase();
                let chosen = format!("selectattr(\"status\", \"equalto\", \"{status}\")");
                Ok(Self::compound(
                    format!("{} | {chosen} | list", self.part()),
                    Kind::Alerts,
                ))
            }
            (Kind::Alert, _) => self.of_alert(name).ok_or_else(unknown),
            (Kind::Sample, "Labels") => {
                Ok(Self::new(&format!("{}.labels", self.part()), Kind::Map))
            }
            (Kind::Sample, "Value") => {
                Ok(Self::new(&format!("{}.value", self.part()), Kind::Number))
            }
            (Kind::Args | Kind::Any, _) => Ok(Self {
                kind: Kind::Any,
                ..self.entry(name)
            }),
            _ => Err(unknown()),
        }
    }

    fn of_message(&self, name: &str) -> Option<Self> {
        Some(match name {
            "Receiver" => Self::new("receiver", Kind::Text),
            "Status" => Self::new("status", Kind::Text),
            "ExternalURL" => Self::new("externalURL", Kind::Text),
            "GroupKey" => Self::new("groupKey", Kind::Text),
            "TruncatedAlerts" => Self::new("truncatedAlerts", Kind::Number),
            "GroupLabels" => Self::new("groupLabels", Kind::Map),
            "CommonLabels" => Self::new("commonLabels", Kind::Map),
            "CommonAnnotations" => Self::new("commonAnnotations", Kind::Map),
            "Alerts" => Self::new("alerts", Kind::Alerts),
            _ => return None,
        })
    }

    fn of_alert(&self, name: &str) -> Option<Self> {
        let (key, kind) = match name {
            "Status" => ("status", Kind::Text),
            "Labels" => ("labels", Kind::Map),
            "Annotations" => ("annotations", Kind::Map),
            "StartsAt" => ("startsAt", Kind::Text),
            "EndsAt" => ("endsAt", Kind::Text),
            "GeneratorURL" => ("generatorURL", Kind::Text),
            "Fingerprint" => ("fingerprint", Kind::Text),
            _ => return None,
        };
        Some(Self::new(&format!("{}.{key}", self.part()), kind))
    }

    /// Returns the entry of a map.
    pub(super) fn entry(&self, name: &str) -> Self {
        let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let text = match plain {
            true => format!("{}.{name}", self.part()),
            false => format!("{}[{}]", self.part(), quoted(name)),
        };
        // Labels of rules have defaults for missing ones; those of a message are absent.
        let absent = !["series_labels", "external_labels"].contains(&&*self.text);
        Self {
            absent,
            ..Self::new(&text, Kind::Text)
        }
    }
}

/// Quotes a text. A dollar that looks like a variable of Prometheus is escaped.
pub(in crate::go) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let variable = ["$labels", "$value", "$external"]
        .iter()
        .any(|name| text.contains(name));
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if variable => out.push_str("\\u0024"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
