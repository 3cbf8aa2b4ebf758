//! From a request's head to its answer: who may, what it is, what it gets.
//!
//! Owns the order of the judgements. Health is answered to anybody; everything else passes the
//! rate, the password and, where it changes state, the control rules, before its path is looked at.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_exposition::Page;
use bellwether_routing::Command;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{
    ALLOW, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, DATE, HOST, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{HeaderMap, Method, Request, StatusCode, Version};
use tokio::time::{Instant, interval, sleep, timeout};

use super::access::Access;
use super::activity::Activity;
use super::answer::{self, Answer, Trouble};
use super::api::{self, Counts};
use super::backend::{Backend, RuleView};
use super::body::{self, Outgoing};
use super::negotiate::{Coding, coding, page_format};
use super::peer::Peer;
use super::permits::{Lane, Permit, Permits};
use super::query::{Jobs, Parameters, bad_data, invalid};
use super::registry::Registry;
use super::routes::{ENDPOINTS, Endpoint, Route, View, without_repeated_slashes};
use super::stats::Stats;
use super::stream::Stream;
use super::web::{Verdict, Verifier};
use super::{cors, desk, form, landing, metadata, metrics_view, rules_view, status};

/// The version told to clients.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// How long a scrape waits while all answers under way are stuck or busy.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a client may leave an answer lying before another scrape takes its place.
const STUCK: Duration = Duration::from_millis(500);

/// What all connections share.
pub(super) struct Shared {
    pub(super) backend: Arc<dyn Backend>,
    pub(super) access: ArcSwap<Access>,
    pub(super) registry: Arc<Registry>,
    pub(super) stats: Arc<Stats>,
    /// Pages and API answers that may be made and under way at once.
    permits: Arc<Permits>,
    /// What is answered from history.
    pub(super) jobs: Jobs,
    verifier: Verifier,
}

type Result<T> = std::result::Result<T, Trouble>;

/// How long a client that has said that it sends no more is waited for, before the work for it is
/// given up: it may have left, or have closed only its half of the connection.
const LEAVING: Duration = Duration::from_secs(1);

/// What is at the other end of a request.
#[derive(Clone)]
pub(super) struct Link {
    pub(super) peer: Peer,
    pub(super) activity: Arc<Activity>,
    pub(super) stream: Arc<Stream>,
}

/// A request, but for its body.
pub(super) struct Asked<'a> {
    pub(super) access: &'a Access,
    peer: Peer,
    stream: &'a Stream,
    endpoint: Option<&'static Endpoint>,
    /// The path, without repeated slashes.
    pub(super) path: &'a str,
    pub(super) parts: &'a hyper::http::request::Parts,
    /// Keeps it under way.
    pub(super) guard: &'a body::Request,
}

impl Asked<'_> {
    /// The query part of the URL.
    pub(super) fn query(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The parameters in the URL alone.
    pub(super) fn parameters(&self) -> Parameters {
        Parameters::new(self.query(), b"")
    }

    /// Does `work` unless the client leaves before it is done.
    async fn unless_left<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let left = async {
            self.stream.ended().await;
            sleep(LEAVING).await;
        };
        tokio::select! {
            done = work => done,
            () = left => Err(Trouble::of_kind(
                StatusCode::SERVICE_UNAVAILABLE,
                "canceled",
                "the client has left",
            )),
        }
    }

    /// The coding of its answer.
    ///
    /// # Errors
    /// It accepts none that is served.
    pub(super) fn coding(&self) -> Result<Coding> {
        coding(&self.parts.headers).ok_or_else(not_acceptable)
    }
}

impl Shared {
    pub(super) fn new(access: Access, backend: Arc<dyn Backend>, stats: Arc<Stats>) -> Self {
        let permits = Arc::new(Permits::new(*access.limits.max_concurrent_pages as usize));
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

    /// Answers one request.
    pub(super) async fn handle(
        self: Arc<Self>,
        link: Link,
        request: Request<Incoming>,
    ) -> std::result::Result<Answer, Infallible> {
        let started = Instant::now();
        let Link {
            peer,
            activity,
            stream,
        } = link;
        let (parts, body) = request.into_parts();
        let path = without_repeated_slashes(parts.uri.path());
        let endpoint = Endpoint::of(&path);
        let scrape = endpoint.is_some_and(|endpoint| endpoint.route == Route::Metrics);
        let mut guard = body::Request::begin(activity, Arc::clone(&self.registry), scrape);
        let access = self.access.load_full();
        if !scrape {
            guard.counted = self.registry.other_request(&access.limits);
        }
        let asked = Asked {
            access: &access,
            peer,
            stream: &stream,
            endpoint,
            path: &path,
            parts: &parts,
            guard: &guard,
        };
        let mut body = Some(body).filter(|body| !body.is_end_stream());
        let answer = if scrape || guard.counted.is_some() {
            asked.unless_left(self.respond(&asked, &mut body)).await
        } else {
            self.stats.refused("busy");
            Err(Trouble::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests are under way",
            )
            .header(RETRY_AFTER, "1"))
        };
        let full = !scrape && guard.counted.is_none();
        let mut answer = answer.unwrap_or_else(|trouble| trouble.answer(path.starts_with("/api/")));
        for (name, value) in &access.web.headers {
            answer.headers_mut().insert(name, value.clone());
        }
        if path.starts_with("/api/") {
            cors::allow(&access, &parts.headers, answer.headers_mut());
        }
        // The one that the HTTP implementation sets is late after the clock was set back.
        if let Some(date) = answer::date(self.backend.now().wall) {
            answer.headers_mut().insert(DATE, date);
        }
        // What is left unread of a body ends the connection, and so does a queue for its place.
        let unread = body.is_some_and(|body| !body.is_end_stream());
        if parts.version < Version::HTTP_2 && (unread || full || self.registry.is_crowded()) {
            answer
                .headers_mut()
                .insert(CONNECTION, HeaderValue::from_static("close"));
        }
        let handler = endpoint.map_or("other", |endpoint| endpoint.name);
        self.stats
            .answered(handler, answer.status().as_u16(), started.elapsed());
        Ok(answer.map(|body| body.of(guard)))
    }

    async fn respond(&self, asked: &Asked<'_>, body: &mut Option<Incoming>) -> Result<Answer> {
        let Asked { access, parts, .. } = asked;
        if parts.version == Version::HTTP_11 && parts.headers.get_all(HOST).iter().count() != 1 {
            return Err(Trouble::new(
                StatusCode::BAD_REQUEST,
                "exactly one Host header is needed",
            ));
        }
        // A browser that asks what a page may do sends no password along.
        let reads = |endpoint: &Endpoint| endpoint.takes(&Method::GET);
        if parts.method == Method::OPTIONS
            && asked.path.starts_with("/api/")
            && asked.endpoint.is_some_and(reads)
        {
            return Ok(answer::text(StatusCode::NO_CONTENT, ""));
        }
        if !asked.endpoint.is_some_and(Endpoint::is_open) {
            self.admit(asked).await?;
        }
        let Some(endpoint) = asked.endpoint else {
            return Err(not_found());
        };
        if !endpoint.takes(&parts.method) {
            let message = format!("{} is not for {}", asked.path, parts.method);
            return Err(Trouble::new(StatusCode::METHOD_NOT_ALLOWED, message)
                .header(ALLOW, endpoint.methods));
        }
        if endpoint.changes_state(&parts.method) {
            self.authorize(access, asked)?;
        }
        match endpoint.route {
            Route::Landing => Ok(answer::html(landing::page(VERSION))),
            Route::Metrics => self.metrics(asked).await,
            Route::Healthy => Ok(answer::text(StatusCode::OK, "Bellwether is healthy.\n")),
            Route::Ready => self.ready(),
            Route::Reload => self.reload(asked).await,
            Route::Record => self.record(asked, body).await,
            Route::Api(view) => self.api(view, asked, body).await,
            Route::AlertHistory => self.alert_history(asked).await,
            Route::Silences if parts.method == Method::POST => {
                let body = self.json_body(asked, body).await?;
                let permit = self.permit(asked).await?;
                let now = self.backend.now().wall;
                // Regular expressions of matchers are compiled there.
                let (order, permit) = blocking(move || (desk::silence(&body, now), permit)).await?;
                self.order_within(asked, order?, permit).await
            }
            Route::Silence => {
                let id = endpoint.part(asked.path).to_owned();
                self.order(asked, Command::Expire(id)).await
            }
            Route::Acknowledge => {
                let alert = endpoint.part(asked.path);
                let order = if parts.method == Method::DELETE {
                    Command::Release(desk::fingerprint(alert)?)
                } else {
                    let body = self.json_body(asked, body).await?;
                    desk::acknowledge(alert, &body, self.backend.now().wall)?
                };
                self.order(asked, order).await
            }
            Route::Silences => self.api(View::Silences, asked, body).await,
            Route::DeadLetters => self.dead_letters(asked).await,
            Route::Past(what) => self.ask(what, asked, body).await,
            Route::Analysis(what) => self.analyse(what, asked, body).await,
        }
    }

    /// Whether a request that changes state may.
    fn authorize(&self, access: &Access, asked: &Asked<'_>) -> Result<()> {
        let Asked { peer, parts, .. } = asked;
        let users = access.web.users.is_some();
        let judged = access
            .control
            .judge(*peer, &parts.uri, &parts.headers, users);
        judged.map_err(|refusal| {
            self.stats.refused(refusal.reason);
            let trouble = Trouble::new(refusal.status, refusal.message).hint(refusal.hint);
            match refusal.status {
                StatusCode::UNAUTHORIZED => trouble.header(WWW_AUTHENTICATE, "Bearer"),
                _ => trouble,
            }
        })
    }

    /// Rate and password.
    async fn admit(&self, asked: &Asked<'_>) -> Result<()> {
        let Asked {
            access,
            peer,
            parts,
            endpoint,
            ..
        } = asked;
        // Who may open the Unix socket is the file system's business.
        if *peer == Peer::Socket {
            return Ok(());
        }
        let web = &access.web;
        if web
            .rate
            .as_ref()
            .is_some_and(|rate| !rate.take(peer.client(), self.registry.now()))
        {
            self.stats.refused("rate");
            return Err(
                Trouble::new(StatusCode::TOO_MANY_REQUESTS, "too many requests")
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
            Verdict::Granted => Ok(()),
            Verdict::Denied => {
                self.stats.refused("password");
                Err(
                    Trouble::new(StatusCode::UNAUTHORIZED, "user and password are needed").header(
                        WWW_AUTHENTICATE,
                        "Basic realm=\"bellwether\", charset=\"UTF-8\"",
                    ),
                )
            }
            Verdict::Busy => {
                self.stats.refused("password");
                let message = "too many passwords are being checked";
                Err(Trouble::new(StatusCode::TOO_MANY_REQUESTS, message).header(RETRY_AFTER, "1"))
            }
        }
    }

    async fn metrics(&self, asked: &Asked<'_>) -> Result<Answer> {
        let format = page_format(&asked.parts.headers);
        let coding = asked.coding()?;
        let body = if asked.parts.method == Method::HEAD {
            Outgoing::whole(Bytes::new())
        } else {
            let permit = self.permit_in(asked, Lane::Scrape).await?;
            let backend = Arc::clone(&self.backend);
            // The permit goes along: a client that leaves early must not make room for its next.
            let taken = blocking(move || {
                backend.refresh();
                (backend.store().snapshot(), permit)
            });
            let (snapshot, permit) = taken.await?;
            let page = Page::new(snapshot, format);
            Outgoing::page(Box::new(page), coding, permit)
                .map_err(|error| internal(format!("cannot compress the page: {error}")))?
        };
        let mut answer = answer::base(StatusCode::OK, format.content_type(), body);
        answer::set_coding(&mut answer, coding);
        Ok(answer)
    }

    /// The right to make an answer that is not small, or to change state.
    pub(super) async fn permit(&self, asked: &Asked<'_>) -> Result<Permit> {
        self.permit_in(asked, Lane::Other).await
    }

    /// The right to make an answer. Where all are taken, clients that do not take theirs give way.
    async fn permit_in(&self, asked: &Asked<'_>, lane: Lane) -> Result<Permit> {
        let busy = || {
            Trouble::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many answers are being made",
            )
            .header(RETRY_AFTER, "5")
        };
        let client = asked.peer.client();
        let wait = async {
            let mut permit = std::pin::pin!(self.permits.acquire(client, lane));
            let mut patience = interval(STUCK);
            loop {
                tokio::select! {
                    biased;
                    permit = &mut permit => return permit,
                    _ = patience.tick() => self.registry.evict_stuck(STUCK, client),
                };
            }
        };
        timeout(PATIENCE, wait)
            .await
            .ok()
            .flatten()
            .ok_or_else(busy)
    }

    fn ready(&self) -> Result<Answer> {
        if self.backend.ready() {
            return Ok(answer::text(StatusCode::OK, "Bellwether is ready.\n"));
        }
        let message = "not ready: waiting for the first collection";
        Err(Trouble::new(StatusCode::SERVICE_UNAVAILABLE, message).header(RETRY_AFTER, "1"))
    }

    async fn reload(&self, asked: &Asked<'_>) -> Result<Answer> {
        let permit = self.permit(asked).await?;
        let backend = Arc::clone(&self.backend);
        // A task of its own: a client that goes away must not leave half a reload behind, nor make
        // room for its next one.
        let reload = async move { (backend.reload().await, permit) };
        match tokio::spawn(reload).await {
            Ok((Ok(message), _)) => Ok(answer::text(
                StatusCode::OK,
                format!("{}\n", message.trim_end()),
            )),
            Ok((Err(message), _)) => Err(internal(message.trim_end())),
            Err(_) => Err(internal("the reload failed: see the log")),
        }
    }

    /// The body of a request that changes state, which is JSON.
    async fn json_body(&self, asked: &Asked<'_>, body: &mut Option<Incoming>) -> Result<Bytes> {
        check_json(&asked.parts.headers)?;
        read_body(asked, body).await
    }

    /// Has an order carried out.
    async fn order(&self, asked: &Asked<'_>, order: Command) -> Result<Answer> {
        let permit = self.permit(asked).await?;
        self.order_within(asked, order, permit).await
    }

    async fn order_within(
        &self,
        asked: &Asked<'_>,
        order: Command,
        permit: Permit,
    ) -> Result<Answer> {
        let backend = Arc::clone(&self.backend);
        // A task of its own: a client that goes away must not leave half of it behind.
        let done = tokio::spawn(async move { (backend.order(order).await, permit) });
        let (done, _permit) = done
            .await
            .map_err(|_| internal("this request failed: see the log"))?;
        let id = done.map_err(|error| desk::refused(&error))?;
        let coding = coding(&asked.parts.headers).unwrap_or(Coding::Identity);
        Ok(answer::success(
            &serde_json::json!({ "id": id }),
            coding,
            None,
        ))
    }

    async fn record(&self, asked: &Asked<'_>, body: &mut Option<Incoming>) -> Result<Answer> {
        let body = self.json_body(asked, body).await?;
        let permit = self.permit(asked).await?;
        let backend = Arc::clone(&self.backend);
        let (recorded, _permit) = blocking(move || (backend.record(&body), permit)).await?;
        let recorded = recorded.map_err(|error| Trouble::new(StatusCode::BAD_REQUEST, error))?;
        let coding = coding(&asked.parts.headers).unwrap_or(Coding::Identity);
        let mut answer = answer::success(&api::recorded(&recorded), coding, None);
        // A client that looks only at the status must not take a lost record for a stored one.
        if recorded.accepted == 0 && !recorded.refused.is_empty() {
            *answer.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
        }
        Ok(answer)
    }

    async fn api(
        &self,
        view: View,
        asked: &Asked<'_>,
        body: &mut Option<Incoming>,
    ) -> Result<Answer> {
        let coding = asked.coding()?;
        let parameters = form::parameters(asked, body).await?;
        let backend = Arc::clone(&self.backend);
        let stats = Arc::clone(&self.stats);
        let permit = self.permit(asked).await?;
        let made = blocking(move || {
            let data = data(view, &parameters, &*backend, &stats)?;
            Ok(answer::success(&data, coding, Some(permit)))
        });
        made.await?
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
            let query = metrics_view::Query::parse(parameters).map_err(bad_data)?;
            backend.refresh();
            metrics_view::view(&backend.store(), &query).map_err(|name| {
                let message = format!("no metric is declared as {name:?}");
                Trouble::new(StatusCode::NOT_FOUND, message).hint("/api/v1/metrics lists all")
            })?
        }
        View::Alerts => api::alerts(&backend.alerts(), &backend.suppressions()),
        View::Rules => rules_view::view(backend.rules(), parameters)?,
        View::Silences => desk::silences(&backend.silences(), now.wall),
        View::Explain => explain(parameters, backend)?,
        View::Metadata => metadata::view(backend.store().metrics(), parameters)?,
        View::BuildInfo => metadata::build_info(VERSION),
        View::Config => {
            let yaml = backend.configuration().map_err(internal)?;
            serde_json::json!({ "yaml": yaml })
        }
        View::Flags => status::flags(backend.flags()),
        View::RuntimeInfo => status::runtime_info(backend),
        View::WalReplay => serde_json::json!({ "min": 0, "max": 0, "current": 0, "state": "done" }),
        View::Targets => status::targets(&backend.health(), parameters)?,
        View::ScrapePools => status::scrape_pools(&backend.health()),
        View::Alertmanagers => status::alertmanagers(&backend.alertmanagers()),
        View::FormatQuery => {
            let query = parsed(parameters)?;
            let pretty = query.pretty();
            serde_json::Value::String(pretty)
        }
        View::ParseQuery => parsed(parameters)?.tree(),
        View::Exemplars => serde_json::Value::Array(Vec::new()),
        View::Health => api::health(&backend.health(), backend.ready(), VERSION, now),
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
            let (health, alerts) = (backend.health(), backend.alerts());
            api::summary(&health, backend.ready(), &alerts, &counts, VERSION, now)
        }
    })
}

/// The expression in `query`.
fn parsed(parameters: &Parameters) -> Result<bellwether_promql::Query> {
    let query = bellwether_promql::parse(parameters.text("query"));
    query.map_err(|error| invalid("query", &error.to_string()))
}

/// Rules and alerts that `query` asks about: `rule`, or `fingerprint`.
fn explain(parameters: &Parameters, backend: &dyn Backend) -> Result<serde_json::Value> {
    let given = |name| Some(parameters.text(name)).filter(|text| !text.is_empty());
    let only = given("fingerprint").map(desk::fingerprint).transpose()?;
    let named = given("rule");
    if only.is_none() && named.is_none() {
        let message = "neither rule nor fingerprint";
        return Err(Trouble::new(StatusCode::BAD_REQUEST, message).hint("say which: rule=NAME"));
    }
    let has = |rule: &RuleView| {
        only.is_none_or(|only| rule.alerts.iter().any(|alert| alert.fingerprint == only))
    };
    let wanted =
        |rule: &RuleView| !rule.records && named.is_none_or(|name| rule.name == name) && has(rule);
    let (rules, now) = (backend.rules(), backend.now());
    let rules: Vec<_> = rules
        .iter()
        .filter(|rule| wanted(rule))
        .map(|rule| desk::explain(rule, |alert| backend.explain(alert), only, now))
        .collect();
    if rules.is_empty() {
        let message = "no such rule or alert";
        let hint = "/api/v1/rules and /api/v1/alerts list them";
        return Err(Trouble::new(StatusCode::NOT_FOUND, message).hint(hint));
    }
    Ok(serde_json::json!({ "rules": rules }))
}

/// Runs what may block where it may.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|_| internal("this request failed: see the log"))
}

/// A form that a browser posts by itself is never `application/json`.
fn check_json(headers: &HeaderMap) -> Result<()> {
    let unsupported = |message: String| Trouble::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
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
        Some(coding) if coding != "identity" => {
            Err(unsupported("the body must not be coded".into()))
        }
        _ => Ok(()),
    }
}

/// The whole body, within size and time. One that says it is too big is refused unread.
pub(super) async fn read_body(asked: &Asked<'_>, body: &mut Option<Incoming>) -> Result<Bytes> {
    let limit = *asked.access.limits.max_body_bytes;
    let too_large = || {
        let message = format!("the body is larger than {limit} bytes");
        Trouble::new(StatusCode::PAYLOAD_TOO_LARGE, message)
            .hint("send it in parts, or raise prometheus.limits.max_body_bytes")
    };
    let Some(unread) = body else {
        return Ok(Bytes::new());
    };
    if unread.size_hint().lower() > limit {
        return Err(too_large());
    }
    let _waiting = asked.guard.awaits_body();
    // It stays with the caller until it was read to its end.
    let limited = Limited::new(unread, usize::try_from(limit).unwrap_or(usize::MAX));
    match timeout(**asked.access.limits.body_timeout, limited.collect()).await {
        Ok(Ok(read)) => {
            *body = None;
            Ok(read.to_bytes())
        }
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(error)) => Err(Trouble::new(
            StatusCode::BAD_REQUEST,
            format!("cannot read the body: {error}"),
        )),
        Err(_) => Err(Trouble::new(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not come in time",
        )),
    }
}

pub(super) fn internal(message: impl Into<String>) -> Trouble {
    Trouble::new(StatusCode::INTERNAL_SERVER_ERROR, message)
}

pub(super) fn not_acceptable() -> Trouble {
    Trouble::new(
        StatusCode::NOT_ACCEPTABLE,
        "none of the accepted encodings is served",
    )
    .hint("served are zstd, gzip and identity")
}

fn not_found() -> Trouble {
    let paths: Vec<&str> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
    Trouble::new(
        StatusCode::NOT_FOUND,
        format!("not found; there are {}", paths.join(", ")),
    )
}
