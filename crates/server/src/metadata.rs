//! `/api/v1/metadata` and `/api/v1/status/buildinfo` in Prometheus's form. Pure.

use std::collections::BTreeMap;

use bellwether_core::MetricDef;
use serde_json::{Value, json};

use super::answer::Trouble;
use super::query::Parameters;

/// The Prometheus whose HTTP API this one is compatible with. Clients such as Grafana choose by it
/// what they ask.
const COMPATIBLE: &str = "3.0.0";

/// Data of `/api/v1/metadata`: type and help of each metric under the name it has on the page.
/// Takes `metric` and `limit`.
///
/// # Errors
/// `limit` is no number.
pub(super) fn view(metrics: &[MetricDef], parameters: &Parameters) -> Result<Value, Trouble> {
    let (wanted, limit) = (parameters.text("metric"), parameters.limit("limit")?);
    let named: BTreeMap<&str, &MetricDef> = metrics
        .iter()
        .map(|metric| (&*metric.exported, metric))
        .collect();
    let shown = named
        .into_iter()
        .filter(|(name, _)| wanted.is_empty() || wanted == *name);
    let one = |metric: &MetricDef| json!([{ "type": metric.kind.as_str(), "help": &*metric.help, "unit": "" }]);
    Ok(shown
        .take(limit)
        .map(|(name, metric)| (name.to_owned(), one(metric)))
        .collect())
}

/// Data of `/api/v1/status/buildinfo`. `version` is Bellwether's. Without `features` Grafana takes
/// it for a Prometheus.
pub(super) fn build_info(version: &str) -> Value {
    json!({
        "version": COMPATIBLE,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Bellwether",
        "applicationVersion": version,
    })
}
