//! What is expected beside what is there, in lines for people.

use std::collections::BTreeMap;

use bellwether_core::{Alert, LabelSet, Labels};
use bellwether_schema::{Literal, SourceLocation};

use super::settings::{AlertTest, QueryTest};

/// Differences that are shown of one expectation.
const SHOWN: usize = 20;
/// Things that are compared each with each to find what was meant.
const PAIRED: usize = 200;

/// An expectation that is not met.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Where it is written.
    pub at: SourceLocation,
    /// What was looked at: `alert disk_full at 5m`.
    pub title: String,
    /// How it differs; never empty.
    pub lines: Vec<Line>,
}

/// A line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Expected, and not there.
    Expected(String),
    /// There, and not expected.
    Got(String),
    /// What to know beside that.
    Note(String),
}

impl Failure {
    pub(super) fn new(at: &SourceLocation, title: &str, note: String) -> Self {
        Self {
            at: at.clone(),
            title: title.to_owned(),
            lines: vec![Line::Note(note)],
        }
    }
}

/// Something that is expected or there: what it is known by, and what more is said of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// In one line.
    pub(super) shown: String,
    /// Everything that must be equal, by what it is called.
    pub(super) facts: Facts,
}

pub(super) type Facts = BTreeMap<String, String>;

/// The differences between two lists whose order says nothing; `same` tells which facts are equal.
pub(super) fn compare(
    mut expected: Vec<Item>,
    mut got: Vec<Item>,
    same: &dyn Fn(&Facts, &Facts) -> bool,
) -> Vec<Line> {
    expected.retain(
        |wanted| match got.iter().position(|one| same(&wanted.facts, &one.facts)) {
            Some(index) => {
                got.remove(index);
                false
            }
            None => true,
        },
    );
    let (mut lines, mut differences) = (Vec::new(), 0);
    let total = expected.len().max(got.len());
    for wanted in expected {
        differences += 1;
        let candidates = got.iter().take(PAIRED).enumerate();
        let closest = candidates
            .map(|(index, one)| (likeness(&wanted.facts, &one.facts), index))
            .max_by_key(|(likeness, index)| (*likeness, usize::MAX - index))
            .filter(|(likeness, _)| *likeness > 0);
        let other = closest.map(|(_, index)| got.remove(index));
        if differences > SHOWN {
            continue;
        }
        lines.push(Line::Expected(wanted.shown));
        if let Some(other) = other {
            lines.push(Line::Got(other.shown));
            lines.extend(facts(&wanted.facts, &other.facts));
        }
    }
    for other in got {
        differences += 1;
        if differences <= SHOWN {
            lines.push(Line::Got(other.shown));
        }
    }
    if differences > SHOWN {
        lines.push(Line::Note(format!(
            "{} more of at least {total} differ",
            differences - SHOWN
        )));
    }
    lines
}

/// How many facts two things share.
fn likeness(a: &Facts, b: &Facts) -> usize {
    a.iter()
        .filter(|(name, value)| b.get(*name) == Some(value))
        .count()
}

/// Which facts differ.
fn facts(expected: &Facts, got: &Facts) -> Vec<Line> {
    let names: std::collections::BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| expected.get(*name) != got.get(*name));
    differ
        .map(|name| {
            let told = |value: Option<&String>| match value {
                Some(value) => value.clone(),
                None => "nothing".to_owned(),
            };
            let (expected, got) = (told(expected.get(name)), told(got.get(name)));
            Line::Note(format!("{name}: expected {expected}, got {got}"))
        })
        .collect()
}

/// The differences of the alerts that fire, each with the labels that its rule says.
pub(super) fn alerts(test: &AlertTest, got: Vec<(Labels, Alert)>) -> Vec<Line> {
    let name = &test.alertname.value.0;
    let wants = |key: &str| {
        let labels = test
            .exp_alerts
            .iter()
            .filter_map(|alert| alert.value.exp_labels.as_ref());
        labels.into_iter().any(|labels| labels.contains_key(key))
    };
    let severity = wants("severity");
    let messages = test
        .exp_alerts
        .iter()
        .any(|alert| alert.value.exp_message.is_some());
    let text = |labels: &Option<BTreeMap<String, Literal>>| -> Labels {
        let all = labels.iter().flatten();
        all.map(|(name, value)| (name.clone(), value.0.clone()))
            .collect()
    };
    let expected = test.exp_alerts.iter().map(|alert| {
        let mut labels = text(&alert.value.exp_labels);
        labels.insert("alertname".into(), name.clone());
        let message = alert
            .value
            .exp_message
            .as_ref()
            .map(|message| message.0.clone());
        alert_item(&labels, &text(&alert.value.exp_annotations), message)
    });
    let got = got.into_iter().map(|(said, alert)| {
        // A severity that the rule does not say counts where the test says one.
        let labels = if severity { alert.all_labels() } else { said };
        alert_item(
            &labels,
            &alert.annotations,
            messages.then_some(alert.message),
        )
    });
    compare(expected.collect(), got.collect(), &PartialEq::eq)
}

fn alert_item(labels: &Labels, annotations: &Labels, message: Option<String>) -> Item {
    let pairs = labels
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let shown = LabelSet::new(pairs).to_string();
    let labels = labels
        .iter()
        .map(|(name, value)| (format!("label {name}"), format!("{value:?}")));
    let notes = annotations.iter();
    let notes = notes.map(|(name, value)| (format!("annotation {name}"), format!("{value:?}")));
    let message = message.map(|text| ("message".to_owned(), format!("{text:?}")));
    Item {
        shown,
        facts: labels.chain(notes).chain(message).collect(),
    }
}

/// The differences of the answer of a query.
pub(super) fn samples(test: &QueryTest, got: Vec<(LabelSet, f64)>, fuzzy: bool) -> Vec<Line> {
    let expected = test.exp_samples.iter().map(|sample| {
        let value = sample.value.map_or(0.0, |number| number.0);
        sample_item(&sample.labels.0, value)
    });
    let got = got
        .iter()
        .map(|(labels, value)| sample_item(labels, *value));
    let same = |a: &Facts, b: &Facts| {
        let labels = |facts: &Facts| {
            let mut facts = facts.clone();
            let value: Option<f64> = facts.remove(VALUE).and_then(|value| value.parse().ok());
            (facts, value)
        };
        let ((a, x), (b, y)) = (labels(a), labels(b));
        a == b && x.zip(y).is_some_and(|(x, y)| equal(x, y, fuzzy))
    };
    compare(expected.collect(), got.collect(), &same)
}

const VALUE: &str = "the value";

fn sample_item(labels: &LabelSet, value: f64) -> Item {
    let named = labels
        .iter()
        .map(|(name, value)| (format!("label {name}"), format!("{value:?}")));
    let value = value.to_string();
    let shown = format!("{labels} {value}");
    Item {
        shown,
        facts: named.chain([(VALUE.to_owned(), value)]).collect(),
    }
}

/// Whether two numbers are the same; `fuzzy`: but for their last bit.
fn equal(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || a.is_nan() && b.is_nan() || fuzzy && (a.next_up() == b || a.next_down() == b)
}
