//! The web page: its documents and files, as they are in the binary.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH,
    REFERRER_POLICY,
};

use bellwether_page::File;

use crate::api::endpoints::parameter::{Parameter, text};
use crate::api::process::landing;
use crate::api::request::RequestContext;
use crate::api::response::{self, ApiError, HttpResponse};
use crate::net::body::ResponseBody;
use crate::net::negotiate::Coding;

/// Everything from this server, nothing inline, in no frame.
const POLICY: &str = "default-src 'self'; base-uri 'self'; form-action 'self'; \
     object-src 'none'; frame-ancestors 'none'";

/// Names change with the content.
const IMMUTABLE: &str = "public, max-age=31536000, immutable";

/// Asked each time, and answered with 304 where nothing has changed.
const REVALIDATED: &str = "no-cache";

/// Codings in which the files are in the binary. zstd would save a tenth, and would have to be built a second time,
/// for the build script.
const CODINGS: &[Coding] = &[Coding::Identity, Coding::Gzip];

pub(crate) const ASSET: &[Parameter] = &[text("file", "name of a file of the page").in_path()];
pub(crate) const DASHBOARD: &[Parameter] = &[text("name", "name of a dashboard").in_path()];
pub(crate) const ALERT: &[Parameter] = &[text("fingerprint", "fingerprint of the alert").in_path()];
pub(crate) const RULE: &[Parameter] = &[text("name", "name of a rule").in_path()];

/// Responds with the page to a browser, and with the list of endpoints to anything else.
///
/// # Errors
/// The client accepts no coding that is served.
pub(crate) async fn root(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    if is_browser(&request.parts.headers) {
        return view(request).await;
    }
    Ok(landing::respond())
}

/// Responds with the document of a view.
///
/// # Errors
/// The path is deeper than any view's.
pub(crate) async fn view(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let segments = request.path.split('/').filter(|part| !part.is_empty());
    let file = bellwether_page::document(segments.count()).ok_or_else(not_found)?;
    let mut response = respond(request, file, REVALIDATED)?;
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// Responds with a file that a document loads.
///
/// # Errors
/// There is no such file, as after an update of the agent.
pub(crate) async fn asset(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let file = bellwether_page::asset(request.path_parameter()).ok_or_else(not_found)?;
    respond(request, file, IMMUTABLE)
}

fn respond(
    request: &RequestContext<'_>,
    file: &'static File,
    caching: &'static str,
) -> Result<HttpResponse, ApiError> {
    let (status, coding, bytes) = if is_known(&request.parts.headers, file.etag) {
        (StatusCode::NOT_MODIFIED, Coding::Identity, &[][..])
    } else if file.is_compressed() && request.coding_of(CODINGS)? == Coding::Gzip {
        (StatusCode::OK, Coding::Gzip, file.gzip)
    } else {
        (StatusCode::OK, Coding::Identity, file.plain)
    };
    let body = ResponseBody::full(Bytes::from_static(bytes));
    let mut response = response::base(status, file.content_type, body);
    response::set_coding(&mut response, coding);
    let headers = response.headers_mut();
    headers.insert(ETAG, HeaderValue::from_static(file.etag));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    Ok(response)
}

/// Returns true if the client has the file with this entity tag, by RFC 9110's weak comparison.
fn is_known(headers: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let mut tags = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','));
    tags.any(|tag| tag.trim() == "*" || opaque(tag) == opaque(etag))
}

/// Returns true if the client asks for HTML by name: tools send `*/*`, or nothing.
fn is_browser(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ACCEPT).iter();
    values.any(|value| {
        value
            .to_str()
            .is_ok_and(|value| value.contains("text/html"))
    })
}

fn not_found() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "no such file of the page").hint("reload the page")
}
