//! `/api/v1/route`: routes of an alert that need not exist.

use bellwether_core::{Labels, UnixMillis};
use serde::Deserialize;
use serde_json::json;

use super::explain::route_match_view;
use crate::api::endpoints::parameter::{Parameter, object, time};
use crate::api::query::bad_data;
use crate::api::request::{RequestContext, blocking};
use crate::api::response::{self, ApiError, HttpResponse};

pub(crate) const ROUTE: &[Parameter] = &[
    object(
        "labels",
        "labels of the alert, with `alertname` and `severity`",
    )
    .in_body()
    .required(),
    time("at", "time for mute times and maintenance; now by default").in_body(),
];

/// Body of `POST /api/v1/route`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteRequest {
    labels: Labels,
    at: Option<String>,
}

/// Responds with the routes that match the labels in the body. Nothing is sent.
///
/// # Errors
/// The body is invalid.
pub(crate) async fn respond(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let body = request.json_body().await?;
    let RouteRequest { labels, at } =
        serde_json::from_slice(&body).map_err(|error| bad_data(error.to_string()))?;
    let at = match at {
        Some(text) => parse_time(&text)?,
        None => request.shared.backend.now().wall,
    };
    let (backend, permit) = (request.backend(), request.permit().await?);
    let (routes, permit) = blocking(move || (backend.matching_routes(labels, at), permit)).await?;
    let routes: Vec<_> = routes.iter().map(route_match_view).collect();
    let data = json!({ "routes": routes });
    Ok(response::success(&data, request.coding()?, Some(permit)))
}

/// Parses a time in RFC 3339.
///
/// # Errors
/// It is none.
pub(super) fn parse_time(text: &str) -> Result<UnixMillis, ApiError> {
    let time: Result<jiff::Timestamp, _> = text.parse();
    time.map(|time| UnixMillis(time.as_millisecond()))
        .map_err(|_| bad_data(format!("not a time: {text:?}")).hint("such as 2026-11-21T10:00:00Z"))
}
