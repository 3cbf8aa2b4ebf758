//! Import of an Alertmanager configuration: routes, receivers and channels.
//!
//! Pure. The tree of the file becomes a tree of our keys, each with its location in the file, which
//! is decoded and checked by the crates that own the keys. A notification with another text than in
//! Alertmanager is a warning; one that could not be delivered is an error.

mod channels;
mod fields;
mod routes;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bellwether_notify::ChannelSettings;
use bellwether_routing::{InhibitRuleSettings, ReceiverSettings, Routes, TimeIntervalSettings};
use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, Node, Pos, SourceLocation, Value, YamlError,
    parse_first,
};
use fields::Fields;

use super::go::Library;

/// Settings of an Alertmanager configuration.
#[derive(Debug, Default)]
pub struct Alertmanager {
    /// One channel for each integration of a receiver.
    pub channels: Vec<ChannelSettings>,
    pub receivers: Vec<ReceiverSettings>,
    pub routes: Option<Routes>,
    pub time_intervals: Vec<TimeIntervalSettings>,
    pub inhibit_rules: Vec<InhibitRuleSettings>,
    /// Settings that were changed or ignored.
    pub warnings: Vec<Diagnostic>,
}

/// Error of looking for files.
pub type FilesError = Box<dyn std::error::Error + Send + Sync>;

/// Returns paths and texts of the files that match a pattern of names.
pub type MatchingFiles<'a> = &'a dyn Fn(&Path) -> Result<Vec<(PathBuf, String)>, FilesError>;

/// Imports the configuration `text` of the file `path`; `matching_files` returns the template files that
/// match a pattern. Errors go to `problems`.
pub fn alertmanager(
    path: &Path,
    text: &str,
    matching_files: MatchingFiles<'_>,
    problems: &mut Diagnostics,
) -> Alertmanager {
    let file: Arc<str> = path.display().to_string().into();
    let (node, second) = match parse_first(text) {
        Ok(read) => read,
        Err(YamlError { at: pos, message }) => {
            problems.error(
                &SourceLocation {
                    pos,
                    file: Some(file),
                    ..SourceLocation::default()
                },
                message,
            );
            return Alertmanager::default();
        }
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let (warnings, library) = (Vec::new(), Library::default());
    let mut report = Report {
        file,
        folder,
        problems,
        warnings,
        library,
    };
    if let Some(pos) = second {
        let message = "a second YAML document: only the first is read";
        report.warn(
            &SourceLocation {
                pos,
                ..SourceLocation::default()
            },
            message,
            None,
        );
    }
    let mut top = Fields::of(&node, "");
    report.library.add(DEFAULTS);
    for pattern in top.take("templates").map(items).unwrap_or_default() {
        report.templates(&pattern, &top, matching_files);
    }
    let (channels, receivers) = channels::all(&mut top, &mut report);
    let route = top
        .take("route")
        .map(|route| routes::route(route, "route", true, &mut report));
    if route.is_none() {
        report.error(&top.at(node.pos), "missing key \"route\"", None);
    }
    let intervals: Vec<Node> = ["time_intervals", "mute_time_intervals"]
        .into_iter()
        .filter_map(|key| top.take(key))
        .flat_map(items)
        .collect();
    let inhibit: Vec<Node> = top
        .take("inhibit_rules")
        .into_iter()
        .flat_map(items)
        .collect();
    let inhibit = inhibit
        .iter()
        .enumerate()
        .map(|(n, rule)| routes::inhibit_rule(rule, n, &mut report))
        .collect();
    for key in ["tracing", "event_recorder"] {
        top.take(key);
    }
    report.warn_remaining(top);
    Alertmanager {
        channels: report.decoded(&list(channels)),
        receivers: report.decoded(&list(receivers)),
        routes: route.and_then(|node| report.decode(&node)),
        time_intervals: report.decoded(&list(intervals)),
        inhibit_rules: report.decoded(&list(inhibit)),
        warnings: report.warnings,
    }
}

/// Definitions of Alertmanager's own `default.tmpl` that others use. Those of whole messages are
/// the default messages of our channels.
const DEFAULTS: &str = r#"
{{ define "__alertmanager" }}Alertmanager{{ end }}
{{ define "__alertmanagerURL" }}{{ .ExternalURL }}{{ end }}
{{ define "__subject" }}[{{ .Status | toUpper }}{{ if eq .Status "firing" }}:{{ .Alerts.Firing | len }}{{ end }}] {{ .GroupLabels.SortedPairs.Values | join " " }} {{ if gt (len .CommonLabels) (len .GroupLabels) }}({{ with .CommonLabels.Remove .GroupLabels.Names }}{{ .Values | join " " }}{{ end }}){{ end }}{{ end }}
{{ define "__description" }}{{ end }}
{{ define "__text_alert_list" }}{{ range . }}Labels:
{{ range .Labels.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Annotations:
{{ range .Annotations.SortedPairs }} - {{ .Name }} = {{ .Value }}
{{ end }}Source: {{ .GeneratorURL }}
{{ end }}{{ end }}
{{ define "slack.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "slack.default.titlelink" }}{{ template "__alertmanagerURL" . }}{{ end }}
{{ define "slack.default.username" }}Alertmanager{{ end }}
{{ define "slack.default.pretext" }}{{ end }}
{{ define "slack.default.text" }}{{ end }}
{{ define "slack.default.footer" }}{{ end }}
{{ define "slack.default.color" }}{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}{{ end }}
{{ define "pagerduty.default.description" }}{{ template "__subject" . }}{{ end }}
{{ define "pagerduty.default.instances" }}{{ template "__text_alert_list" . }}{{ end }}
{{ define "opsgenie.default.message" }}{{ template "__subject" . }}{{ end }}
{{ define "email.default.subject" }}{{ template "__subject" . }}{{ end }}
{{ define "discord.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "msteams.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "msteamsv2.default.title" }}{{ template "__subject" . }}{{ end }}
{{ define "pushover.default.title" }}{{ template "__subject" . }}{{ end }}
"#;

/// Returns the items of a list.
fn items(node: &Node) -> Vec<Node> {
    match &node.value {
        Value::List(items) => items.clone(),
        _ => Vec::new(),
    }
}

fn list(items: Vec<Node>) -> Node {
    Node {
        pos: items.first().map_or(Pos::default(), |first| first.pos),
        value: Value::List(items),
    }
}

/// Errors and warnings of one file.
struct Report<'a> {
    file: Arc<str>,
    /// Base of relative paths.
    folder: &'a Path,
    problems: &'a mut Diagnostics,
    warnings: Vec<Diagnostic>,
    /// Definitions for templates.
    library: Library,
}

impl Report<'_> {
    /// Reads the template files that match `pattern`.
    fn templates(&mut self, pattern: &Node, top: &Fields<'_>, matching_files: MatchingFiles<'_>) {
        let Value::Scalar(name) = &pattern.value else {
            return;
        };
        let at = top.at_key("templates", pattern.pos);
        match matching_files(&self.folder.join(name)) {
            Ok(files) if files.is_empty() => {
                self.warn(&at, format!("no file matches {name}"), None);
            }
            Ok(files) => {
                for (path, text) in files {
                    for foreign in self.library.add(&text) {
                        let place = format!("{}:{}", path.display(), foreign.line + 1);
                        let message = format!("{place}: cannot be read: {}", foreign.what);
                        self.warn(&at, message, foreign.hint.as_deref());
                    }
                }
            }
            Err(why) => self.warn(&at, why.to_string(), None),
        }
    }

    fn placed(&self, at: &SourceLocation) -> SourceLocation {
        SourceLocation {
            file: Some(Arc::clone(&self.file)),
            ..at.clone()
        }
    }

    fn error(&mut self, at: &SourceLocation, message: impl Into<String>, hint: Option<&str>) {
        let at = self.placed(at);
        self.problems.error(&at, message).hint_if(hint);
    }

    fn warn(&mut self, at: &SourceLocation, message: impl Into<String>, hint: Option<&str>) {
        let (at, hint) = (self.placed(at), hint.map(str::to_owned));
        self.warnings.push(Diagnostic {
            location: at,
            message: message.into(),
            help: hint,
        });
    }

    /// Warns about keys that were not imported.
    fn warn_remaining(&mut self, fields: Fields<'_>) {
        for (key, at) in fields.remaining() {
            self.warn(&at, format!("`{key}` is ignored"), None);
        }
    }

    fn decode<T: Decode>(&mut self, node: &Node) -> Option<T> {
        T::decode(
            node,
            &mut DecodeContext::for_file(self.problems, Arc::clone(&self.file)),
        )
    }

    fn decoded<T: Decode>(&mut self, node: &Node) -> Vec<T> {
        self.decode(node).unwrap_or_default()
    }

    /// Resolves the path of `node` relative to the file.
    fn path(&self, node: &Node) -> Node {
        match &node.value {
            Value::Scalar(path) => {
                let joined = self.folder.join(path).display().to_string();
                Node {
                    pos: node.pos,
                    value: Value::Scalar(joined),
                }
            }
            _ => node.clone(),
        }
    }
}
