//! The address of a Bellwether: URL or Unix socket, and the place that it comes from.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use anyhow::Context;
use bellwether_config::Source;
use bellwether_schema::Secret;
use bellwether_server::Access;
use reqwest::Url;
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

use crate::cli::Global;
use crate::cli::running_agents::{FoundAgent, Search, Selection, select};
use bellwether_agent::runtime_file::client_url;

/// Settings that say how an agent is reached.
const SETTINGS: [&str; 4] = [
    "performance_monitor.prometheus.host",
    "performance_monitor.prometheus.port",
    "performance_monitor.prometheus.web_config_file",
    "performance_monitor.prometheus.control",
];

/// Address of a Bellwether.
pub(in crate::cli) struct Address {
    url: Url,
    /// Unix socket to use instead of the URL.
    pub(super) socket: Option<PathBuf>,
    /// File with the token of the agent on this host.
    pub(super) token_file: Option<PathBuf>,
    /// Web configuration file of the agent on this host.
    pub(super) web_config_file: Option<PathBuf>,
    pub(super) origin: Origin,
}

/// Place that an address comes from.
pub(in crate::cli) enum Origin {
    /// `--url`.
    Flag,
    /// `BELLWETHER_URL`.
    Variable,
    /// Runtime file of an agent that runs.
    Agent { file: PathBuf, pid: u32 },
    /// Configuration; no agent was found.
    Configuration { source: Source, search: Search },
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => out.write_str("--url"),
            Self::Variable => out.write_str("BELLWETHER_URL"),
            Self::Agent { file, pid } => write!(out, "{}, pid {pid}", file.display()),
            Self::Configuration { source, .. } => write!(out, "{source}"),
        }
    }
}

/// Returns whether the owner of the runtime file may read the token file, and nobody but root and this user can put
/// another file in its place. Else an agent whose user is compromised could have a command of root send it any file.
fn is_of_agent(token: &Path, runtime_file: &Path) -> bool {
    let this_user = rustix::process::getuid().as_raw();
    let is_safe = |directory: &Path| {
        fs::metadata(directory).is_ok_and(|directory| {
            let is_sticky = directory.mode() & 0o1000 != 0;
            [0, this_user].contains(&directory.uid())
                && (is_sticky || directory.mode() & 0o022 == 0)
        })
    };
    let Ok(token) = token.canonicalize() else {
        return false;
    };
    let (Ok(file), Ok(agent)) = (fs::metadata(&token), fs::metadata(runtime_file)) else {
        return false;
    };
    let may_read = match (file.uid() == agent.uid(), file.gid() == agent.gid()) {
        (true, _) => 0o400,
        (false, true) => 0o040,
        (false, false) => 0o004,
    };
    file.mode() & may_read != 0 && token.ancestors().skip(1).all(is_safe)
}

impl Address {
    /// Parses a URL; the default scheme is HTTP.
    ///
    /// # Errors
    /// It is not an HTTP URL.
    pub(in crate::cli) fn parse(text: &str, origin: Origin) -> anyhow::Result<Self> {
        let url = parse_url(text).map_err(|error| {
            anyhow::anyhow!("{origin}: {error}; hint: host:9091 or https://host:9091")
        })?;
        Ok(Self {
            url,
            socket: None,
            token_file: None,
            web_config_file: None,
            origin,
        })
    }

    /// Returns the address of the agent that runs on this host, else that of the configuration.
    ///
    /// # Errors
    /// Several agents run, or the configuration does not say where one listens.
    pub(super) fn of_host(global: &Global) -> anyhow::Result<Self> {
        match select(global, "--config FILE or --url URL")? {
            Selection::Agent(found) => Self::of_agent(*found),
            Selection::None(search) => Self::of_configuration(global, search),
        }
    }

    /// Returns the address of a running agent.
    ///
    /// # Errors
    /// Its runtime file has an invalid URL.
    pub(in crate::cli) fn of_agent(found: FoundAgent) -> anyhow::Result<Self> {
        let FoundAgent { file, agent } = found;
        let pid = agent.process.pid;
        let url = parse_url(&agent.url)
            .map_err(|error| anyhow::anyhow!("{}: {error}", file.display()))?;
        Ok(Self {
            url,
            socket: agent.socket.filter(|socket| may_open(socket)),
            token_file: agent.token_file.filter(|token| is_of_agent(token, &file)),
            web_config_file: agent.web_config_file,
            origin: Origin::Agent { file, pid },
        })
    }

    fn of_configuration(global: &Global, search: Search) -> anyhow::Result<Self> {
        let root = global.settings_with(&SETTINGS).with_context(|| {
            let unreadable = search.unreadable();
            let lines = unreadable.iter().map(|line| format!("{line}\n"));
            let lines = lines.collect::<String>();
            format!("{lines}no --url, and no configuration that says where the agent listens")
        })?;
        let web = &root.performance_monitor.prometheus;
        // A user who may not read the files of the server most likely may not read its key.
        let tls = Access::load(web).map_or(web.web_config_file.is_some(), |web| web.is_tls());
        let socket = web.control.socket.as_ref();
        Ok(Self {
            url: parse_url(&client_url(&web.host, web.port, tls))?,
            socket: socket
                .map(|socket| socket.value.path.clone())
                .filter(|socket| may_open(socket)),
            token_file: web.control.token_file.as_deref().cloned(),
            web_config_file: web.web_config_file.as_deref().cloned(),
            origin: Origin::Configuration {
                source: global.source(),
                search,
            },
        })
    }

    /// Returns the URL that the paths of requests are appended to.
    pub(super) fn base(&self) -> String {
        match self.socket {
            Some(_) => "http://localhost".to_owned(),
            None => self.url.as_str().trim_end_matches('/').to_owned(),
        }
    }

    /// Formats the address without user and password.
    pub(in crate::cli) fn shown(&self) -> String {
        if let Some(socket) = &self.socket {
            return socket.display().to_string();
        }
        let mut url = self.url.clone();
        url.set_username("").ok();
        url.set_password(None).ok();
        url.as_str().trim_end_matches('/').to_owned()
    }

    /// Returns whether requests go over TLS.
    pub(super) fn is_tls(&self) -> bool {
        self.socket.is_none() && self.url.scheme() == "https"
    }

    /// Returns the user in the URL.
    pub(super) fn user(&self) -> Option<&str> {
        Some(self.url.username()).filter(|user| !user.is_empty())
    }

    /// Returns the port.
    pub(super) fn port(&self) -> u16 {
        self.url.port_or_known_default().unwrap_or_default()
    }
}

/// Returns whether an agent listens on `socket` and this user may connect to it. Does not wait for an
/// agent that hangs.
fn may_open(socket: &Path) -> bool {
    let connect = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let client = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&client, &SocketAddrUnix::new(socket)?)
    };
    // Others wait to be accepted: the request will report how long.
    matches!(connect(), Ok(()) | Err(Errno::AGAIN))
}

fn parse_url(text: &str) -> Result<Url, bellwether_http::HttpError> {
    let text = text.trim();
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("http://{text}"),
    };
    bellwether_http::parse_url(&Secret::new(whole))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_token_file_that_others_can_replace_is_not_that_of_an_agent() {
        let folder = tempfile::tempdir().unwrap();
        let [directory, runtime_file] =
            ["etc", "agent-1.json"].map(|name| folder.path().join(name));
        let token = directory.join("token");
        fs::create_dir(&directory).unwrap();
        fs::write(&runtime_file, "{}").unwrap();
        fs::write(&token, "s3cret").unwrap();
        let mode = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        mode(&directory, 0o755);
        mode(&token, 0o600);
        assert!(is_of_agent(&token, &runtime_file));
        mode(&directory, 0o777);
        assert!(!is_of_agent(&token, &runtime_file), "a directory of all");
        mode(&directory, 0o755);
        // Of another user, as /etc/shadow is to an agent.
        if rustix::process::getuid().is_root() {
            let agent = Some(4242);
            std::os::unix::fs::chown(&runtime_file, agent, agent).unwrap();
            let link = folder.path().join("link");
            symlink(&token, &link).unwrap();
            assert!(!is_of_agent(&token, &runtime_file), "only root may read it");
            assert!(!is_of_agent(&link, &runtime_file), "through a link");
            std::os::unix::fs::chown(&token, None, agent).unwrap();
            mode(&token, 0o640);
            assert!(is_of_agent(&token, &runtime_file), "its group may read it");
        }
    }

    #[test]
    fn an_address_needs_no_scheme_and_is_shown_without_its_password() {
        for (text, url) in [
            ("localhost:9391", "http://localhost:9391"),
            ("http://h:1/", "http://h:1"),
            ("https://user:pass@h:1/sub/", "https://h:1/sub"),
            ("[::1]:9091", "http://[::1]:9091"),
            ("10.0.0.1", "http://10.0.0.1"),
        ] {
            let address = Address::parse(text, Origin::Flag).unwrap();
            assert_eq!(address.shown(), url, "{text}");
        }
        for (text, origin, error) in [
            ("ftp://h", Origin::Flag, "--url: not an HTTP URL"),
            ("http://", Origin::Variable, "BELLWETHER_URL: not a URL"),
        ] {
            let found = Address::parse(text, origin).err().unwrap().to_string();
            assert!(found.starts_with(error), "{text}: {found}");
        }
    }
}
