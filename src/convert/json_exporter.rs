//! json_exporter: metrics of documents in JSON.
//!
//! Source: json_exporter, README and `config/config.go`.

mod path;

use std::collections::BTreeSet;

use bellwether_core::{is_label_name, is_metric_name};
use bellwether_schema::{Pos, YamlError};

use self::path::json_path;
use super::draft::Draft;
use super::fields::Fields;
use super::http_client::{authorization, proxy, tls};
use super::source::Source;
use super::yaml::{Map, Yaml};

/// Address of an entry whose address is not in the file.
const EXAMPLE: &str = "http://localhost:8080/";

pub(super) fn is(source: &Source<'_>) -> bool {
    source.has_within("modules", "metrics")
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    draft.modules(sources, |_, name, module, draft| {
        convert_module(name, module, draft);
    })
}

fn convert_module(module: &str, mut fields: Fields<'_>, draft: &mut Draft) {
    let at = fields.at;
    let (name, mut collector) = draft.collector(module, "http_json");
    let mut metrics = Metrics::default();
    for metric in fields.maps("metrics") {
        let before = metrics.list.len();
        convert_metric(metric, &mut metrics, &mut collector);
        draft.converted += usize::from(metrics.list.len() > before);
    }
    collector.put("enabled", Yaml::word(false));
    collector.complete(at, "json_exporter gets the address from Prometheus: write it as url, and remove `enabled: false`");
    collector.put("url", Yaml::text(EXAMPLE));
    let mut body = fields.within("body");
    if let Some(content) = body.text("content") {
        collector.put("method", Yaml::text("POST"));
        collector.put("body", Yaml::raw(content));
    }
    body.skip_if("templatize", &["false"]);
    body.finish(&mut collector);
    let mut client = fields.within("http_client_config");
    let headers = fields.pairs("headers");
    authorization(&mut client, headers, &name, &mut collector);
    tls(&mut client, &mut collector);
    client.skip_if("follow_redirects", &["true"]);
    client.skip_if("enable_http2", &["true"]);
    proxy(&mut client, &mut collector);
    client.finish(&mut collector);
    fields.finish(&mut collector);
    match metrics.list.is_empty() {
        true => draft.give_up(collector),
        false => {
            collector.put("metrics", metrics.list.into());
            draft.push(collector);
        }
    }
}

/// Adds the metrics of an entry: one, or one for each value of an object.
fn convert_metric(mut fields: Fields<'_>, metrics: &mut Metrics, collector: &mut Map) {
    let at = fields.at;
    let Some(name) = fields.text("name") else {
        return collector.lose(at, "a metric without a name");
    };
    let is_object = fields.text("type") == Some("object");
    let mut rest = Rest {
        at,
        is_counter: fields.text("valuetype") == Some("counter"),
        help: fields.text("help"),
        labels: Map::default(),
    };
    let path = fields.text_at("path");
    let Some(path) = path.and_then(|(path, at)| converted_path(name, path, at, collector)) else {
        return fields.finish(collector);
    };
    for (label, value, at) in fields.pairs("labels") {
        match is_label_name(label) {
            true => {
                let value = label_value(name, value, at, collector);
                rest.labels.put_some(label, value);
            }
            false => collector.lose(at, format!("{name}: the label {label:?}")),
        }
    }
    if is_object {
        for (key, value, at) in fields.pairs("values") {
            let name = format!("{name}_{key}");
            if !value.contains('{') {
                collector.lose(at, format!("{name}: a value that is no path"));
            } else if let Some(value) = converted_path(&name, value, at, collector) {
                metrics.push(&name, Some(&path), &value, &rest, collector);
            }
        }
    } else {
        metrics.push(name, None, &path, &rest, collector);
    }
    fields.finish(collector);
}

/// Metrics of a module, each once.
#[derive(Default)]
struct Metrics {
    list: Vec<Map>,
    /// Names with their paths.
    taken: BTreeSet<(String, Option<String>, String)>,
}

impl Metrics {
    /// Adds a metric, unless it has no valid name or is there already.
    fn push(&mut self, name: &str, items: Option<&str>, value: &str, rest: &Rest, notes: &mut Map) {
        let key = (name.to_owned(), items.map(str::to_owned), value.to_owned());
        if !is_metric_name(name) {
            return notes.lose(rest.at, format!("{name}: its name"));
        }
        if !self.taken.insert(key) {
            return notes.lose(rest.at, format!("{name}: it is there already"));
        }
        let mut metric = Map::of([("name", name)]);
        if rest.is_counter {
            metric.put("type", Yaml::text("counter"));
        }
        metric.put_some("help", rest.help.map(Yaml::text));
        metric.put_some("items", items.map(Yaml::raw));
        metric.put("value", Yaml::raw(value));
        metric.put_filled("labels", rest.labels.clone());
        self.list.push(metric);
    }
}

/// Settings that all values of an entry share.
struct Rest<'n> {
    at: Pos,
    is_counter: bool,
    help: Option<&'n str>,
    labels: Map,
}

/// Returns the value of a label: a path, or a text.
fn label_value(metric: &str, value: &str, at: Pos, collector: &mut Map) -> Option<Yaml> {
    if value.contains('{') {
        return converted_path(metric, value, at, collector).map(|path| Yaml::raw(&path));
    }
    if value.starts_with('$') || value == "~" {
        collector.lose(at, format!("{metric}: a label with the text {value}"));
        return None;
    }
    Some(Yaml::raw(value))
}

/// Returns a path, or notes that it has no counterpart.
fn converted_path(metric: &str, path: &str, at: Pos, collector: &mut Map) -> Option<String> {
    let converted = json_path(path);
    if converted.is_none() {
        collector.lose(at, format!("{metric}: the path {path}"));
    }
    converted
}
