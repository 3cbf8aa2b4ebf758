//! From a request's head to its response.
//!
//! Owns the order of the checks. Health checks are answered to anybody; every other request passes
//! the rate limit, the password and, if it changes state, the control rules, before its path is
//! looked at.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_core::Now;
use bellwether_exposition::Renderer;
use bellwether_routing::Command;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HOST, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Method, Request, StatusCode, Version};
use tokio::time::{Instant, interval, sleep, timeout};

use super::{alerting, alerts, form, health, landing, metadata, metrics, record, rules, status};
use crate::api::endpoints::{ENDPOINTS, Endpoint, Route, View, without_repeated_slashes};
use crate::api::health::Counts;
use crate::api::query::{Jobs, Parameters, bad_data, invalid};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::auth::access::Access;
use crate::auth::cors;
use crate::auth::users::{PasswordCheck, Verifier};
use crate::backend::{Backend, RuleBackend};
use crate::net::activity::Activity;
use crate::net::body::{self, ResponseBody};
use crate::net::negotiate::{Coding, coding, exposition_format};
use crate::net::peer::Peer;
use crate::net::permits::{Permit, PermitKind, Permits};
use crate::net::registry::Registry;
use crate::net::stream::Stream;
use crate::stats::Stats;

/// Version of Bellwether in responses.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Time for which a scrape waits while all responses under way are stuck or busy.
const PERMIT_TIMEOUT: Duration = Duration::from_secs(5);
/// Time after which a response that its client does not read may be closed for another scrape.
const STUCK_AFTER: Duration = Duration::from_millis(500);

/// State shared by all connections.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) access: ArcSwap<Access>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) stats: Arc<Stats>,
    /// Permits for responses.
    permits: Arc<Permits>,
    /// Jobs that read history.
    pub(crate) jobs: Jobs,
    verifier: Verifier,
}

type Result<T> = std::result::Result<T, ApiError>;

/// Time for which work goes on after the client has closed its sending half: it may have left, or
/// have closed only that half.
const HALF_CLOSED_GRACE: Duration = Duration::from_secs(1);

/// Client, activity and socket of a connection.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) peer: Peer,
    pub(crate) activity: Arc<Activity>,
    pub(crate) stream: Arc<Stream>,
}

/// Request without its body.
pub(crate) struct RequestContext<'a> {
    pub(crate) access: &'a Access,
    peer: Peer,
    stream: &'a Stream,
    endpoint: Option<&'static Endpoint>,
    /// Path without repeated slashes.
    pub(crate) path: &'a str,
    pub(crate) parts: &'a hyper::http::request::Parts,
    /// Keeps the request under way.
    pub(crate) guard: &'a body::RequestGuard,
}

impl RequestContext<'_> {
    /// Query of the URL.
    pub(crate) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// Parameters of the URL alone.
    pub(crate) fn parameters(&self) -> Parameters {
        Parameters::new(self.query(), b"")
    }

    /// Runs `work` until the client leaves.
    async fn unless_disconnected<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let left = async {
            self.stream.ended().await;
            sleep(HALF_CLOSED_GRACE).await;
        };
        tokio::select! {
            result = work => result,
            () = left => Err(ApiError::with_kind(
                StatusCode::SERVICE_UNAVAILABLE,
                "canceled",
                "the client disconnected",
            )),
        }
    }

    /// Negotiates the content coding of the response.
    ///
    /// # Errors
    /// The client accepts none that is served.
    pub(crate) fn coding(&self) -> Result<Coding> {
        coding(&self.parts.headers).ok_or_else(not_acceptable)
    }
}

impl Shared {
    pub(crate) fn new(access: Access, backend: Arc<dyn Backend>, stats: Arc<Stats>) -> Self {
        let permits = Arc::new(Permits::new(
            *access.limits.max_concurrent_requests as usize,
        ));
        let (queries, connections) = (
            *access.query.max_concurrency,
            *access.limits.max_connections,
        );
        let memory = access.query.total_memory();
        let jobs = Jobs::new(queries, connections, memory, Arc::clone(stats.queries()));
        Self {
            backend,
            access: ArcSwap::from_pointee(access),
            registry: Arc::new(Registry::new(Arc::clone(&stats))),
            stats,
            permits,
            jobs,
            verifier: Verifier::new(),
        }
    }

    pub(crate) async fn handle(
        self: Arc<Self>,
        connection: Connection,
        request: Request<Incoming>,
    ) -> std::result::Result<HttpResponse, Infallible> {
        let started = Instant::now();
        let Connection {
            peer,
            activity,
            stream,
        } = connection;
        let (parts, body) = request.into_parts();
        let path = without_repeated_slashes(parts.uri.path());
        let endpoint = Endpoint::find(&path);
        let scrape = endpoint.is_some_and(|endpoint| endpoint.route == Route::Metrics);
        let mut guard = body::RequestGuard::begin(activity, Arc::clone(&self.registry), scrape);
        let access = self.access.load_full();
        if !scrape {
            guard.counted = self.registry.other_request(&access.limits);
        }
        let request = RequestContext {
            access: &access,
            peer,
            stream: &stream,
            endpoint,
            path: &path,
            parts: &parts,
            guard: &guard,
        };
        let mut body = Some(body).filter(|body| !body.is_end_stream());
        let response = if scrape || guard.counted.is_some() {
            request
                .unless_disconnected(self.respond(&request, &mut body))
                .await
        } else {
            self.stats.refused("busy");
            Err(ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests are under way",
            )
            .header(RETRY_AFTER, "1"))
        };
        let full = !scrape && guard.counted.is_none();
        let mut response =
            response.unwrap_or_else(|error| error.into_response(path.starts_with("/api/")));
        for (name, value) in &access.web.headers {
            response.headers_mut().insert(name, value.clone());
        }
        if path.starts_with("/api/") {
            cors::allow(&access, &parts.headers, response.headers_mut());
        }
        // The HTTP implementation caches its own, which is late after the clock was set back.
        if let Some(date) = response::date(self.backend.now().wall) {
            response.headers_mut().insert(DATE, date);
        }
        // An unread rest of a body ends the connection, and so does a queue for its place.
        let unread = body.is_some_and(|body| !body.is_end_stream());
        if parts.version < Version::HTTP_2 && (unread || full || self.registry.is_crowded()) {
            response
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let handler = endpoint.map_or("other", |endpoint| endpoint.name);
        self.stats
            .answered(handler, response.status().as_u16(), started.elapsed());
        Ok(response.map(|body| body.with_guard(guard)))
    }

    async fn respond(
        &self,
        request: &RequestContext<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<HttpResponse> {
        let RequestContext { access, parts, .. } = request;
        if parts.version == Version::HTTP_11 && parts.headers.get_all(HOST).iter().count() != 1 {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                "exactly one Host header is required",
            ));
        }
        // The preflight request of a browser has no password.
        if parts.method == Method::OPTIONS
            && request.path.starts_with("/api/")
            && request
                .endpoint
                .is_some_and(|endpoint| endpoint.allows(&Method::GET))
        {
            return Ok(response::text(StatusCode::NO_CONTENT, ""));
        }
        if !request.endpoint.is_some_and(Endpoint::is_open) {
            self.authenticate(request).await?;
        }
        let Some(endpoint) = request.endpoint else {
            return Err(not_found());
        };
        if !endpoint.allows(&parts.method) {
            let message = format!(
                "method {} is not allowed for {}",
                parts.method, request.path
            );
            return Err(ApiError::new(StatusCode::METHOD_NOT_ALLOWED, message)
                .header(ALLOW, endpoint.methods));
        }
        if endpoint.changes_state(&parts.method) {
            self.authorize(access, request)?;
        }
        match endpoint.route {
            Route::Landing => Ok(response::html(landing::page(VERSION))),
            Route::Metrics => self.metrics(request).await,
            Route::Healthy => Ok(response::text(StatusCode::OK, "Bellwether is healthy.\n")),
            Route::Ready => self.ready(),
            Route::Reload => self.reload(request).await,
            Route::Record => self.record(request, body).await,
            Route::Api(view) => self.api(view, request, body).await,
            Route::AlertHistory => self.alert_history(request).await,
            Route::Silences if parts.method == Method::POST => {
                let body = self.json_body(request, body).await?;
                let permit = self.permit(request).await?;
                let now = self.backend.now().wall;
                // On a blocking thread: regular expressions of matchers are compiled.
                let (command, permit) =
                    blocking(move || (alerting::silence(&body, now), permit)).await?;
                self.execute_with(request, command?, permit).await
            }
            Route::Silence => {
                let id = endpoint.path_parameter(request.path).to_owned();
                self.execute(request, Command::Expire(id)).await
            }
            Route::Acknowledge => {
                let alert = endpoint.path_parameter(request.path);
                let command = if parts.method == Method::DELETE {
                    Command::Release(alerting::fingerprint(alert)?)
                } else {
                    let body = self.json_body(request, body).await?;
                    alerting::acknowledge(alert, &body, self.backend.now().wall)?
                };
                self.execute(request, command).await
            }
            Route::Silences => self.api(View::Silences, request, body).await,
            Route::DeadLetters => self.dead_letters(request).await,
            Route::History(endpoint) => self.query_history(endpoint, request, body).await,
            Route::Analysis(analysis) => self.analyse(analysis, request, body).await,
        }
    }

    /// Checks that a request may change state.
    fn authorize(&self, access: &Access, request: &RequestContext<'_>) -> Result<()> {
        let RequestContext { peer, parts, .. } = request;
        let users = access.web.users.is_some();
        let checked = access
            .control
            .authorize(*peer, &parts.uri, &parts.headers, users);
        checked.map_err(|rejected| {
            self.stats.refused(rejected.reason);
            let error = ApiError::new(rejected.status, rejected.message).hint(rejected.hint);
            match rejected.status {
                StatusCode::UNAUTHORIZED => error.header(WWW_AUTHENTICATE, "Bearer"),
                _ => error,
            }
        })
    }

    /// Checks the rate limit and the password.
    async fn authenticate(&self, request: &RequestContext<'_>) -> Result<()> {
        let RequestContext {
            access,
            peer,
            parts,
            endpoint,
            ..
        } = request;
        // The mode of the Unix socket has decided.
        if *peer == Peer::Socket {
            return Ok(());
        }
        let web = &access.web;
        if web
            .rate
            .as_ref()
            .is_some_and(|rate| !rate.try_acquire(peer.client(), self.registry.now()))
        {
            self.stats.refused("rate");
            return Err(
                ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too many requests")
                    .header(RETRY_AFTER, "1"),
            );
        }
        let headers = &parts.headers;
        let Some(users) = &web.users else {
            return Ok(());
        };
        if endpoint.is_some_and(|endpoint| endpoint.changes_state(&parts.method))
            && access.control.has_token(headers)
        {
            return Ok(());
        }
        match self.verifier.check(users, peer.client(), headers).await {
            PasswordCheck::Granted => Ok(()),
            PasswordCheck::Denied => {
                self.stats.refused("password");
                Err(
                    ApiError::new(StatusCode::UNAUTHORIZED, "user and password are needed").header(
                        WWW_AUTHENTICATE,
                        "Basic realm=\"bellwether\", charset=\"UTF-8\"",
                    ),
                )
            }
            PasswordCheck::Busy => {
                self.stats.refused("password");
                let message = "too many passwords are being checked";
                Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, message).header(RETRY_AFTER, "1"))
            }
        }
    }

    async fn metrics(&self, request: &RequestContext<'_>) -> Result<HttpResponse> {
        let format = exposition_format(&request.parts.headers);
        let coding = request.coding()?;
        let body = if request.parts.method == Method::HEAD {
            ResponseBody::full(Bytes::new())
        } else {
            let permit = self.permit_in(request, PermitKind::Scrape).await?;
            let backend = Arc::clone(&self.backend);
            // The permit goes along: a client that leaves early must not make room for its next.
            let snapshot = blocking(move || {
                backend.refresh();
                (backend.store().snapshot(), permit)
            });
            let (snapshot, permit) = snapshot.await?;
            let renderer = Renderer::new(snapshot, format);
            ResponseBody::streamed(Box::new(renderer), coding, permit)
                .map_err(|error| internal(format!("cannot compress the exposition: {error}")))?
        };
        let mut response = response::base(StatusCode::OK, format.content_type(), body);
        response::set_coding(&mut response, coding);
        Ok(response)
    }

    /// Waits for a permit to make a response that is not small, or to change state.
    pub(crate) async fn permit(&self, request: &RequestContext<'_>) -> Result<Permit> {
        self.permit_in(request, PermitKind::Other).await
    }

    /// Waits for a permit. While none is free, connections whose clients do not read give way.
    async fn permit_in(&self, request: &RequestContext<'_>, lane: PermitKind) -> Result<Permit> {
        let busy = || {
            ApiError::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many responses are in progress",
            )
            .header(RETRY_AFTER, "5")
        };
        let client = request.peer.client();
        let wait = async {
            let mut permit = std::pin::pin!(self.permits.acquire(client, lane));
            let mut patience = interval(STUCK_AFTER);
            loop {
                tokio::select! {
                    biased;
                    permit = &mut permit => return permit,
                    _ = patience.tick() => self.registry.evict_stuck(STUCK_AFTER, client),
                };
            }
        };
        timeout(PERMIT_TIMEOUT, wait)
            .await
            .ok()
            .flatten()
            .ok_or_else(busy)
    }

    fn ready(&self) -> Result<HttpResponse> {
        if self.backend.is_ready() {
            return Ok(response::text(StatusCode::OK, "Bellwether is ready.\n"));
        }
        let message = "not ready: waiting for the first collection";
        Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, message).header(RETRY_AFTER, "1"))
    }

    async fn reload(&self, request: &RequestContext<'_>) -> Result<HttpResponse> {
        let permit = self.permit(request).await?;
        let backend = Arc::clone(&self.backend);
        // A task of its own: a client that goes away must not leave half a reload behind, nor make
        // room for its next one.
        let reload = async move { (backend.reload().await, permit) };
        match tokio::spawn(reload).await {
            Ok((Ok(message), _)) => Ok(response::text(
                StatusCode::OK,
                format!("{}\n", message.trim_end()),
            )),
            Ok((Err(message), _)) => Err(internal(message.trim_end())),
            Err(_) => Err(internal("the reload failed: see the log")),
        }
    }

    /// Reads the JSON body of a request that changes state.
    async fn json_body(
        &self,
        request: &RequestContext<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<Bytes> {
        check_json(&request.parts.headers)?;
        read_body(request, body).await
    }

    async fn execute(
        &self,
        request: &RequestContext<'_>,
        command: Command,
    ) -> Result<HttpResponse> {
        let permit = self.permit(request).await?;
        self.execute_with(request, command, permit).await
    }

    async fn execute_with(
        &self,
        request: &RequestContext<'_>,
        command: Command,
        permit: Permit,
    ) -> Result<HttpResponse> {
        let backend = Arc::clone(&self.backend);
        // A task of its own: a client that goes away must not leave half of it behind.
        let result = tokio::spawn(async move { (backend.execute(command).await, permit) });
        let (result, _permit) = result
            .await
            .map_err(|_| internal("this request failed: see the log"))?;
        let id = result.map_err(|error| alerting::command_error(&error))?;
        let coding = coding(&request.parts.headers).unwrap_or(Coding::Identity);
        Ok(response::success(
            &serde_json::json!({ "id": id }),
            coding,
            None,
        ))
    }

    async fn record(
        &self,
        request: &RequestContext<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<HttpResponse> {
        let body = self.json_body(request, body).await?;
        let permit = self.permit(request).await?;
        let backend = Arc::clone(&self.backend);
        let (recorded, _permit) = blocking(move || (backend.record(&body), permit)).await?;
        let recorded = recorded.map_err(|error| ApiError::new(StatusCode::BAD_REQUEST, error))?;
        let coding = coding(&request.parts.headers).unwrap_or(Coding::Identity);
        let mut response = response::success(&record::view(&recorded), coding, None);
        // A client that looks only at the status must not take a lost record for a stored one.
        if recorded.accepted == 0 && !recorded.rejected.is_empty() {
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        }
        Ok(response)
    }

    async fn api(
        &self,
        view: View,
        request: &RequestContext<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<HttpResponse> {
        let coding = request.coding()?;
        let parameters = form::parameters(request, body).await?;
        let backend = Arc::clone(&self.backend);
        let stats = Arc::clone(&self.stats);
        let permit = self.permit(request).await?;
        let answer = blocking(move || {
            let data = data(view, &parameters, &*backend, &stats)?;
            Ok(response::success(&data, coding, Some(permit)))
        });
        answer.await?
    }
}

fn data(
    view: View,
    parameters: &Parameters,
    backend: &dyn Backend,
    stats: &Stats,
) -> Result<serde_json::Value> {
    let now = backend.now();
    Ok(match view {
        View::Metrics => {
            let query = metrics::Query::parse(parameters).map_err(bad_data)?;
            backend.refresh();
            metrics::view(&backend.store(), &query).map_err(|name| {
                let message = format!("there is no metric {name:?}");
                ApiError::new(StatusCode::NOT_FOUND, message).hint("/api/v1/metrics lists all")
            })?
        }
        View::Alerts => alerts::alerts(&backend.alerts(), &backend.suppressions()),
        View::Rules => rules::view(backend.rules(), parameters)?,
        View::Silences => alerting::silences(&backend.silences(), now.wall),
        View::Explain => explain(parameters, backend, now)?,
        View::Metadata => metadata::view(backend.store().metrics(), parameters)?,
        View::BuildInfo => metadata::build_info(VERSION),
        View::Config => {
            let yaml = backend.configuration().map_err(internal)?;
            serde_json::json!({ "yaml": yaml })
        }
        View::Flags => status::flags(backend.flags()),
        View::RuntimeInfo => status::runtime_info(backend, now),
        View::WalReplay => {
            serde_json::json!({ "min": 0, "max": 0, "current": 0, "state": "done" })
        }
        View::Targets => status::targets(&backend.health(), parameters)?,
        View::ScrapePools => status::scrape_pools(&backend.health()),
        View::Alertmanagers => status::alertmanagers(&backend.alertmanagers()),
        View::FormatQuery => {
            let query = parse_query(parameters)?;
            let pretty = query.pretty();
            serde_json::Value::String(pretty)
        }
        View::ParseQuery => parse_query(parameters)?.tree(),
        View::Exemplars => serde_json::Value::Array(Vec::new()),
        View::Health => health::health(&backend.health(), backend.is_ready(), VERSION, now),
        View::Summary => {
            let store = backend.store();
            let counts = Counts {
                metrics: store.metrics().len(),
                series: store.series(),
                rules: backend.rules().len(),
                connections: stats.connections(),
                requests: stats
                    .requests()
                    .values()
                    .map(|requests| requests.count)
                    .sum(),
            };
            let (status, active) = (backend.health(), backend.alerts());
            health::summary(&status, backend.is_ready(), &active, &counts, VERSION, now)
        }
    })
}

/// Parses the expression in `query`.
fn parse_query(parameters: &Parameters) -> Result<bellwether_promql::Query> {
    let query = bellwether_promql::parse(parameters.text("query"));
    query.map_err(|error| invalid("query", &error.to_string()))
}

/// Explains the rules and alerts that the parameters `rule` and `fingerprint` select.
fn explain(
    parameters: &Parameters,
    backend: &dyn RuleBackend,
    now: Now,
) -> Result<serde_json::Value> {
    let value = |name| Some(parameters.text(name)).filter(|text| !text.is_empty());
    let only = value("fingerprint")
        .map(alerting::fingerprint)
        .transpose()?;
    let named = value("rule");
    if only.is_none() && named.is_none() {
        let message = "parameter rule or fingerprint is required";
        return Err(ApiError::new(StatusCode::BAD_REQUEST, message).hint("such as rule=NAME"));
    }
    let rules: Vec<_> = backend
        .rules()
        .iter()
        .filter(|rule| !rule.records && named.is_none_or(|name| rule.name == name))
        .filter(|rule| {
            only.is_none_or(|only| rule.alerts.iter().any(|alert| alert.fingerprint == only))
        })
        .map(|rule| alerting::explain(rule, |alert| backend.explain(alert), only, now))
        .collect();
    if rules.is_empty() {
        let message = "no such rule or alert";
        let hint = "/api/v1/rules and /api/v1/alerts list them";
        return Err(ApiError::new(StatusCode::NOT_FOUND, message).hint(hint));
    }
    Ok(serde_json::json!({ "rules": rules }))
}

/// Runs `work` on a blocking thread.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result.map_err(|_| internal("this request failed: see the log"))
}

/// Checks the content type: a form that a browser posts by itself is never `application/json`.
fn check_json(headers: &HeaderMap) -> Result<()> {
    let unsupported = |message: String| ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let media = value.split(';').next().unwrap_or_default().trim();
    if !media.eq_ignore_ascii_case("application/json") {
        return Err(unsupported(format!(
            "the content type must be application/json, not {media:?}"
        )));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(coding) if coding != "identity" => Err(unsupported(
            "the body must not have a Content-Encoding".into(),
        )),
        _ => Ok(()),
    }
}

/// Reads the whole body, within the limits of size and time. One that announces a larger size is
/// rejected unread.
pub(crate) async fn read_body(
    request: &RequestContext<'_>,
    body: &mut Option<Incoming>,
) -> Result<Bytes> {
    let limit = *request.access.limits.max_body_bytes;
    let too_large = || {
        let message = format!("the body is larger than {limit} bytes");
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, message)
            .hint("send it in parts, or raise prometheus.limits.max_body_bytes")
    };
    let Some(unread) = body else {
        return Ok(Bytes::new());
    };
    if unread.size_hint().lower() > limit {
        return Err(too_large());
    }
    let _waiting = request.guard.awaits_body();
    // The caller keeps the body until all of it is read: an unread rest ends the connection.
    let limited = Limited::new(unread, usize::try_from(limit).unwrap_or(usize::MAX));
    match timeout(**request.access.limits.body_timeout, limited.collect()).await {
        Ok(Ok(read)) => {
            *body = None;
            Ok(read.to_bytes())
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            format!("cannot read the body: {error}"),
        )),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body was not complete in time",
        )),
    }
}

pub(crate) fn internal(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}

pub(crate) fn not_acceptable() -> ApiError {
    ApiError::new(
        StatusCode::NOT_ACCEPTABLE,
        "none of the accepted content codings is supported",
    )
    .hint("supported are zstd, gzip and identity")
}

fn not_found() -> ApiError {
    let paths: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        format!("not found; there are {}", paths.join(", ")),
    )
}
