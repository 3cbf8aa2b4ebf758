//! `/api/v1/metadata` and `/api/v1/query_exemplars` in Prometheus's form.

use std::collections::BTreeMap;

use bellwether_core::MetricDef;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Parameter, count, text};
use crate::api::query::Parameters;
use crate::api::response::ApiError;
use crate::api::view::ViewRequest;

pub(crate) const PARAMETERS: &[Parameter] = &[
    text("metric", "exported name of one metric"),
    count("limit", "largest number of metrics; no limit by default"),
];

/// Returns the data of `/api/v1/metadata`: type and help of each metric under its exported name.
///
/// # Errors
/// `limit` is not a number.
pub(crate) fn view(request: &ViewRequest<'_>) -> Result<Value, ApiError> {
    metadata(request.backend.store().metrics(), request.parameters)
}

/// Returns the data of `/api/v1/query_exemplars`: none, as no exemplars are kept.
pub(crate) fn view_exemplars(_: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(json!([]))
}

fn metadata(metrics: &[MetricDef], parameters: &Parameters) -> Result<Value, ApiError> {
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
