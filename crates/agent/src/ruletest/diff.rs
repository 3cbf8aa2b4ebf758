//! Differences between expected and actual results, as lines for people.

use std::collections::BTreeMap;

use bellwether_core::{Alert, LabelSet, Labels};
use bellwether_schema::{Literal, SourceLocation};

use super::settings::{AlertTest, QueryTest};

/// Maximum number of differences shown per expectation.
const SHOWN: usize = 20;
/// Maximum number of items compared pairwise to find the best match.
const PAIRED: usize = 200;

/// An unmet expectation.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub at: SourceLocation,
    /// Title: `alert disk_full at 5m`.
    pub title: String,
    /// Differences; never empty.
    pub lines: Vec<Line>,
}

/// Line of a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Expected but absent.
    Expected(String),
    /// Present but not expected.
    Got(String),
    /// Note.
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

/// An expected or actual item, by its text and its facts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Item {
    /// Text in one line.
    pub(super) shown: String,
    /// Values that must be equal, by name.
    pub(super) facts: Facts,
}

pub(super) type Facts = BTreeMap<String, String>;

/// Compares two unordered lists; `same` decides whether two facts are equal.
pub(super) fn compare(
    mut expected: Vec<Item>,
    mut got: Vec<Item>,
    same: &dyn Fn(&Facts, &Facts) -> bool,
) -> Vec<Line> {
    expected.retain(
        |wanted| match got.iter().position(|item| same(&wanted.facts, &item.facts)) {
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

/// Counts the facts that two items share.
fn likeness(a: &Facts, b: &Facts) -> usize {
    a.iter()
        .filter(|(name, value)| b.get(*name) == Some(value))
        .count()
}

/// Lists the facts that differ.
fn facts(expected: &Facts, got: &Facts) -> Vec<Line> {
    let names: std::collections::BTreeSet<&String> = expected.keys().chain(got.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| expected.get(*name) != got.get(*name));
    differ
        .map(|name| {
            let (expected, got) = (shown(expected.get(name)), shown(got.get(name)));
            Line::Note(format!("{name}: expected {expected}, got {got}"))
        })
        .collect()
}

fn shown(value: Option<&String>) -> String {
    value.map_or_else(|| "nothing".to_owned(), String::clone)
}

/// Compares the firing alerts, each with the labels that its rule sets.
pub(super) fn alerts(test: &AlertTest, got: Vec<(Labels, Alert)>) -> Vec<Line> {
    let name = &test.alertname.value.0;
    let severity = test
        .exp_alerts
        .iter()
        .filter_map(|alert| alert.value.exp_labels.as_ref())
        .any(|labels| labels.contains_key("severity"));
    let messages = test
        .exp_alerts
        .iter()
        .any(|alert| alert.value.exp_message.is_some());
    let expected = test.exp_alerts.iter().map(|alert| {
        let mut labels = texts(&alert.value.exp_labels);
        labels.insert("alertname".into(), name.clone());
        let message = alert
            .value
            .exp_message
            .as_ref()
            .map(|message| message.0.clone());
        alert_item(&labels, &texts(&alert.value.exp_annotations), message)
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
    let notes = annotations
        .iter()
        .map(|(name, value)| (format!("annotation {name}"), format!("{value:?}")));
    let message = message.map(|text| ("message".to_owned(), format!("{text:?}")));
    Item {
        shown,
        facts: labels.chain(notes).chain(message).collect(),
    }
}

fn texts(labels: &Option<BTreeMap<String, Literal>>) -> Labels {
    let all = labels.iter().flatten();
    all.map(|(name, value)| (name.clone(), value.0.clone()))
        .collect()
}

/// Compares the result of a query.
pub(super) fn samples(test: &QueryTest, got: Vec<(LabelSet, f64)>, fuzzy: bool) -> Vec<Line> {
    let expected = test.exp_samples.iter().map(|sample| {
        let value = sample.value.map_or(0.0, |number| number.0);
        sample_item(&sample.labels.0, value)
    });
    let got = got
        .iter()
        .map(|(labels, value)| sample_item(labels, *value));
    compare(expected.collect(), got.collect(), &|a, b| {
        let ((a, x), (b, y)) = (split_value(a), split_value(b));
        a == b && x.zip(y).is_some_and(|(x, y)| equal(x, y, fuzzy))
    })
}

/// Splits the value of a sample from its labels.
fn split_value(facts: &Facts) -> (Facts, Option<f64>) {
    let mut facts = facts.clone();
    let value = facts.remove(VALUE).and_then(|value| value.parse().ok());
    (facts, value)
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

/// Returns whether two numbers are equal; `fuzzy` ignores the last bit.
fn equal(a: f64, b: f64, fuzzy: bool) -> bool {
    a == b || a.is_nan() && b.is_nan() || fuzzy && (a.next_up() == b || a.next_down() == b)
}
