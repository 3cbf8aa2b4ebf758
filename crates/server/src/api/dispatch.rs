//! From a request's head to its response.
//!
//! Owns the order of the checks. Health checks and the files of the web page are answered to anybody;
//! of every other request the rate and the client are checked before its path is looked at, and then
//! the role that its endpoint needs.

mod headers;

use std::convert::Infallible;
use std::sync::Arc;

use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, HOST, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode, Version};
use tokio::time::Instant;

use crate::api::endpoints::{Endpoint, Handler, Resource, without_repeated_slashes};
use crate::api::request::{RequestContext, unless_disconnected};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::api::shared::{Connection, Shared};
use crate::api::{analysis, query, view};
use crate::auth::access::Access;
use crate::auth::identity::Identity;
use crate::net::body::RequestGuard;

impl Shared {
    /// Answers one request and counts it.
    ///
    /// # Errors
    /// Never: every error is a response.
    pub(crate) async fn handle(
        self: Arc<Self>,
        connection: Connection,
        request: Request<Incoming>,
    ) -> Result<HttpResponse, Infallible> {
        let started = Instant::now();
        let (parts, body) = request.into_parts();
        let path = without_repeated_slashes(parts.uri.path());
        let resource = Resource::find(&path);
        let access = self.access.load_full();
        let guard = self.begin(&connection, &access, resource);
        let mut request = RequestContext {
            shared: &self,
            access: &access,
            connection: &connection,
            peer: connection.peer,
            identity: Identity::ADDRESS,
            resource,
            path: &path,
            parts: &parts,
            guard: &guard,
            body: Some(body).filter(|body| !body.is_end_stream()),
        };
        let result = match request.is_admitted() {
            true => unless_disconnected(&connection.stream, respond(&mut request)).await,
            false => Err(self.reject()),
        };
        let response = result.unwrap_or_else(|error| error.into_response(request.is_api()));
        let response = headers::complete(response, &request);
        let name = resource.map_or("other", |resource| resource.name);
        self.stats
            .answered(name, response.status().as_u16(), started.elapsed());
        Ok(response.map(|body| body.with_guard(guard)))
    }

    /// Begins a request. One that is no scrape is counted, within the limit.
    fn begin(
        &self,
        connection: &Connection,
        access: &Access,
        resource: Option<Resource>,
    ) -> RequestGuard {
        let scrape = resource.is_some_and(|resource| resource.is_scrape());
        let (activity, registry) = (&connection.activity, &self.registry);
        let mut guard = RequestGuard::begin(Arc::clone(activity), Arc::clone(registry), scrape);
        if !scrape {
            guard.counted = registry.other_request(&access.limits);
        }
        guard
    }

    fn reject(&self) -> ApiError {
        self.stats.count_rejected("busy");
        let message = "too many requests are under way";
        ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).header(RETRY_AFTER, "1")
    }
}

impl RequestContext<'_> {
    /// Returns true for a scrape, and for a request within the limit of others.
    fn is_admitted(&self) -> bool {
        self.guard.counted.is_some() || self.resource.is_some_and(|resource| resource.is_scrape())
    }

    /// Returns true if a client of the API, and no person, reads the response.
    fn is_api(&self) -> bool {
        self.path.starts_with("/api/")
    }
}

async fn respond(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    check_host(request.parts)?;
    if is_preflight(request) {
        return Ok(response::text(StatusCode::NO_CONTENT, ""));
    }
    if !request.resource.is_some_and(|resource| resource.is_open()) {
        let identified = request.identify().await;
        request.identity = identified.inspect_err(|error| request.audit_rejection(error))?;
    }
    let endpoint = endpoint(request)?;
    if let Some(role) = endpoint.role {
        let authorized = request.authorize(&request.identity, role);
        authorized.inspect_err(|error| request.audit_rejection(error))?;
    }
    match endpoint.handler {
        Handler::View(view) => view::respond(request, view).await,
        Handler::History(answer) => query::respond(request, answer).await,
        Handler::Analysis(analyse) => analysis::respond(request, analyse).await,
        Handler::Job(job) => query::respond_with_job(request, job).await,
        Handler::Respond(respond) => respond(request).await,
    }
}

fn check_host(parts: &Parts) -> Result<(), ApiError> {
    if parts.version == Version::HTTP_11 && parts.headers.get_all(HOST).iter().count() != 1 {
        let message = "exactly one Host header is required";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message));
    }
    Ok(())
}

/// Returns true for the preflight request of a browser, which has no password.
fn is_preflight(request: &RequestContext<'_>) -> bool {
    request.method() == Method::OPTIONS
        && request.is_api()
        && request
            .resource
            .is_some_and(|resource| resource.endpoint(&Method::GET).is_some())
}

fn endpoint(request: &RequestContext<'_>) -> Result<&'static Endpoint, ApiError> {
    let resource = request.resource.ok_or_else(not_found)?;
    let method = request.method();
    resource.endpoint(method).ok_or_else(|| {
        let message = format!("method {method} is not allowed for {}", request.path);
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message).header(ALLOW, resource.allow())
    })
}

fn not_found() -> ApiError {
    let paths: Vec<&str> = Resource::all().map(|resource| resource.path).collect();
    let message = format!("not found; there are {}", paths.join(", "));
    ApiError::new(StatusCode::NOT_FOUND, message)
}
