//! `/metrics`: the exposition, rendered while it is sent.

use bellwether_exposition::{Format, Renderer};
use bellwether_runtime::{PROCESS_HEADER, PROCESS_MARK};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};

use crate::api::request::{RequestContext, blocking};
use crate::api::response::{self, ApiError, HttpResponse, internal};
use crate::net::body::ResponseBody;
use crate::net::negotiate::{Coding, exposition_format};

/// Responds with all series; to HEAD with the headers alone, without a collection.
///
/// # Errors
/// The client accepts no coding that is served, or too many responses are in progress.
pub(crate) async fn respond(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let format = exposition_format(&request.parts.headers);
    let coding = request.coding()?;
    let body = if request.method() == Method::HEAD {
        ResponseBody::full(Bytes::new())
    } else {
        body(request, format, coding).await?
    };
    let mut response = response::base(StatusCode::OK, format.content_type(), body);
    response::set_coding(&mut response, coding);
    if let Ok(mark) = HeaderValue::from_str(&PROCESS_MARK) {
        response.headers_mut().insert(PROCESS_HEADER, mark);
    }
    Ok(response)
}

async fn body(
    request: &RequestContext<'_>,
    format: Format,
    coding: Coding,
) -> Result<ResponseBody, ApiError> {
    let permit = request.scrape_permit().await?;
    let backend = request.backend();
    // The permit goes along: a client that leaves early must not make room for its next.
    let snapshot = blocking(move || {
        backend.refresh();
        (backend.store().snapshot(), permit)
    });
    let (snapshot, permit) = snapshot.await?;
    let page = Renderer::new(snapshot, format);
    ResponseBody::streamed(Box::new(page), coding, permit)
        .map_err(|error| internal(format!("cannot compress the exposition: {error}")))
}
