//! `/api/v1/config/*`: files of the configuration, shown, checked and changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Parameter, object};
use crate::api::query::bad_data;
use crate::api::request::{RequestContext, blocking, detached};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::audit::AuditEntry;
use crate::backend::{
    Backend, ConfigApplied, ConfigChanges, ConfigDraft, ConfigError, ConfigFile, ConfigFiles,
    ConfigProblem, ConfigReport, Difference,
};

const FILES: Parameter = object(
    "files",
    "path of each file, as `/api/v1/config/files` has it, to its new text; `<secret>` stays what it is",
)
.in_body()
.required();

pub(crate) const CHECK: &[Parameter] = &[FILES];
pub(crate) const APPLY: &[Parameter] = &[
    FILES,
    object(
        "checksums",
        "path of each file to the checksum that was read",
    )
    .in_body()
    .required(),
];

/// Body of both requests.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DraftRequest {
    files: BTreeMap<String, String>,
    #[serde(default)]
    checksums: BTreeMap<String, String>,
}

/// Responds with the files.
///
/// # Errors
/// They cannot be read now.
pub(crate) async fn files(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let coding = request.coding()?;
    let (files, permit) = with_backend(request, |backend| backend.config_files()).await?;
    Ok(response::success(
        &files_view(&files?),
        coding,
        Some(permit),
    ))
}

/// Responds with the problems of the texts in the body, and with what they change.
///
/// # Errors
/// The body is invalid, or a file is not one of the configuration.
pub(crate) async fn check(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let drafts = drafts(request).await?;
    let coding = request.coding()?;
    let (report, permit) =
        with_backend(request, move |backend| backend.check_config(drafts)).await?;
    Ok(response::success(
        &report_view(&report?),
        coding,
        Some(permit),
    ))
}

/// Writes the texts in the body to their files, and reloads.
///
/// # Errors
/// The texts have problems, a file has changed, or edits are not allowed; then nothing was changed.
pub(crate) async fn apply(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let drafts = drafts(request).await?;
    let permit = request.permit().await?;
    let (backend, actor) = (request.backend(), request.actor());
    let paths: Vec<&str> = drafts.iter().map(|draft| draft.path.as_str()).collect();
    let what = format!("change of {}", paths.join(", "));
    // Not left half done by a client that goes away, and its entry is part of it.
    let work = detached(async move {
        let result = backend.apply_config(drafts).await;
        backend.audit(AuditEntry::of("configure", what, actor, &result));
        (result, permit)
    });
    let (applied, _permit) = work.await?;
    let data = applied_view(&applied?);
    Ok(response::success(&data, request.coding_or_identity(), None))
}

/// Runs `work` within a permit on a blocking thread.
async fn with_backend<T: Send + 'static>(
    request: &RequestContext<'_>,
    work: impl FnOnce(Arc<dyn Backend>) -> T + Send + 'static,
) -> Result<(T, crate::net::permits::Permit), ApiError> {
    let permit = request.permit().await?;
    let backend = request.backend();
    blocking(move || (work(backend), permit)).await
}

async fn drafts(request: &mut RequestContext<'_>) -> Result<Vec<ConfigDraft>, ApiError> {
    let body = request.json_body().await?;
    let DraftRequest {
        files,
        mut checksums,
    } = serde_json::from_slice(&body).map_err(|error| bad_data(error.to_string()))?;
    if files.is_empty() {
        return Err(bad_data("no files").hint("such as {\"files\": {\"PATH\": \"TEXT\"}}"));
    }
    let drafts = files.into_iter().map(|(path, text)| ConfigDraft {
        checksum: checksums.remove(&path),
        path,
        text,
    });
    Ok(drafts.collect())
}

impl From<ConfigError> for ApiError {
    fn from(error: ConfigError) -> Self {
        let (status, hint) = match &error {
            ConfigError::NotAllowed => (
                StatusCode::FORBIDDEN,
                "set web.allow_edit: true in the configuration, on the host",
            ),
            ConfigError::UnknownFile(_) => (
                StatusCode::NOT_FOUND,
                "/api/v1/config/files lists the files; a new one is read at the next reload",
            ),
            ConfigError::Conflict(_) => (
                StatusCode::CONFLICT,
                "read it again with /api/v1/config/files, and send its checksum",
            ),
            ConfigError::Problems(_) => (StatusCode::UNPROCESSABLE_ENTITY, ""),
            ConfigError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, ""),
        };
        let message = match &error {
            ConfigError::Problems(problems) => lines(problems),
            other => other.to_string(),
        };
        match hint {
            "" => Self::new(status, message),
            hint => Self::new(status, message).hint(hint),
        }
    }
}

/// Formats problems, one a line.
fn lines(problems: &[ConfigProblem]) -> String {
    let lines = problems.iter().map(|problem| {
        let ConfigProblem {
            file,
            line,
            column,
            path,
            message,
            ..
        } = problem;
        format!("{file}:{line}:{column}: {path}: {message}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn files_view(ConfigFiles { files, may_edit }: &ConfigFiles) -> Value {
    let files = files.iter().map(|file| {
        let ConfigFile {
            path,
            kind,
            text,
            checksum,
        } = file;
        json!({
            "path": path,
            "kind": kind,
            "text": text.as_ref().ok(),
            "error": text.as_ref().err(),
            "checksum": checksum,
        })
    });
    json!({ "files": files.collect::<Vec<_>>(), "mayEdit": may_edit })
}

fn report_view(report: &ConfigReport) -> Value {
    json!({
        "problems": problems_view(&report.problems),
        "warnings": problems_view(&report.warnings),
        "changes": report.changes.as_ref().map(changes_view),
    })
}

fn applied_view(applied: &ConfigApplied) -> Value {
    json!({
        "summary": applied.summary,
        "changes": applied.changes.as_ref().map(changes_view),
        "backups": applied.backups,
    })
}

fn problems_view(problems: &[ConfigProblem]) -> Vec<Value> {
    let views = problems.iter().map(|problem| {
        json!({
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "path": problem.path,
            "message": problem.message,
            "hint": problem.hint,
        })
    });
    views.collect()
}

fn changes_view(changes: &ConfigChanges) -> Value {
    json!({
        "metrics": difference_view(&changes.metrics),
        "rules": difference_view(&changes.rules),
        "channels": difference_view(&changes.channels),
    })
}

fn difference_view(difference: &Difference) -> Value {
    json!({
        "added": difference.added,
        "removed": difference.removed,
        "altered": difference.altered,
    })
}
