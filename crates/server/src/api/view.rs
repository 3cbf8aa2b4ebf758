//! Views: JSON of the current state, made on a thread of low priority.

use bellwether_core::Now;
use serde_json::Value;

use crate::api::query::Parameters;
use crate::api::request::{RequestContext, joined};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::backend::Backend;
use crate::stats::Stats;

/// Request for a view.
pub(crate) struct ViewRequest<'a> {
    pub(crate) parameters: &'a Parameters,
    pub(crate) backend: &'a dyn Backend,
    pub(crate) stats: &'a Stats,
    pub(crate) now: Now,
}

/// Responds with the `data` that `view` returns.
///
/// # Errors
/// The error of `view`, or that the request is invalid or cannot be answered now.
pub(crate) async fn respond(
    request: &mut RequestContext<'_>,
    view: fn(&ViewRequest<'_>) -> Result<Value, ApiError>,
) -> Result<HttpResponse, ApiError> {
    let coding = request.coding()?;
    let parameters = request.form_parameters().await?;
    let (backend, stats) = (request.backend(), request.shared.stats.clone());
    let permit = request.permit().await?;
    let data = request.shared.threads.spawn(move || {
        let data = view(&ViewRequest {
            parameters: &parameters,
            backend: &*backend,
            stats: &stats,
            now: backend.now(),
        })?;
        Ok(response::success(&data, coding, Some(permit)))
    });
    joined(data).await?
}
