//! From the settings of mappings to mappings.

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{DEFAULT_BUCKETS, check_buckets};
use bellwether_core::Kind;
use bellwether_matcher::translate;
use bellwether_schema::{
    Diagnostic, Diagnostics, HumanDuration, SourceLocation, Spanned, check_label_name,
};
use regex::Regex;

use super::glob::Glob;
use super::settings::{
    HistogramOptions, MappingAction, MappingDefaults, MappingRules, MatchType, NameMapping,
    NameRule, ObserverType, SummaryOptions,
};
use super::template::Template;
use super::{Mappings, Observer, Options, Rule, Templates};

const DEFAULT_QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);

impl NameMapping {
    /// Compiles the mappings. Returns `None` after an error, which is reported.
    pub(crate) fn resolve(
        &self,
        problems: &mut Diagnostics,
        warnings: &mut Vec<Diagnostic>,
    ) -> Option<Arc<Mappings>> {
        let before = problems.len();
        let mut compiler = Compiler {
            rules: &self.rules,
            problems,
            warnings,
        };
        let mappings = compiler.compile();
        (problems.len() == before).then(|| Arc::new(mappings))
    }
}

struct Compiler<'a> {
    rules: &'a MappingRules,
    problems: &'a mut Diagnostics,
    warnings: &'a mut Vec<Diagnostic>,
}

impl Compiler<'_> {
    fn compile(&mut self) -> Mappings {
        let MappingRules { defaults, mappings } = self.rules;
        self.check_summary(&defaults.summary_options);
        self.check_histogram(&defaults.histogram_options);
        let (mut globs, mut expressions) = (Vec::new(), Vec::new());
        for rule in mappings {
            match rule.match_type.unwrap_or(defaults.match_type) {
                MatchType::Glob => globs.extend(self.glob(rule)),
                MatchType::Regex => expressions.extend(self.expression(rule)),
            }
        }
        if defaults.glob_disable_ordering {
            globs.sort_by_cached_key(|rule| rule.matcher.rank());
        }
        Mappings {
            globs,
            expressions,
            unmapped: Arc::new(defaults.options()),
        }
    }

    fn glob(&mut self, rule: &NameRule) -> Option<Rule<Glob>> {
        let glob = Glob::parse(&rule.r#match).map_err(|why| {
            let message = format!("{why}: {:?}", rule.r#match.0);
            self.problems
                .error(&rule.r#match.at, message)
                .hint("set `match_type: regex` if it is a regular expression");
        });
        let glob = glob.ok()?;
        let stars = glob.stars();
        let group = |name: &str| name.parse().ok().filter(|star| (1..=stars).contains(star));
        let target = self.target(rule, group);
        Some(rule.compiled(glob, target))
    }

    fn expression(&mut self, rule: &NameRule) -> Option<Rule<Regex>> {
        let source = &rule.r#match;
        let regex = translate(source)
            .map_err(|error| error.to_string())
            .and_then(|source| Regex::new(&source).map_err(reason))
            .map_err(|reason| {
                let message = format!("invalid regular expression: {reason}");
                self.problems.error(&source.at, message);
            })
            .ok()?;
        let groups = regex.captures_len();
        let group = |name: &str| match name.parse() {
            Ok(index) => Some(index).filter(|index| *index < groups),
            Err(_) => regex.capture_names().position(|own| own == Some(name)),
        };
        let target = self.target(rule, group);
        Some(rule.compiled(regex, target))
    }

    /// Returns the templates of a rule; `None` if it drops.
    fn target(
        &mut self,
        rule: &NameRule,
        group: impl Fn(&str) -> Option<usize>,
    ) -> Option<Templates> {
        if let Some(summary) = &rule.summary_options {
            self.check_summary(summary);
        }
        if let Some(histogram) = &rule.histogram_options {
            self.check_histogram(histogram);
        }
        if rule.action == MappingAction::Drop {
            return None;
        }
        let Some(name) = rule.name.as_ref().filter(|name| !name.value.0.is_empty()) else {
            self.problems
                .error(&rule.r#match.at, "a mapping without a name")
                .hint("set `name`, or `action: drop`");
            return None;
        };
        if *rule.scale == 0.0 || !rule.scale.is_finite() {
            let message = format!("not a factor: {}", *rule.scale);
            self.problems.error(&rule.scale.at, message);
        }
        let mut template = |text: &str, at: &SourceLocation| {
            let (template, unknown) = Template::parse(text, &group);
            for reference in unknown {
                let message =
                    format!("{reference} refers to nothing in the match, and is left empty");
                self.warnings
                    .push(warning(at, message, "`${1}_total`, not `$1_total`"));
            }
            template
        };
        let name = template(&name.value, &name.at);
        let labels = rule.labels.iter();
        let labels =
            labels.map(|(label, text)| (label.as_str().into(), template(&text.value, &text.at)));
        let labels = labels.collect();
        for (label, text) in &rule.labels {
            check_label_name(label, &text.at, self.problems);
        }
        Some(Templates {
            name,
            labels,
            options: Arc::new(rule.options(&self.rules.defaults)),
        })
    }

    fn check_summary(&mut self, options: &SummaryOptions) {
        for objective in &options.quantiles.value {
            if !(0.0..=1.0).contains(&objective.quantile) {
                let message = format!("not between 0 and 1: {}", objective.quantile);
                self.problems.error(&options.quantiles.at, message);
            }
        }
    }

    fn check_histogram(&mut self, options: &HistogramOptions) {
        check_buckets(Kind::Histogram, options.buckets.as_ref(), self.problems);
        let factor = options
            .native_histogram_bucket_factor
            .as_ref()
            .map(|factor| &factor.at);
        let most = options
            .native_histogram_max_buckets
            .as_ref()
            .map(|most| &most.at);
        if let Some(at) = factor.or(most) {
            let message = "there are no native histograms; the buckets are kept".to_owned();
            self.warnings
                .push(warning(at, message, "leave the key out"));
        }
    }
}

/// Returns the last line of an error of `regex`, without the drawing.
fn reason(error: regex::Error) -> String {
    let text = error.to_string();
    let reason = text.lines().last().unwrap_or_default();
    reason.trim_start_matches("error: ").to_owned()
}

fn warning(at: &SourceLocation, message: String, help: &str) -> Diagnostic {
    Diagnostic {
        location: at.clone(),
        message,
        help: Some(help.to_owned()),
    }
}

impl NameRule {
    fn compiled<M>(&self, matcher: M, target: Option<Templates>) -> Rule<M> {
        Rule {
            matcher,
            kind: self.match_metric_type,
            target,
        }
    }

    fn options(&self, defaults: &MappingDefaults) -> Options {
        let kind = self.observer_type.unwrap_or(defaults.observer_type);
        Options {
            help: self.help.clone(),
            observer: observer(
                kind,
                [
                    self.summary_options.as_ref(),
                    Some(&defaults.summary_options),
                ],
                [
                    self.histogram_options.as_ref(),
                    Some(&defaults.histogram_options),
                ],
            ),
            ttl: ttl(self.ttl.unwrap_or(defaults.ttl)),
            scale: *self.scale,
            honor_labels: self.honor_labels,
        }
    }
}

impl MappingDefaults {
    fn options(&self) -> Options {
        Options {
            help: None,
            observer: observer(
                self.observer_type,
                [Some(&self.summary_options), None],
                [Some(&self.histogram_options), None],
            ),
            ttl: ttl(self.ttl),
            scale: 1.0,
            honor_labels: false,
        }
    }
}

fn ttl(setting: HumanDuration) -> Option<Duration> {
    Some(setting.0).filter(|ttl| !ttl.is_zero())
}

/// Returns the metric of observations. Of each option the first that is set counts.
fn observer(
    kind: ObserverType,
    summary: [Option<&SummaryOptions>; 2],
    histogram: [Option<&HistogramOptions>; 2],
) -> Observer {
    let (mut summary, mut histogram) = (
        summary.into_iter().flatten(),
        histogram.into_iter().flatten(),
    );
    match kind {
        ObserverType::Histogram => {
            let bounds = histogram.find_map(|options| options.buckets.as_ref());
            let bounds = bounds.map_or(&DEFAULT_BUCKETS[..], |bounds| bounds.value.as_slice());
            Observer::Histogram(bounds.into())
        }
        ObserverType::Summary => {
            let max_age = summary.clone().find_map(|options| options.max_age.as_ref());
            let max_age = max_age.map(|age: &Spanned<HumanDuration>| age.value.0);
            let objectives = summary.find(|options| !options.quantiles.is_empty());
            let objectives = objectives
                .into_iter()
                .flat_map(|options| &options.quantiles.value);
            let mut quantiles: Vec<f64> = objectives.map(|objective| objective.quantile).collect();
            if quantiles.is_empty() {
                quantiles = DEFAULT_QUANTILES.to_vec();
            }
            quantiles.sort_by(f64::total_cmp);
            quantiles.dedup();
            Observer::Summary {
                quantiles: quantiles.into(),
                max_age: max_age
                    .filter(|age| !age.is_zero())
                    .unwrap_or(DEFAULT_MAX_AGE),
            }
        }
    }
}
