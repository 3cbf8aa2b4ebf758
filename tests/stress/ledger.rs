//! Notifications that one receiver got, compared with the promises to it.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

/// One notification that a receiver took.
#[derive(Clone, Debug)]
pub struct Taken {
    id: String,
    /// The rule and the label that distinguishes its alerts.
    alert: (String, String),
    fires: bool,
    severity: String,
}

impl Taken {
    /// Of Alertmanager's document: its changes. An alert that is only listed with them has no id.
    pub fn of_document(document: &Value, label: &str) -> Vec<Self> {
        let alerts = document["alerts"].as_array().unwrap().iter();
        let news = alerts.filter(|alert| !alert["id"].is_null());
        news.map(|alert| Self {
            alert: (
                text(&alert["labels"]["alertname"]),
                text(&alert["labels"][label]),
            ),
            severity: text(&alert["labels"]["severity"]),
            ..Self::of_message(alert, label)
        })
        .collect()
    }

    /// Of the message that Kafka gets.
    pub fn of_message(message: &Value, label: &str) -> Self {
        Self {
            id: text(&message["id"]),
            alert: (text(&message["rule"]), text(&message["labels"][label])),
            fires: message["status"] == "firing",
            severity: text(&message["severity"]),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Knowledge of a receiver about one alert.
#[derive(Debug, Default)]
struct Known {
    /// The severity of its last notification, while it believes that the alert fires.
    fires: Option<String>,
    /// The last that was new to it.
    last: String,
    seen: HashSet<String>,
    /// All that it took, in order.
    taken: Vec<Taken>,
}

/// Notifications that one receiver got of all alerts.
#[derive(Debug, Default)]
pub struct Ledger {
    alerts: BTreeMap<(String, String), Known>,
    /// Notifications that it should not have got.
    broken: Vec<String>,
    /// Firing, resolved and repeated notifications.
    pub counts: [usize; 3],
}

impl Ledger {
    /// It takes `one`. Nothing is repeated within the time of a test but what it may have taken
    /// without our knowing.
    pub fn take(&mut self, one: Taken) {
        let known = self.alerts.entry(one.alert.clone()).or_default();
        let again = !known.seen.insert(one.id.clone());
        let same = known.fires.as_ref() == Some(&one.severity);
        let broken = match (again, one.fires) {
            (true, _) if known.last != one.id => Some("sent again after what followed"),
            (false, true) if same => Some("a firing of what is known to fire"),
            (false, false) if known.fires.is_none() => Some("a resolved without a firing"),
            _ => None,
        };
        self.counts[if again { 2 } else { usize::from(!one.fires) }] += 1;
        known.fires = one.fires.then(|| one.severity.clone());
        known.last.clone_from(&one.id);
        known.taken.push(one.clone());
        if let Some(what) = broken {
            self.broken
                .push(format!("{what}: {one:?}, after {:#?}", known.taken));
        }
    }

    /// The alerts that it believes to fire, and how bad.
    pub fn firing(&self) -> BTreeMap<(String, String), String> {
        let firing = self.alerts.iter();
        firing
            .filter_map(|(alert, known)| Some((alert.clone(), known.fires.clone()?)))
            .collect()
    }

    /// Panics if it got what it should not have, or where what it believes to fire is
    /// not `expected`.
    pub fn check(&self, channel: &str, expected: &BTreeMap<(String, String), String>) {
        assert!(
            self.broken.is_empty(),
            "{channel}: {}",
            self.broken.join("\n")
        );
        let firing = self.firing();
        if firing != *expected {
            let differs = |alert: &&(String, String)| firing.get(*alert) != expected.get(*alert);
            let wrong: Vec<_> = firing
                .keys()
                .chain(expected.keys())
                .filter(differs)
                .collect();
            let known: Vec<_> = wrong.iter().map(|alert| self.alerts.get(*alert)).collect();
            panic!("{channel} believes wrongly of {wrong:?}: {known:#?}");
        }
    }
}
