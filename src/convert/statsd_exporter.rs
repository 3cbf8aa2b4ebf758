//! statsd_exporter: mappings of names to metrics.
//!
//! Source: statsd_exporter, README and `pkg/mapper`.

use std::collections::HashMap;

use bellwether_core::{is_label_name, is_metric_name};
use bellwether_schema::{Pos, YamlError};

use super::draft::Draft;
use super::durations;
use super::fields::Fields;
use super::source::Source;
use super::yaml::{Map, Yaml};

/// Most labels of a metric.
const MAX_LABELS: usize = 32;
/// Most `*` in a match.
const MAX_STARS: usize = 16;

pub(super) fn is(source: &Source<'_>) -> bool {
    source.has_within("mappings", "match")
}

pub(super) fn convert(sources: &[Source<'_>], draft: &mut Draft) -> Result<(), YamlError> {
    let mut statsd = draft.statsd.take().unwrap_or_default();
    let (mut metrics, mut entries) = (Metrics::default(), Vec::new());
    for source in sources {
        let mut fields = Fields::of(source.yaml()?);
        let mut defaults = fields.within("defaults");
        let usual = Options::take(&mut defaults, &Options::default(), &mut statsd);
        let match_type = defaults.text("match_type").unwrap_or("glob");
        defaults.skip_if("glob_disable_ordering", &["false"]);
        defaults.finish(&mut statsd);
        let items = fields.maps("mappings");
        let last = items.len();
        for (number, item) in (1..).zip(items) {
            let mapping = Mapping {
                is_last: number == last,
                usual: &usual,
                match_type,
            };
            let before = statsd.notes.len();
            let entry = mapping.convert(item, &mut metrics, &mut statsd);
            let is_lost = entry.is_none() && statsd.notes.len() > before;
            draft.converted += usize::from(!is_lost);
            entries.extend(entry);
        }
        fields.finish(&mut statsd);
    }
    finish(entries, metrics.list, statsd, draft);
    Ok(())
}

/// Adds the mappings. Every label of a metric is set by each mapping to it.
fn finish(entries: Vec<Entry>, metrics: Vec<Metric>, mut statsd: Map, draft: &mut Draft) {
    let mappings = entries.into_iter().map(|mut entry| {
        let mut labels = entry.labels;
        for label in &metrics[entry.metric].labels {
            if !labels.has(label) {
                labels.put(label, Yaml::raw(""));
            }
        }
        entry.map.put_filled("labels", labels);
        entry.map.put_some("scale", entry.scale.map(Yaml::word));
        entry.map
    });
    let mappings: Vec<Map> = mappings.collect();
    if mappings.is_empty() && !statsd.has("listen") {
        return draft.give_up(statsd);
    }
    statsd.remark(
        Pos::default(),
        "statsd_exporter also takes names without a mapping; here they are rejected and counted, and tags are labels only if \
         the metric has them",
    );
    if !statsd.has("listen") {
        statsd.put("listen", Yaml::text("127.0.0.1:9125"));
    }
    statsd.put_filled("mappings", mappings);
    draft.statsd = Some(statsd);
    draft
        .application_metrics
        .extend(metrics.into_iter().map(Metric::map));
}

/// A mapping whose labels are not all known yet.
struct Entry {
    map: Map,
    labels: Map,
    scale: Option<f64>,
    /// Index of its metric.
    metric: usize,
}

/// Metrics by their names.
#[derive(Default)]
struct Metrics {
    list: Vec<Metric>,
    by_name: HashMap<String, usize>,
}

impl Metrics {
    /// Adds a metric, or returns the index of that with its name; `None` if that has another type.
    fn add(&mut self, metric: Metric) -> Option<usize> {
        match self.by_name.get(&metric.name) {
            Some(index) => (self.list[*index].kind == metric.kind).then_some(*index),
            None => {
                self.by_name.insert(metric.name.clone(), self.list.len());
                self.list.push(metric);
                Some(self.list.len() - 1)
            }
        }
    }
}

/// Observers and times of a mapping or of all.
#[derive(Clone, Debug, Default)]
struct Options {
    is_histogram: bool,
    /// True if the source says something about observers.
    is_observer: bool,
    buckets: Option<Vec<f64>>,
    quantiles: Option<Vec<f64>>,
    max_age: Option<Yaml>,
    expire_after: Option<Yaml>,
}

impl Options {
    fn take(fields: &mut Fields<'_>, usual: &Self, notes: &mut Map) -> Self {
        let mut options = Self {
            is_observer: false,
            ..usual.clone()
        };
        let old = fields.text("timer_type");
        if let Some(kind) = fields.text("observer_type").or(old) {
            options.is_histogram = kind == "histogram";
            options.is_observer = true;
        }
        let mut histogram = fields.within("histogram_options");
        let old = fields.numbers("buckets");
        if let Some(buckets) = histogram
            .numbers("buckets")
            .or(old)
            .filter(|buckets| !buckets.is_empty())
        {
            options.buckets = Some(buckets);
        }
        histogram.finish(notes);
        let mut summary = fields.within("summary_options");
        let quantiles = summary.maps("quantiles");
        let old = fields.maps("quantiles");
        let mut values = Vec::new();
        for mut quantile in quantiles.into_iter().chain(old) {
            values.extend(quantile.number("quantile"));
            quantile.skip(&["error"]);
            quantile.finish(notes);
        }
        values.retain(|quantile| (0.0..=1.0).contains(quantile));
        if !values.is_empty() {
            options.quantiles = Some(values);
        }
        if let Some((age, _)) =
            durations::take(&mut summary, "max_age").filter(|(age, _)| !age.is_zero())
        {
            options.max_age = Some(Yaml::duration(age));
        }
        // Windows of a summary are made otherwise here.
        summary.skip(&["age_buckets", "buf_cap"]);
        summary.finish(notes);
        if let Some((ttl, _)) = durations::take(fields, "ttl").filter(|(ttl, _)| !ttl.is_zero()) {
            options.expire_after = Some(Yaml::duration(ttl));
        }
        options
    }
}

/// A metric, which several mappings may have.
struct Metric {
    name: String,
    kind: &'static str,
    help: Option<String>,
    labels: Vec<String>,
    options: Options,
    /// Position of a mapping that does not say the type.
    guessed: Option<Pos>,
}

impl Metric {
    fn map(self) -> Map {
        let mut map = Map::of([("name", &self.name), ("type", self.kind)]);
        map.put_filled(
            "labels",
            Yaml::texts(self.labels.iter().map(String::as_str)),
        );
        let options = self.options;
        if self.kind == "histogram" {
            map.put_some("buckets", options.buckets.map(Yaml::ascending));
        }
        if self.kind == "summary" {
            map.put_some("quantiles", options.quantiles.map(Yaml::ascending));
            map.put_some("max_age", options.max_age);
        }
        map.put_some("expire_after", options.expire_after);
        map.put_some("help", self.help.map(|help| Yaml::text(&help)));
        if let Some(at) = self.guessed {
            map.complete(
                at,
                format!(
                    "the mapping does not say the type of {}: {} is a guess",
                    self.name, self.kind
                ),
            );
        }
        map
    }
}

/// Circumstances of a mapping.
struct Mapping<'a> {
    is_last: bool,
    usual: &'a Options,
    match_type: &'a str,
}

impl Mapping<'_> {
    /// Returns a mapping. There is none for one that drops, which needs none if it is the last, and for one without a
    /// counterpart, which is noted.
    fn convert(
        &self,
        mut fields: Fields<'_>,
        metrics: &mut Metrics,
        notes: &mut Map,
    ) -> Option<Entry> {
        let at = fields.at;
        let pattern = fields.text("match").unwrap_or_default();
        let match_type = fields.text("match_type").unwrap_or(self.match_type);
        if fields.text("action") == Some("drop") {
            if !self.is_last {
                notes.lose(
                    at,
                    format!("{pattern}: a mapping that drops, in front of others"),
                );
            }
            return None;
        }
        let name = fields.text("name").unwrap_or_default();
        let mut map = Map::default();
        map.put("match", Yaml::raw(pattern));
        map.put("metric", Yaml::text(name));
        let problem = match pattern {
            _ if match_type != "glob" => Some("a match by a regular expression"),
            _ if !is_glob(pattern) => Some("the match: `*` is one whole part between dots"),
            _ if !is_metric_name(name) => Some("the name: each metric has a fixed name"),
            _ => None,
        };
        if let Some(problem) = problem {
            notes.lose(at, format!("{pattern}: {problem}"));
            return None;
        }
        let stars = pattern.split('.').filter(|part| *part == "*").count();
        let mut labels = Map::default();
        for (label, template, at) in fields.pairs("labels") {
            let is_free = is_label_name(label) && !matches!(label, "le" | "quantile");
            match is_free && is_template(template, stars) {
                true => labels.put(label, Yaml::raw(template)),
                false => notes.lose(at, format!("{pattern}: the label {label}")),
            }
        }
        let metric = self.metric(name, at, &mut fields, notes);
        let kind = metric.kind;
        let Some(metric) = metrics.add(metric) else {
            notes.lose(at, format!("{pattern}: {name} is no {kind} elsewhere"));
            return None;
        };
        let known = &mut metrics.list[metric].labels;
        let names = labels.fields.iter().map(|(label, _)| label);
        let new: Vec<String> = names
            .filter(|label| !known.contains(label))
            .cloned()
            .collect();
        if known.len() + new.len() > MAX_LABELS {
            notes.lose(
                at,
                format!("{pattern}: more than {MAX_LABELS} labels of {name}"),
            );
            return None;
        }
        known.extend(new);
        let scale = fields.number("scale").filter(|scale| *scale != 0.0);
        fields.finish(&mut map);
        Some(Entry {
            map,
            labels,
            scale,
            metric,
        })
    }

    fn metric(&self, name: &str, at: Pos, fields: &mut Fields<'_>, notes: &mut Map) -> Metric {
        let options = Options::take(fields, self.usual, notes);
        let observer = match options.is_histogram {
            true => "histogram",
            false => "summary",
        };
        let (kind, is_sure) = match fields.text("match_metric_type") {
            Some("counter") => ("counter", true),
            Some("gauge") => ("gauge", true),
            Some("observer" | "timer") => (observer, true),
            _ if options.is_observer => (observer, true),
            _ if name.ends_with("_total") => ("counter", true),
            _ if ["_seconds", "_duration", "_time", "_latency"]
                .iter()
                .any(|end| name.ends_with(end)) =>
            {
                (observer, false)
            }
            _ => ("counter", false),
        };
        Metric {
            name: name.to_owned(),
            kind,
            help: fields.text("help").map(str::to_owned),
            labels: Vec::new(),
            options,
            guessed: (!is_sure).then_some(at),
        }
    }
}

/// Returns whether a match is one of ours.
fn is_glob(pattern: &str) -> bool {
    let parts = pattern.split('.');
    parts
        .clone()
        .all(|part| part == "*" || (!part.is_empty() && !part.contains('*')))
        && parts.filter(|part| *part == "*").count() <= MAX_STARS
}

/// Returns whether each `$` of a template is the number of a `*`.
fn is_template(template: &str, stars: usize) -> bool {
    template.split('$').skip(1).all(|behind| {
        let digits = match behind.strip_prefix('{') {
            Some(braced) => braced.split_once('}').map(|(digits, _)| digits),
            None => behind.split(|c: char| !c.is_ascii_digit()).next(),
        };
        let number = digits.and_then(|digits| digits.parse::<usize>().ok());
        number.is_some_and(|number| (1..=stars).contains(&number))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_and_templates_are_those_of_statsd() {
        for pattern in ["a.*.b", "*", "a", "a-b.c_d.*"] {
            assert!(is_glob(pattern), "{pattern}");
        }
        for pattern in ["", "a..b", "a*", "a.*b.c", &"*.".repeat(17)] {
            assert!(!is_glob(pattern), "{pattern}");
        }
        for template in ["", "x", "$1", "${2}_$1-x"] {
            assert!(is_template(template, 2), "{template}");
        }
        for template in ["$", "$3", "$x", "${1", "$$"] {
            assert!(!is_template(template, 2), "{template}");
        }
    }
}
