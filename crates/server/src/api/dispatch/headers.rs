//! Headers that do not depend on the endpoint.

use hyper::body::Body;
use hyper::header::{CONNECTION, DATE, HeaderValue};
use hyper::{StatusCode, Version};

use crate::api::request::RequestContext;
use crate::api::response::{self, HttpResponse};
use crate::auth::cors;

/// Adds the headers that every response has: configured ones, CORS, the date, the end of the
/// connection.
pub(super) fn complete(mut response: HttpResponse, request: &RequestContext<'_>) -> HttpResponse {
    let access = request.access;
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    for (name, value) in &access.web.headers {
        headers.insert(name, value.clone());
    }
    if request.is_api() {
        cors::allow(access, &request.parts.headers, headers);
    }
    // The HTTP implementation caches its own, which is late after the clock was set back.
    if let Some(date) = response::date(request.shared.backend.now().wall) {
        headers.insert(DATE, date);
    }
    if request.parts.version < Version::HTTP_2 && !is_upgrade && ends_connection(request) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Returns true if a rest of the body is unread, or others wait for the place of the connection.
fn ends_connection(request: &RequestContext<'_>) -> bool {
    let unread = request
        .body
        .as_ref()
        .is_some_and(|body| !body.is_end_stream());
    unread || !request.is_admitted() || request.shared.registry.is_crowded()
}
