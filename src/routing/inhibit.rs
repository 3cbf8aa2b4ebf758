//! Which alerts stand for others, which are then not told.
//!
//! Semantics are Alertmanager's: <https://prometheus.io/docs/alerting/latest/configuration/#inhibition-related-settings>.

use hashbrown::HashMap;

use crate::declare::{Problems, Spanned, section};
use crate::model::Fingerprint;

use super::matchers::Matchers;
use super::view::View;

section! {
    /// While an alert fires that `source_matchers` accept, those that `target_matchers` accept are
    /// not told, if both have the same values of the labels `equal`. An alert that both accept is
    /// not held back by another such.
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
    pub fn compile(settings: &[InhibitRuleSettings], problems: &mut Problems) -> Vec<Self> {
        let compiled = settings.iter().zip(1..).map(|(rule, number)| {
            for (key, matchers) in
                [("source", &rule.source_matchers), ("target", &rule.target_matchers)]
            {
                if matchers.is_empty() {
                    problems
                        .error(&matchers.at, format!("no {key} matchers: every alert is a {key}"))
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
        self.equal.iter().map(|name| alert.label(name).unwrap_or_default().to_owned()).collect()
    }
}

/// A source that fires, and whether it is a target of the same rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    alert: Fingerprint,
    both: bool,
}

/// Sources of one rule by the values of the labels that must be the same.
type Sources = HashMap<Vec<String>, Vec<Source>>;

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
        Self { rules: rules.collect(), places: HashMap::new() }
    }

    /// `alert` fires, with labels as they are now.
    pub fn add(&mut self, alert: Fingerprint, view: &View<'_>) {
        self.remove(alert);
        for (number, (rule, sources)) in self.rules.iter_mut().enumerate() {
            if rule.source.matches(view) {
                let key = rule.key(view);
                let source = Source { alert, both: rule.target.matches(view) };
                sources.entry(key.clone()).or_default().push(source);
                self.places.entry(alert).or_default().push((number, key));
            }
        }
    }

    /// `alert` ended.
    pub fn remove(&mut self, alert: Fingerprint) {
        for (number, key) in self.places.remove(&alert).unwrap_or_default() {
            let sources = &mut self.rules[number].1;
            if let Some(found) = sources.get_mut(&key) {
                found.retain(|source| source.alert != alert);
                if found.is_empty() {
                    sources.remove(&key);
                }
            }
        }
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
            let source = found.iter().find(|one| one.alert != alert && !(both && one.both))?;
            Some((rule.name.clone(), source.alert))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::{Cx, Decode, parse};
    use crate::model::{Alert, Labels};
    use crate::routing::samples::alert;

    fn inhibitions(yaml: &str) -> Inhibitions {
        let mut problems = Problems::default();
        let node = parse(yaml).unwrap();
        let rules =
            Vec::<InhibitRuleSettings>::decode(&node, &mut Cx::new(&mut problems, &|_| None));
        let compiled = Inhibit::compile(&rules.unwrap(), &mut problems);
        assert!(problems.is_empty(), "{:?}", problems.into_sorted());
        Inhibitions::new(&compiled)
    }

    fn with<T>(alert: &Alert, then: impl FnOnce(Fingerprint, &View<'_>) -> T) -> T {
        then(alert.fingerprint, &View { alert, sender: &Labels::new() })
    }

    const DOWN: &str = "[{name: down, source_matchers: [alertname=host_down], \
                         target_matchers: ['alertname!=host_down'], equal: [host]}]";

    #[test]
    fn a_source_stands_for_targets_with_the_same_labels_while_it_fires() {
        let mut all = inhibitions(DOWN);
        let source = alert("host_down", &[("host", "a")]);
        let (target, other) = (alert("disk", &[("host", "a")]), alert("disk", &[("host", "b")]));
        let held = |all: &Inhibitions, alert| with(alert, |key, view| all.inhibitor(key, view));
        assert_eq!(held(&all, &target), None);
        with(&source, |key, view| all.add(key, view));
        with(&source, |key, view| all.add(key, view));
        assert_eq!(held(&all, &target), Some(("down".into(), source.fingerprint)));
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
        worse.severity = crate::model::Severity::Critical;
        with(&worse, |key, view| all.add(key, view));
        let held = with(&one, |key, view| all.inhibitor(key, view));
        assert_eq!(held, Some(("1".into(), worse.fingerprint)));
        assert_eq!(with(&worse, |key, view| all.inhibitor(key, view)), None);
    }

    #[test]
    fn a_rule_says_which_alerts() {
        let mut problems = Problems::default();
        let node = parse("[{source_matchers: [], target_matchers: [a=b]}]").unwrap();
        let rules =
            Vec::<InhibitRuleSettings>::decode(&node, &mut Cx::new(&mut problems, &|_| None));
        let _ = Inhibit::compile(&rules.unwrap(), &mut problems);
        let told = problems.into_sorted()[0].to_string();
        assert!(told.contains("no source matchers"), "{told}");
    }
}
