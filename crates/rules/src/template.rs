//! Messages and annotations: templates, rendered when an alert changes or is shown.
//!
//! Owns what a template may use and what Prometheus's spelling of it is turned into. A part that
//! fails when it is rendered gives its own text, and the rest is rendered: neither an alert nor its
//! text is lost to one value.

use std::borrow::Cow;
use std::sync::Arc;

use bellwether_core::{Labels, UnixMillis};
use bellwether_schema::did_you_mean;
use bellwether_template::{Answers, LabelMap, described, general, number};
use minijinja::value::ValueKind;
use minijinja::{
    Environment, Error, Template, UndefinedBehavior, Value, context, escape_formatter,
};

use super::detail::Detail;
use super::reading::Refusal;

/// What every template may use beside `labels`.
const KNOWN: [&str; 14] = [
    "labels",
    "series_labels",
    "external_labels",
    "external_url",
    "value",
    "fired_value",
    "peak",
    "threshold",
    "rule",
    "alertname",
    "severity",
    "state",
    "metric",
    "now",
];

/// What makes a text one that asks: it is written when its rule is evaluated, and not when it is
/// shown.
const ASKING: [&str; 2] = ["query", "now"];

/// What such a text cannot use: it is not known yet when the rule is evaluated.
const LATER: [&str; 5] = ["fired_value", "peak", "threshold", "severity", "state"];

/// A text with or without variables in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// Taken as it is.
    Plain(Arc<str>),
    /// The source of a template.
    Template(Arc<str>),
    /// That of one that asks history.
    Asking(Arc<str>),
}

impl Text {
    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Template(text) | Self::Asking(text) => text,
        }
    }
}

/// What a template is rendered with.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The alert's labels.
    pub labels: &'a Labels,
    /// Those of its series, without what the rule adds.
    pub series: &'a Labels,
    /// The judged value.
    pub value: Option<f64>,
    /// The value when it fired, once it has.
    pub fired_value: Option<f64>,
    /// The value furthest from good since then.
    pub peak: Option<f64>,
    /// What it is compared with.
    pub threshold: Option<f64>,
    /// The rule's name.
    pub rule: &'a str,
    /// How bad it is.
    pub severity: &'static str,
    /// `pending` or `firing`.
    pub state: &'static str,
    /// What is judged.
    pub metric: &'a str,
    /// What was found beside the value.
    pub detail: Option<&'a Detail>,
}

/// What the texts of one rule may use.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The labels that its alerts have, at the least.
    pub labels: &'a [Arc<str>],
    /// Whether they may have others.
    pub any_label: bool,
    /// Whether the rule asks history, so that its texts may too.
    pub asks: bool,
    /// Variables beside those of every rule.
    pub extra: &'static [&'static str],
}

/// How many templates are kept compiled, at 10 kB each; further ones are compiled as they are
/// rendered, which takes a few microseconds.
const KEPT: usize = 500;

/// Longest text that a template of a rule makes, in bytes: it is kept with each alert.
const LONGEST: usize = 32 << 10;

/// What renders the templates of a set of rules.
#[derive(Debug)]
pub struct Templates {
    /// It has the compiled ones by their sources, so rules with the same text share one.
    environment: Environment<'static>,
    kept: usize,
    external: External,
}

/// What this process calls itself, for templates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// The labels that it adds to all it hands on: `$externalLabels`.
    pub labels: Labels,
    /// Where people reach it: `$externalURL`.
    pub url: String,
}

impl Default for Templates {
    fn default() -> Self {
        let mut environment = bellwether_template::environment();
        bellwether_template::add_queries(&mut environment);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_formatter(|out, state, value| {
            let number = (value.kind() == ValueKind::Number).then(|| f64::try_from(value.clone()));
            match number {
                Some(Ok(number)) if !number.is_finite() => {
                    out.write_str(&general(number, 6)).map_err(Error::from)
                }
                _ => escape_formatter(out, state, value),
            }
        });
        Self {
            environment,
            kept: 0,
            external: External::default(),
        }
    }
}

impl Templates {
    /// Takes a text of a rule whose alerts have what `scope` says.
    ///
    /// # Errors
    /// Where it is no template, or uses what is not there.
    pub fn add(&mut self, source: &str, scope: Scope<'_>) -> Result<Text, Refusal> {
        if !is_template(source) {
            return Ok(Text::Plain(source.into()));
        }
        self.check(source, scope)?;
        Ok(self.keep(source))
    }

    /// Takes a text that [`Self::refusal`] found nothing wrong with.
    pub fn keep(&mut self, source: &str) -> Text {
        if !is_template(source) {
            return Text::Plain(source.into());
        }
        if self.kept < KEPT && self.environment.get_template(source).is_err() {
            let body = from_prometheus(source).into_owned();
            let added =
                bellwether_template::compile(&mut self.environment, source.to_owned(), body);
            self.kept += usize::from(added.is_ok());
        }
        match self.asks(source) {
            true => Text::Asking(source.into()),
            false => Text::Template(source.into()),
        }
    }

    fn asks(&self, source: &str) -> bool {
        if !ASKING.iter().any(|word| source.contains(word)) {
            return false;
        }
        match self.environment.get_template(source) {
            Ok(kept) => is_asking(&kept),
            Err(_) => {
                let body = from_prometheus(source);
                bellwether_template::parsed(&self.environment, &body, is_asking).unwrap_or_default()
            }
        }
    }

    /// Sets what this process calls itself.
    pub fn set_external(&mut self, external: External) {
        self.external = external;
    }

    fn check(&self, source: &str, scope: Scope<'_>) -> Result<(), Refusal> {
        let body = from_prometheus(source);
        let judged = bellwether_template::parsed(&self.environment, &body, |template| {
            if is_asking(template) {
                check_asking(template, scope)?;
            }
            self.check_names(template, scope)?;
            self.try_out(template, scope)
        });
        judged.map_err(|error| Refusal {
            message: format!("template: {}", described(&error)),
            hint: foreign(source),
        })?
    }

    /// What is wrong with a text of a rule whose alerts may have any labels.
    #[must_use]
    pub fn refusal(&self, source: &str) -> Option<Refusal> {
        let scope = Scope {
            labels: &[],
            any_label: true,
            asks: true,
            extra: &[],
        };
        is_template(source)
            .then(|| self.check(source, scope).err())
            .flatten()
    }

    fn check_names(&self, template: &Template<'_, '_>, scope: Scope<'_>) -> Result<(), Refusal> {
        let mut used: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        used.sort();
        for path in used {
            let mut steps = path.split('.');
            let root = steps.next().unwrap_or_default();
            if !KNOWN.iter().chain(scope.extra).any(|known| *known == root) {
                // Functions such as `range` count as undeclared too.
                if self.environment.globals().any(|(global, _)| global == root) {
                    continue;
                }
                let known: Vec<&str> = KNOWN.iter().chain(scope.extra).copied().collect();
                let hint = did_you_mean(root, known.iter().copied())
                    .unwrap_or_else(|| format!("known: {}", known.join(", ")));
                return Err(Refusal::new(
                    format!("template: unknown variable {root:?}"),
                    hint,
                ));
            }
            let label = steps
                .next()
                .filter(|_| root == "labels" && !scope.any_label);
            let unknown = |label: &&str| !scope.labels.iter().any(|one| **one == **label);
            if let Some(label) = label.filter(unknown) {
                let names: Vec<&str> = scope.labels.iter().map(|label| &**label).collect();
                let hint =
                    did_you_mean(label, names.iter().copied()).unwrap_or_else(|| {
                        match names.as_slice() {
                            [] => "its alerts have no labels".into(),
                            names => format!("its alerts have: {}", names.join(", ")),
                        }
                    });
                return Err(Refusal::new(format!("template: no label {label:?}"), hint));
            }
        }
        Ok(())
    }

    /// The text with its variables filled in; a part where that fails stands as it is written.
    #[must_use]
    pub fn render(&self, text: &Text, facts: Facts<'_>) -> String {
        match text {
            Text::Plain(text) => text.to_string(),
            Text::Template(source) | Text::Asking(source) => self
                .filled(source, self.context(facts, ""))
                .unwrap_or_else(|error| {
                    let error = described(&error);
                    tracing::warn!(rule = facts.rule, error, "cannot render a template");
                    let context = self.context(facts, "");
                    let written = |piece: &str| piece.replace("series_labels", "$labels");
                    let body = from_prometheus(source);
                    bellwether_template::in_pieces(
                        &self.environment,
                        &body,
                        &context,
                        LONGEST,
                        written,
                    )
                }),
        }
    }

    /// A text that asks, with what its queries were answered at `at`: each is handed to `ask` once.
    ///
    /// # Errors
    /// Why it gives no text.
    pub fn ask(
        &self,
        source: &str,
        facts: Facts<'_>,
        at: UnixMillis,
        answers: &Arc<Answers>,
        mut ask: impl FnMut(&str) -> Result<Value, String>,
    ) -> Result<String, String> {
        loop {
            let done = self.filled(source, asking(self.context(facts, ""), at, answers));
            match answers.wanted() {
                Some(query) => {
                    let answer = ask(&query);
                    answers.add(query, answer);
                }
                None => return done.map_err(|error| described(&error)),
            }
        }
    }

    fn filled(&self, source: &str, context: Value) -> Result<String, Error> {
        match self.environment.get_template(source) {
            Ok(kept) => bellwether_template::rendered(&kept, context, LONGEST),
            Err(_) => {
                let body = from_prometheus(source);
                bellwether_template::parsed(&self.environment, &body, |template| {
                    bellwether_template::rendered(template, context, LONGEST)
                })?
            }
        }
    }

    /// Renders it once with made-up facts, which shows what names alone do not.
    fn try_out(&self, template: &Template<'_, '_>, scope: Scope<'_>) -> Result<(), Refusal> {
        let made_up = |label: &Arc<str>| (label.to_string(), "1".to_owned());
        let labels = scope.labels.iter().map(made_up).collect();
        let detail = match scope.extra {
            ["forecast"] => Detail::Forecast("in 1 h".into()),
            _ => Detail::Anomaly {
                score: 1.0,
                expected: Some((0.0, 1.0)),
            },
        };
        let facts = Facts {
            labels: &labels,
            series: &labels,
            value: Some(1.5),
            fired_value: Some(1.5),
            peak: Some(1.5),
            threshold: Some(1.0),
            rule: "",
            severity: "warning",
            state: "firing",
            metric: "",
            detail: Some(&detail),
        };
        let answers = Arc::new(Answers::made_up("1"));
        let context = asking(self.context(facts, "1"), UnixMillis::default(), &answers);
        match bellwether_template::rendered(template, context, LONGEST) {
            Ok(_) => Ok(()),
            Err(error) => Err(Refusal {
                message: format!("template: {}", described(&error)),
                hint: None,
            }),
        }
    }

    /// `missing` is what a label is that the alert lacks.
    fn context(&self, facts: Facts<'_>, missing: &'static str) -> Value {
        let (score, expected, forecast) = match facts.detail {
            Some(Detail::Anomaly { score, expected }) => (Some(*score), *expected, ""),
            Some(Detail::Forecast(words)) => (None, None, words.as_str()),
            Some(Detail::Series(_)) | None => (None, None, ""),
        };
        context! {
            labels => LabelMap::value(facts.labels.clone(), missing),
            series_labels => LabelMap::value(facts.series.clone(), missing),
            external_labels => LabelMap::value(self.external.labels.clone(), missing),
            external_url => self.external.url.as_str(),
            value => number(facts.value),
            fired_value => number(facts.fired_value),
            peak => number(facts.peak),
            threshold => number(facts.threshold),
            rule => facts.rule,
            alertname => facts.labels.get("alertname").map_or(facts.rule, String::as_str),
            severity => facts.severity,
            state => facts.state,
            metric => facts.metric,
            score => number(score),
            expected_low => number(expected.map(|(low, _)| low)),
            expected_high => number(expected.map(|(_, high)| high)),
            forecast => forecast,
        }
    }
}

/// `context` for a text that asks.
fn asking(context: Value, at: UnixMillis, answers: &Arc<Answers>) -> Value {
    context! {
        now => at.0 as f64 / 1000.0,
        query_answers => Value::from_dyn_object(answers.clone()),
        ..context
    }
}

fn is_asking(template: &Template<'_, '_>) -> bool {
    let used = template.undeclared_variables(false);
    ASKING.iter().any(|word| used.contains(*word))
}

/// Refuses a text that asks where nothing can be asked, or with what is not known then.
fn check_asking(template: &Template<'_, '_>, scope: Scope<'_>) -> Result<(), Refusal> {
    if !scope.asks {
        return Err(Refusal::new(
            "template: `query` and `now` in a text of a rule that asks nothing of history",
            "they are for rules with `promql`, `anomaly` or `forecast`",
        ));
    }
    let used = template.undeclared_variables(false);
    match LATER.iter().find(|later| used.contains(**later)) {
        None => Ok(()),
        Some(later) => Err(Refusal::new(
            format!("template: `{later}` beside `query` or `now`"),
            "such a text is written when the rule is evaluated, and that is known later; use \
             `value` and `labels`",
        )),
    }
}

/// Whether there is anything but text in it.
fn is_template(source: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| source.contains(open))
}

/// Inside of braces `$labels.x` and `$value` are `labels.x` and `value`; `$labels` as a whole are
/// those of the series, as in Prometheus.
fn from_prometheus(source: &str) -> Cow<'_, str> {
    if !source.contains('$') {
        return Cow::Borrowed(source);
    }
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(open) = rest.find("{{").or_else(|| rest.find("{%")) {
        let close = rest[open..].find("}}").or_else(|| rest[open..].find("%}"));
        let end = close.map_or(rest.len(), |close| open + close + 2);
        out.push_str(&rest[..open]);
        let mut tag = &rest[open..end];
        while let Some(dollar) = tag.find('$') {
            out.push_str(&tag[..dollar]);
            tag = &tag[dollar..];
            let own = PROMETHEUS.iter().find_map(|(theirs, ours)| {
                let after = tag.strip_prefix(theirs)?;
                let ends = !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
                ends.then_some((after, *ours))
            });
            let (after, ours) = own.unwrap_or((&tag[1..], "$"));
            let one = after.trim_start().starts_with(['.', '[']);
            out.push_str(if ours == "series_labels" && one {
                "labels"
            } else {
                ours
            });
            tag = after;
        }
        out.push_str(tag);
        rest = &rest[end..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Variables as Prometheus spells them.
const PROMETHEUS: [(&str, &str); 4] = [
    ("$labels", "series_labels"),
    ("$value", "value"),
    ("$externalLabels", "external_labels"),
    ("$externalURL", "external_url"),
];

/// What to tell who wrote a Go template.
fn foreign(source: &str) -> Option<String> {
    let go = [
        "{{ .", "{{.", "printf", "{{ if", "{{ range", "{{ end", "{{- ",
    ];
    go.iter().any(|sign| source.contains(sign)).then(|| {
        "templates are Jinja, not Go: {{ labels.x }}, {{ value | round(1) }}, {% if ... %}".into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(labels: &[Arc<str>]) -> Scope<'_> {
        Scope {
            labels,
            any_label: false,
            asks: false,
            extra: &[],
        }
    }

    fn render(source: &str) -> Result<String, Refusal> {
        let labels: Labels = [("mount_point".to_owned(), "/data".to_owned())].into();
        let mut templates = Templates::default();
        let text = templates.add(source, scope(&["mount_point".into()]))?;
        let facts = Facts {
            labels: &labels,
            series: &labels,
            value: Some(91.27),
            fired_value: Some(88.0),
            peak: Some(97.5),
            threshold: Some(85.0),
            rule: "disk_full",
            severity: "critical",
            state: "firing",
            metric: "disk_usage_percent",
            detail: None,
        };
        Ok(templates.render(&text, facts))
    }

    #[test]
    fn all_facts_and_forms() {
        for (source, expected) in [
            ("no variable: $value {x}", "no variable: $value {x}"),
            (
                "{{ labels.mount_point }} at {{ value }} > {{ threshold }}",
                "/data at 91.27 > 85",
            ),
            ("{{ labels[\"mount_point\"] }}", "/data"),
            (
                "{{ $labels.mount_point }}: {{ $value | round(1) }} $value",
                "/data: 91.3 $value",
            ),
            (
                "{{rule}} {{alertname}} {{severity}} {{state}}",
                "disk_full disk_full critical firing",
            ),
            ("{{ metric }}", "disk_usage_percent"),
            ("{{ fired_value }} to {{ peak }}", "88 to 97.5"),
            ("{{ (value * 1000) | humanize }}", "91.27k"),
            ("{{ 2048 | humanize1024 }}B", "2kiB"),
            ("{{ (value / 100) | humanizePercentage }}", "91.27%"),
            ("{{ 90 | humanizeDuration }}", "1m 30s"),
            (
                "{{ 0 | humanizeTimestamp }}",
                "1970-01-01 00:00:00 +0000 UTC",
            ),
            (
                "{% if value > 90 %}very {% endif %}full <&>",
                "very full <&>",
            ),
            (
                "{{ $labels }} {{ labels }}",
                "map[mount_point:/data] map[mount_point:/data]",
            ),
            ("{{ $externalLabels.gone }}{{ $externalURL }}.", "."),
        ] {
            assert_eq!(render(source).as_deref(), Ok(expected), "{source}");
        }
    }

    #[test]
    fn mistakes_are_found_at_load() {
        for (source, message, hint) in [
            (
                "{{ labels.mount_pont }}",
                "no label \"mount_pont\"",
                "did you mean \"mount_point\"?",
            ),
            (
                "{{ valeu }}",
                "unknown variable \"valeu\"",
                "did you mean \"value\"?",
            ),
            ("{{ value | humanise }}", "filter humanise is unknown", ""),
            ("{{ labels | humanize }}", "not a number", ""),
            ("{{ value", "unexpected end of input", ""),
            ("a\n{% if value %}", "line 2: unexpected end of input", ""),
            ("{{ printf \"%.1f\" value }}", "template", "not Go"),
            ("{{ .Value }}", "template", "not Go"),
        ] {
            let refusal = render(source).unwrap_err();
            let told = format!("{} / {}", refusal.message, refusal.hint.unwrap_or_default());
            assert!(
                told.contains(message) && told.contains(hint),
                "{source}: {told}"
            );
        }
    }

    #[test]
    fn what_fails_later_costs_its_own_part_and_not_the_text() {
        let mut templates = Templates::default();
        let labels: Labels = [("size".to_owned(), "large".to_owned())].into();
        let facts = Facts {
            labels: &labels,
            series: &labels,
            value: Some(f64::NAN),
            fired_value: None,
            peak: None,
            threshold: None,
            rule: "r",
            severity: "info",
            state: "firing",
            metric: "m",
            detail: None,
        };
        for (source, expected) in [
            (
                "{{ labels.size | humanize }}B",
                "{{ labels.size | humanize }}B",
            ),
            (
                "{{ labels.size }}: {{ series_labels.size | humanize }} of {{ value }}",
                "large: {{ $labels.size | humanize }} of NaN",
            ),
            (
                "{% set x = labels.size %}{% if x %}{{ x }} {{ peak * 2 }}{% endif %}, {{ x }}",
                "{% if x %}{{ x }} {{ peak * 2 }}{% endif %}, large",
            ),
            ("{{ value | humanizePercentage }} fail", "NaN% fail"),
            ("{{ printf('%.2f', value) }} {{ value * 100 }}", "NaN NaN"),
        ] {
            let text = templates.add(source, scope(&["size".into()])).unwrap();
            assert_eq!(templates.render(&text, facts), expected, "{source}");
        }
    }
}
