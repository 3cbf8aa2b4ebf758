//! The HTTP server over reloads: rules change in place, the socket only if the address changes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_config::{Report, Source};
use bellwether_server::{
    Access, Backend, Handle, LocalSocket, OpenSocket, Prometheus, Server, Stats,
};
use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

/// Time for running requests to end when the server stops.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// Running server, if any.
#[derive(Default)]
pub(super) struct Web {
    /// Counters over all reloads.
    pub(super) stats: Arc<Stats>,
    open: Mutex<Option<Open>>,
}

/// Place and protocol of a server that listens.
pub(super) struct Endpoint {
    pub(super) settings: Prometheus,
    pub(super) port: u16,
    pub(super) tls: bool,
}

struct Open {
    settings: Prometheus,
    /// Address that it listens on.
    address: SocketAddr,
    tls: bool,
    handle: Handle,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// The Unix socket beside the address.
    local: Option<Local>,
}

struct Local {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Open {
    /// Returns the handle if the address is that of `settings`, and whether the Unix socket is the
    /// same.
    fn stays(&self, settings: &Prometheus) -> Option<(Handle, bool)> {
        let same = self.settings.host == settings.host && self.settings.port == settings.port;
        let socket = |settings: &Prometheus| {
            settings
                .control
                .socket
                .as_ref()
                .map(|socket| socket.value.clone())
        };
        same.then(|| {
            (
                self.handle.clone(),
                socket(&self.settings) == socket(settings),
            )
        })
    }
}

impl Local {
    /// Binds and serves the Unix socket, if `settings` name one.
    async fn new(settings: Option<&LocalSocket>, handle: &Handle) -> anyhow::Result<Option<Self>> {
        let Some(settings) = settings.cloned() else {
            return Ok(None);
        };
        let (path, handle) = (settings.path.clone(), handle.clone());
        let binding = tokio::task::spawn_blocking(move || handle.bind_socket(&settings));
        let server = binding.await??;
        info!(path = %path.display(), "listening");
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(stop.clone(), LAST_REQUESTS));
        Ok(Some(Self { stop, task }))
    }
}

impl Web {
    /// Opens the socket of `settings` before anything else is changed, and checks their files. Errors of these name
    /// `source`.
    ///
    /// # Errors
    /// A file is invalid or the socket cannot be opened.
    pub(super) async fn socket(
        settings: &Prometheus,
        source: &Source,
    ) -> anyhow::Result<OpenSocket> {
        load(settings, source).await?;
        Ok(OpenSocket::open(settings).await?)
    }

    /// Applies `settings`, on `socket` if one is open already. Connections stay open if the address
    /// stays the same. Errors of files name `source`.
    ///
    /// # Errors
    /// A file is invalid or the socket cannot be opened; nothing was changed.
    pub(super) async fn open(
        &self,
        settings: &Prometheus,
        source: &Source,
        backend: Arc<dyn Backend>,
        socket: Option<OpenSocket>,
    ) -> anyhow::Result<()> {
        let access = load(settings, source).await?;
        let local = settings.control.socket.as_ref().map(|socket| &socket.value);
        let same = self
            .open
            .lock()
            .as_ref()
            .and_then(|open| open.stays(settings));
        if let Some((handle, same_socket)) = same {
            let local = if same_socket {
                None
            } else {
                Some(Local::new(local, &handle).await?)
            };
            self.apply(settings, access, local);
            return Ok(());
        }
        let socket = match socket {
            Some(socket) => socket,
            None => OpenSocket::open(settings).await?,
        };
        let tls = access.is_tls();
        let server = Server::on(socket, access, backend, self.stats.clone());
        let address = server.local_addr()?;
        let handle = server.handle();
        let local = Local::new(local, &handle).await?;
        info!(%address, "listening");
        let stop = CancellationToken::new();
        let task = tokio::spawn(server.run(stop.clone(), LAST_REQUESTS));
        let open = Open {
            settings: settings.clone(),
            address,
            tls,
            handle,
            stop,
            task,
            local,
        };
        if let Some(old) = self.open.lock().replace(open) {
            // It ends its requests on its own: the one that asked for this reload is among them.
            old.stop.cancel();
            if let Some(local) = old.local {
                local.stop.cancel();
            }
        }
        Ok(())
    }

    /// Applies settings to the open server. `local` replaces its Unix socket, if it is given.
    fn apply(&self, settings: &Prometheus, access: Access, local: Option<Option<Local>>) {
        let mut open = self.open.lock();
        let Some(open) = &mut *open else { return };
        open.tls = access.is_tls();
        open.handle.apply(access);
        open.settings = settings.clone();
        if let Some(new) = local
            && let Some(old) = std::mem::replace(&mut open.local, new)
        {
            old.stop.cancel();
        }
    }

    /// Returns the handle of the server, if it listens.
    pub(super) fn handle(&self) -> Option<Handle> {
        let open = self.open.lock();
        open.as_ref().map(|open| open.handle.clone())
    }

    /// Returns the endpoint of the server, if it listens.
    pub(super) fn endpoint(&self) -> Option<Endpoint> {
        let open = self.open.lock();
        open.as_ref().map(|open| Endpoint {
            settings: open.settings.clone(),
            port: open.address.port(),
            tls: open.tls,
        })
    }

    /// Returns the URL to open in a browser; empty if nothing listens.
    pub(super) fn url(&self) -> String {
        let open = self.open.lock();
        let Some(open) = &*open else {
            return String::new();
        };
        let scheme = if open.tls { "https" } else { "http" };
        let this_host = rustix::system::uname();
        url(
            scheme,
            open.address,
            &this_host.nodename().to_string_lossy(),
        )
    }

    /// Stops serving after running requests end.
    pub(super) async fn close(&self) {
        let open = self.open.lock().take();
        if let Some(Open {
            stop, task, local, ..
        }) = open
        {
            stop.cancel();
            if let Some(local) = local {
                local.stop.cancel();
                timeout(LAST_REQUESTS * 2, local.task).await.ok();
            }
            timeout(LAST_REQUESTS * 2, task).await.ok();
        }
    }
}

/// Returns the URL of a server that listens on `address`; one that listens everywhere is called by the name of the
/// host.
fn url(scheme: &str, address: SocketAddr, this_host: &str) -> String {
    if address.ip().is_unspecified() {
        return format!("{scheme}://{this_host}:{}/", address.port());
    }
    format!("{scheme}://{address}/")
}

/// Loads the files that the settings name.
async fn load(settings: &Prometheus, source: &Source) -> anyhow::Result<Access> {
    let settings = settings.clone();
    let access = tokio::task::spawn_blocking(move || Access::load(&settings)).await?;
    Ok(access.map_err(|error| Report {
        source: source.clone(),
        problems: error.problems,
    })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_one_to_open() {
        for (address, expected) in [
            ("0.0.0.0:9091", "http://db-1:9091/"),
            ("[::]:9091", "http://db-1:9091/"),
            ("127.0.0.1:80", "http://127.0.0.1:80/"),
            ("[fd00::1]:9091", "http://[fd00::1]:9091/"),
        ] {
            assert_eq!(url("http", address.parse().unwrap(), "db-1"), expected);
        }
    }
}
