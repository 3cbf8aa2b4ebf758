//! One rule as the YAML file declares it.
//!
//! Owns the keys, their defaults and their documentation. What makes sense together is judged in
//! `compile`.

use std::collections::BTreeMap;

use crate::declare::{At, Problems, Raw, Span, Spanned, choices, section};
use crate::model::Severity;

use super::aggregate::Aggregation;
use super::condition::Condition;
use super::matcher::Matcher;

choices! {
    /// What follows when a rule cannot be judged.
    pub enum Otherwise {
        /// The alert stays as it is.
        Keep = "keep",
        /// As if the condition did not hold.
        Ok = "ok",
        /// As if it did.
        Alert = "alert",
    }
}

section! {
    /// Three levels of one rule; each that is given counts.
    pub struct Thresholds {
        /// Where `warning` begins.
        pub warning: Option<f64>,
        /// Where `critical` begins.
        pub critical: Option<f64>,
        /// Where `emergency` begins.
        pub emergency: Option<f64>,
    }
}

section! {
    /// A rule: judges each label set of its metric on its own.
    pub struct RuleSettings {
        /// Its name, unique; the `alertname` of its alerts.
        pub name: Spanned<String>,
        /// The metric that is judged, as declared. Either this or `expr`.
        pub metric: Option<Spanned<String>>,
        /// An expression over declared metrics: `cache_misses / (cache_hits + cache_misses) > 0.5`.
        /// Series are joined on the labels that the metrics share. Over time: `rate(x, "5m")` and
        /// every other aggregation, also as `rate(x[5m])` or `rate_5m(x)`. Over series:
        /// `sum_by(x, "label", ...)`, and `avg_by`, `min_by`, `max_by`, `count_by`. Of numbers:
        /// abs, floor, ceil, round, sqrt, ln, log2, log10, exp, pow, min, max, clamp, if.
        pub expr: Option<Spanned<Raw>>,
        /// How the value is compared with the threshold.
        pub condition: Option<Spanned<Condition>>,
        /// What it is compared with.
        pub threshold: Option<Spanned<f64>>,
        /// Up to three thresholds instead of one, each with its severity.
        pub thresholds: Option<Spanned<Thresholds>>,
        /// Hysteresis: a firing alert resolves only once the condition no longer holds for this
        /// value.
        pub resolve_threshold: Option<Spanned<f64>>,
        /// What is made of the samples of `window` before they are judged.
        pub aggregation: Option<Spanned<Aggregation>>,
        /// The time an aggregation looks back on; 5m if it needs one.
        pub window: Option<Spanned<Span>>,
        /// How long the condition must hold before the alert fires.
        pub duration: Span = Span::secs(0),
        /// How many samples in a row must violate before the condition counts as held.
        pub consecutive: Spanned<u32> = Spanned::nowhere(1),
        /// How long the condition must not hold before the alert resolves.
        pub keep_firing_for: Span = Span::secs(0),
        /// How bad it is; `warning` if nothing is said.
        pub severity: Option<Spanned<Severity>>,
        /// What follows when there is no data.
        pub on_no_data: Otherwise = Otherwise::Keep,
        /// What follows when the evaluation fails.
        pub on_error: Otherwise = Otherwise::Keep,
        /// Only series whose labels pass.
        pub labels: BTreeMap<String, Spanned<Matcher>> = BTreeMap::new(),
        /// Labels that every alert of this rule gets.
        pub add_labels: BTreeMap<String, Spanned<String>> = BTreeMap::new(),
        /// What people are told: a template with `{{ labels.x }}`, `{{ value }}`, `{{ threshold }}`.
        pub message: Option<Spanned<Raw>>,
        /// More for people, by name; templates too.
        pub annotations: BTreeMap<String, Spanned<Raw>> = BTreeMap::new(),
        /// Whether it is judged at all.
        pub enabled: bool = true,
    }
}

impl RuleSettings {
    /// The place of the rule as a whole, for what is missing in it.
    #[must_use]
    pub fn place(&self) -> At {
        let path = &self.name.at.path;
        At { path: path.strip_suffix(".name").unwrap_or(path).into(), ..self.name.at }
    }

    /// Whether the value of `key` was found wrong already; then it is absent here without having
    /// been left out.
    #[must_use]
    pub fn is_broken(&self, key: &str, problems: &Problems) -> bool {
        let key = format!("{}.{key}", self.place().path);
        problems.any(|path| {
            path.strip_prefix(&*key).is_some_and(|r| r.is_empty() || r.starts_with('.'))
        })
    }
}
