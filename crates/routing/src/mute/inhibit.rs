//! Inhibition: alerts that mute others.
//!
//! Semantics are Alertmanager's: <https://prometheus.io/docs/alerting/latest/configuration/#inhibition-related-settings>.

use std::collections::BTreeSet;

use bellwether_core::Fingerprint;
use bellwether_schema::{Diagnostics, Override, Spanned, section};
use hashbrown::HashMap;

use crate::route::matchers::Matchers;
use crate::route::view::View;

section! {
    /// While an alert fires that matches `source_matchers`, alerts that match `target_matchers` are
    /// not notified, if both have the same values of the labels `equal`. An alert that matches both
    /// does not inhibit another such alert. Once it is no longer inhibited, an alert that was not
    /// notified yet waits for `group_wait` of its route.
    pub struct InhibitRuleSettings {
        /// Name in explanations of muted alerts; by default its number.
        pub name: Option<String> = None,
        /// If true, this entry replaces the one of its name of an earlier file, as `include` describes.
        pub r#override: Override,
        /// Matchers of the inhibiting alerts.
        pub source_matchers: Spanned<Matchers>,
        /// Matchers of the inhibited alerts.
        pub target_matchers: Spanned<Matchers>,
        /// Labels whose values must be equal; a missing label counts as empty.
        pub equal: Vec<String> = Vec::new(),
    }
}

/// One inhibition rule.
#[derive(Clone, Debug)]
pub struct Inhibit {
    name: String,
    source: Matchers,
    target: Matchers,
    equal: Vec<String>,
}

impl Inhibit {
    /// Compiles validated settings; errors go to `diagnostics`.
    #[must_use]
    pub fn compile(settings: &[InhibitRuleSettings], diagnostics: &mut Diagnostics) -> Vec<Self> {
        let compiled = settings.iter().zip(1..).map(|(rule, number)| {
            for (key, matchers) in [
                ("source", &rule.source_matchers),
                ("target", &rule.target_matchers),
            ] {
                if matchers.is_empty() {
                    diagnostics
                        .error(
                            &matchers.at,
                            format!("no {key} matchers: every alert is a {key}"),
                        )
                        .hint("add a matcher, such as severity=\"critical\"");
                }
            }
            Self {
                name: rule.name.clone().unwrap_or_else(|| format!("{number}")),
                source: rule.source_matchers.value.clone(),
                target: rule.target_matchers.value.clone(),
                equal: rule.equal.clone(),
            }
        });
        compiled.collect()
    }

    /// Returns the values of the labels `equal`.
    fn key(&self, alert: &View<'_>) -> Vec<String> {
        self.equal
            .iter()
            .map(|name| alert.label(name).unwrap_or_default().to_owned())
            .collect()
    }
}

/// Firing sources with the same values of `equal`. There may be thousands, so that they are never
/// searched one by one.
#[derive(Debug, Default)]
struct EqualSources {
    /// Sources that are no target of the same rule.
    only: BTreeSet<Fingerprint>,
    /// Sources that are targets, too: they do not inhibit each other.
    both: BTreeSet<Fingerprint>,
}

impl EqualSources {
    fn is_empty(&self) -> bool {
        self.only.is_empty() && self.both.is_empty()
    }

    /// Returns a source that inhibits `alert`; `is_source`: `alert` is a source, too.
    fn inhibitor(&self, alert: Fingerprint, is_source: bool) -> Option<Fingerprint> {
        let both = (!is_source).then_some(&self.both).into_iter().flatten();
        self.only
            .iter()
            .chain(both)
            .find(|source| **source != alert)
            .copied()
    }
}

/// Sources of one rule by the values of the labels `equal`.
type Sources = HashMap<Vec<String>, EqualSources>;

/// The firing sources of all rules.
#[derive(Debug, Default)]
pub struct Inhibitions {
    rules: Vec<(Inhibit, Sources)>,
    /// Index of the rule and key of each source.
    keys: HashMap<Fingerprint, Vec<(usize, Vec<String>)>>,
}

impl Inhibitions {
    /// Creates the rules without sources.
    #[must_use]
    pub fn new(rules: &[Inhibit]) -> Self {
        let rules = rules.iter().map(|rule| (rule.clone(), HashMap::new()));
        Self {
            rules: rules.collect(),
            keys: HashMap::new(),
        }
    }

    /// Adds a firing alert to the sources, or replaces its labels.
    pub fn add(&mut self, alert: Fingerprint, view: &View<'_>) {
        self.remove(alert);
        for (number, (rule, sources)) in self.rules.iter_mut().enumerate() {
            if rule.source.matches(view) {
                let key = rule.key(view);
                let equal = sources.entry(key.clone()).or_default();
                match rule.target.matches(view) {
                    true => equal.both.insert(alert),
                    false => equal.only.insert(alert),
                };
                self.keys.entry(alert).or_default().push((number, key));
            }
        }
    }

    /// Removes a resolved alert from the sources.
    pub fn remove(&mut self, alert: Fingerprint) {
        for (number, key) in self.keys.remove(&alert).unwrap_or_default() {
            let sources = &mut self.rules[number].1;
            if let Some(equal) = sources.get_mut(&key) {
                equal.only.remove(&alert);
                equal.both.remove(&alert);
                if equal.is_empty() {
                    sources.remove(&key);
                }
            }
        }
    }

    /// Returns whether any source fires.
    pub(crate) fn any(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Returns whether `alert` is a source that fires.
    pub(crate) fn is_source(&self, alert: Fingerprint) -> bool {
        self.keys.contains_key(&alert)
    }

    /// Returns the rule and the source that inhibit `alert`.
    #[must_use]
    pub fn inhibitor(&self, alert: Fingerprint, view: &View<'_>) -> Option<(String, Fingerprint)> {
        self.rules.iter().find_map(|(rule, sources)| {
            if sources.is_empty() || !rule.target.matches(view) {
                return None;
            }
            let equal = sources.get(&rule.key(view))?;
            let is_source = rule.source.matches(view);
            Some((rule.name.clone(), equal.inhibitor(alert, is_source)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Alert, Labels};
    use bellwether_schema::{Decode, DecodeContext, parse};

    use super::*;
    use crate::testing::alert;

    fn inhibitions(yaml: &str) -> Inhibitions {
        let mut diagnostics = Diagnostics::default();
        let node = parse(yaml).unwrap();
        let rules = Vec::<InhibitRuleSettings>::decode(
            &node,
            &mut DecodeContext::new(&mut diagnostics, &|_| None),
        );
        let compiled = Inhibit::compile(&rules.unwrap(), &mut diagnostics);
        assert!(diagnostics.is_empty(), "{:?}", diagnostics.into_sorted());
        Inhibitions::new(&compiled)
    }

    fn with<T>(alert: &Alert, then: impl FnOnce(Fingerprint, &View<'_>) -> T) -> T {
        then(
            alert.fingerprint,
            &View {
                alert,
                sender: &Labels::new(),
            },
        )
    }

    const DOWN: &str = "[{name: down, source_matchers: [alertname=host_down], \
                         target_matchers: ['alertname!=host_down'], equal: [host]}]";

    #[test]
    fn a_source_inhibits_targets_with_equal_labels_while_it_fires() {
        let mut all = inhibitions(DOWN);
        let source = alert("host_down", &[("host", "a")]);
        let (target, other) = (
            alert("disk", &[("host", "a")]),
            alert("disk", &[("host", "b")]),
        );
        let inhibitor =
            |all: &Inhibitions, alert| with(alert, |key, view| all.inhibitor(key, view));
        assert_eq!(inhibitor(&all, &target), None);
        with(&source, |key, view| all.add(key, view));
        with(&source, |key, view| all.add(key, view));
        assert_eq!(
            inhibitor(&all, &target),
            Some(("down".into(), source.fingerprint))
        );
        assert_eq!(inhibitor(&all, &other), None);
        all.remove(source.fingerprint);
        assert_eq!(inhibitor(&all, &target), None);
        assert!(all.keys.is_empty() && all.rules[0].1.is_empty());
    }

    #[test]
    fn an_absent_label_is_an_empty_one() {
        let mut all = inhibitions(DOWN);
        with(&alert("host_down", &[]), |key, view| all.add(key, view));
        let inhibitor = with(&alert("disk", &[]), |key, view| all.inhibitor(key, view));
        assert!(inhibitor.is_some());
    }

    #[test]
    fn alerts_that_are_source_and_target_do_not_inhibit_each_other() {
        let mut all = inhibitions(
            "[{source_matchers: ['severity=~\"warning|critical\"'], \
               target_matchers: [severity=warning], equal: [host]}]",
        );
        let (first, second) = (alert("a", &[("host", "h")]), alert("b", &[("host", "h")]));
        with(&first, |key, view| all.add(key, view));
        with(&second, |key, view| all.add(key, view));
        assert_eq!(with(&first, |key, view| all.inhibitor(key, view)), None);
        let mut worse = alert("c", &[("host", "h")]);
        worse.severity = bellwether_core::Severity::Critical;
        with(&worse, |key, view| all.add(key, view));
        let inhibitor = with(&first, |key, view| all.inhibitor(key, view));
        assert_eq!(inhibitor, Some(("1".into(), worse.fingerprint)));
        assert_eq!(with(&worse, |key, view| all.inhibitor(key, view)), None);
    }

    #[test]
    fn thousands_of_the_same_kind_come_and_go() {
        let mut all = inhibitions(
            "[{source_matchers: ['severity=~\"warning|critical\"'], \
               target_matchers: [severity=warning]}]",
        );
        let alerts: Vec<_> = (0..2000)
            .map(|number| alert("a", &[("n", &number.to_string())]))
            .collect();
        for alert in &alerts {
            with(alert, |key, view| all.add(key, view));
        }
        assert!(
            alerts
                .iter()
                .all(|alert| with(alert, |key, view| all.inhibitor(key, view)).is_none())
        );
        let mut worse = alert("b", &[]);
        worse.severity = bellwether_core::Severity::Critical;
        with(&worse, |key, view| all.add(key, view));
        for alert in &alerts {
            let inhibitor = with(alert, |key, view| all.inhibitor(key, view));
            assert_eq!(inhibitor, Some(("1".into(), worse.fingerprint)));
            all.remove(alert.fingerprint);
        }
        all.remove(worse.fingerprint);
        assert!(all.keys.is_empty() && all.rules[0].1.is_empty());
    }

    #[test]
    fn a_rule_without_source_matchers_is_an_error() {
        let mut diagnostics = Diagnostics::default();
        let node = parse("[{source_matchers: [], target_matchers: [a=b]}]").unwrap();
        let rules = Vec::<InhibitRuleSettings>::decode(
            &node,
            &mut DecodeContext::new(&mut diagnostics, &|_| None),
        );
        let _ = Inhibit::compile(&rules.unwrap(), &mut diagnostics);
        let error = diagnostics.into_sorted()[0].to_string();
        assert!(error.contains("no source matchers"), "{error}");
    }
}
