//! Cross-origin resource sharing: the headers by which browsers let web pages read the API, as in
//! Prometheus.

use hyper::HeaderMap;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue, ORIGIN, VARY,
};

use crate::auth::access::Access;

/// Sets the headers that let the page that sent the request read the response, if its origin is
/// allowed.
pub(crate) fn allow(access: &Access, request: &HeaderMap, response: &mut HeaderMap) {
    let (Some(allowed), Some(origin)) = (&access.cors, request.get(ORIGIN)) else {
        return;
    };
    if !origin.to_str().is_ok_and(|origin| allowed.is_match(origin)) {
        return;
    }
    response.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    for (name, value) in [
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Authorization, Content-Type, Origin",
        ),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ] {
        response.insert(name, HeaderValue::from_static(value));
    }
    response.append(VARY, HeaderValue::from_static("Origin"));
}
