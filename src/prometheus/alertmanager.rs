//! An Alertmanager configuration, read as it is, to routes, receivers and channels of ours.
//!
//! Pure. The file's tree becomes a tree of our keys, each at its place in the file, which the rooms
//! that own the keys decode and judge as always. What would be told in other words only is a
//! warning; what could not be delivered at all is an error: no alert is lost in silence.
//!
//! Source: Alertmanager, "Configuration".

mod channels;
mod fields;
mod routes;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use crate::declare::{At, Cx, Decode, Node, Pos, Problem, Problems, Value, parse};
use crate::notify::ChannelSettings;
use crate::routing::{InhibitRuleSettings, ReceiverSettings, Routes, TimeIntervalSettings};

use fields::Fields;

/// What a configuration of Alertmanager says, as settings of ours.
#[derive(Debug, Default)]
pub struct Alertmanager {
    /// One for each integration of a receiver.
    pub channels: Vec<ChannelSettings>,
    /// Its receivers.
    pub receivers: Vec<ReceiverSettings>,
    /// Its tree of routes.
    pub routes: Option<Routes>,
    /// Its time intervals.
    pub time_intervals: Vec<TimeIntervalSettings>,
    /// Its inhibition rules.
    pub inhibit_rules: Vec<InhibitRuleSettings>,
    /// What could not be taken as it is.
    pub warnings: Vec<Problem>,
}

/// Reads the configuration `text`, which is in `path`. What is wrong goes to `problems`.
pub fn alertmanager(path: &Path, text: &str, problems: &mut Problems) -> Alertmanager {
    let file: Arc<str> = path.display().to_string().into();
    let node = match parse(text) {
        Ok(node) => node,
        Err((pos, message)) => {
            problems.error(&At { pos, file: Some(file), ..At::default() }, message);
            return Alertmanager::default();
        }
    };
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut report = Report { file, folder, problems, warnings: Vec::new() };
    let mut top = Fields::of(&node, "");
    let (channels, receivers) = channels::all(&mut top, &mut report);
    let route = top.take("route").map(|route| routes::route(route, "route", true, &mut report));
    if route.is_none() {
        report.error(&top.at(node.pos), "missing key \"route\"", None);
    }
    let intervals: Vec<Node> = ["time_intervals", "mute_time_intervals"]
        .into_iter()
        .filter_map(|key| top.take(key))
        .flat_map(items)
        .collect();
    let inhibit = top.take("inhibit_rules");
    let inhibit: Vec<Node> = inhibit.into_iter().flat_map(items).collect();
    let inhibit = inhibit.iter().enumerate();
    let inhibit = inhibit.map(|(n, rule)| routes::inhibit_rule(rule, n, &mut report)).collect();
    if let Some(templates) = top.take("templates").filter(|node| !items(node).is_empty()) {
        let hint = "write what a template gives as `title` or `text` of the channel";
        report.warn(&top.at_key("templates", templates.pos), "templates are not read", Some(hint));
    }
    for key in ["tracing", "event_recorder"] {
        top.take(key);
    }
    report.left(top);
    Alertmanager {
        channels: report.decoded(&list(channels)),
        receivers: report.decoded(&list(receivers)),
        routes: route.and_then(|node| report.decode(&node)),
        time_intervals: report.decoded(&list(intervals)),
        inhibit_rules: report.decoded(&list(inhibit)),
        warnings: report.warnings,
    }
}

/// The items of a list.
fn items(node: &Node) -> Vec<Node> {
    match &node.value {
        Value::List(items) => items.clone(),
        _ => Vec::new(),
    }
}

fn list(items: Vec<Node>) -> Node {
    Node { pos: items.first().map_or(Pos::default(), |first| first.pos), value: Value::List(items) }
}

/// What is wrong or odd in one file.
struct Report<'a> {
    file: Arc<str>,
    /// Where relative paths begin.
    folder: &'a Path,
    problems: &'a mut Problems,
    warnings: Vec<Problem>,
}

impl Report<'_> {
    fn placed(&self, at: &At) -> At {
        At { file: Some(Arc::clone(&self.file)), ..at.clone() }
    }

    fn error(&mut self, at: &At, message: impl Into<String>, hint: Option<&str>) {
        let at = self.placed(at);
        self.problems.error(&at, message).hint_if(hint);
    }

    fn warn(&mut self, at: &At, message: impl Into<String>, hint: Option<&str>) {
        let (at, hint) = (self.placed(at), hint.map(str::to_owned));
        self.warnings.push(Problem { at, message: message.into(), hint });
    }

    /// Warns of the keys that nobody took.
    fn left(&mut self, fields: Fields<'_>) {
        for (key, at) in fields.left() {
            self.warn(&at, format!("`{key}` is not kept"), None);
        }
    }

    fn decode<T: Decode>(&mut self, node: &Node) -> Option<T> {
        T::decode(node, &mut Cx::of_file(self.problems, Arc::clone(&self.file)))
    }

    fn decoded<T: Decode>(&mut self, node: &Node) -> Vec<T> {
        self.decode(node).unwrap_or_default()
    }

    /// `path` as it is meant: relative to the file.
    fn path(&self, node: &Node) -> Node {
        match &node.value {
            Value::Scalar(path) => {
                let joined = self.folder.join(path).display().to_string();
                Node { pos: node.pos, value: Value::Scalar(joined) }
            }
            _ => node.clone(),
        }
    }
}
