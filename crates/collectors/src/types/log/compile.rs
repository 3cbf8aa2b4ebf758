//! From the settings of metrics to rules.

use std::sync::Arc;

use bellwether_collector::placeholders::{Template, TemplateError};
use bellwether_collector::{DEFAULT_BUCKETS, check_buckets};
use bellwether_core::{Kind, is_label_name, is_metric_name};
use bellwether_matcher::Pattern;
use bellwether_schema::{Diagnostics, Literal, SourceLocation, Spanned};
use regex::bytes::{Regex, RegexSet};

use super::families::FamilyDef;
use super::json::{Fields, MAX_DOTS};
use super::rules::{Parser, Rule, Rules, Stage, with_name};
use super::values::Values;
use super::{LineFormat, Log, LogMetric, LogMetricType, journal};

/// Field of each line of a file: the path of its log.
const PATH_FIELD: &str = "_path";

/// Compiles the metrics of a log. Returns `None` after an error, which is reported.
pub(super) fn rules(log: &Log, problems: &mut Diagnostics) -> Option<Rules> {
    let source: &[&str] = match log.journal {
        Some(_) => &journal::SOURCE_FIELDS,
        None => &[PATH_FIELD],
    };
    let mut compiler = Compiler {
        log,
        source,
        stages: Vec::new(),
        families: Vec::new(),
    };
    let before = problems.len();
    for metric in &log.metrics {
        compiler.add(metric, problems);
    }
    if problems.len() > before {
        return None;
    }
    let expressions = compiler
        .stages
        .iter()
        .filter_map(|stage| stage.regex.as_ref());
    let expressions: Vec<&str> = expressions.map(Regex::as_str).collect();
    Some(Rules {
        gate: match expressions.len() {
            0 | 1 => None,
            _ => RegexSet::new(&expressions).ok(),
        },
        stages: compiler
            .stages
            .into_iter()
            .map(StageDraft::finish)
            .collect(),
        families: compiler.families,
    })
}

/// Compiles a regular expression, and reports an invalid one.
pub(super) fn regex(source: &Spanned<Literal>, problems: &mut Diagnostics) -> Option<Regex> {
    Regex::new(source)
        .map_err(|error| {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default();
            let reason = reason.trim_start_matches("error: ");
            problems.error(&source.at, format!("invalid regular expression: {reason}"));
        })
        .ok()
}

struct Compiler<'a> {
    log: &'a Log,
    /// Fields of the source of the lines.
    source: &'a [&'a str],
    stages: Vec<StageDraft>,
    families: Vec<FamilyDef>,
}

/// A stage whose fields are not all known yet.
struct StageDraft {
    format: LineFormat,
    /// Expression of a stage of the format `regex`.
    regex: Option<Regex>,
    /// Number of fields of the source.
    source: usize,
    /// Fields by slot; those of the source first.
    names: Vec<String>,
    rules: Vec<Rule>,
}

impl Compiler<'_> {
    fn add(&mut self, metric: &LogMetric, problems: &mut Diagnostics) {
        metric.check(problems);
        let Some(stage) = self.stage(metric, problems) else {
            return;
        };
        let stage = &mut self.stages[stage];
        let labels: Vec<(String, Template)> = metric
            .labels
            .iter()
            .filter_map(|(name, text)| {
                let template = Template::parse(text, |word| stage.slot(word));
                Some((name.clone(), reported(template, &text.at, problems)?))
            })
            .collect();
        let conditions = metric.r#where.iter().filter_map(|(field, source)| {
            let slot = reported(stage.slot(field), &source.at, problems);
            let pattern = Pattern::new(source)
                .map_err(|error| problems.error(&source.at, error.to_string()))
                .ok();
            Some((slot?, pattern?))
        });
        let conditions = conditions.collect();
        let value = metric
            .value
            .as_ref()
            .and_then(|value| reported(stage.slot(value), &value.at, problems));
        let rule = Rule {
            family: self.families.len(),
            conditions,
            value,
            scale: metric.scale,
            labels: with_name(&metric.name, labels),
        };
        let family = add_family(&mut self.families, metric, &rule, problems);
        stage.rules.push(Rule { family, ..rule });
    }

    /// Returns the index of the stage of a metric.
    fn stage(&mut self, metric: &LogMetric, problems: &mut Diagnostics) -> Option<usize> {
        let format = self.log.format;
        let source = metric.r#match.as_ref().or(self.log.r#match.as_ref());
        let regex = match (format, source) {
            (LineFormat::Regex, Some(source)) => Some(regex(source, problems)?),
            (LineFormat::Regex, None) => {
                problems
                    .error(
                        &metric.name.at,
                        format!("no match: metric {:?}", metric.name.value),
                    )
                    .hint("set `match: ERROR`, for example, here or for the collector");
                return None;
            }
            (_, Some(source)) => {
                problems
                    .error(
                        &source.at,
                        format!("match does not apply to the format {}", format.as_str()),
                    )
                    .hint("use where: {level: error}, for example");
                return None;
            }
            (_, None) => None,
        };
        let text = regex.as_ref().map(Regex::as_str);
        let known = self.stages.iter();
        let known = known.map(|stage| stage.regex.as_ref().map(Regex::as_str));
        let index = known.clone().position(|known| known == text);
        Some(index.unwrap_or_else(|| {
            let names = self.source.iter().map(|name| (*name).to_owned());
            self.stages.push(StageDraft {
                format,
                source: self.source.len(),
                names: names.collect(),
                regex,
                rules: Vec::new(),
            });
            self.stages.len() - 1
        }))
    }
}

fn reported<T>(
    result: Result<T, TemplateError>,
    at: &SourceLocation,
    problems: &mut Diagnostics,
) -> Option<T> {
    result
        .map_err(|error| problems.error(at, error.message).hint(error.hint))
        .ok()
}

impl StageDraft {
    /// Returns the slot of a field, which is read from now on.
    fn slot(&mut self, name: &str) -> Result<usize, TemplateError> {
        if let Some(slot) = self.names.iter().position(|known| known == name) {
            return Ok(slot);
        }
        if let Some(regex) = &self.regex {
            let groups = regex.capture_names().flatten();
            if !groups.clone().any(|group| group == name) {
                let source = self.names[..self.source].iter().map(String::as_str);
                return Err(TemplateError::unknown(name, groups.chain(source)));
            }
        } else if name.matches('.').count() > MAX_DOTS {
            return Err(TemplateError {
                message: format!("more than {MAX_DOTS} dots in a field: {name:?}"),
                hint: "leave it out".to_owned(),
            });
        }
        self.names.push(name.to_owned());
        Ok(self.names.len() - 1)
    }

    fn finish(self) -> Stage {
        let own = self.names[self.source..].to_vec();
        Stage {
            values: Values::new(self.source, self.names.len()),
            parser: match (self.format, self.regex) {
                (LineFormat::Json, _) => Parser::Json(fields(&own, self.source)),
                (LineFormat::Logfmt, _) | (_, None) => Parser::Logfmt {
                    names: own,
                    first: self.source,
                },
                (LineFormat::Regex, Some(regex)) => Parser::Regex {
                    groups: groups(&regex, &own, self.source),
                    locations: regex.capture_locations(),
                    regex,
                },
            },
            rules: self.rules,
        }
    }
}

fn fields(names: &[String], first: usize) -> Fields {
    let mut fields = Fields::default();
    for (index, name) in names.iter().enumerate() {
        fields.add(name, first + index);
    }
    fields
}

/// Returns the numbers of the groups `names`, with their slots.
fn groups(regex: &Regex, names: &[String], first: usize) -> Vec<(usize, usize)> {
    let groups = regex.capture_names().enumerate();
    let groups = groups.filter_map(|(group, name)| {
        let index = names.iter().position(|own| Some(own.as_str()) == name)?;
        Some((group, first + index))
    });
    groups.collect()
}

/// Returns the index of the family of a metric.
fn add_family(
    families: &mut Vec<FamilyDef>,
    metric: &LogMetric,
    rule: &Rule,
    problems: &mut Diagnostics,
) -> usize {
    let own = metric.family(rule);
    let Some(index) = families.iter().position(|family| family.name == own.name) else {
        families.push(own);
        return families.len() - 1;
    };
    let family = &mut families[index];
    if (family.kind, &family.bounds, family.max_series) != (own.kind, &own.bounds, own.max_series) {
        problems
            .error(
                &metric.name.at,
                format!("metric {:?} again, and not the same", own.name),
            )
            .hint("type, buckets and max_series must be those of its first entry");
    }
    family.initial.extend(own.initial);
    family.labels.extend(own.labels);
    index
}

impl LogMetric {
    fn kind(&self) -> Kind {
        match self.r#type {
            LogMetricType::Counter => Kind::Counter,
            LogMetricType::Gauge => Kind::Gauge,
            LogMetricType::Histogram => Kind::Histogram,
        }
    }

    fn check(&self, problems: &mut Diagnostics) {
        let at = &self.name.at;
        if !is_metric_name(&self.name) {
            problems
                .error(at, format!("not a metric name: {:?}", self.name.value))
                .hint("letters, digits, _ and :, not starting with a digit");
        }
        check_buckets(self.kind(), self.buckets.as_ref(), problems);
        if self.kind() != Kind::Counter && self.value.is_none() {
            problems
                .error(at, format!("a {} without a value", self.r#type.as_str()))
                .hint("set `value` to the field with the number");
        }
        if self.max_series == 0 {
            problems.error(at, "max_series must be at least 1: 0");
        }
        if !self.scale.is_finite() {
            problems.error(at, format!("not a factor: {}", self.scale));
        }
        for (name, text) in &self.labels {
            let is_bound = name == "le" && self.kind() == Kind::Histogram;
            if !is_label_name(name) || is_bound {
                problems
                    .error(&text.at, format!("not a label name: {name:?}"))
                    .hint("letters, digits and underscores, not starting with a digit or __; not le in a histogram");
            }
        }
    }

    fn family(&self, rule: &Rule) -> FamilyDef {
        let kind = self.kind();
        // A gauge has no value before the first line.
        let initial = rule.fixed_labels().filter(|_| kind != Kind::Gauge);
        let labels = self.labels.iter();
        let labels = labels.map(|(name, text)| (name.clone(), text.value.0.clone()));
        FamilyDef {
            name: self.name.value.clone(),
            kind,
            help: self.help.clone(),
            bounds: match (kind, &self.buckets) {
                (Kind::Histogram, Some(bounds)) => bounds.as_slice().into(),
                (Kind::Histogram, None) => Arc::from(DEFAULT_BUCKETS),
                _ => Arc::from([]),
            },
            max_series: self.max_series,
            initial: initial.into_iter().collect(),
            labels: vec![labels.collect()],
        }
    }
}
