//! Messages and annotations: templates, rendered when an alert changes or is shown.
//!
//! Owns the variables of templates and the translation of Prometheus's `$labels`. A part that fails
//! when it is rendered stays as it is written, and the rest is rendered: neither an alert nor its
//! text is lost to one value.

mod check;
mod prometheus;

use std::sync::Arc;

use bellwether_core::{Labels, UnixMillis};
use bellwether_template::{Answers, LabelMap, described, general, number};
use minijinja::value::ValueKind;
use minijinja::{
    Environment, Error, Template, UndefinedBehavior, Value, context, escape_formatter,
};

use self::prometheus::from_prometheus;
use crate::alert::detail::Detail;
use crate::eval::reading::HintedError;

/// Variables of every template.
const VARIABLES: [&str; 14] = [
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

/// Variables that make a text query history: it is rendered when its rule is evaluated, and not
/// when it is shown.
const QUERY_VARIABLES: [&str; 2] = ["query", "now"];

/// Text, with or without variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// Without variables.
    Plain(Arc<str>),
    /// Source of a template.
    Template(Arc<str>),
    /// Source of a template that queries history.
    Query(Arc<str>),
}

impl Text {
    /// Returns the source.
    #[must_use]
    pub fn source(&self) -> &str {
        match self {
            Self::Plain(text) | Self::Template(text) | Self::Query(text) => text,
        }
    }
}

/// Values of the variables of a template.
#[derive(Clone, Copy, Debug)]
pub struct TemplateData<'a> {
    /// Labels of the alert.
    pub labels: &'a Labels,
    /// Labels of its series, without those that the rule adds.
    pub series: &'a Labels,
    pub value: Option<f64>,
    /// Value at the transition to firing.
    pub fired_value: Option<f64>,
    /// Worst value since then.
    pub peak: Option<f64>,
    pub threshold: Option<f64>,
    /// Name of the rule.
    pub rule: &'a str,
    pub severity: &'static str,
    /// `pending` or `firing`.
    pub state: &'static str,
    /// Description of the value.
    pub metric: &'a str,
    pub detail: Option<&'a Detail>,
}

/// Variables that the texts of one rule may use.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Labels that all its alerts have.
    pub labels: &'a [Arc<str>],
    /// Set if its alerts may have other labels too.
    pub any_label: bool,
    /// Set if the rule queries history, so that its texts may too.
    pub can_query: bool,
    /// Variables beside those of every rule.
    pub extra: &'static [&'static str],
}

/// Maximum number of compiled templates, at 10 kB each; further ones are compiled when they are
/// rendered, which takes a few microseconds.
const MAX_COMPILED: usize = 500;

/// Maximum length of a rendered text in bytes: it is kept with each alert.
const MAX_TEXT_BYTES: usize = 32 << 10;

/// Templates of a rule set.
#[derive(Debug)]
pub struct Templates {
    /// Compiled templates by their sources, so that rules with the same text share one.
    environment: Environment<'static>,
    compiled: usize,
    external: External,
}

/// External labels and URL of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// `$externalLabels`.
    pub labels: Labels,
    /// `$externalURL`.
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
            compiled: 0,
            external: External::default(),
        }
    }
}

impl Templates {
    /// Checks and adds a text of a rule with the variables of `scope`.
    ///
    /// # Errors
    /// If it is no template, or uses an unknown variable or label.
    pub fn add(&mut self, source: &str, scope: Scope<'_>) -> Result<Text, HintedError> {
        if !is_template(source) {
            return Ok(Text::Plain(source.into()));
        }
        self.check(source, scope)?;
        Ok(self.add_checked(source))
    }

    /// Adds a text that [`Self::find_error`] has checked.
    pub fn add_checked(&mut self, source: &str) -> Text {
        if !is_template(source) {
            return Text::Plain(source.into());
        }
        if self.compiled < MAX_COMPILED && self.environment.get_template(source).is_err() {
            let body = from_prometheus(source).into_owned();
            let added =
                bellwether_template::compile(&mut self.environment, source.to_owned(), body);
            self.compiled += usize::from(added.is_ok());
        }
        match self.is_query_text(source) {
            true => Text::Query(source.into()),
            false => Text::Template(source.into()),
        }
    }

    fn is_query_text(&self, source: &str) -> bool {
        if !QUERY_VARIABLES.iter().any(|word| source.contains(word)) {
            return false;
        }
        match self.environment.get_template(source) {
            Ok(template) => is_query(&template),
            Err(_) => {
                let body = from_prometheus(source);
                bellwether_template::parsed(&self.environment, &body, is_query).unwrap_or_default()
            }
        }
    }

    pub fn set_external(&mut self, external: External) {
        self.external = external;
    }

    /// Renders the text; a part that fails stays as it is written.
    #[must_use]
    pub fn render(&self, text: &Text, data: TemplateData<'_>) -> String {
        match text {
            Text::Plain(text) => text.to_string(),
            Text::Template(source) | Text::Query(source) => self
                .fill(source, self.context(data, ""))
                .unwrap_or_else(|error| {
                    let error = described(&error);
                    tracing::warn!(rule = data.rule, error, "cannot render a template");
                    let context = self.context(data, "");
                    let written = |piece: &str| piece.replace("series_labels", "$labels");
                    let body = from_prometheus(source);
                    bellwether_template::in_pieces(
                        &self.environment,
                        &body,
                        &context,
                        MAX_TEXT_BYTES,
                        written,
                    )
                }),
        }
    }

    /// Renders a text with the results of its queries at `at`: `run_query` is called once for each.
    ///
    /// # Errors
    /// The error of the template or of a query.
    pub(crate) fn render_query(
        &self,
        source: &str,
        data: TemplateData<'_>,
        at: UnixMillis,
        answers: &Arc<Answers>,
        mut run_query: impl FnMut(&str) -> Result<Value, String>,
    ) -> Result<String, String> {
        loop {
            let done = self.fill(source, query_context(self.context(data, ""), at, answers));
            match answers.wanted() {
                Some(query) => {
                    let answer = run_query(&query);
                    answers.add(query, answer);
                }
                None => return done.map_err(|error| described(&error)),
            }
        }
    }

    fn fill(&self, source: &str, context: Value) -> Result<String, Error> {
        match self.environment.get_template(source) {
            Ok(template) => bellwether_template::rendered(&template, context, MAX_TEXT_BYTES),
            Err(_) => {
                let body = from_prometheus(source);
                bellwether_template::parsed(&self.environment, &body, |template| {
                    bellwether_template::rendered(template, context, MAX_TEXT_BYTES)
                })?
            }
        }
    }

    /// Returns the values of the variables; a label that the alert lacks is `missing`.
    fn context(&self, data: TemplateData<'_>, missing: &'static str) -> Value {
        let (score, expected, forecast) = match data.detail {
            Some(Detail::Anomaly { score, expected }) => (Some(*score), *expected, ""),
            Some(Detail::Forecast(words)) => (None, None, words.as_str()),
            Some(Detail::Series(_)) | None => (None, None, ""),
        };
        context! {
            labels => LabelMap::value(data.labels.clone(), missing),
            series_labels => LabelMap::value(data.series.clone(), missing),
            external_labels => LabelMap::value(self.external.labels.clone(), missing),
            external_url => self.external.url.as_str(),
            value => number(data.value),
            fired_value => number(data.fired_value),
            peak => number(data.peak),
            threshold => number(data.threshold),
            rule => data.rule,
            alertname => data.labels.get("alertname").map_or(data.rule, String::as_str),
            severity => data.severity,
            state => data.state,
            metric => data.metric,
            score => number(score),
            expected_low => number(expected.map(|(low, _)| low)),
            expected_high => number(expected.map(|(_, high)| high)),
            forecast => forecast,
        }
    }
}

/// Returns `context` with the variables of a text that queries history.
fn query_context(context: Value, at: UnixMillis, answers: &Arc<Answers>) -> Value {
    context! {
        now => at.0 as f64 / 1000.0,
        query_answers => Value::from_dyn_object(answers.clone()),
        ..context
    }
}

fn is_query(template: &Template<'_, '_>) -> bool {
    let used = template.undeclared_variables(false);
    QUERY_VARIABLES.iter().any(|word| used.contains(*word))
}

fn is_template(source: &str) -> bool {
    ["{{", "{%", "{#"].iter().any(|open| source.contains(open))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(labels: &[Arc<str>]) -> Scope<'_> {
        Scope {
            labels,
            any_label: false,
            can_query: false,
            extra: &[],
        }
    }

    fn render(source: &str) -> Result<String, HintedError> {
        let labels: Labels = [("mount_point".to_owned(), "/data".to_owned())].into();
        let mut templates = Templates::default();
        let text = templates.add(source, scope(&["mount_point".into()]))?;
        let data = TemplateData {
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
        Ok(templates.render(&text, data))
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
            let error = render(source).unwrap_err();
            let text = format!("{} / {}", error.message, error.hint.unwrap_or_default());
            assert!(
                text.contains(message) && text.contains(hint),
                "{source}: {text}"
            );
        }
    }

    #[test]
    fn what_fails_later_costs_its_own_part_and_not_the_text() {
        let mut templates = Templates::default();
        let labels: Labels = [("size".to_owned(), "large".to_owned())].into();
        let data = TemplateData {
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
            assert_eq!(templates.render(&text, data), expected, "{source}");
        }
    }
}
