//! Sockets of connections: lines over TCP, and DogStatsD's packets over Unix sockets.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bellwether_files::socket::SocketFile;
use memchr::{memchr, memrchr};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::warn;

use super::{Context, count};

/// Longest line, and longest packet.
pub(super) const MAX_LINE: usize = 65_536;
/// Connections of one socket.
pub(super) const MAX_CONNECTIONS: usize = 1000;
/// Bytes that are read at once.
const CHUNK: usize = 8192;
/// Time without a byte after which a peer is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// Pause after an error.
const PAUSE: Duration = Duration::from_secs(1);

/// Listens on `address`, and returns the task that accepts connections.
pub(super) async fn tcp(
    address: &str,
    context: Context,
) -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let listener = TcpListener::bind(address).await?;
    Ok(async move {
        let mut connections = Connections::new(context);
        loop {
            let accepted = listener.accept().await.map(|(stream, _)| {
                let keepalive = TcpKeepalive::new().with_time(KEEPALIVE);
                // Without it the connection of a host that is gone stays.
                SockRef::from(&stream).set_tcp_keepalive(&keepalive).ok();
                stream
            });
            connections.serve(accepted, lines).await;
        }
    })
}

/// Listens on a socket at `path`, and returns the task that accepts connections.
pub(super) fn unix(
    path: &Path,
    mode: u32,
    context: Context,
) -> io::Result<(impl Future<Output = ()> + Send + 'static, SocketFile)> {
    let in_use = |path: &Path| std::os::unix::net::UnixStream::connect(path).is_ok();
    let (listener, file) = SocketFile::bind(path, mode, in_use, UnixListener::bind)?;
    let task = async move {
        let mut connections = Connections::new(context);
        loop {
            let accepted = listener.accept().await.map(|(stream, _)| stream);
            connections.serve(accepted, packets).await;
        }
    };
    Ok((task, file))
}

/// Connections of a socket; they end with it.
struct Connections {
    context: Context,
    free: Arc<Semaphore>,
    tasks: JoinSet<()>,
}

impl Connections {
    fn new(context: Context) -> Self {
        Self {
            context,
            free: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            tasks: JoinSet::new(),
        }
    }

    /// Serves a connection in a task of its own.
    async fn serve<S: Send + 'static, F>(
        &mut self,
        accepted: io::Result<S>,
        read: impl FnOnce(S, Context) -> F,
    ) where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        while self.tasks.try_join_next().is_some() {}
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                warn!(%error, "cannot accept a connection; trying again");
                return sleep(PAUSE).await;
            }
        };
        let Ok(permit) = self.free.clone().try_acquire_owned() else {
            return count(&self.context.totals.rejected_connections);
        };
        let context = self.context.clone();
        count(&context.totals.connections);
        let reading = read(stream, context.clone());
        self.tasks.spawn(async move {
            let _permit = permit;
            if reading.await.is_err() {
                count(&context.totals.failed_connections);
            }
        });
    }
}

/// Reads lines until the end. A line that is too long is skipped.
pub(super) async fn lines(mut stream: impl AsyncRead + Unpin, context: Context) -> io::Result<()> {
    let mut buffer = Vec::new();
    let mut is_skipping = false;
    loop {
        buffer.reserve(CHUNK);
        if stream.read_buf(&mut buffer).await? == 0 {
            break;
        }
        if is_skipping {
            let Some(end) = memchr(b'\n', &buffer) else {
                buffer.clear();
                continue;
            };
            buffer.drain(..=end);
            is_skipping = false;
        }
        if let Some(end) = memrchr(b'\n', &buffer) {
            context.receive(&buffer[..end]);
            buffer.drain(..=end);
        }
        if buffer.len() > MAX_LINE {
            count(&context.totals.long_lines);
            buffer = Vec::new();
            is_skipping = true;
        }
    }
    if !buffer.is_empty() {
        context.receive(&buffer);
    }
    Ok(())
}

/// Reads packets until the end: four bytes with the length, the lowest first, before each.
pub(super) async fn packets(
    mut stream: impl AsyncRead + Unpin,
    context: Context,
) -> io::Result<()> {
    let mut packet = Vec::new();
    loop {
        let length = match stream.read_u32_le().await {
            Ok(length) => length as usize,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        if length > MAX_LINE {
            count(&context.totals.long_lines);
            return Err(io::ErrorKind::InvalidData.into());
        }
        packet.resize(length, 0);
        stream.read_exact(&mut packet).await?;
        count(&context.totals.unix_packets);
        context.receive(&packet);
    }
}
