//! Answers of an agent, as the views need them.

use bellwether_core::{Severity, UnixMillis};
use serde_json::Value;

use super::plot::{Curve, Plot};
use crate::cli::asking::list;

/// Everything that the agent said.
#[derive(Clone, Debug, Default)]
pub(super) struct Data {
    /// Time of the newest of it; 0 before the first answer.
    pub(super) at: UnixMillis,
    pub(super) link: Link,
    /// Answer of `/api/v1/summary`, with health and alerts.
    pub(super) summary: Value,
    /// Answer of `/api/v1/bottlenecks`.
    pub(super) bottlenecks: Value,
    /// Answer of `/api/v1/score`.
    pub(super) score: Value,
    /// Most important series; moved on only while they are shown.
    pub(super) vitals: Vec<Plot>,
    /// Series of all metrics; moved on only while they are shown.
    pub(super) series: Vec<Plot>,
    /// Time since which the agent does not answer, and the error.
    pub(super) failing: Option<(UnixMillis, String)>,
}

/// Way by which the data come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Link {
    /// The agent is asked at each interval; the reason why it is not live, if that was tried.
    Polled(Option<String>),
    /// The agent sends what is new.
    #[default]
    Live,
}

impl Data {
    /// Returns the curves of the most important series.
    pub(super) fn vitals(&self) -> impl Iterator<Item = &Curve> {
        self.vitals.iter().flat_map(|plot| &plot.curves)
    }

    /// Returns the curves of all metrics.
    pub(super) fn series(&self) -> impl Iterator<Item = &Curve> {
        self.series.iter().flat_map(|plot| &plot.curves)
    }

    /// Returns the pending and firing alerts: firing ones first, then by severity and age.
    pub(super) fn alerts(&self) -> Vec<&Value> {
        let mut alerts: Vec<&Value> = list(&self.summary["alerts"]["active"]).iter().collect();
        alerts.sort_by_key(|alert| {
            let severity = alert["severity"].as_str().and_then(Severity::rank);
            let is_muted = is_muted(alert);
            let since = alert["activeAt"].as_str().map(str::to_owned);
            (alert["state"] != "firing", is_muted, severity, since)
        });
        alerts
    }
}

/// Returns whether nobody is notified of an alert.
pub(super) fn is_muted(alert: &Value) -> bool {
    ["silencedBy", "inhibitedBy", "acknowledgedBy"]
        .iter()
        .any(|key| alert[key].is_string())
}
