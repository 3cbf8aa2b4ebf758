//! `/api/v1/live` and `/ws`: the handshake of a WebSocket (RFC 6455, section 4.2).
//!
//! Owns the checks of the request. Messages are up to [`live`](crate::live).

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hyper::header::{
    CONNECTION, HeaderMap, HeaderName, HeaderValue, ORIGIN, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{StatusCode, Version};
use ring::digest;

use crate::api::request::RequestContext;
use crate::api::response::{self, ApiError, HttpResponse, internal};
use crate::auth::control::is_cross_site;
use crate::auth::reader::Reader;
use crate::live::Session;

/// Text that RFC 6455 appends to the key.
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// Bytes of the socket's send buffer: what a slow client has not read there is no longer the newest.
const SEND_BUFFER: usize = 32 * 1024;

/// Upgrades the connection and begins a session.
pub(crate) async fn respond(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let accept = accept(request)?;
    check_origin(request)?;
    let upgrade = request.parts.extensions.get::<OnUpgrade>().cloned();
    let upgrade = upgrade.ok_or_else(|| internal("the connection cannot be upgraded"))?;
    let shared = Arc::clone(request.shared);
    let (identity, access) = (request.identity.clone(), request.access);
    let (headers, secure) = (&request.parts.headers, request.is_secure());
    let reader = Reader::new(identity, headers, secure, &shared.rights(access));
    let seat = shared.live.admit(request.peer.client(), reader, access)?;
    request.connection.activity.set_upgraded();
    request.connection.stream.limit_send_buffer(SEND_BUFFER);
    Session::new(shared, seat, &request.access.live).spawn(upgrade);
    Ok(switching(accept))
}

fn switching(accept: HeaderValue) -> HttpResponse {
    let mut response = response::text(StatusCode::SWITCHING_PROTOCOLS, "");
    let headers = response.headers_mut();
    headers.clear();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Checks the headers of the handshake, and returns the answer to its key.
fn accept(request: &RequestContext<'_>) -> Result<HeaderValue, ApiError> {
    let headers = &request.parts.headers;
    if request.parts.version >= Version::HTTP_2 {
        let message = "a WebSocket needs HTTP/1.1, and this connection is HTTP/2";
        let error = ApiError::new(StatusCode::UPGRADE_REQUIRED, message);
        return Err(error.hint("connect with HTTP/1.1, as browsers do for a WebSocket"));
    }
    let is_upgrade = request.parts.version == Version::HTTP_11
        && has_token(headers, &CONNECTION, "upgrade")
        && has_token(headers, &UPGRADE, "websocket");
    if !is_upgrade {
        let message = format!("{} is a WebSocket", request.path);
        let error = ApiError::new(StatusCode::UPGRADE_REQUIRED, message);
        return Err(error
            .hint("connect with a client of WebSockets, such as `new WebSocket(...)` in a browser")
            .header(UPGRADE, "websocket"));
    }
    if headers
        .get(SEC_WEBSOCKET_VERSION)
        .is_none_or(|version| version != "13")
    {
        let message = "only version 13 of WebSockets is supported";
        let error = ApiError::new(StatusCode::UPGRADE_REQUIRED, message);
        return Err(error.header(SEC_WEBSOCKET_VERSION, "13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes);
    let key = key.filter(|key| STANDARD.decode(key).is_ok_and(|key| key.len() == 16));
    let accept = key.and_then(|key| HeaderValue::from_str(&websocket_accept(key)).ok());
    accept.ok_or_else(|| {
        let message = "Sec-WebSocket-Key must be 16 bytes in base64";
        ApiError::new(StatusCode::BAD_REQUEST, message)
    })
}

/// Returns the value of `Sec-WebSocket-Accept` for that of `Sec-WebSocket-Key`.
#[must_use]
pub fn websocket_accept(key: &[u8]) -> String {
    let text = [key, GUID.as_bytes()].concat();
    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
    STANDARD.encode(hash)
}

/// Returns true if a header that lists tokens has `token`.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let values = headers.get_all(name).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|other| other.trim().eq_ignore_ascii_case(token))
}

/// Checks the page that opens the WebSocket. Browsers let every page do that, and send the password
/// of this server along, so the rules of CORS are applied here: a page of another origin may read
/// what is readable without a password, if its origin is allowed.
fn check_origin(request: &RequestContext<'_>) -> Result<(), ApiError> {
    let (headers, access) = (&request.parts.headers, request.access);
    if !is_cross_site(&request.parts.uri, headers) {
        return Ok(());
    }
    let origin = headers.get(ORIGIN).and_then(|origin| origin.to_str().ok());
    let allowed = access.cors.as_ref().zip(origin);
    let allowed = allowed.is_some_and(|(cors, origin)| cors.is_match(origin));
    if allowed && access.web.users.is_none() {
        return Ok(());
    }
    request.shared.stats.count_rejected("cross_site");
    let message = "a page of another site may not follow live updates";
    Err(ApiError::new(StatusCode::FORBIDDEN, message).hint(
        "open the page of this server itself; a proxy must pass the header Host on; without \
         users, prometheus.cors_origin allows origins",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_to_a_key_is_that_of_the_specification() {
        // The example of RFC 6455, section 1.3.
        let accept = websocket_accept(b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn tokens_are_found_in_lists() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, HeaderValue::from_static("keep-alive, Upgrade"));
        assert!(has_token(&headers, &CONNECTION, "upgrade"));
        assert!(!has_token(&headers, &CONNECTION, "close"));
        assert!(!has_token(&headers, &UPGRADE, "websocket"));
    }
}
