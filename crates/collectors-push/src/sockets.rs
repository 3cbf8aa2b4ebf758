//! Sockets on which lines arrive: UDP, TCP, and Unix sockets of datagrams or of a stream.
//!
//! Owns the sockets, their tasks and their limits; a [`LineReceiver`] owns the meaning of lines. Each connection has a task,
//! so a client that is slow costs itself alone.

mod endpoint;
mod packets;
mod stream;

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bellwether_core::Now;
use bellwether_files::socket::SocketFile;
use bellwether_runtime::Clock;
pub(crate) use endpoint::{Endpoint, StreamSockets, check_address};
use parking_lot::Mutex;
use tokio_util::task::AbortOnDropHandle;
use tracing::info;

/// Receiver of lines.
pub(crate) trait LineReceiver: Send + Sync + 'static {
    /// Receives the lines of a packet, or lines of a connection, at the time `now`.
    fn receive(&self, lines: &[u8], now: Now);
}

/// Numbers of what arrived.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) udp_packets: AtomicU64,
    pub(crate) unix_packets: AtomicU64,
    pub(crate) connections: AtomicU64,
    /// Connections that were closed because there were too many.
    pub(crate) rejected_connections: AtomicU64,
    /// Connections that ended with an error.
    pub(crate) failed_connections: AtomicU64,
    /// Lines that were longer than the limit.
    pub(crate) long_lines: AtomicU64,
}

/// Open sockets. They outlive a reload.
#[derive(Debug, Default)]
pub(crate) struct Sockets {
    open: Mutex<BTreeMap<Endpoint, Open>>,
    pub(crate) totals: Arc<Totals>,
}

/// An open socket; closed when dropped.
#[derive(Debug)]
pub(crate) struct Open {
    _task: AbortOnDropHandle<()>,
    _file: Option<SocketFile>,
}

/// State that the tasks of a socket share.
#[derive(Clone)]
struct Context {
    receiver: Arc<dyn LineReceiver>,
    totals: Arc<Totals>,
    clock: Clock,
}

impl Sockets {
    /// Opens those of `endpoints` that are not open, and closes all others. Returns the errors.
    pub(crate) async fn listen(
        &self,
        endpoints: &[Endpoint],
        receiver: &Arc<dyn LineReceiver>,
        now: Now,
    ) -> Vec<String> {
        let (mut opened, mut errors) = (Vec::new(), Vec::new());
        for endpoint in endpoints {
            match self.open(endpoint, receiver, now).await {
                Ok(open) => opened.extend(open.map(|open| (endpoint.clone(), open))),
                Err(error) => errors.push(format!("cannot listen on {endpoint}: {error}")),
            }
        }
        self.replace(endpoints, opened);
        errors
    }

    /// Opens the socket of `endpoint`; `None` if it is open already. Times of lines are of the clock of `now`.
    ///
    /// # Errors
    /// The address cannot be resolved or bound.
    pub(crate) async fn open(
        &self,
        endpoint: &Endpoint,
        receiver: &Arc<dyn LineReceiver>,
        now: Now,
    ) -> io::Result<Option<Open>> {
        if self.open.lock().contains_key(endpoint) || self.change_mode(endpoint)? {
            return Ok(None);
        }
        let context = Context {
            receiver: receiver.clone(),
            totals: self.totals.clone(),
            clock: Clock::continuing(now),
        };
        let open = match endpoint {
            Endpoint::Udp(address) => Open::task(packets::udp(address, context).await?),
            Endpoint::Tcp(address) => Open::task(stream::tcp(address, context).await?),
            Endpoint::Unix { path, mode } => {
                let (task, file) = packets::unix(path, *mode, context)?;
                Open::file(task, file)
            }
            Endpoint::UnixStream { path, mode } => {
                let (task, file) = stream::unix(path, *mode, context)?;
                Open::file(task, file)
            }
        };
        info!(%endpoint, "listening");
        Ok(Some(open))
    }

    /// Changes the mode of a socket's file, if the socket is open with another one. Returns whether it is.
    fn change_mode(&self, endpoint: &Endpoint) -> io::Result<bool> {
        let Some((path, mode)) = endpoint.file() else {
            return Ok(false);
        };
        let mut open = self.open.lock();
        let Some(other) = open.keys().find(|other| other.is_same_socket(endpoint)) else {
            return Ok(false);
        };
        let other = other.clone();
        fs::set_permissions(path, Permissions::from_mode(mode))?;
        if let Some(socket) = open.remove(&other) {
            open.insert(endpoint.clone(), socket);
        }
        Ok(true)
    }

    /// Adds sockets, and closes those that are none of `endpoints`.
    pub(crate) fn replace(&self, endpoints: &[Endpoint], opened: Vec<(Endpoint, Open)>) {
        let mut open = self.open.lock();
        open.retain(|endpoint, _| endpoints.contains(endpoint));
        open.extend(opened);
    }
}

impl Open {
    fn task(task: impl Future<Output = ()> + Send + 'static) -> Self {
        Self {
            _task: AbortOnDropHandle::new(tokio::spawn(task)),
            _file: None,
        }
    }

    fn file(task: impl Future<Output = ()> + Send + 'static, file: SocketFile) -> Self {
        Self {
            _file: Some(file),
            ..Self::task(task)
        }
    }
}

impl Context {
    fn receive(&self, lines: &[u8]) {
        self.receiver.receive(lines, self.clock.now());
    }
}

/// Adds one.
fn count(total: &AtomicU64) {
    total.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests;
