//! Web configuration file: TLS, client certificates, users, roles, headers, rate limit.
//!
//! Owns the file in the format of Prometheus's exporter-toolkit, its checks, and what is built from
//! it. Reads files only in [`Web::load`] and [`Web::changed`]; call both on a blocking thread.

mod san;
pub(super) mod settings;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_files as files;
use bellwether_schema::{Decode, DecodeContext, Diagnostic, Diagnostics, Node, SourceLocation};
use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use self::settings::SessionSettings;
pub use self::settings::WebConfig;
use super::proxy::Proxies;
use super::rate::RateLimiter;
use super::role::Role;
use super::users::Users;

/// Web configuration, ready to use. The default is plain HTTP without users.
#[derive(Default)]
pub struct Web {
    /// None for plain HTTP.
    pub(crate) tls: Option<Arc<ServerConfig>>,
    /// None if no password is needed.
    pub(crate) users: Option<Users>,
    /// Roles by user; empty if the file has none.
    roles: BTreeMap<String, Role>,
    pub(crate) sessions: SessionSettings,
    pub(crate) proxies: Proxies,
    /// Headers of every response.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) rate: Option<RateLimiter>,
    path: Option<PathBuf>,
    /// The file and those that it names, with their stamps when they were read.
    files: Vec<(PathBuf, Stamp)>,
}

/// Modification time and size, which change when a file is replaced or written.
type Stamp = Option<(SystemTime, u64)>;

/// Errors in a web configuration file.
#[derive(Debug, PartialEq)]
pub struct WebError {
    pub file: PathBuf,
    /// Errors in the order of the file.
    pub problems: Vec<Diagnostic>,
}

impl fmt::Display for WebError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            let space = if problem.location.pos.line > 0 {
                ""
            } else {
                " "
            };
            write!(out, "{separator}{}:{space}{problem}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for WebError {}

impl Web {
    /// Reads `path` and the files that it names; relative paths are relative to `path`.
    ///
    /// # Errors
    /// All errors, each with its location.
    pub fn load(path: &Path) -> Result<Self, WebError> {
        let mut problems = Diagnostics::default();
        let web = Self::read(path, &mut problems);
        match web {
            Some(web) if problems.is_empty() => Ok(web),
            _ => Err(WebError {
                file: path.to_owned(),
                problems: problems.into_sorted(),
            }),
        }
    }

    fn read(path: &Path, problems: &mut Diagnostics) -> Option<Self> {
        // The stamps come first: what changes while it is read is read again.
        let stamp_of_config = stamp(path);
        let node = read_node(path, problems)?;
        let config = WebConfig::decode(
            &node,
            &mut DecodeContext::new(problems, &|name| std::env::var_os(name)),
        )?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let named = config.files().map(|file| directory.join(file));
        let files = named
            .map(|file| (file.clone(), stamp(&file)))
            .collect::<Vec<_>>();
        let headers = settings::headers(&config.http_server_config, problems);
        let users = Users::new(&config.basic_auth_users, problems);
        check_roles(&config, problems);
        config.sessions.check(&config.sessions.at, problems);
        let roles = config.roles.iter();
        let roles = roles.map(|(user, role)| (user.clone(), **role)).collect();
        let proxies = Proxies::new(&config.trusted_proxies, problems);
        let rate = config
            .rate_limit
            .as_ref()
            .and_then(|rate| RateLimiter::new(rate, problems));
        let http2 = config.http_server_config.http2;
        let tls = match &config.tls_server_config {
            Some(tls) => Some(tls::build(tls, http2, directory, problems)?),
            None => None,
        };
        Some(Self {
            tls,
            users,
            roles,
            sessions: config.sessions.value,
            proxies,
            headers,
            rate,
            path: Some(path.to_owned()),
            files: [(path.to_owned(), stamp_of_config)]
                .into_iter()
                .chain(files)
                .collect(),
        })
    }

    /// Returns the role of a user; none if the file has no roles at all.
    pub(crate) fn role(&self, user: &str) -> Option<Role> {
        let role = self.roles.get(user).copied();
        (!self.roles.is_empty()).then(|| role.unwrap_or(Role::Viewer))
    }

    /// File that it was read from.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Returns true if `other` was read from the same files, which had not changed.
    pub(crate) fn is_unchanged_in(&self, other: &Self) -> bool {
        self.path == other.path && self.files == other.files
    }

    /// Returns true if the file or one that it names has changed: certificates are renewed without
    /// a reload.
    pub(crate) fn changed(&self) -> bool {
        self.files
            .iter()
            .any(|(path, before)| stamp(path) != *before)
    }
}

/// Finds roles of nobody. Users whom a proxy names are not known.
fn check_roles(config: &WebConfig, problems: &mut Diagnostics) {
    if !config.trusted_proxies.networks.is_empty() {
        return;
    }
    for (user, role) in &config.roles {
        if !config.basic_auth_users.contains_key(user) {
            problems
                .error(&role.at, format!("no user {user:?} in basic_auth_users"))
                .hint("add the user with a password, or set trusted_proxies");
        }
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// Reads and parses the file at `path`. A failure goes to `problems`.
fn read_node(path: &Path, problems: &mut Diagnostics) -> Option<Node> {
    let mut at = SourceLocation::default();
    let message = match files::read_text(path, files::SMALL) {
        Err(error) => format!("cannot read: {error}"),
        Ok(text) => match bellwether_schema::parse(&text) {
            Ok(node) => return Some(node),
            Err(error) => {
                at.pos = error.at;
                error.message
            }
        },
    };
    problems.error(&at, message);
    None
}
