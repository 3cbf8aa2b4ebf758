//! Metrics in documents.

use std::collections::{BTreeMap, BTreeSet};

use bellwether_core::{Kind, SeriesBatch, is_label_name, is_metric_name};
use bellwether_schema::{Diagnostics, Literal, SourceLocation, Spanned, section};
use serde_json::Value;
use serde_json_path::{JsonPath, NormalizedPath, PathElement};

use crate::document::Document;

section! {
    /// Metric in a document.
    pub struct MappedMetric {
        /// Name of the metric.
        pub name: Spanned<String>,
        /// `gauge` or `counter`.
        pub r#type: Kind = Kind::Gauge,
        /// Text of `# HELP`.
        pub help: String = String::new(),
        /// JSONPath (RFC 9535) of the items, each of which has a series, such as `$.disks[*]`. Default: the document
        /// as a whole; for CSV its rows.
        pub items: Option<Spanned<Literal>>,
        /// JSONPath of the value from the item on, such as `$.size`. Numbers, texts with a number, `true` and `false`
        /// are values. An item without a value, or with `null`, has no series.
        pub value: Spanned<Literal> = Spanned::nowhere(Literal("$".to_owned())),
        /// Labels: a JSONPath from the item on; `~` for the key or index of the item in its parent; or else a text.
        pub labels: BTreeMap<String, Spanned<Literal>> = BTreeMap::new(),
        /// Numbers of values that are texts, such as `{up: 1, down: 0}`.
        pub values: BTreeMap<String, f64> = BTreeMap::new(),
        /// Factor of the value, for base units: 0.001 for milliseconds.
        pub scale: f64 = 1.0,
    }
}

/// Metrics of documents of one source.
#[derive(Clone, Debug)]
pub(crate) struct Mapping(Vec<Metric>);

#[derive(Clone, Debug)]
struct Metric {
    name: String,
    kind: Kind,
    help: String,
    items: Option<JsonPath>,
    value: JsonPath,
    /// Paths as they were written.
    items_text: String,
    value_text: String,
    labels: Vec<(String, Label)>,
    values: BTreeMap<String, f64>,
    scale: f64,
}

/// Items that were found for each metric of a mapping, so that a path with a typo is noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen(Vec<Items>);

#[derive(Clone, Copy, Debug, Default)]
struct Items {
    /// Largest number in a document.
    count: usize,
    /// True once one had a value.
    has_value: bool,
}

#[derive(Clone, Debug)]
enum Label {
    Path(JsonPath),
    /// Key or index of the item.
    Key,
    Text(String),
}

impl Mapping {
    /// Returns the mapping, unless there is an error, which is reported.
    pub(crate) fn resolve(metrics: &[MappedMetric], problems: &mut Diagnostics) -> Option<Self> {
        let mut names = BTreeSet::new();
        let resolved: Vec<Option<Metric>> = metrics
            .iter()
            .map(|metric| {
                let own = metric.items.as_ref().map(|items| &items.value.0);
                if !names.insert((&metric.name.value, own, &metric.value.value.0)) {
                    problems.error(
                        &metric.name.at,
                        format!("metric {:?} twice", metric.name.value),
                    );
                }
                metric.resolve(problems)
            })
            .collect();
        resolved.into_iter().collect::<Option<Vec<_>>>().map(Self)
    }

    /// Returns whether there is no metric.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds the series of a document to `out`.
    ///
    /// # Errors
    /// Returns a text about the metrics that are not in it. The others were added.
    pub(crate) fn apply(
        &self,
        document: &Document,
        seen: &mut Seen,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        self.apply_where(|_| true, document, seen, out)
    }

    /// As [`Mapping::apply`], for a further page of a document: a metric of the document as a whole has its series
    /// already.
    pub(crate) fn apply_items(
        &self,
        document: &Document,
        seen: &mut Seen,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        let has_items = |metric: &Metric| metric.items.is_some() || document.items.is_some();
        self.apply_where(has_items, document, seen, out)
    }

    /// Returns notes about metrics that had no value in any document yet.
    pub(crate) fn notes(&self, seen: &Seen) -> Vec<String> {
        let metrics = self.0.iter().zip(&seen.0);
        let metrics = metrics.filter(|(_, items)| !items.has_value);
        metrics
            .map(|(metric, items)| {
                let (name, value) = (&metric.name, &metric.value_text);
                match items.count {
                    0 => format!("metric {name}: no items at {}", metric.items_text),
                    1 => format!("metric {name}: the only item has no value at {value}"),
                    count => format!("metric {name}: none of {count} items has a value at {value}"),
                }
            })
            .collect()
    }

    fn apply_where(
        &self,
        applies: impl Fn(&Metric) -> bool,
        document: &Document,
        seen: &mut Seen,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        seen.0.resize(self.0.len(), Items::default());
        let metrics = self.0.iter().zip(&mut seen.0);
        let metrics = metrics.filter(|(metric, _)| applies(metric));
        let errors: Vec<String> = metrics
            .filter_map(|(metric, items)| metric.apply(document, items, out).err())
            .collect();
        match errors.is_empty() {
            true => Ok(()),
            false => Err(errors.join("; ")),
        }
    }
}

impl MappedMetric {
    fn resolve(&self, problems: &mut Diagnostics) -> Option<Metric> {
        let at = &self.name.at;
        if !is_metric_name(&self.name) {
            problems
                .error(at, format!("not a metric name: {:?}", self.name.value))
                .hint("letters, digits, _ and :, not starting with a digit");
        }
        if !matches!(self.r#type, Kind::Counter | Kind::Gauge) {
            problems
                .error(
                    at,
                    format!("a value of a document is no {}", self.r#type.as_str()),
                )
                .hint("gauge or counter");
        }
        let mut parse = |text: &str, at: &SourceLocation| {
            JsonPath::parse(text)
                .map_err(|error| {
                    problems
                        .error(at, format!("not a JSONPath: {text:?}: {}", error.message()))
                        .hint("as in RFC 9535: $.disks[*].size, $['used bytes']");
                })
                .ok()
        };
        let value = parse(&self.value.value.0, &self.value.at);
        let items = match &self.items {
            Some(own) => Some(parse(&own.value.0, &own.at)?),
            None => None,
        };
        let mut labels = Vec::new();
        for (name, source) in &self.labels {
            let label = match source.value.0.as_str() {
                "~" => Label::Key,
                path if path.starts_with('$') => Label::Path(parse(path, &source.at)?),
                text => Label::Text(text.to_owned()),
            };
            labels.push((name.clone(), label));
        }
        for (name, source) in &self.labels {
            if !is_label_name(name) {
                problems
                    .error(&source.at, format!("not a label name: {name:?}"))
                    .hint("letters, digits and underscores, not starting with a digit or __");
            }
        }
        Some(Metric {
            name: self.name.value.clone(),
            kind: self.r#type,
            help: self.help.clone(),
            items,
            value: value?,
            items_text: match &self.items {
                Some(own) => own.value.0.clone(),
                None => "$[*]".to_owned(),
            },
            value_text: self.value.value.0.clone(),
            labels,
            values: self.values.clone(),
            scale: self.scale,
        })
    }
}

impl Metric {
    fn apply(
        &self,
        document: &Document,
        seen: &mut Items,
        out: &mut SeriesBatch,
    ) -> Result<(), String> {
        out.begin(&self.name, Some(self.kind), &self.help);
        let error = |reason: String| Err(format!("metric {}: {reason}", self.name));
        let items = self.items.as_ref().or(document.items.as_ref());
        let Some(items) = items else {
            // Without a value, it is an error below.
            seen.has_value = true;
            return match self.add(&document.tree, None, out) {
                Ok(true) => Ok(()),
                Ok(false) => error(format!("nothing at {}", self.value_text)),
                Err(reason) => error(reason),
            };
        };
        let (mut first, mut wrong) = (None, 0);
        let items = items.query_located(&document.tree);
        seen.count = seen.count.max(items.len());
        for item in items.iter() {
            match self.add(item.node(), Some(item.location()), out) {
                Ok(has_value) => seen.has_value |= has_value,
                Err(reason) => {
                    seen.has_value = true;
                    first.get_or_insert(reason);
                    wrong += 1;
                }
            }
        }
        match first {
            None => Ok(()),
            Some(reason) if wrong == 1 => error(reason),
            Some(reason) => error(format!("{wrong} items, the first: {reason}")),
        }
    }

    /// Adds the series of an item, and returns whether it has a value.
    fn add(
        &self,
        item: &Value,
        location: Option<&NormalizedPath<'_>>,
        out: &mut SeriesBatch,
    ) -> Result<bool, String> {
        let value = match self.value.query(item).first() {
            None | Some(Value::Null) => return Ok(false),
            Some(value) => self.number(value).ok_or_else(|| {
                let mut text = value.to_string();
                text.truncate(text.floor_char_boundary(60));
                let listed = match value {
                    Value::String(_) if !self.values.is_empty() => ", which is not among values",
                    _ => "",
                };
                format!("no number at {}: {text}{listed}", self.value_text)
            })?,
        };
        let texts: Vec<(&str, String)> = self
            .labels
            .iter()
            .map(|(name, label)| (name.as_str(), label.text(item, location)))
            .collect();
        let labels: Vec<(&str, &str)> = texts
            .iter()
            .map(|(name, text)| (*name, text.as_str()))
            .collect();
        out.push(&labels, value * self.scale);
        Ok(true)
    }

    fn number(&self, value: &Value) -> Option<f64> {
        match value {
            Value::Bool(value) => {
                let listed = self.values.get(if *value { "true" } else { "false" });
                Some(listed.copied().unwrap_or(f64::from(u8::from(*value))))
            }
            Value::Number(number) => number.as_f64(),
            Value::String(text) => match self.values.get(text) {
                Some(number) => Some(*number),
                None => text.trim().parse().ok(),
            },
            _ => None,
        }
    }
}

impl Label {
    fn text(&self, item: &Value, location: Option<&NormalizedPath<'_>>) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Key => match location.and_then(|location| location.last()) {
                Some(PathElement::Name(name)) => (*name).to_owned(),
                Some(PathElement::Index(index)) => index.to_string(),
                None => String::new(),
            },
            Self::Path(path) => match path.query(item).first() {
                Some(Value::String(text)) => text.clone(),
                None | Some(Value::Null) => String::new(),
                Some(other) => other.to_string(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_schema::{Decode, DecodeContext, parse};
    use serde_json::json;

    use super::*;

    fn resolve(yaml: &str) -> (Option<Mapping>, Vec<String>) {
        let mut problems = Diagnostics::default();
        let mut context = DecodeContext::new(&mut problems, &|_| None);
        let metrics = Vec::<MappedMetric>::decode(&parse(yaml).unwrap(), &mut context).unwrap();
        let mapping = Mapping::resolve(&metrics, &mut problems);
        let problems = problems.into_sorted();
        (mapping, problems.iter().map(ToString::to_string).collect())
    }

    /// Returns the series of a document, and the error.
    fn apply(yaml: &str, document: &Value) -> (Vec<String>, Option<String>) {
        let (mapping, problems) = resolve(yaml);
        assert_eq!(problems, [""; 0]);
        let mut out = SeriesBatch::default();
        let document = document.clone().into();
        let error = mapping
            .unwrap()
            .apply(&document, &mut Seen::default(), &mut out)
            .err();
        (out.lines().collect(), error)
    }

    #[test]
    fn items_have_values_and_labels_by_their_paths() {
        let document = json!({
            "disks": [
                {"name": "sda", "size": 5, "state": "ok", "ms": "250"},
                {"name": "sdb", "size": null, "state": "bad"},
            ],
            "queues": {"mail": {"length": 3}, "a b": {"length": 0}},
            "healthy": true,
        });
        let (lines, error) = apply(
            "- {name: disk_size, items: '$.disks[*]', value: $.size, labels: {disk: $.name, kind: ssd}}\n\
             - {name: disk_ok, items: '$.disks[*]', value: $.state, labels: {disk: $.name, at: '~'}, values: {ok: 1, bad: 0}}\n\
             - {name: disk_seconds_total, type: counter, items: '$.disks[?@.ms]', value: $.ms, scale: 0.001}\n\
             - {name: queue_length, items: $.queues.*, value: $.length, labels: {queue: '~'}}\n\
             - {name: healthy, value: $.healthy}\n\
             - {name: none, items: '$.other[*]', value: $.x}\n",
            &document,
        );
        assert_eq!(error, None);
        assert_eq!(
            lines,
            [
                "disk_size{disk=\"sda\", kind=\"ssd\"} 5",
                "disk_ok{at=\"0\", disk=\"sda\"} 1",
                "disk_ok{at=\"1\", disk=\"sdb\"} 0",
                "disk_seconds_total 0.25",
                "queue_length{queue=\"a b\"} 0",
                "queue_length{queue=\"mail\"} 3",
                "healthy 1",
            ]
        );
    }

    #[test]
    fn a_value_that_is_missing_or_no_number_costs_its_own_series() {
        let document = json!({"items": [{"v": "x"}, {"v": 1}, {"v": []}], "one": 1});
        let (lines, error) = apply(
            "[{name: a, value: $.none}, {name: b, items: '$.items[*]', value: $.v}, {name: c, value: $.one}]",
            &document,
        );
        assert_eq!(lines, ["b 1", "c 1"]);
        let expected =
            "metric a: nothing at $.none; metric b: 2 items, the first: no number at $.v: \"x\"";
        assert_eq!(error.as_deref(), Some(expected));
    }

    #[test]
    fn a_text_that_is_not_among_values_is_named() {
        let document = json!({"state": "starting"});
        let (_, error) = apply(
            "[{name: a, value: $.state, values: {up: 1}}, {name: b, value: $.state}]",
            &document,
        );
        let expected = "metric a: no number at $.state: \"starting\", which is not among values; \
                        metric b: no number at $.state: \"starting\"";
        assert_eq!(error.as_deref(), Some(expected));
    }

    #[test]
    fn a_path_of_items_or_values_that_never_had_one_is_noted() {
        let (mapping, _) = resolve(
            "[{name: a, items: '$[*]', value: $.mesages}, {name: b, items: '$.nope[*]'}, \
             {name: c, items: '$[*]', value: $.messages}, {name: d, items: '$[?@.messages]', value: $.x}, \
             {name: e, value: '$[0].messages'}]",
        );
        let mapping = mapping.unwrap();
        let (mut seen, mut out) = (Seen::default(), SeriesBatch::default());
        let document = json!([{"messages": 1}, {}, {}]).into();
        mapping.apply(&document, &mut seen, &mut out).unwrap();
        let expected = [
            "metric a: none of 3 items has a value at $.mesages",
            "metric b: no items at $.nope[*]",
            "metric d: the only item has no value at $.x",
        ];
        assert_eq!(mapping.notes(&seen), expected);
        // An empty page says nothing about the others.
        let document = json!([]).into();
        mapping.apply_items(&document, &mut seen, &mut out).unwrap();
        assert_eq!(mapping.notes(&seen), expected);
    }

    #[test]
    fn wrong_settings_are_errors() {
        for (yaml, expected) in [
            ("[{name: 1a}]", "not a metric name: \"1a\""),
            ("[{name: a, value: 'x.y'}]", "not a JSONPath: \"x.y\""),
            ("[{name: a, items: '$..['}]", "not a JSONPath"),
            ("[{name: a, labels: {x: '$['}}]", "not a JSONPath"),
            ("[{name: a, labels: {a-b: x}}]", "not a label name: \"a-b\""),
            ("[{name: a, type: histogram}]", "no histogram"),
            ("[{name: a}, {name: a}]", "metric \"a\" twice"),
        ] {
            let problems = resolve(yaml).1;
            assert!(
                problems.len() == 1 && problems[0].contains(expected),
                "{yaml}: {problems:?}"
            );
        }
    }
}
