//! `/api/v1/alerts/<fingerprint>/resolve`.

use bellwether_routing::Command;
use serde::Deserialize;

use super::acknowledge::FINGERPRINT;
use super::command::{execute, fingerprint};
use crate::api::endpoints::parameter::{Parameter, text};
use crate::api::query::bad_data;
use crate::api::request::RequestContext;
use crate::api::response::{ApiError, HttpResponse};

pub(crate) const RESOLVE: &[Parameter] = &[
    FINGERPRINT,
    text("by", "who resolves").in_body().required(),
    text("comment", "reason").in_body(),
];

/// Body of `POST /api/v1/alerts/<fingerprint>/resolve`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveRequest {
    by: String,
    #[serde(default)]
    comment: String,
}

/// Resolves the alert in the path by hand. It fires anew only after its condition did not hold once.
///
/// # Errors
/// The body or the fingerprint is invalid, or no such alert fires.
pub(crate) async fn resolve(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    let ResolveRequest { by, comment } =
        serde_json::from_slice(&body).map_err(|error| bad_data(error.to_string()))?;
    let alert = fingerprint(request.path_parameter())?;
    execute(request, Command::Resolve { alert, by, comment }).await
}
