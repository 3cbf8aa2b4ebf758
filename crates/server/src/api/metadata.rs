//! `/api/v1/metadata` and `/api/v1/status/buildinfo` in Prometheus's form. Pure.

use std::collections::BTreeMap;

use bellwether_core::MetricDef;
use serde_json::{Value, json};

use crate::api::query::Parameters;
use crate::api::response::ApiError;

/// Version of Prometheus whose HTTP API this one is compatible with. Clients such as Grafana choose
/// their requests by it.
const COMPATIBLE_VERSION: &str = "3.0.0";

/// Returns the data of `/api/v1/metadata`: type and help of each metric under its exported name.
/// Parameters: `metric`, `limit`.
///
/// # Errors
/// `limit` is not a number.
pub(crate) fn view(metrics: &[MetricDef], parameters: &Parameters) -> Result<Value, ApiError> {
    let (metric, limit) = (parameters.text("metric"), parameters.limit("limit")?);
    let named: BTreeMap<&str, &MetricDef> = metrics
        .iter()
        .map(|metric| (&*metric.exported, metric))
        .collect();
    let selected = named
        .into_iter()
        .filter(|(name, _)| metric.is_empty() || metric == *name);
    Ok(selected
        .take(limit)
        .map(|(name, metric)| {
            let metadata =
                json!([{ "type": metric.kind.as_str(), "help": &*metric.help, "unit": "" }]);
            (name.to_owned(), metadata)
        })
        .collect())
}

/// Returns the data of `/api/v1/status/buildinfo`. `version` is that of Bellwether. Without
/// `features` Grafana takes it for a Prometheus.
pub(crate) fn build_info(version: &str) -> Value {
    json!({
        "version": COMPATIBLE_VERSION,
        "revision": "",
        "branch": "",
        "buildUser": "",
        "buildDate": "",
        "goVersion": "",
        "application": "Bellwether",
        "applicationVersion": version,
    })
}
