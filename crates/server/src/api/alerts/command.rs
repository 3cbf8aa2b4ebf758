//! Commands: what people decide about alerts and silences.

use bellwether_core::Fingerprint;
use bellwether_routing::{Command, CommandError};
use hyper::StatusCode;
use serde_json::json;

use crate::api::endpoints::parameter::{Parameter, text};
use crate::api::query::bad_data;
use crate::api::request::{RequestContext, detached};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::audit::AuditEntry;
use crate::net::permits::Permit;

/// Author of a command without a body.
pub(super) const BY: Parameter = text("by", "author, for the audit");

/// Executes `command` within a permit of its own.
///
/// # Errors
/// The command is not possible, or not now.
pub(super) async fn execute(
    request: &RequestContext<'_>,
    command: Command,
) -> Result<HttpResponse, ApiError> {
    let permit = request.permit().await?;
    execute_within(request, command, permit).await
}

/// Executes `command`. Responds with the id of the silence or the fingerprint of the alert.
///
/// # Errors
/// The command is not possible.
pub(super) async fn execute_within(
    request: &RequestContext<'_>,
    command: Command,
    permit: Permit,
) -> Result<HttpResponse, ApiError> {
    let (backend, actor) = (request.backend(), request.actor());
    let author = author(request);
    // The entry is part of the work: a client that goes away does not keep it from the log.
    let work = detached(async move {
        let (action, what) = (action(&command), format!("{command}{author}"));
        let result = backend.execute(command).await;
        let what = match &result {
            Ok(id) if !what.contains(id.as_str()) => format!("{what} ({id})"),
            _ => what,
        };
        backend.audit(AuditEntry::of(action, what, actor, &result));
        (result, permit)
    });
    let (result, _permit) = work.await?;
    let data = json!({ "id": result? });
    Ok(response::success(&data, request.coding_or_identity(), None))
}

/// Returns the kind of a command for the audit.
fn action(command: &Command) -> &'static str {
    match command {
        Command::Silence(_) => "silence",
        Command::Expire(_) => "expire",
        Command::Acknowledge { .. } => "acknowledge",
        Command::Release(_) => "release",
        Command::Resolve { .. } => "resolve",
    }
}

/// Returns the author in the query for the audit: ` by "ada"`. Commands in a body have theirs.
fn author(request: &RequestContext<'_>) -> String {
    match request.parameters().text(BY.name) {
        "" => String::new(),
        by => format!(" by {by:?}"),
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let status = match error {
            CommandError::Unknown(_) => StatusCode::NOT_FOUND,
            CommandError::Invalid(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

/// Parses a fingerprint of 16 hexadecimal digits.
///
/// # Errors
/// It is not hexadecimal.
pub(super) fn fingerprint(text: &str) -> Result<Fingerprint, ApiError> {
    u64::from_str_radix(text, 16).map(Fingerprint).map_err(|_| {
        bad_data(format!("not a fingerprint: {text:?}"))
            .hint("16 hexadecimal digits, as `bellwether alerts` and /api/v1/alerts have it")
    })
}
