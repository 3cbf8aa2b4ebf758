//! Connections to one server.
//!
//! The client library hides its own pool, so each connection here is a client with a pool of one. So
//! `neo4j_connection_pool_*` are exact, and a statement that takes too long is ended by closing its
//! connection.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_files as files;
use bellwether_schema::{Secret, format_duration};
use neo4rs::{Config, ConfigBuilder, Graph, query};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::error::{Kind, Neo4jError};
use crate::neo4j::settings::Neo4jMetrics;

/// Rows fetched at a time.
const FETCH: usize = 1000;

/// Address, credentials and timeouts.
#[derive(Debug)]
struct Access {
    uri: String,
    user: String,
    password: Secret,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    /// Database of the statement that tests a new connection.
    database: String,
    connect_timeout: Duration,
    /// Timeout of the client library for one answer, longer than that of any statement.
    answer_timeout: Duration,
}

/// Pool of connections, idle and in use.
#[derive(Debug)]
pub(super) struct Pool {
    access: Access,
    acquire_timeout: Duration,
    permits: Arc<Semaphore>,
    /// Locked while a connection is opened. Has the last rejected password, so that a wrong one is
    /// tried once and not once per query.
    opening: tokio::sync::Mutex<Option<RejectedPassword>>,
    state: Mutex<State>,
}

/// A password that the server rejected, and its error.
#[derive(Debug)]
struct RejectedPassword {
    password: Secret,
    error: Neo4jError,
}

#[derive(Default)]
struct State {
    idle: Vec<Graph>,
    open: usize,
    /// Increased by each `clear`: connections of an earlier generation are closed on release.
    generation: u64,
    rejections: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} of {} idle", self.idle.len(), self.open)
    }
}

/// A connection in use. Dropping it closes it; `release` returns it to the pool.
pub(super) struct Lease {
    pool: Arc<Pool>,
    graph: Option<Graph>,
    generation: u64,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Creates a pool without connections. `longest` is the longest timeout of any statement.
    pub(super) fn new(settings: &Neo4jMetrics, database: &str, longest: Duration) -> Self {
        let size = settings.pool.max_size.value as usize;
        Self {
            access: Access {
                uri: settings.uri.value.clone(),
                user: settings.user.clone(),
                password: settings.password.as_deref().cloned().unwrap_or_default(),
                password_file: settings.password_file.as_deref().cloned(),
                ca_file: settings.ca_file.clone(),
                database: database.to_owned(),
                connect_timeout: settings.connect_timeout.value.0,
                answer_timeout: longest + Duration::from_secs(1),
            },
            acquire_timeout: settings.pool.acquire_timeout.0,
            permits: Arc::new(Semaphore::new(size)),
            opening: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// Returns the address of the server.
    pub(super) fn uri(&self) -> &str {
        &self.access.uri
    }

    /// Returns the number of connections, and of idle ones among them.
    pub(super) fn connections(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.open, state.idle.len())
    }

    /// Closes idle connections now, and those in use on release.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        state.open -= state.idle.len();
        state.idle.clear();
        state.generation += 1;
    }

    /// Returns how often the server rejected a password.
    pub(super) fn rejections(&self) -> u64 {
        self.state.lock().rejections
    }

    /// Allows one more attempt with the rejected password.
    pub(super) async fn allow_retry(&self) {
        *self.opening.lock().await = None;
    }

    /// Returns the current password; a file is read each time.
    async fn password(&self) -> Result<Secret, Neo4jError> {
        let Some(file) = self.access.password_file.clone() else {
            return Ok(self.access.password.clone());
        };
        let name = file.display().to_string();
        let read = spawn_blocking(move || files::read_text(&file, files::SMALL)).await;
        match read.map_err(std::io::Error::other).flatten() {
            Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => Err(Neo4jError::new(
                Kind::Io,
                format!("password_file {name}: {error}"),
            )),
        }
    }

    /// Returns an idle connection, or a new one if the pool is not full; waits for one otherwise.
    ///
    /// # Errors
    /// Returns an error if there is no free connection in time, or a new one cannot be opened.
    pub(super) async fn acquire(self: &Arc<Self>) -> Result<Lease, Neo4jError> {
        let wait = timeout(self.acquire_timeout, self.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = wait else {
            let wait = format_duration(self.acquire_timeout);
            let text = format!("no free connection within {wait}; raise pool.max_size");
            return Err(Neo4jError::new(Kind::Busy, text));
        };
        let (generation, idle) = self.pop_idle();
        let graph = match idle {
            Some(graph) => graph,
            None => {
                let graph = self.open().await?;
                self.state.lock().open += 1;
                graph
            }
        };
        Ok(Lease {
            pool: self.clone(),
            graph: Some(graph),
            generation,
            _permit: permit,
        })
    }

    fn pop_idle(&self) -> (u64, Option<Graph>) {
        let mut state = self.state.lock();
        (state.generation, state.idle.pop())
    }

    async fn open(&self) -> Result<Graph, Neo4jError> {
        let limit = self.access.connect_timeout;
        let opened = timeout(limit, async {
            let mut rejected = self.opening.lock().await;
            let password = self.password().await?;
            if let Some(rejected) = rejected.as_ref().filter(|r| r.password == password) {
                return Err(rejected.error.clone());
            }
            let opened = self.connect(&password).await;
            if let Err(error) = &opened
                && error.kind == Kind::Auth
            {
                self.state.lock().rejections += 1;
                *rejected = Some(RejectedPassword {
                    password,
                    error: error.clone(),
                });
            }
            opened
        });
        opened.await.unwrap_or_else(|_| {
            Err(Neo4jError::new(
                Kind::Timeout,
                format!("no answer within {}", format_duration(limit)),
            ))
        })
    }

    async fn connect(&self, password: &Secret) -> Result<Graph, Neo4jError> {
        let config = self.access.config(password)?;
        self.access.check_ca_file().await?;
        let graph = spawn_blocking(move || {
            // Reads certificates where the address asks for TLS, and panics then where the process
            // has not chosen a cryptography provider. The error of a second choice is of no interest.
            rustls::crypto::ring::default_provider()
                .install_default()
                .ok();
            Graph::connect(config)
        })
        .await;
        let graph = graph.map_err(|error| Neo4jError::new(Kind::Io, error.to_string()))??;
        // The library connects with the first statement. The connection is usable whatever the
        // server answers to it, except for rejected credentials.
        let attempt = query("RETURN 1").extra("db", self.access.database.as_str());
        match graph.execute_read(attempt).await.map_err(Neo4jError::from) {
            Err(error) if !error.is_answer() => Err(self.access.with_scheme_hint(error)),
            _ => Ok(graph),
        }
    }
}

impl Access {
    /// Adds the other scheme to the error if only one side speaks TLS.
    fn with_scheme_hint(&self, error: Neo4jError) -> Neo4jError {
        let scheme = self
            .uri
            .split_once("://")
            .map_or("bolt", |(scheme, _)| scheme);
        let stem = scheme.split('+').next().unwrap_or(scheme);
        let encrypted = stem != scheme;
        let hint = match error.text.as_str() {
            text if !encrypted && text.contains("early eof") => {
                format!("a server that expects TLS ends connections so: {stem}+s://")
            }
            text if encrypted && (text.contains("corrupt message") || text.contains("eof")) => {
                format!("a server without TLS answers so: {stem}://")
            }
            _ => return error,
        };
        Neo4jError {
            text: format!("{} ({hint})", error.text),
            ..error
        }
    }

    /// Checks the CA file, since the library accepts an empty file and does not name a broken one.
    async fn check_ca_file(&self) -> Result<(), Neo4jError> {
        let Some(file) = self.ca_file.clone() else {
            return Ok(());
        };
        let name = file.display().to_string();
        let read = spawn_blocking(move || files::read(&file, files::SMALL)).await;
        let file_error = |why: String| Neo4jError::new(Kind::Io, format!("ca_file {name}: {why}"));
        let pem = read.map_err(std::io::Error::other).flatten();
        let pem = pem.map_err(|error| file_error(error.to_string()))?;
        match String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") {
            true => Ok(()),
            false => Err(file_error("no certificate in the file".into())),
        }
    }

    fn config(&self, password: &Secret) -> Result<Config, Neo4jError> {
        let builder = ConfigBuilder::new()
            .uri(&self.uri)
            .user(&self.user)
            .password(password.expose())
            .max_connections(1)
            .fetch_size(FETCH)
            .connection_timeout(self.answer_timeout);
        let builder = match &self.ca_file {
            Some(file) => builder.with_client_certificate(file),
            None => builder,
        };
        Ok(builder.build()?)
    }
}

impl Lease {
    /// Returns the client of the connection.
    pub(super) fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }

    /// Returns the connection to the pool.
    pub(super) fn release(mut self) {
        let mut state = self.pool.state.lock();
        if state.generation == self.generation
            && let Some(graph) = self.graph.take()
        {
            state.idle.push(graph);
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.graph.take().is_some() {
            self.pool.state.lock().open -= 1;
        }
    }
}
