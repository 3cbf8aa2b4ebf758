//! `/api/v1/channels/<name>/test`.

use bellwether_core::Severity;
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Parameter, boolean, text};
use crate::api::query::bad_data;
use crate::api::request::{RequestContext, detached};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::audit::AuditEntry;
use crate::backend::TestResult;

pub(crate) const TEST: &[Parameter] = &[
    text("name", "name of the channel, which may be disabled").in_path(),
    text("severity", "severity of the sample; `info` by default").in_body(),
    boolean("resolve", "send a resolved notification as well").in_body(),
];

/// Body of `POST /api/v1/channels/<name>/test`.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TestRequest {
    severity: Option<String>,
    resolve: bool,
}

/// Sends a test notification by the channel in the path, and responds with the outcome.
///
/// # Errors
/// The body is invalid, there is no such channel, or it cannot be built.
pub(crate) async fn test(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    let TestRequest { severity, resolve } =
        serde_json::from_slice(&body).map_err(|error| bad_data(error.to_string()))?;
    let severity = parse_severity(severity.as_deref().unwrap_or("info"))?;
    let name = percent_decode_str(request.path_parameter());
    let name = name.decode_utf8_lossy().into_owned();
    let permit = request.permit().await?;
    let (backend, actor) = (request.backend(), request.actor());
    // A client that goes away must not make room for its next test, and the entry is part of it.
    let work = detached(async move {
        let what = format!("test notification to channel {name}");
        let results = backend.test_channel(name, severity, resolve).await;
        let result = match &results {
            Ok(results) => match results.iter().find_map(|result| result.error.as_ref()) {
                Some((error, _)) => Err(error.clone()),
                None => Ok(()),
            },
            Err(error) => Err(error.to_string()),
        };
        backend.audit(AuditEntry::of("notify_test", what, actor, &result));
        (results, permit)
    });
    let (results, _permit) = work.await?;
    let data = json!({ "results": results?.iter().map(view).collect::<Vec<_>>() });
    Ok(response::success(&data, request.coding_or_identity(), None))
}

fn view(result: &TestResult) -> Value {
    let error = result.error.as_ref();
    json!({
        "status": result.sample,
        "delivered": error.is_none(),
        "error": error.map(|(message, _)| message),
        "retryable": error.map(|(_, retryable)| retryable),
        "tookSeconds": result.took.as_secs_f64(),
    })
}

fn parse_severity(text: &str) -> Result<Severity, ApiError> {
    let severity = Severity::ALL
        .into_iter()
        .find(|severity| severity.as_str() == text);
    severity.ok_or_else(|| {
        bad_data(format!("severity: unknown severity {text:?}"))
            .hint("info, warning, critical or emergency")
    })
}
