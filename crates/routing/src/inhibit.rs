//! Which alerts stand for others, which are then not told.
//!
//! Semantics are Alertmanager's: <https://prometheus.io/docs/alerting/latest/configuration/#inhibition-related-settings>.

use std::collections::BTreeSet;

use bellwether_core::Fingerprint;
use bellwether_schema::{Diagnostics, Spanned, section};
use hashbrown::HashMap;

use super::matchers::Matchers;
use super::view::View;

section! {
    /// While an alert fires that `source_matchers` accept, those that `target_matchers` accept are
    /// not told, if both have the same values of the labels `equal`. An alert that both accept is
    /// not held back by another such. Once it is no longer inhibited, an alert that nobody was told
    /// of waits `group_wait` of its route.
    pub struct InhibitRuleSettings {
        /// What it is called when it is told why an alert is held back; by default its number.
        pub name: Option<String> = None,
        /// Which alerts stand for others.
        pub source_matchers: Spanned<Matchers>,
        /// Which alerts are held back.
        pub target_matchers: Spanned<Matchers>,
        /// Labels that must be the same; one that is absent counts as empty.
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
    /// Compiles what is declared; what is wrong goes to `problems`.
    #[must_use]
    pub fn compile(settings: &[InhibitRuleSettings], problems: &mut Diagnostics) -> Vec<Self> {
        let compiled = settings.iter().zip(1..).map(|(rule, number)| {
            for (key, matchers) in [
                ("source", &rule.source_matchers),
                ("target", &rule.target_matchers),
            ] {
                if matchers.is_empty() {
                    problems
                        .error(
                            &matchers.at,
                            format!("no {key} matchers: every alert is a {key}"),
                        )
                        .hint("say which, as severity=\"critical\"");
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

    /// The values of the labels that must be the same.
    fn key(&self, alert: &View<'_>) -> Vec<String> {
        self.equal
            .iter()
            .map(|name| alert.label(name).unwrap_or_default().to_owned())
            .collect()
    }
}

/// Sources that fire and have the same values. Thousands may, so none of them is looked at one by
/// one.
#[derive(Debug, Default)]
struct Alike {
    /// Those that are no target of the same rule.
    only: BTreeSet<Fingerprint>,
    /// Those that are: they do not stand for their like.
    both: BTreeSet<Fingerprint>,
}

impl Alike {
    fn is_empty(&self) -> bool {
        self.only.is_empty() && self.both.is_empty()
    }

    /// One that stands for `alert`; `both`: it is a source, too.
    fn standing_for(&self, alert: Fingerprint, both: bool) -> Option<Fingerprint> {
        let likes = (!both).then_some(&self.both).into_iter().flatten();
        self.only
            .iter()
            .chain(likes)
            .find(|source| **source != alert)
            .copied()
    }
}

/// Sources of one rule by the values of the labels that must be the same.
type Sources = HashMap<Vec<String>, Alike>;

/// The sources that fire, by rule and by what must be the same.
#[derive(Debug, Default)]
pub struct Inhibitions {
    rules: Vec<(Inhibit, Sources)>,
    /// Where each source is, to take it out again.
    places: HashMap<Fingerprint, Vec<(usize, Vec<String>)>>,
}

impl Inhibitions {
    /// No source fires.
    #[must_use]
    pub fn new(rules: &[Inhibit]) -> Self {
        let rules = rules.iter().map(|rule| (rule.clone(), HashMap::new()));
        Self {
            rules: rules.collect(),
            places: HashMap::new(),
        }
    }

    /// `alert` fires, with labels as they are now.
    pub fn add(&mut self, alert: Fingerprint, view: &View<'_>) {
        self.remove(alert);
        for (number, (rule, sources)) in self.rules.iter_mut().enumerate() {
            if rule.source.matches(view) {
                let key = rule.key(view);
                let same = sources.entry(key.clone()).or_default();
                match rule.target.matches(view) {
                    true => same.both.insert(alert),
                    false => same.only.insert(alert),
                };
                self.places.entry(alert).or_default().push((number, key));
            }
        }
    }

    /// `alert` ended.
    pub fn remove(&mut self, alert: Fingerprint) {
        for (number, key) in self.places.remove(&alert).unwrap_or_default() {
            let sources = &mut self.rules[number].1;
            if let Some(found) = sources.get_mut(&key) {
                found.only.remove(&alert);
                found.both.remove(&alert);
                if found.is_empty() {
                    sources.remove(&key);
                }
            }
        }
    }

    /// Whether any source fires.
    pub(super) fn any(&self) -> bool {
        !self.places.is_empty()
    }

    /// Whether `alert` is a source that fires.
    pub(super) fn is_source(&self, alert: Fingerprint) -> bool {
        self.places.contains_key(&alert)
    }

    /// The rule that holds `alert` back, and the alert that stands for it.
    #[must_use]
    pub fn inhibitor(&self, alert: Fingerprint, view: &View<'_>) -> Option<(String, Fingerprint)> {
        self.rules.iter().find_map(|(rule, sources)| {
            if sources.is_empty() || !rule.target.matches(view) {
                return None;
            }
            let found = sources.get(&rule.key(view))?;
            let both = rule.source.matches(view);
            Some((rule.name.clone(), found.standing_for(alert, both)?))
        })
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::{Alert, Labels};
    use bellwether_schema::{Decode, DecodeContext, parse};

    use super::*;
    use crate::samples::alert;

    fn inhibitions(yaml: &str) -> Inhibitions {
        let mut problems = Diagnostics::default();
        let node = parse(yaml).unwrap();
        let rules = Vec::<InhibitRuleSettings>::decode(
            &node,
            &mut DecodeContext::new(&mut problems, &|_| None),
        );
        let compiled = Inhibit::compile(&rules.unwrap(), &mut problems);
        assert!(problems.is_empty(), "{:?}", problems.into_sorted());
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
    fn a_source_stands_for_targets_with_the_same_labels_while_it_fires() {
        let mut all = inhibitions(DOWN);
        let source = alert("host_down", &[("host", "a")]);
        let (target, other) = (
            alert("disk", &[("host", "a")]),
            alert("disk", &[("host", "b")]),
        );
        let held = |all: &Inhibitions, alert| with(alert, |key, view| all.inhibitor(key, view));
        assert_eq!(held(&all, &target), None);
        with(&source, |key, view| all.add(key, view));
        with(&source, |key, view| all.add(key, view));
        assert_eq!(
            held(&all, &target),
            Some(("down".into(), source.fingerprint))
        );
        assert_eq!(held(&all, &other), None);
        all.remove(source.fingerprint);
        assert_eq!(held(&all, &target), None);
        assert!(all.places.is_empty() && all.rules[0].1.is_empty());
    }

    #[test]
    fn an_absent_label_is_an_empty_one() {
        let mut all = inhibitions(DOWN);
        with(&alert("host_down", &[]), |key, view| all.add(key, view));
        let held = with(&alert("disk", &[]), |key, view| all.inhibitor(key, view));
        assert!(held.is_some());
    }

    #[test]
    fn who_is_source_and_target_is_not_held_back_by_its_like() {
        let mut all = inhibitions(
            "[{source_matchers: ['severity=~\"warning|critical\"'], \
               target_matchers: [severity=warning], equal: [host]}]",
        );
        let (one, two) = (alert("a", &[("host", "h")]), alert("b", &[("host", "h")]));
        with(&one, |key, view| all.add(key, view));
        with(&two, |key, view| all.add(key, view));
        assert_eq!(with(&one, |key, view| all.inhibitor(key, view)), None);
        let mut worse = alert("c", &[("host", "h")]);
        worse.severity = bellwether_core::Severity::Critical;
        with(&worse, |key, view| all.add(key, view));
        let held = with(&one, |key, view| all.inhibitor(key, view));
        assert_eq!(held, Some(("1".into(), worse.fingerprint)));
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
        for one in &alerts {
            with(one, |key, view| all.add(key, view));
        }
        assert!(
            alerts
                .iter()
                .all(|one| with(one, |key, view| all.inhibitor(key, view)).is_none())
        );
        let mut worse = alert("b", &[]);
        worse.severity = bellwether_core::Severity::Critical;
        with(&worse, |key, view| all.add(key, view));
        for one in &alerts {
            let held = with(one, |key, view| all.inhibitor(key, view));
            assert_eq!(held, Some(("1".into(), worse.fingerprint)));
            all.remove(one.fingerprint);
        }
        all.remove(worse.fingerprint);
        assert!(all.places.is_empty() && all.rules[0].1.is_empty());
    }

    #[test]
    fn a_rule_says_which_alerts() {
        let mut problems = Diagnostics::default();
        let node = parse("[{source_matchers: [], target_matchers: [a=b]}]").unwrap();
        let rules = Vec::<InhibitRuleSettings>::decode(
            &node,
            &mut DecodeContext::new(&mut problems, &|_| None),
        );
        let _ = Inhibit::compile(&rules.unwrap(), &mut problems);
        let told = problems.into_sorted()[0].to_string();
        assert!(told.contains("no source matchers"), "{told}");
    }
}
