//! What browsers are told of which web pages may read the API, as Prometheus tells them.

use hyper::HeaderMap;
use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue, ORIGIN, VARY,
};

use super::access::Access;

/// Lets the page that sent the request read the answer, if it may.
pub(super) fn allow(access: &Access, request: &HeaderMap, answer: &mut HeaderMap) {
    let (Some(allowed), Some(origin)) = (&access.cors, request.get(ORIGIN)) else {
        return;
    };
    if !origin.to_str().is_ok_and(|origin| allowed.is_match(origin)) {
        return;
    }
    answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    for (name, value) in [
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Accept, Authorization, Content-Type, Origin",
        ),
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, OPTIONS"),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "Date"),
    ] {
        answer.insert(name, HeaderValue::from_static(value));
    }
    answer.append(VARY, HeaderValue::from_static("Origin"));
}
