//! Listening sockets and connections, from accept to close.
//!
//! Owns accepting, the handshake, the reaper of overdue connections, the watch on renewed
//! certificates and the graceful stop. Requests are up to the handler.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use arc_swap::ArcSwap;
use bellwether_files::socket::SocketFile;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use serde_json::Value;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, lookup_host};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::socket;
use crate::api::response::ApiError;
use crate::api::shared::{Connection, Shared};
use crate::auth::access::Access;
use crate::backend::Backend;
use crate::live;
use crate::net::peer::Peer;
use crate::net::registry::{Place, QUEUE_INTERVAL};
use crate::net::request_line::RequestLines;
use crate::net::stream::Stream;
use crate::net::watched::Watched;
use crate::settings::{Limits, LocalSocket, Prometheus};
use crate::stats::Stats;

/// Minimum time between two checks of the timeouts.
const REAP_PAUSE: Duration = Duration::from_millis(20);
/// Interval of the checks for changes of the web configuration and its certificates.
const RENEW_INTERVAL: Duration = Duration::from_secs(15);
/// Pause of accepting after an error, such as no descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Time for which a closed connection may take to end when the server stops.
const CUT_GRACE: Duration = Duration::from_millis(500);
/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;

/// Response if all places are taken and too many connections wait for one.
const TOO_MANY_CONNECTIONS: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n\r\ntoo many connections\n";

/// Error of opening a socket.
#[derive(Debug)]
pub struct BindError {
    address: String,
    error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, hint) = match self.error.kind() {
            io::ErrorKind::AddrInUse if self.address.ends_with(":9091") => (
                "address already in use".to_owned(),
                "another Bellwether or a Pushgateway may use the port, which is the default of both; \
                 choose another with --web.listen-address, or --listen of `bellwether demo`",
            ),
            io::ErrorKind::AddrInUse => (
                "address already in use".to_owned(),
                "another Bellwether or another service uses the port, which `ss -ltnp` shows; choose \
                 another with --web.listen-address, or --listen of `bellwether demo`",
            ),
            io::ErrorKind::PermissionDenied if self.address.contains('/') => (
                "permission denied".to_owned(),
                "the directory of prometheus.control.socket must be writable, and its group one of \
                 this user's",
            ),
            io::ErrorKind::PermissionDenied => (
                "permission denied".to_owned(),
                "ports below 1024 need CAP_NET_BIND_SERVICE",
            ),
            io::ErrorKind::AddrNotAvailable => (
                "not an address of this host".to_owned(),
                "0.0.0.0 listens on all, 127.0.0.1 only for this host",
            ),
            _ if self.address.contains('/') => {
                (self.error.to_string(), "check prometheus.control.socket")
            }
            _ => (
                self.error.to_string(),
                "check prometheus.host and prometheus.port",
            ),
        };
        write!(
            out,
            "cannot listen on {}: {reason}\n  hint: {hint}",
            self.address
        )
    }
}

impl std::error::Error for BindError {}

/// Server that listens and does not answer yet.
pub struct Server {
    listener: Listener,
    shared: Arc<Shared>,
}

enum Listener {
    Tcp(TcpListener),
    /// Unix socket with its file, which is removed with it.
    Unix {
        listener: UnixListener,
        _file: SocketFile,
    },
}

impl Listener {
    async fn accept(&self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Stream::Tcp(stream), peer.ip().into()))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred().ok().map(|process| process.uid());
                Ok((Stream::Unix(stream), Peer::Socket(uid)))
            }
        }
    }
}

/// Open socket on which nobody answers yet.
#[derive(Debug)]
pub struct OpenSocket(TcpListener);

impl OpenSocket {
    /// Opens the socket that `settings` name.
    ///
    /// # Errors
    /// The host has no address, or the socket cannot be opened.
    pub async fn open(settings: &Prometheus) -> Result<Self, BindError> {
        let failed = |error| BindError {
            address: settings.address(),
            error,
        };
        let address = resolve(settings).await.map_err(failed)?;
        listen(address).map(Self).map_err(failed)
    }
}

/// Handle to change a running server.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Replaces limits, users, certificates and control rules. Connections stay, and the requests
    /// on them are checked by the new rules; `max_concurrent_requests` stays as it was. Clients of
    /// live updates have to connect again if the users change.
    pub fn apply(&self, access: Access) {
        let old = self.0.access.swap(Arc::new(access));
        self.0.access_changed(&old);
        self.0.access_applied.notify_one();
    }

    /// Returns the `data` that a GET of `path` with the parameters `query` answers, made on threads of
    /// low priority and within the limits of queries. Not for endpoints that change something.
    ///
    /// # Errors
    /// There is no such endpoint, or its error.
    pub async fn ask(&self, path: &str, query: &str) -> Result<Value, ApiError> {
        self.0.ask(path, query).await
    }

    /// Runs `work` on a thread of low priority, as queries.
    pub fn spawn_low<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.0.threads.spawn(work)
    }

    /// Opens the Unix socket that `settings` name, with the same endpoints. Blocks on the file
    /// system.
    ///
    /// # Errors
    /// Another process listens on it, it cannot be created, or its owner cannot be set.
    pub fn bind_socket(&self, settings: &LocalSocket) -> Result<Server, BindError> {
        let address = settings.path.display().to_string();
        let bound = socket::bind(settings);
        let (listener, file) = bound.map_err(|error| BindError { address, error })?;
        let listener = Listener::Unix {
            listener,
            _file: file,
        };
        Ok(Server {
            listener,
            shared: Arc::clone(&self.0),
        })
    }
}

impl Server {
    /// Opens the socket that `settings` name.
    ///
    /// # Errors
    /// The host has no address, or the socket cannot be opened.
    pub async fn bind(
        settings: &Prometheus,
        access: Access,
        backend: Arc<dyn Backend>,
        stats: Arc<Stats>,
    ) -> Result<Self, BindError> {
        Ok(Self::on(
            OpenSocket::open(settings).await?,
            access,
            backend,
            stats,
        ))
    }

    /// Creates a server on an open socket.
    #[must_use]
    pub fn on(
        socket: OpenSocket,
        access: Access,
        backend: Arc<dyn Backend>,
        stats: Arc<Stats>,
    ) -> Self {
        Self {
            listener: Listener::Tcp(socket.0),
            shared: Arc::new(Shared::new(access, backend, stats)),
        }
    }

    /// Returns the address that it listens on.
    ///
    /// # Errors
    /// The system does not return it, or it is a Unix socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr(),
            Listener::Unix { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Returns a handle to change the server while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Answers until `stop`; then closes the socket, lets requests under way end for at most
    /// `drain`, and closes the remaining connections.
    pub async fn run(self, stop: CancellationToken, drain: Duration) {
        let Self { listener, shared } = self;
        let tracker = TaskTracker::new();
        let mut helpers = Vec::new();
        // The helpers of the TCP listener serve the Unix socket too.
        let alone = matches!(listener, Listener::Tcp(_));
        if alone {
            helpers.push(tokio::spawn(reap(Arc::clone(&shared), stop.child_token())));
            helpers.push(tokio::spawn(admit_waiting(
                Arc::clone(&shared),
                stop.child_token(),
            )));
            helpers.push(tokio::spawn(renew(Arc::clone(&shared), stop.child_token())));
            helpers.push(tokio::spawn(live::run(
                Arc::clone(&shared),
                stop.child_token(),
            )));
        }
        accept(&listener, &shared, &tracker, &stop).await;
        drop(listener);
        if alone {
            shared.registry.close(true);
            shared.live.close();
        }
        tracker.close();
        let ended = async {
            tracker.wait().await;
            if alone {
                shared.live.closed().await;
            }
        };
        if timeout(drain, ended).await.is_err() && alone {
            tracing::warn!(
                connections = tracker.len(),
                "requests did not end in time: closing their connections"
            );
            shared.registry.close(false);
            timeout(CUT_GRACE, tracker.wait()).await.ok();
        }
        for helper in helpers {
            helper.await.ok();
        }
    }
}

/// Accepts connections until `stop`.
async fn accept(
    listener: &Listener,
    shared: &Arc<Shared>,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => admit(shared, stream, peer, tracker, stop),
                Err(error) if is_client_error(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot accept connections");
                    shared.registry.evict_longest_waiting();
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn resolve(settings: &Prometheus) -> io::Result<SocketAddr> {
    if let Ok(ip) = settings.host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(ip, settings.port));
    }
    let mut addresses: Vec<SocketAddr> = lookup_host((settings.host.as_str(), settings.port))
        .await?
        .collect();
    // IPv4 first: a name such as localhost is mostly asked for by IPv4 scrapers.
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses
        .first()
        .copied()
        .ok_or_else(|| io::Error::other("the host name has no address"))
}

/// Opens the socket. `::` listens on IPv4 too, and on IPv4 alone if the system has no IPv6.
fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    match open(address) {
        Err(error) if is_any_v6(address) && error.kind() != io::ErrorKind::AddrInUse => {
            open((Ipv4Addr::UNSPECIFIED, address.port()).into()).map_err(|_| error)
        }
        opened => opened,
    }
}

fn is_any_v6(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    if is_any_v6(address) {
        // Whatever the system's default is.
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// Returns true if an accept failed because of the client, not of the socket.
fn is_client_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(
        error.kind(),
        ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted
    )
}

fn admit(
    shared: &Arc<Shared>,
    stream: Stream,
    peer: Peer,
    tracker: &TaskTracker,
    stop: &CancellationToken,
) {
    let access = shared.access.load_full();
    let (shared, stop, stream) = (Arc::clone(shared), stop.clone(), Arc::new(stream));
    tracker.spawn(async move {
        let registry = &shared.registry;
        // A client that is not admitted in that time has given up too.
        let place = registry.place(peer, Some(&stream), &access.limits);
        let waiting = timeout(**access.limits.header_timeout, place);
        let place = tokio::select! {
            place = waiting => place.ok().flatten(),
            () = stop.cancelled() => return,
        };
        let Some(place) = place else {
            shared.stats.connection_rejected();
            if !access.is_tls() || peer.is_socket() {
                stream.try_write(TOO_MANY_CONNECTIONS).ok();
            }
            return;
        };
        let cut = place.cut.clone();
        // Boxed: many may wait for a place, and need little memory.
        let served = Box::pin(serve_connection(
            &shared, &access, stream, peer, &place, &stop,
        ));
        tokio::select! {
            () = cut.cancelled() => {}
            () = served => {}
        }
    });
}

/// Serves one connection, with its handshake.
async fn serve_connection(
    shared: &Arc<Shared>,
    access: &Access,
    stream: Arc<Stream>,
    peer: Peer,
    place: &Place,
    stop: &CancellationToken,
) {
    stream.prepare();
    let activity = Arc::clone(&place.activity);
    let connection = Connection {
        peer,
        activity: Arc::clone(&activity),
        stream: Arc::clone(&stream),
    };
    let stream = Watched::new(stream, activity, Arc::clone(&shared.registry));
    let tls = access.web.tls.as_ref().filter(|_| !peer.is_socket());
    let Some(tls) = tls else {
        return serve(shared, &access.limits, stream, &connection, stop, false).await;
    };
    match TlsAcceptor::from(Arc::clone(tls)).accept(stream).await {
        Ok(stream) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            if http2 {
                place.activity.set_http2();
            }
            serve(shared, &access.limits, stream, &connection, stop, http2).await;
        }
        Err(error) => {
            shared.stats.handshake_failed();
            tracing::debug!(%peer, %error, "TLS handshake failed");
        }
    }
}

async fn serve(
    shared: &Arc<Shared>,
    limits: &Limits,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    connection: &Connection,
    stop: &CancellationToken,
    http2: bool,
) {
    let service = service_fn(|request| Arc::clone(shared).handle(connection.clone(), request));
    let builder = protocol(limits, http2);
    let lines = RequestLines::new(stream, Arc::clone(&connection.activity), !http2);
    let served = builder.serve_connection_with_upgrades(TokioIo::new(lines), service);
    let mut served = std::pin::pin!(served);
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = %connection.peer, error, "connection failed");
    }
}

/// Sets the limits of the protocol; the timeouts are up to the reaper.
fn protocol(limits: &Limits, http2: bool) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    let head = *limits.max_header_bytes;
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .half_close(true)
        .max_buf_size(head as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(head)
        .max_concurrent_streams(16)
        .max_send_buf_size(64 * 1024)
        .max_pending_accept_reset_streams(16);
    if http2 {
        builder.http2_only()
    } else {
        builder.http1_only()
    }
}

/// Closes connections that have passed a timeout. Sleeps while there is none.
async fn reap(shared: Arc<Shared>, stop: CancellationToken) {
    let registry = &shared.registry;
    loop {
        let limits = shared.access.load().limits.clone();
        let next = registry.reap(&limits);
        let wait = async {
            match next {
                // A phase that begins meanwhile has a deadline of its own.
                Some(next) => sleep(next.min(limits.shortest_timeout()).max(REAP_PAUSE)).await,
                None => registry.occupied().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = wait => {}
        }
    }
}

/// Admits waiting connections, for which one that keeps the server waiting may give way.
async fn admit_waiting(shared: Arc<Shared>, stop: CancellationToken) {
    let registry = &shared.registry;
    let queued = async {
        loop {
            registry.crowded().await;
            sleep(QUEUE_INTERVAL).await;
            registry.admit_waiting();
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = queued => {}
    }
}

/// Waits until the files of the web configuration are to be looked at; for ever while there are none.
async fn until_renewal(access: &ArcSwap<Access>, applied: &Notify) {
    loop {
        let has_file = access.load().web_config_file().is_some();
        tokio::select! {
            () = sleep(RENEW_INTERVAL), if has_file => return,
            () = applied.notified() => {}
        }
    }
}

/// Reads the web configuration again after it or a certificate has changed.
async fn renew(shared: Arc<Shared>, stop: CancellationToken) {
    let mut last_error = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = until_renewal(&shared.access, &shared.access_applied) => {}
        }
        let before = shared.access.load_full();
        let current = Arc::clone(&before);
        let renewed = tokio::task::spawn_blocking(move || current.renewed()).await;
        match renewed {
            Ok(Ok(Some(access))) => {
                // A reload in between has read the files too.
                shared.access.compare_and_swap(&before, Arc::new(access));
                shared.access_changed(&before);
                tracing::info!("reloaded the web configuration");
                last_error = None;
            }
            Ok(Err(error)) if last_error.as_ref() != Some(&error) => {
                tracing::warn!(
                    %error,
                    "cannot reload the web configuration: keeping the old one"
                );
                last_error = Some(error);
            }
            Ok(Ok(None) | Err(_)) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(file: Option<std::path::PathBuf>) -> Access {
        let settings = Prometheus {
            web_config_file: file.map(Into::into),
            ..Prometheus::default()
        };
        Access::load(&settings).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn files_are_looked_at_once_a_reload_has_named_one() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("web.yml");
        std::fs::write(&file, "").unwrap();
        let current = ArcSwap::from_pointee(access(None));
        let applied = Notify::new();
        let renewal = until_renewal(&current, &applied);
        tokio::pin!(renewal);
        let hour = Duration::from_secs(3600);
        assert!(timeout(hour, &mut renewal).await.is_err(), "no file");
        current.store(Arc::new(access(Some(file))));
        applied.notify_one();
        timeout(RENEW_INTERVAL * 2, &mut renewal).await.unwrap();
    }
}
