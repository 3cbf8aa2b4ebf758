//! `/api/v1/record`: values that applications record over HTTP.

use bellwether_core::Recorded;
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Parameter, list};
use crate::api::request::{RequestContext, blocking};
use crate::api::response::{self, ApiError, HttpResponse};

pub(crate) const PARAMETERS: &[Parameter] =
    &[list("records", "values, each an object; see collecting.md").as_body()];

/// Records the values in the body.
///
/// # Errors
/// The body is no JSON array, or the request cannot be answered now.
pub(crate) async fn respond(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    let permit = request.permit().await?;
    let backend = request.backend();
    let (recorded, _permit) = blocking(move || (backend.record(&body), permit)).await?;
    let recorded = recorded?;
    let coding = request.coding_or_identity();
    let mut response = response::success(&view(&recorded), coding, None);
    // A client that looks only at the status must not take a lost record for a stored one.
    if recorded.accepted == 0 && !recorded.rejected.is_empty() {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

fn view(recorded: &Recorded) -> Value {
    let rejected = recorded.rejected.iter().map(
        |record| json!({ "index": record.index, "reason": record.reason, "error": record.message }),
    );
    json!({
        "accepted": recorded.accepted,
        "rejectedTotal": recorded.rejected_total,
        "rejected": rejected.collect::<Vec<_>>(),
    })
}
