//! Checks of a text when its rule is compiled: variables, labels, and a trial with sample values.

use std::sync::Arc;

use bellwether_core::UnixMillis;
use bellwether_schema::did_you_mean;
use bellwether_template::{Answers, described};
use minijinja::Template;

use super::prometheus::from_prometheus;
use super::{
    MAX_TEXT_BYTES, Scope, TemplateData, Templates, VARIABLES, is_query, is_template, query_context,
};
use crate::alert::detail::Detail;
use crate::eval::reading::HintedError;

/// Variables that are unknown when the rule is evaluated.
const LATE_VARIABLES: [&str; 5] = ["fired_value", "peak", "threshold", "severity", "state"];

impl Templates {
    pub(super) fn check(&self, source: &str, scope: Scope<'_>) -> Result<(), HintedError> {
        let body = from_prometheus(source);
        let result = bellwether_template::parsed(&self.environment, &body, |template| {
            if is_query(template) {
                check_query(template, scope)?;
            }
            self.check_names(template, scope)?;
            self.trial_render(template, scope)
        });
        result.map_err(|error| HintedError {
            message: format!("template: {}", described(&error)),
            hint: go_template_hint(source),
        })?
    }

    /// Returns the error in a text of a rule whose alerts may have any labels.
    #[must_use]
    pub fn find_error(&self, source: &str) -> Option<HintedError> {
        let scope = Scope {
            labels: &[],
            any_label: true,
            can_query: true,
            extra: &[],
        };
        is_template(source)
            .then(|| self.check(source, scope).err())
            .flatten()
    }

    fn check_names(
        &self,
        template: &Template<'_, '_>,
        scope: Scope<'_>,
    ) -> Result<(), HintedError> {
        let mut used: Vec<String> = template.undeclared_variables(true).into_iter().collect();
        used.sort();
        for path in used {
            let mut steps = path.split('.');
            let root = steps.next().unwrap_or_default();
            let is_known = VARIABLES.contains(&root) || scope.extra.contains(&root);
            // Functions such as `range` count as undeclared too.
            if !is_known && self.environment.globals().all(|(global, _)| global != root) {
                return Err(unknown_variable(root, scope));
            }
            match steps.next() {
                Some(label) if root == "labels" && !scope.has_label(label) => {
                    return Err(unknown_label(label, scope));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Renders it once with sample values, which finds errors that names alone do not show.
    fn trial_render(
        &self,
        template: &Template<'_, '_>,
        scope: Scope<'_>,
    ) -> Result<(), HintedError> {
        let labels = scope
            .labels
            .iter()
            .map(|label| (label.to_string(), "1".to_owned()))
            .collect();
        let detail = sample_detail(scope);
        let data = TemplateData {
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
        let context = query_context(self.context(data, "1"), UnixMillis::default(), &answers);
        match bellwether_template::rendered(template, context, MAX_TEXT_BYTES) {
            Ok(_) => Ok(()),
            Err(error) => Err(HintedError {
                message: format!("template: {}", described(&error)),
                hint: None,
            }),
        }
    }
}

impl Scope<'_> {
    /// Returns true if the alerts of the rule may have the label.
    fn has_label(&self, label: &str) -> bool {
        self.any_label || self.labels.iter().any(|known| **known == *label)
    }
}

fn sample_detail(scope: Scope<'_>) -> Detail {
    match scope.extra {
        ["forecast"] => Detail::Forecast("in 1 h".into()),
        _ => Detail::Anomaly {
            score: 1.0,
            expected: Some((0.0, 1.0)),
        },
    }
}

fn unknown_variable(name: &str, scope: Scope<'_>) -> HintedError {
    let names: Vec<&str> = VARIABLES.iter().chain(scope.extra).copied().collect();
    let hint = did_you_mean(name, names.iter().copied())
        .unwrap_or_else(|| format!("known: {}", names.join(", ")));
    HintedError::new(format!("template: unknown variable {name:?}"), hint)
}

fn unknown_label(label: &str, scope: Scope<'_>) -> HintedError {
    let names: Vec<&str> = scope.labels.iter().map(|label| &**label).collect();
    let hint =
        did_you_mean(label, names.iter().copied()).unwrap_or_else(|| match names.as_slice() {
            [] => "its alerts have no labels".into(),
            names => format!("its alerts have: {}", names.join(", ")),
        });
    HintedError::new(format!("template: no label {label:?}"), hint)
}

/// Rejects a text that queries history in a rule that does not, or that uses variables unknown by
/// then.
fn check_query(template: &Template<'_, '_>, scope: Scope<'_>) -> Result<(), HintedError> {
    if !scope.can_query {
        return Err(HintedError::new(
            "template: `query` and `now` in a text of a rule that does not query history",
            "they are for rules with `promql`, `anomaly` or `forecast`",
        ));
    }
    let used = template.undeclared_variables(false);
    match LATE_VARIABLES.iter().find(|later| used.contains(**later)) {
        None => Ok(()),
        Some(later) => Err(HintedError::new(
            format!("template: `{later}` beside `query` or `now`"),
            "such a text is rendered when the rule is evaluated, before that is known; use \
             `value` and `labels`",
        )),
    }
}

/// Returns the hint for a Go template.
fn go_template_hint(source: &str) -> Option<String> {
    let go = [
        "{{ .", "{{.", "printf", "{{ if", "{{ range", "{{ end", "{{- ",
    ];
    go.iter().any(|sign| source.contains(sign)).then(|| {
        "templates are Jinja, not Go: {{ labels.x }}, {{ value | round(1) }}, {% if ... %}".into()
    })
}
