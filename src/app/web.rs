//! The page's server over reloads: its rules change in place, its socket only if the address does.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::server::{Access, Backend, Handle, OpenSocket, Prometheus, Server, Stats};

/// How long requests under way may take to end when the server stops.
const LAST_REQUESTS: Duration = Duration::from_secs(2);

/// The server that runs, if one does.
#[derive(Default)]
pub(super) struct Web {
    stats: Arc<Stats>,
    open: Mutex<Option<Open>>,
}

struct Open {
    settings: Prometheus,
    handle: Handle,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Web {
    /// What the server counts, over all reloads.
    pub(super) fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Opens the socket that `settings` name, before anything else is touched, and looks whether
    /// their files are good.
    ///
    /// # Errors
    /// A file is wrong or the socket cannot be opened.
    pub(super) async fn socket(settings: &Prometheus) -> Result<OpenSocket, String> {
        load(settings).await?;
        OpenSocket::open(settings).await.map_err(|error| error.to_string())
    }

    /// Serves as `settings` say from now on, on `socket` if one is open already. Where the address
    /// stays the same, connections stay.
    ///
    /// # Errors
    /// A file is wrong or the socket cannot be opened; then all stays as it was.
    pub(super) async fn open(
        &self,
        settings: &Prometheus,
        backend: Arc<dyn Backend>,
        socket: Option<OpenSocket>,
    ) -> Result<(), String> {
        let access = load(settings).await?;
        if let Some(open) = &mut *self.open.lock()
            && open.settings.host == settings.host
            && open.settings.port == settings.port
        {
            open.handle.apply(access);
            open.settings = settings.clone();
            return Ok(());
        }
        let socket = match socket {
            Some(socket) => socket,
            None => OpenSocket::open(settings).await.map_err(|error| error.to_string())?,
        };
        let server = Server::on(socket, access, backend, self.stats.clone());
        let address = server.local_addr().map_err(|error| error.to_string())?;
        info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
        let stop = CancellationToken::new();
        let handle = server.handle();
        let task = tokio::spawn(server.run(stop.clone(), LAST_REQUESTS));
        let open = Open { settings: settings.clone(), handle, stop, task };
        if let Some(old) = self.open.lock().replace(open) {
            // It ends its requests on its own: the one that asked for this reload is among them.
            old.stop.cancel();
        }
        Ok(())
    }

    /// Stops serving; requests under way end first.
    pub(super) async fn close(&self) {
        let open = self.open.lock().take();
        if let Some(Open { stop, task, .. }) = open {
            stop.cancel();
            timeout(LAST_REQUESTS * 2, task).await.ok();
        }
    }
}

/// The files of the page.
async fn load(settings: &Prometheus) -> Result<Access, String> {
    let settings = settings.clone();
    let access = tokio::task::spawn_blocking(move || Access::load(&settings)).await;
    access.map_err(|error| error.to_string())?
}
