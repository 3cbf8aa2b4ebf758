//! `/api/v1/metadata` and `/api/v1/query_exemplars` in Prometheus's form.

use std::collections::BTreeMap;

use bellwether_core::Kind;
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
    let store = request.backend.store();
    let mut named: BTreeMap<String, (&'static str, String)> = BTreeMap::new();
    store.ingested_families(|name, kind, help| {
        let kind = kind.map_or("unknown", Kind::as_str);
        named.insert(name.to_owned(), (kind, help.to_owned()));
    });
    let configured = store.metrics().iter().map(|metric| {
        let entry = (metric.kind.as_str(), metric.help.to_string());
        (metric.exported.to_string(), entry)
    });
    named.extend(configured);
    metadata(named, request.parameters)
}

/// Returns the data of `/api/v1/query_exemplars`: none, as no exemplars are kept.
pub(crate) fn view_exemplars(_: &ViewRequest<'_>) -> Result<Value, ApiError> {
    Ok(json!([]))
}

/// Selects of `named`: type and help by name.
fn metadata(
    named: BTreeMap<String, (&'static str, String)>,
    parameters: &Parameters,
) -> Result<Value, ApiError> {
    let (metric, limit) = (parameters.text("metric"), parameters.limit("limit")?);
    let selected = named
        .into_iter()
        .filter(|(name, _)| metric.is_empty() || metric == *name);
    Ok(selected
        .take(limit)
        .map(|(name, (kind, help))| {
            let metadata = json!([{ "type": kind, "help": help, "unit": "" }]);
            (name, metadata)
        })
        .collect())
}
