//! The listening socket and the life of connections, from accept to close.
//!
//! Owns accepting, the handshake, the reaper of overdue connections, the watch on renewed
//! certificates and the graceful stop. What a request gets is the handler's business.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener, lookup_host};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::access::Access;
use super::backend::Backend;
use super::handler::{Link, Shared};
use super::peer::Peer;
use super::registry::{LOOK, Place};
use super::request_line::RequestLines;
use super::settings::{Limits, LocalSocket, Prometheus};
use super::socket;
use super::stats::Stats;
use super::stream::Stream;
use super::watched::Watched;

/// How often the web configuration and its certificates are looked at.
const RENEWAL: Duration = Duration::from_secs(15);
/// How long accepting rests when the system has no descriptor left.
const REST: Duration = Duration::from_millis(100);
/// How long a cut connection may take to end when the server stops.
const LAST_BREATH: Duration = Duration::from_millis(500);
/// Connections the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;

/// What a client gets when all places are taken and too many wait for one.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n\r\ntoo many connections\n";

/// Why the server cannot listen.
#[derive(Debug)]
pub struct BindError {
    address: String,
    error: io::Error,
}

impl fmt::Display for BindError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reason, hint) = match self.error.kind() {
            io::ErrorKind::AddrInUse => (
                "address already in use".to_owned(),
                "another Bellwether, or Pushgateway, which has the same default port? \
                 choose another with --web.listen-address",
            ),
            io::ErrorKind::PermissionDenied if self.address.contains('/') => (
                "permission denied".to_owned(),
                "the folder of prometheus.control.socket must be writable, and its group one of \
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

/// A server that listens and does not answer yet.
pub struct Server {
    listener: Listener,
    shared: Arc<Shared>,
}

/// A listening socket.
enum Listener {
    Tcp(TcpListener),
    /// Its file goes with it.
    Unix {
        listener: UnixListener,
        _file: socket::File,
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
                Ok((Stream::Unix(stream), Peer::Socket))
            }
        }
    }
}

/// An open socket on which nobody answers yet.
#[derive(Debug)]
pub struct OpenSocket(TcpListener);

impl OpenSocket {
    /// Opens the socket that `settings` name.
    ///
    /// # Errors
    /// When the host has no address or the socket cannot be opened.
    pub async fn open(settings: &Prometheus) -> Result<Self, BindError> {
        let failed = |error| BindError {
            address: settings.address(),
            error,
        };
        let address = resolve(settings).await.map_err(failed)?;
        listen(address).map(Self).map_err(failed)
    }
}

/// Changes a server that runs.
#[derive(Clone)]
pub struct Handle(Arc<Shared>);

impl Handle {
    /// Swaps in limits, users, certificates and control rules. Connections stay, and the requests
    /// on them are judged by the new rules; `max_concurrent_pages` stays as it was.
    pub fn apply(&self, access: Access) {
        self.0.access.store(Arc::new(access));
    }

    /// Opens the Unix socket that `settings` name, for the same answers. Blocks on the file system.
    ///
    /// # Errors
    /// Another process listens on it, it cannot be made, or its owner cannot be set.
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
    /// When the host has no address or the socket cannot be opened.
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

    /// A server on a socket that is open.
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

    /// The address it listens on.
    ///
    /// # Errors
    /// When the system does not tell, or it is a Unix socket.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener) => listener.local_addr(),
            Listener::Unix { .. } => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// To change it while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(Arc::clone(&self.shared))
    }

    /// Answers until `stop`; then closes the socket, lets requests under way end for at most
    /// `drain`, and cuts what is left.
    pub async fn run(self, stop: CancellationToken, drain: Duration) {
        let Self { listener, shared } = self;
        let tracker = TaskTracker::new();
        let mut helpers = Vec::new();
        // The Unix socket has those of the address beside it.
        let alone = matches!(listener, Listener::Tcp(_));
        if alone {
            helpers.push(tokio::spawn(reap(Arc::clone(&shared), stop.child_token())));
            helpers.push(tokio::spawn(let_in(
                Arc::clone(&shared),
                stop.child_token(),
            )));
            helpers.push(tokio::spawn(renew(Arc::clone(&shared), stop.child_token())));
        }
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = listener.accept() => match accepted {
                    Ok((stream, peer)) => admit(&shared, stream, peer, &tracker, &stop),
                    Err(error) if is_of_connection(&error) => {}
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept connections");
                        shared.registry.evict_one();
                        sleep(REST).await;
                    }
                }
            }
        }
        drop(listener);
        if alone {
            shared.registry.close(true);
        }
        tracker.close();
        if timeout(drain, tracker.wait()).await.is_err() && alone {
            tracing::warn!(
                connections = tracker.len(),
                "requests did not end in time: cut"
            );
            shared.registry.close(false);
            timeout(LAST_BREATH, tracker.wait()).await.ok();
        }
        for helper in helpers {
            helper.await.ok();
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

/// Opens the socket. `::` serves IPv4 too, and alone where the system has no IPv6.
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

/// Whether an accept failed for a client that went away, not for the socket.
fn is_of_connection(error: &io::Error) -> bool {
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
        // A client that is not let in in that time has given up too.
        let place = registry.place(peer, Some(&stream), &access.limits);
        let waiting = timeout(**access.limits.header_timeout, place);
        let place = tokio::select! {
            place = waiting => place.ok().flatten(),
            () = stop.cancelled() => return,
        };
        let Some(place) = place else {
            shared.stats.one_rejected();
            if !access.is_tls() || peer == Peer::Socket {
                stream.try_write(FULL).ok();
            }
            return;
        };
        let cut = place.cut.clone();
        // Boxed: many may wait for a place, and need little memory.
        let served = Box::pin(connection(&shared, &access, stream, peer, &place, &stop));
        tokio::select! {
            () = cut.cancelled() => {}
            () = served => {}
        }
    });
}

/// Everything on one connection.
async fn connection(
    shared: &Arc<Shared>,
    access: &Access,
    stream: Arc<Stream>,
    peer: Peer,
    place: &Place,
    stop: &CancellationToken,
) {
    stream.prepare();
    let activity = Arc::clone(&place.activity);
    let link = Link {
        peer,
        activity: Arc::clone(&activity),
        stream: Arc::clone(&stream),
    };
    let stream = Watched::new(stream, activity, Arc::clone(&shared.registry));
    let tls = access.web.tls.as_ref().filter(|_| peer != Peer::Socket);
    let Some(tls) = tls else {
        return serve(shared, &access.limits, stream, &link, stop, false).await;
    };
    match TlsAcceptor::from(Arc::clone(tls)).accept(stream).await {
        Ok(stream) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            if http2 {
                place.activity.speaks_http2();
            }
            serve(shared, &access.limits, stream, &link, stop, http2).await;
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
    stream: impl AsyncRead + AsyncWrite + Unpin + 'static,
    link: &Link,
    stop: &CancellationToken,
    http2: bool,
) {
    let service = service_fn(|request| Arc::clone(shared).handle(link.clone(), request));
    let builder = protocol(limits, http2);
    let lines = RequestLines::new(stream, Arc::clone(&link.activity), !http2);
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(lines), service));
    let result = tokio::select! {
        result = served.as_mut() => result,
        () = stop.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(peer = %link.peer, error, "a connection ended badly");
    }
}

/// The protocol's own limits; the times are the reaper's business.
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

/// Closes connections that have passed a limit.
async fn reap(shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        let limits = shared.access.load().limits.clone();
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(limits.resolution()) => shared.registry.reap(&limits),
        }
    }
}

/// Lets in connections that wait, where one that keeps the server waiting may give way.
async fn let_in(shared: Arc<Shared>, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(LOOK) => shared.registry.let_in(),
        }
    }
}

/// Reads the web configuration again when it or a certificate has changed.
async fn renew(shared: Arc<Shared>, stop: CancellationToken) {
    let mut told = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep(RENEWAL) => {}
        }
        let before = shared.access.load_full();
        let looked_at = Arc::clone(&before);
        let renewed = tokio::task::spawn_blocking(move || looked_at.renewed()).await;
        match renewed {
            Ok(Ok(Some(access))) => {
                // A reload may have come in between; its reading is as new.
                shared.access.compare_and_swap(&before, Arc::new(access));
                tracing::info!("read the changed web configuration");
                told = None;
            }
            Ok(Err(error)) if told.as_ref() != Some(&error) => {
                tracing::warn!(
                    error,
                    "the changed web configuration is not usable: kept the old"
                );
                told = Some(error);
            }
            Ok(Ok(None) | Err(_)) | Err(_) => {}
        }
    }
}
