//! Web configuration file: TLS, client certificates, users, roles, headers, rate limit.
//!
//! Owns the file in the format of Prometheus's exporter-toolkit, its checks, and what is built from
//! it. Reads files only in [`Web::load`] and [`Web::changed`]; call both on a blocking thread.

mod san;
pub(super) mod settings;
mod tls;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_files as files;
use bellwether_schema::{
    Decode, DecodeContext, Diagnostic, Diagnostics, SourceLocation, Spanned, parse,
};
use hyper::header::{HeaderName, HeaderValue};
use rustls::ServerConfig;

use self::settings::SessionSettings;
pub use self::settings::WebConfig;
use super::control::UNREADABLE;
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
    path: Option<Spanned<PathBuf>>,
    /// The file and those that it names, with their stamps when they were read.
    files: Vec<(PathBuf, Stamp)>,
}

/// Modification time and size, which change when a file is replaced or written.
type Stamp = Option<(SystemTime, u64)>;

impl Web {
    /// Reads the file at `path` and the files that it names; relative paths are relative to the file.
    ///
    /// # Errors
    /// The file cannot be read, at the location of `path`; else all errors, each with its location in the file.
    pub fn load(path: &Spanned<PathBuf>) -> Result<Self, Vec<Diagnostic>> {
        // The stamp comes first: what changes while it is read is read again.
        let stamp = stamp(path);
        let mut problems = Diagnostics::default();
        let text = match files::read_text(path, files::SMALL) {
            Ok(text) => text,
            Err(error) => {
                let message = format!("cannot read {}: {error}", path.display());
                problems.error(&path.at, message).hint(UNREADABLE);
                return Err(problems.into_sorted());
            }
        };
        let web = Self::parse(path, &text, stamp, &mut problems);
        match web {
            Some(web) if problems.is_empty() => Ok(web),
            _ => {
                let mut problems = problems.into_sorted();
                for problem in &mut problems {
                    problem.location.file = Some(path.to_string_lossy().into());
                }
                Err(problems)
            }
        }
    }

    fn parse(
        path: &Spanned<PathBuf>,
        text: &str,
        stamp_of_config: Stamp,
        problems: &mut Diagnostics,
    ) -> Option<Self> {
        let node = parse(text)
            .map_err(|error| {
                let at = SourceLocation {
                    pos: error.at,
                    ..SourceLocation::default()
                };
                problems.error(&at, error.message);
            })
            .ok()?;
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
            path: Some(path.clone()),
            files: [(path.value.clone(), stamp_of_config)]
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
    pub(crate) fn path(&self) -> Option<&Spanned<PathBuf>> {
        self.path.as_ref()
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
