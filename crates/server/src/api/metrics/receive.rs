//! Requests in protocols in which clients push. The application reads and answers them.

use hyper::{Request, Response};

use crate::api::request::{RequestContext, blocking};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::backend::PushProtocol;
use crate::net::body::ResponseBody;

/// Takes metrics in OTLP.
///
/// # Errors
/// The body cannot be read, or nothing receives metrics in OTLP.
pub(crate) async fn otlp(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    receive(request, PushProtocol::Otlp).await
}

/// Takes metrics of remote write.
///
/// # Errors
/// The body cannot be read, or nothing receives remote write.
pub(crate) async fn remote_write(
    request: &mut RequestContext<'_>,
) -> Result<HttpResponse, ApiError> {
    receive(request, PushProtocol::RemoteWrite).await
}

/// Takes points of InfluxDB.
///
/// # Errors
/// The body cannot be read, or nothing receives points.
pub(crate) async fn influx(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    receive(request, PushProtocol::Influx).await
}

async fn receive(
    request: &mut RequestContext<'_>,
    protocol: PushProtocol,
) -> Result<HttpResponse, ApiError> {
    let body = request.read_body().await?;
    let permit = request.permit().await?;
    let mut pushed = Request::new(body);
    *pushed.uri_mut() = request.parts.uri.clone();
    *pushed.headers_mut() = request.parts.headers.clone();
    let backend = request.backend();
    let received = blocking(move || {
        let _permit = permit;
        backend.receive(protocol, &pushed)
    });
    Ok(answered(received.await??))
}

/// Returns the answer with the headers that all have.
fn answered(answer: Response<Vec<u8>>) -> HttpResponse {
    let (parts, body) = answer.into_parts();
    let mut response = response::base(parts.status, "text/plain", ResponseBody::full(body));
    response.headers_mut().extend(parts.headers);
    response
}
