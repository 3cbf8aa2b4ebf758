//! `/api/v1/dashboards`: dashboards of the web page, and the layouts that people save.

use bellwether_dashboards::{Layout, SavedLayout};
use hyper::StatusCode;
use serde_json::{Value, json};

use crate::api::endpoints::parameter::{Parameter, list as list_parameter, text};
use crate::api::json::time;
use crate::api::query::bad_data;
use crate::api::request::{RequestContext, blocking, detached};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::audit::AuditEntry;
use crate::backend::DashboardFormat;

const NAME: Parameter = text("name", "name of the dashboard").in_path();

pub(crate) const NAMED: &[Parameter] = &[NAME];

/// Keys of `Layout`.
pub(crate) const SAVE: &[Parameter] = &[
    NAME,
    list_parameter(
        "items",
        "items with `id`, `x`, `y`, `w` and `h`; `widget`, with the keys of the configuration, if it was added or changed; `title` of a row",
    )
    .in_body(),
    list_parameter("removed", "ids of configured items that are not shown").in_body(),
];

pub(crate) const EXPORT: &[Parameter] =
    &[NAME, text("format", "`yaml`, the default, or `grafana`")];

/// Lists the dashboards.
pub(crate) async fn list(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let backend = request.backend();
    let views = backend.dashboards().into_iter().map(|(name, title)| {
        let changed = is_changed(&backend.layouts(&name));
        json!({"name": name, "title": title, "changed": changed})
    });
    let data = json!({ "dashboards": views.collect::<Vec<_>>() });
    success(request, &data).await
}

/// Returns the dashboard in the path.
pub(crate) async fn read(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let (backend, name) = (request.backend(), request.path_parameter().to_owned());
    let dashboard = backend.dashboard(&name).ok_or_else(|| unknown(&name))?;
    let versions = backend.layouts(&name);
    let mut data = dashboard.view();
    data["changed"] = json!(is_changed(&versions));
    let newest = versions.first();
    data["changedAt"] = json!(newest.map(|version| time(version.at)));
    data["changedBy"] = json!(newest.and_then(|version| version.by.clone()));
    success(request, &data).await
}

/// Returns the versions of the layout of the dashboard in the path.
pub(crate) async fn history(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let (backend, name) = (request.backend(), request.path_parameter().to_owned());
    backend.dashboard(&name).ok_or_else(|| unknown(&name))?;
    let versions = backend.layouts(&name).into_iter();
    let views = versions
        .map(|version| json!({"at": time(version.at), "by": version.by, "layout": version.layout}));
    let data = json!({ "versions": views.collect::<Vec<_>>() });
    success(request, &data).await
}

/// Returns the dashboard in the path as text.
pub(crate) async fn export(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let parameters = request.parameters();
    parameters.reject_unknown(EXPORT)?;
    let formats = [
        ("yaml", DashboardFormat::Yaml),
        ("grafana", DashboardFormat::Grafana),
    ];
    let format = parameters.one_of("format", &formats)?;
    let format = format.unwrap_or(DashboardFormat::Yaml);
    let name = request.path_parameter();
    let text = request.backend().export_dashboard(name, format);
    let text = text.ok_or_else(|| unknown(name))??;
    success(request, &json!({ "text": text })).await
}

/// Saves the layout in the body.
pub(crate) async fn save(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    // On a blocking thread: the queries of all widgets are parsed.
    let parsed = blocking(move || {
        Layout::parse(&body)?;
        serde_json::from_slice::<Value>(&body).map_err(|error| error.to_string())
    });
    let layout = parsed.await?.map_err(bad_data)?;
    change(request, Some(layout), "layout of").await
}

/// Resets the layout of the dashboard in the path.
pub(crate) async fn reset(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    change(request, None, "reset of").await
}

/// Adds a version of the layout of the dashboard in the path.
async fn change(
    request: &RequestContext<'_>,
    layout: Option<Value>,
    what: &str,
) -> Result<HttpResponse, ApiError> {
    let permit = request.permit().await?;
    let (backend, actor) = (request.backend(), request.actor());
    let name = request.path_parameter().to_owned();
    if !backend.dashboards().iter().any(|(known, _)| *known == name) {
        return Err(unknown(&name));
    }
    let what = format!("{what} dashboard {name}");
    let version = SavedLayout {
        at: backend.now().wall,
        by: actor.user.clone(),
        layout,
    };
    let data = json!({ "id": name });
    // The entry is part of the work: a client that goes away does not keep it from the log.
    let work = detached(async move {
        let result = backend.save_layout(name, version).await;
        backend.audit(AuditEntry::of("layout", what, actor, &result));
        (result, permit)
    });
    let (result, permit) = work.await?;
    result?;
    Ok(response::success(
        &data,
        request.coding_or_identity(),
        Some(permit),
    ))
}

async fn success(request: &RequestContext<'_>, data: &Value) -> Result<HttpResponse, ApiError> {
    let coding = request.coding()?;
    let permit = request.permit().await?;
    Ok(response::success(data, coding, Some(permit)))
}

/// Returns whether the newest of `versions` is a layout.
fn is_changed(versions: &[SavedLayout]) -> bool {
    versions
        .first()
        .is_some_and(|version| version.layout.is_some())
}

fn unknown(name: &str) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!("there is no dashboard {name:?}"),
    )
    .hint("/api/v1/dashboards lists them")
}
