//! Keeps the runtime file of this process, so that commands on this host find the agent.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bellwether_config::{self as config, Source};
use bellwether_files::durable::StateDirectory;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tracing::warn;

use super::{App, Launch};
use crate::runtime_file::{Announcement, Process, RunningAgent, client_url};

/// Interval at which the file is looked at: somebody may delete it, and a directory that was not
/// writable may be now.
const INTERVAL: Duration = Duration::from_secs(30);

/// Runtime file of this process.
pub(super) struct Announcer {
    /// `None`: there is no directory that this process may write to.
    directory: Option<PathBuf>,
    process: Process,
    state: Mutex<State>,
    /// Wakes [`App::keep_announced`] after a reload.
    pub(super) changed: Notify,
}

#[derive(Default)]
struct State {
    /// Written file with its content.
    written: Option<(Announcement, RunningAgent)>,
    /// The last write failed, and that was logged.
    failed: bool,
    /// The agent stops; nothing is written any more.
    closed: bool,
}

impl Announcer {
    /// Creates an announcer for the runtime directory, else for the state directory if this process
    /// owns it.
    pub(super) fn new(state: Option<&StateDirectory>, launch: &Launch) -> Self {
        let owned = state.filter(|state| !state.is_locked_by_other());
        let directory = config::runtime_directory(&|name| launch.environment(name))
            .or_else(|| owned.map(|state| state.path().to_owned()));
        if directory.is_none() {
            warn!(
                "there is no directory for the runtime file; hint: commands on this host need --url, or set \
                 RUNTIME_DIRECTORY"
            );
        }
        Self {
            directory,
            process: Process::current(),
            state: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Writes the file unless it exists with this content. Blocks.
    fn write(&self, agent: RunningAgent) {
        let Some(directory) = &self.directory else {
            return;
        };
        let mut state = self.state.lock();
        if state.closed {
            return;
        }
        let new = match &state.written {
            Some((file, content)) if *content == agent && file.exists() => Ok(None),
            Some((file, _)) => file.replace(&agent).map(|()| None),
            None => Announcement::create(directory, &agent).map(Some),
        };
        match new {
            Ok(new) => {
                let file = new.or_else(|| Some(state.written.take()?.0));
                state.written = file.map(|file| (file, agent));
                state.failed = false;
            }
            Err(error) if !state.failed => {
                state.failed = true;
                let directory = directory.display();
                warn!(
                    %directory, %error,
                    "cannot write the runtime file and will retry; hint: until then commands on this host need \
                     --url"
                );
            }
            Err(_) => {}
        }
    }

    /// Removes the file for good. Blocks.
    fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.written = None;
    }
}

impl App {
    /// Writes the runtime file.
    pub(super) async fn announce(&self) {
        let Some(agent) = self.running_agent() else {
            return;
        };
        let announcer = self.announcer.clone();
        tokio::task::spawn_blocking(move || announcer.write(agent))
            .await
            .ok();
    }

    /// Writes the runtime file after each reload, and when it is missing.
    pub(super) async fn keep_announced(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.announcer.changed.notified() => {}
            }
            self.announce().await;
        }
    }

    /// Removes the runtime file.
    pub(super) async fn withdraw(&self) {
        let announcer = self.announcer.clone();
        tokio::task::spawn_blocking(move || announcer.close())
            .await
            .ok();
    }

    /// Returns the content of the runtime file, once the server listens.
    fn running_agent(&self) -> Option<RunningAgent> {
        let endpoint = self.web.endpoint()?;
        let settings = &endpoint.settings;
        let socket = settings.control.socket.as_ref();
        let owned = self
            .state
            .as_ref()
            .filter(|state| !state.is_locked_by_other());
        let history = self.history_handle.as_ref();
        let alert_log = self.alert_log.as_ref();
        Some(RunningAgent {
            process: self.announcer.process.clone(),
            agent_version: env!("CARGO_PKG_VERSION").to_owned(),
            url: client_url(&settings.host, endpoint.port, endpoint.tls),
            tls: endpoint.tls,
            socket: socket.map(|socket| absolute(&socket.value.path)),
            web_config_file: settings
                .web_config_file
                .as_deref()
                .map(|file| absolute(file)),
            token_file: settings
                .control
                .token_file
                .as_deref()
                .map(|file| absolute(file)),
            configuration: match &self.launch.source {
                Source::File(_) => {
                    let active = self.current.load();
                    let files = active.plan.files.iter();
                    files.map(|file| absolute(&file.path)).collect()
                }
                Source::Embedded | Source::Demo => Vec::new(),
            },
            state_directory: owned.map(|state| absolute(state.path())),
            history_directory: history
                .and_then(|history| Some(absolute(&history.health().directory?))),
            alert_history_directory: alert_log
                .and_then(|log| Some(absolute(&log.health().directory?))),
        })
    }
}

/// Returns a path for processes with another working directory.
pub(super) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
