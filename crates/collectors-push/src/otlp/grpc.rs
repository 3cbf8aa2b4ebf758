//! OTLP over gRPC: the method `MetricsService/Export`, whose request and answer are one message each, over HTTP/2 with or
//! without TLS (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::Cursor;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use bellwether_collector::Memory;
use bellwether_core::{Failure, Now};
use bellwether_runtime::Clock;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use prost::Message;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, join, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;
use tracing::{debug, info};

use super::Exporter;
use super::access::{Access, AccessSettings};
use super::exchange::checked;
use crate::request::{RequestError, gunzipped, header};

const EXPORT: &str = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";
const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

/// Codes of `grpc-status`.
const OK: u16 = 0;
const INVALID_ARGUMENT: u16 = 3;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

/// Most connections, and most requests whose messages are in memory at once.
const CONNECTIONS: usize = 64;
const REQUESTS: usize = 4;
/// Longest time for a complete request, and for a client to answer a ping.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time after which a client that says nothing is asked for a sign of life.
const PING: Duration = Duration::from_secs(60);

/// Listener of a collector.
pub(super) struct Grpc {
    listen: String,
    settings: AccessSettings,
    /// As it was read last; `None` before.
    access: Option<Arc<ArcSwap<Access>>>,
    exporter: Exporter,
    memory: Memory,
    task: Option<AbortOnDropHandle<()>>,
}

/// State that all requests share.
struct Server {
    exporter: Exporter,
    memory: Memory,
    access: Arc<ArcSwap<Access>>,
    requests: Semaphore,
    clock: Clock,
}

/// A request that is not answered, with its code.
struct GrpcError {
    code: u16,
    message: String,
}

impl Grpc {
    pub(super) fn new(
        listen: String,
        settings: AccessSettings,
        exporter: Exporter,
        memory: Memory,
    ) -> Self {
        Self {
            listen,
            settings,
            access: None,
            exporter,
            memory,
            task: None,
        }
    }

    /// Reads the files of the access, and binds the address, unless it is bound.
    pub(super) async fn listen(&mut self, now: Now) -> Result<(), Failure> {
        let access = self.access().await?;
        if self.task.as_ref().is_some_and(|task| !task.is_finished()) {
            return Ok(());
        }
        let listener = self.bind().await.map_err(|error| {
            Failure::new(
                "listen",
                format!("cannot listen on {}: {error}", self.listen),
            )
        })?;
        info!(address = self.listen, "listening for OTLP over gRPC");
        let server = Arc::new(Server {
            exporter: self.exporter.clone(),
            memory: self.memory.clone(),
            access,
            requests: Semaphore::new(REQUESTS),
            clock: Clock::continuing(now),
        });
        let task = tokio::spawn(accept(listener, server));
        self.task = Some(AbortOnDropHandle::new(task));
        Ok(())
    }

    /// Returns the access as the files have it. Where one cannot be read, the last one stays in force.
    async fn access(&mut self) -> Result<Arc<ArcSwap<Access>>, Failure> {
        let settings = self.settings.clone();
        let before = self.access.as_ref().map(|access| access.load_full());
        let read = spawn_blocking(move || settings.read(before)).await;
        let access = read.map_err(|error| Failure::new("panic", error.to_string()))??;
        let current = match &self.access {
            Some(current) => {
                current.store(access);
                current.clone()
            }
            None => Arc::new(ArcSwap::new(access)),
        };
        Ok(self.access.insert(current).clone())
    }

    /// Binds the address. After a reload, the listener before it may be about to end.
    async fn bind(&self) -> std::io::Result<TcpListener> {
        for _ in 0..20 {
            if let Ok(listener) = TcpListener::bind(&self.listen).await {
                return Ok(listener);
            }
            sleep(Duration::from_millis(50)).await;
        }
        TcpListener::bind(&self.listen).await
    }
}

async fn accept(listener: TcpListener, server: Arc<Server>) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut tasks = JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: others have to close first.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        while tasks.try_join_next().is_some() {}
        let server = Arc::clone(&server);
        tasks.spawn(async move {
            let _permit = permit;
            server.serve(stream).await;
        });
    }
}

impl Server {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        let keepalive = TcpKeepalive::new().with_time(PING);
        // Without it the connection of a host that is gone stays.
        SockRef::from(&stream).set_tcp_keepalive(&keepalive).ok();
        let tls = self.access.load().tls.clone();
        match tls {
            None => self.serve_http2(stream).await,
            Some(tls) => {
                let accepted = timeout(PATIENCE, TlsAcceptor::from(tls).accept(stream)).await;
                match accepted {
                    Ok(Ok(stream)) => self.serve_http2(stream).await,
                    Ok(Err(error)) => debug!(%error, "TLS of a client of OTLP failed"),
                    Err(_) => {}
                }
            }
        }
    }

    async fn serve_http2<S>(self: Arc<Self>, mut stream: S)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        // The bytes with which HTTP/2 begins; hyper waits for them without a timeout.
        let mut preface = [0; 24];
        let read = timeout(PATIENCE, stream.read_exact(&mut preface)).await;
        if !matches!(read, Ok(Ok(_))) {
            return;
        }
        let (rest, writer) = split(stream);
        let stream = join(Cursor::new(preface).chain(rest), writer);
        let service = service_fn(move |request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.answer(request).await) }
        });
        let served = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .keep_alive_interval(PING)
            .keep_alive_timeout(PATIENCE)
            .max_concurrent_streams(REQUESTS as u32)
            .serve_connection(TokioIo::new(stream), service)
            .await;
        if let Err(error) = served {
            debug!(%error, "a connection of OTLP over gRPC failed");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
        respond(self.export(request).await)
    }

    async fn export(self: Arc<Self>, request: Request<Incoming>) -> Result<Vec<u8>, GrpcError> {
        if !self.access.load().allows(request.headers()) {
            let message =
                "no valid token; hint: OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20TOKEN";
            return Err(GrpcError::new(UNAUTHENTICATED, message));
        }
        check(&request)?;
        let gzip = header(request.headers(), &ENCODING) == "gzip";
        let limit = self.exporter.intake.limits().bytes.0;
        let server = Arc::clone(&self);
        let _permit = self.requests.acquire().await;
        let body = read(request.into_body(), limit).await?;
        let exported = spawn_blocking(move || {
            let _reading = server.exporter.reading.lock();
            let message = message(&body, gzip, limit)?;
            let request =
                checked(&message).map_err(|error| GrpcError::new(INVALID_ARGUMENT, error))?;
            let response = server
                .exporter
                .export(&server.memory, request, server.clock.now());
            Ok(framed(&response.encode_to_vec()))
        });
        exported
            .await
            // A client would send what makes the agent panic again and again.
            .unwrap_or_else(|error| Err(GrpcError::new(INTERNAL, error.to_string())))
    }
}

impl GrpcError {
    fn new(code: u16, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { code, message }
    }
}

impl From<RequestError> for GrpcError {
    fn from(error: RequestError) -> Self {
        let code = match error.status {
            StatusCode::PAYLOAD_TOO_LARGE => RESOURCE_EXHAUSTED,
            _ => INVALID_ARGUMENT,
        };
        Self::new(code, error.message)
    }
}

/// Reads the body of a request whose message has at most `limit` bytes.
async fn read(body: Incoming, limit: u64) -> Result<Bytes, GrpcError> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let body = Limited::new(body, most.saturating_add(FRAME));
    match timeout(PATIENCE, body.collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(RequestError::too_large(limit).into())
        }
        Ok(Err(error)) => Err(GrpcError::new(UNAVAILABLE, error.to_string())),
        Err(_) => Err(GrpcError::new(
            UNAVAILABLE,
            "the request was not complete in time",
        )),
    }
}

fn check(request: &Request<Incoming>) -> Result<(), GrpcError> {
    let path = request.uri().path();
    if path != EXPORT {
        let message = format!("unknown method: {path}; hint: metrics alone are received");
        return Err(GrpcError::new(UNIMPLEMENTED, message));
    }
    match header(request.headers(), &ENCODING) {
        "" | "identity" | "gzip" => Ok(()),
        other => {
            let message = format!("unknown encoding: {other:?}; hint: send gzip or none");
            Err(GrpcError::new(UNIMPLEMENTED, message))
        }
    }
}

/// Length of what is before a message: a byte that says if it is compressed, and its length.
const FRAME: usize = 5;

/// Returns the message of a body.
fn message(body: &[u8], gzip: bool, limit: u64) -> Result<Cow<'_, [u8]>, GrpcError> {
    let invalid = |message: String| GrpcError::new(INVALID_ARGUMENT, message);
    let frame = body.split_first_chunk::<FRAME>();
    let ([compressed, length @ ..], message) =
        frame.ok_or_else(|| invalid("the request has no message".into()))?;
    if u32::from_be_bytes(*length) as usize != message.len() {
        return Err(invalid("the request is not one whole message".into()));
    }
    let message = match (compressed, gzip) {
        (0, _) => Cow::Borrowed(message),
        (1, true) => Cow::Owned(gunzipped(message, limit)?),
        _ => return Err(invalid("a compressed message without its encoding".into())),
    };
    match message.len() as u64 > limit {
        true => Err(RequestError::too_large(limit).into()),
        false => Ok(message),
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME + message.len());
    frame.push(0);
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame
}

/// Characters that `grpc-message` has in percent encoding.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// Returns the message with the status behind it, or the status alone.
fn respond(
    result: Result<Vec<u8>, GrpcError>,
) -> Response<impl Body<Data = Bytes, Error = Infallible>> {
    let mut status = HeaderMap::new();
    let (message, code) = match result {
        Ok(message) => (message, OK),
        Err(error) => {
            let text = utf8_percent_encode(&error.message, ENCODED).to_string();
            if let Ok(text) = HeaderValue::from_str(&text) {
                status.insert(MESSAGE, text);
            }
            (Vec::new(), error.code)
        }
    };
    status.insert(STATUS, code.into());
    let body = Full::new(Bytes::from(message)).with_trailers(async move { Some(Ok(status)) });
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity,gzip"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_one_whole_message() {
        let body = framed(b"\x0a\0");
        assert_eq!(
            message(&body, false, 100).ok().as_deref(),
            Some(&b"\x0a\0"[..])
        );
        let cut = &body[..body.len() - 1];
        let compressed = [&[1], &body[1..]].concat();
        for (body, limit, code) in [
            (&body[..3], 100, INVALID_ARGUMENT),
            (cut, 100, INVALID_ARGUMENT),
            (&compressed, 100, INVALID_ARGUMENT),
            (&body, 1, RESOURCE_EXHAUSTED),
        ] {
            let error = message(body, false, limit).unwrap_err();
            assert_eq!(error.code, code, "{}", error.message);
        }
    }
}
