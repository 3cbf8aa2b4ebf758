//! `/-/healthy`, `/-/ready` and `/-/reload`.

use hyper::StatusCode;
use hyper::header::RETRY_AFTER;

use crate::api::request::{RequestContext, detached};
use crate::api::response::{self, ApiError, HttpResponse, internal};
use crate::audit::AuditEntry;

/// Responds as long as the process does.
pub(crate) async fn healthy(_: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    Ok(response::text(StatusCode::OK, "Bellwether is healthy.\n"))
}

/// Responds once every collector has run.
///
/// # Errors
/// One has not run yet.
pub(crate) async fn ready(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    if request.shared.backend.is_ready() {
        return Ok(response::text(StatusCode::OK, "Bellwether is ready.\n"));
    }
    let message = "not ready: waiting for the first collection";
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).header(RETRY_AFTER, "1"))
}

/// Reloads the configuration.
///
/// # Errors
/// The configuration has errors; then nothing changed.
pub(crate) async fn reload(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let permit = request.permit().await?;
    let (backend, actor) = (request.backend(), request.actor());
    // The permit goes along: a client that leaves must not make room for its next reload.
    let (summary, _permit) = detached(async move {
        let result = backend.reload().await;
        let what = match &result {
            Ok(summary) => format!("reload: {summary}"),
            Err(_) => "reload".to_owned(),
        };
        backend.audit(AuditEntry::of("reload", what, actor, &result));
        (result, permit)
    })
    .await
    .map_err(|_| internal("the reload failed: see the log"))?;
    let text = format!("{}\n", summary?.trim_end());
    Ok(response::text(StatusCode::OK, text))
}
