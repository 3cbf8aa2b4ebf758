//! Series that Prometheus generates itself: `up`, `ALERTS` and `ALERTS_FOR_STATE`, in history.
//!
//! They are for queries, rules and dashboards, and not in `/metrics`, as in Prometheus.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bellwether_core::{
    Alert, AlertState, Fingerprint, LabelSet, Labels, METRIC_NAME, Origin, UnixMillis,
};
use bellwether_promql::SampledSeries;
use bellwether_rules::RuleSet;
use bellwether_tsdb::history::{History, SeriesId};
use bellwether_tsdb::store::GeneratedName;
use parking_lot::Mutex;

const UP: &str = "up";
const ALERTS: &str = "ALERTS";
const ALERTS_FOR_STATE: &str = "ALERTS_FOR_STATE";
/// Name of the label of `up`.
const COLLECTOR: &str = "collector";
/// Name of the label with the state of an alert.
const STATE: &str = "alertstate";

/// Returns the names of series that are in history beside those of collectors: the generated ones, and results of
/// recording rules.
pub(super) fn generated_names(rules: &RuleSet) -> Vec<GeneratedName> {
    let up = GeneratedName {
        name: UP.into(),
        labels: Some(vec![COLLECTOR.into()]),
    };
    let recorded = rules.recordings.iter().map(|recording| &*recording.record);
    let names = [ALERTS, ALERTS_FOR_STATE].into_iter().chain(recorded);
    let others = names.map(|name| GeneratedName {
        name: name.into(),
        labels: None,
    });
    others.chain([up]).collect()
}

/// Appends the generated series to history.
pub(super) struct GeneratedSeries {
    history: Option<Arc<History>>,
    /// Labels that every series carries.
    labels: Mutex<Labels>,
    up: Mutex<BTreeMap<Origin, Option<SeriesId>>>,
    alerts: Mutex<HashMap<(Fingerprint, AlertState), Pair>>,
}

/// `ALERTS` and `ALERTS_FOR_STATE` of one alert in one state.
type Pair = [Option<SeriesId>; 2];

impl GeneratedSeries {
    pub(super) fn new(history: Option<Arc<History>>, labels: Labels) -> Self {
        Self {
            history,
            labels: Mutex::new(labels),
            up: Mutex::default(),
            alerts: Mutex::default(),
        }
    }

    /// Changes the constant labels after a reload. Series with the old ones end.
    pub(super) fn relabel(&self, labels: &Labels, at: UnixMillis) {
        if *self.labels.lock() == *labels {
            return;
        }
        self.labels.lock().clone_from(labels);
        let up = std::mem::take(&mut *self.up.lock());
        let alerts = std::mem::take(&mut *self.alerts.lock());
        self.end(up.into_values().chain(alerts.into_values().flatten()), at);
    }

    /// Appends `up` of `origin`, collected at `at`.
    pub(super) fn collected(&self, origin: Origin, success: bool, at: UnixMillis) {
        let Some(history) = &self.history else { return };
        let mut up = self.up.lock();
        let series = up.entry(origin).or_default();
        if series.is_none() {
            let own = [(METRIC_NAME, UP), (COLLECTOR, origin.as_str())];
            *series = history.series_id(&self.label_set(own.into_iter()));
        }
        if let Some(series) = series {
            history.append(at, &[(*series, f64::from(u8::from(success)))]);
        }
    }

    /// Ends `up` of a collector that was removed.
    pub(super) fn forget(&self, origin: Origin, at: UnixMillis) {
        let series = self.up.lock().remove(&origin).flatten();
        self.end([series].into_iter(), at);
    }

    /// Appends the series of `alerts`: all that are pending or firing at `at`.
    pub(super) fn evaluated(&self, alerts: &[Alert], at: UnixMillis) {
        let Some(history) = &self.history else { return };
        let mut previous = self.alerts.lock();
        let mut samples = Vec::with_capacity(alerts.len() * 2);
        let mut current = HashMap::with_capacity(alerts.len());
        for alert in alerts {
            let key = (alert.fingerprint, alert.state);
            let pair = previous.remove(&key).unwrap_or([None, None]);
            let pair = if pair.contains(&None) {
                self.series(history, alert)
            } else {
                pair
            };
            let values = [1.0, (alert.active_at.0 as f64 / 1000.0).floor()];
            let values = pair.iter().zip(values);
            samples.extend(values.filter_map(|(series, value)| Some(((*series)?, value))));
            current.insert(key, pair);
        }
        // `ALERTS_FOR_STATE` continues where only the state has changed.
        let continuing: std::collections::HashSet<SeriesId> =
            current.values().filter_map(|[_, since]| *since).collect();
        let ended = previous.drain().flat_map(|(_, pair)| pair).flatten();
        let ended = ended.filter(|series| !continuing.contains(series));
        samples.extend(ended.map(|series| (series, SampledSeries::stale())));
        *previous = current;
        if !samples.is_empty() {
            history.append(at, &samples);
        }
    }

    fn series(&self, history: &History, alert: &Alert) -> Pair {
        let labels = alert.all_labels();
        let alert_labels = || {
            labels
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
        };
        let state = [(METRIC_NAME, ALERTS), (STATE, alert.state.as_str())];
        let since = [(METRIC_NAME, ALERTS_FOR_STATE)];
        [
            history.series_id(&self.label_set(alert_labels().chain(state))),
            history.series_id(&self.label_set(alert_labels().chain(since))),
        ]
    }

    /// Returns `own` labels with the constant labels that they do not override.
    fn label_set<'a>(&self, own: impl Iterator<Item = (&'a str, &'a str)>) -> LabelSet {
        let own: Vec<(&str, &str)> = own.collect();
        let usual = self.labels.lock();
        let usual = usual
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        // Of two pairs with one name the last counts, also where it is empty.
        LabelSet::new(usual.chain(own))
    }

    fn end(&self, series: impl Iterator<Item = Option<SeriesId>>, at: UnixMillis) {
        let Some(history) = &self.history else { return };
        let ended: Vec<_> = series
            .flatten()
            .map(|series| (series, SampledSeries::stale()))
            .collect();
        if !ended.is_empty() {
            history.append(at, &ended);
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::Severity;
    use bellwether_promql::{Guard, Options, Value, parse};

    use super::*;

    fn ask(history: &History, query: &str, seconds: i64) -> Vec<(String, f64)> {
        let query = parse(query).unwrap();
        let at = UnixMillis(seconds * 1000);
        let answer = query
            .instant(history, at, &Options::default(), &Guard::default())
            .unwrap();
        let Value::Vector(samples) = answer.value else {
            panic!("no vector")
        };
        samples
            .iter()
            .map(|sample| (sample.labels.to_string(), sample.value))
            .collect()
    }

    #[test]
    fn collectors_are_up_or_down() {
        let history = Arc::new(History::in_memory(100));
        let labels = Labels::from([("instance".to_owned(), "here".to_owned())]);
        let generated = GeneratedSeries::new(Some(history.clone()), labels);
        generated.collected(Origin::new("system"), true, UnixMillis(1000));
        generated.collected(Origin::new("neo4j"), false, UnixMillis(1000));
        let up = [
            ("up{collector=\"neo4j\", instance=\"here\"}".to_owned(), 0.0),
            (
                "up{collector=\"system\", instance=\"here\"}".to_owned(),
                1.0,
            ),
        ];
        let mut found = ask(&history, "up", 2);
        found.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(found, up);
        generated.forget(Origin::new("neo4j"), UnixMillis(2000));
        assert_eq!(ask(&history, "up", 3).len(), 1);
    }

    #[test]
    fn alerts_are_series_as_long_as_they_are_active() {
        let history = Arc::new(History::in_memory(100));
        let generated = GeneratedSeries::new(Some(history.clone()), Labels::new());
        let labels = Labels::from([("host".to_owned(), "a".to_owned())]);
        let firing = Alert {
            active_at: UnixMillis(500_000),
            ..Alert::firing("hot", Severity::Critical, labels)
        };
        let pending = Alert {
            state: AlertState::Pending,
            ..firing.clone()
        };
        let states = |seconds| {
            let found = ask(
                &history,
                "sum by (alertname, alertstate, host) (ALERTS)",
                seconds,
            );
            found
                .into_iter()
                .map(|(labels, _)| labels)
                .collect::<Vec<_>>()
        };
        generated.evaluated(&[pending], UnixMillis(500_000));
        assert_eq!(
            states(501),
            ["{alertname=\"hot\", alertstate=\"pending\", host=\"a\"}"]
        );
        generated.evaluated(std::slice::from_ref(&firing), UnixMillis(510_000));
        assert_eq!(
            states(511),
            ["{alertname=\"hot\", alertstate=\"firing\", host=\"a\"}"]
        );
        let since = ask(&history, "ALERTS_FOR_STATE", 511);
        assert_eq!((since.len(), since[0].1), (1, 500.0));
        generated.evaluated(&[], UnixMillis(520_000));
        assert_eq!(
            (states(521), ask(&history, "ALERTS_FOR_STATE", 521)),
            (vec![], vec![])
        );
    }
}
