//! The web configuration file: TLS, client certificates, users, headers, rate.
//!
//! Owns the file in the form of Prometheus' exporter-toolkit, its checks, and what is built from
//! it. Reads files only in [`Web::load`] and [`Web::changed`]; call both on a blocking thread.

mod rate;
mod san;
mod settings;
mod tls;
mod users;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use bellwether_files as files;
use bellwether_schema::{Decode, DecodeContext, Diagnostic, Diagnostics};
use hyper::header::{HeaderName, HeaderValue};
pub(super) use rate::Rate;
use rustls::ServerConfig;
pub use settings::WebConfig;
use users::Users;
pub(super) use users::{Verdict, Verifier};

/// What a web configuration file asks for, ready to use. The default asks for nothing.
#[derive(Default)]
pub struct Web {
    /// None for plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
    /// None where no password is asked for.
    pub(super) users: Option<Users>,
    /// Put on every answer.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) rate: Option<Rate>,
    path: Option<PathBuf>,
    /// The file itself and those it names, as they were when read.
    files: Vec<(PathBuf, Stamp)>,
}

/// What tells that a file was replaced or written.
type Stamp = Option<(SystemTime, u64)>;

/// What is wrong with a web configuration file.
#[derive(Debug)]
pub struct WebError {
    /// The file.
    pub file: PathBuf,
    /// All that is wrong with it, in its order.
    pub problems: Vec<Diagnostic>,
}

impl fmt::Display for WebError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index > 0 { "\n" } else { "" };
            let space = if problem.at.pos.line > 0 { "" } else { " " };
            write!(out, "{separator}{}:{space}{problem}", self.file.display())?;
        }
        Ok(())
    }
}

impl std::error::Error for WebError {}

impl Web {
    /// Reads `path` and the files it names; relative ones lie beside it.
    ///
    /// # Errors
    /// All that is wrong, each with its place.
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
        let text = match files::read_text(path, files::SMALL) {
            Ok(text) => text,
            Err(error) => {
                problems.error(
                    &bellwether_schema::SourceLocation::default(),
                    format!("cannot read: {error}"),
                );
                return None;
            }
        };
        let node = match bellwether_schema::parse(&text) {
            Ok(node) => node,
            Err((pos, message)) => {
                problems.error(
                    &bellwether_schema::SourceLocation {
                        pos,
                        ..bellwether_schema::SourceLocation::default()
                    },
                    message,
                );
                return None;
            }
        };
        let environment = |name: &str| std::env::var_os(name);
        let config = WebConfig::decode(&node, &mut DecodeContext::new(problems, &environment))?;
        let directory = path.parent().unwrap_or(Path::new(""));
        let named = config.files().map(|file| directory.join(file));
        let files = named
            .map(|file| (file.clone(), stamp(&file)))
            .collect::<Vec<_>>();
        let headers = settings::headers(&config.http_server_config, problems);
        let users = Users::new(&config.basic_auth_users, problems);
        let rate = config
            .rate_limit
            .as_ref()
            .and_then(|rate| Rate::new(rate, problems));
        let http2 = config.http_server_config.http2;
        let tls = match &config.tls_server_config {
            Some(tls) => Some(tls::build(tls, http2, directory, problems)?),
            None => None,
        };
        Some(Self {
            tls,
            users,
            headers,
            rate,
            path: Some(path.to_owned()),
            files: [(path.to_owned(), stamp_of_config)]
                .into_iter()
                .chain(files)
                .collect(),
        })
    }

    /// The file it was read from.
    pub(super) fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Whether the file or one it names is no longer as it was read: certificates are renewed
    /// without anybody telling.
    pub(super) fn changed(&self) -> bool {
        self.files
            .iter()
            .any(|(path, before)| stamp(path) != *before)
    }
}

fn stamp(path: &Path) -> Stamp {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
