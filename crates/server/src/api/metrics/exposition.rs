//! `/metrics`: the exposition, rendered while it is sent.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use bellwether_exposition::{Format, Renderer, Snapshot};
use bellwether_runtime::{PROCESS_HEADER, PROCESS_MARK};
use hyper::body::Bytes;
use hyper::header::HeaderValue;
use hyper::{Method, StatusCode};

use crate::api::request::{RequestContext, blocking};
use crate::api::response::{self, ApiError, HttpResponse, internal};
use crate::api::shared::Shared;
use crate::net::body::ResponseBody;
use crate::net::negotiate::{Coding, exposition_format};

/// A snapshot that takes less is taken in the task of the connection. A blocking thread wakes up two threads, there and
/// back, which takes longer than most snapshots.
const SHORT: Duration = Duration::from_millis(1);

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
    let (snapshot, permit) = if request.shared.has_short_snapshots.load(Relaxed) {
        (take_snapshot(request.shared), permit)
    } else {
        // The permit goes along: a client that leaves early must not make room for its next.
        let shared = Arc::clone(request.shared);
        blocking(move || (take_snapshot(&shared), permit)).await?
    };
    let page = Renderer::new(snapshot, format);
    ResponseBody::streamed(Box::new(page), coding, permit)
        .map_err(|error| internal(format!("cannot compress the exposition: {error}")))
}

/// Takes a snapshot of current values. Notes whether that was short, so that the next is taken at once.
fn take_snapshot(shared: &Shared) -> Snapshot {
    let start = Instant::now();
    shared.backend.refresh();
    let snapshot = shared.backend.store().snapshot();
    let is_short = start.elapsed() < SHORT;
    shared.has_short_snapshots.store(is_short, Relaxed);
    snapshot
}
