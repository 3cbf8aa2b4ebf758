//! Connections to one server.
//!
//! The client library hides its own pool, so each connection here is a client of its own that
//! holds one: what `neo4j_connection_pool_*` tell is counted, not guessed, and a statement that
//! takes too long can be ended by closing its connection.

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

use super::settings::Neo4jMetrics;
use super::trouble::{Kind, Trouble};

/// Rows fetched at a time.
const FETCH: usize = 1000;

/// Who connects to what.
#[derive(Debug)]
struct Access {
    uri: String,
    user: String,
    password: Secret,
    password_file: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    /// Database of the statement that tries a new connection.
    database: String,
    connect_timeout: Duration,
    /// The library waits this long for one answer; longer than any statement may take.
    answer_timeout: Duration,
}

/// Connections, idle and in use.
#[derive(Debug)]
pub(super) struct Pool {
    access: Access,
    acquire_timeout: Duration,
    permits: Arc<Semaphore>,
    /// Held while a connection is opened, and what was refused last: so a wrong password is tried
    /// once, not once per query.
    opening: tokio::sync::Mutex<Option<Refusal>>,
    state: Mutex<State>,
}

/// A password that the server refused, and its words.
#[derive(Debug)]
struct Refusal {
    password: Secret,
    trouble: Trouble,
}

#[derive(Default)]
struct State {
    idle: Vec<Graph>,
    open: usize,
    /// Changes with each `clear`: connections of an earlier one are not taken back.
    generation: u64,
    refusals: u64,
}

impl std::fmt::Debug for State {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} of {} idle", self.idle.len(), self.open)
    }
}

/// One connection, in use. Dropped, it is closed; `give_back` keeps it.
pub(super) struct Lease {
    pool: Arc<Pool>,
    graph: Option<Graph>,
    generation: u64,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    /// Opens nothing yet. `longest` is the longest time that any statement may take.
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

    /// Where it connects to.
    pub(super) fn uri(&self) -> &str {
        &self.access.uri
    }

    /// Connections open, and those of them that are idle.
    pub(super) fn figures(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.open, state.idle.len())
    }

    /// Closes what is idle now, and what is in use once it comes back.
    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        state.open -= state.idle.len();
        state.idle.clear();
        state.generation += 1;
    }

    /// How often the server refused a password.
    pub(super) fn refusals(&self) -> u64 {
        self.state.lock().refusals
    }

    /// Allows one more attempt with the password that was refused.
    pub(super) async fn try_again(&self) {
        *self.opening.lock().await = None;
    }

    /// The password as it is now; a file is read again each time.
    async fn password(&self) -> Result<Secret, Trouble> {
        let Some(file) = self.access.password_file.clone() else {
            return Ok(self.access.password.clone());
        };
        let name = file.display().to_string();
        let read = spawn_blocking(move || files::read_text(&file, files::SMALL)).await;
        match read.map_err(std::io::Error::other).flatten() {
            Ok(text) => Ok(Secret::new(text.trim_end_matches(['\r', '\n']))),
            Err(error) => Err(Trouble::new(
                Kind::Io,
                format!("password_file {name}: {error}"),
            )),
        }
    }

    /// A connection: an idle one, or a new one where the size allows it.
    pub(super) async fn acquire(self: &Arc<Self>) -> Result<Lease, Trouble> {
        let wait = timeout(self.acquire_timeout, self.permits.clone().acquire_owned()).await;
        let Ok(Ok(permit)) = wait else {
            let wait = format_duration(self.acquire_timeout);
            let text = format!("no free connection within {wait}; raise pool.max_size");
            return Err(Trouble::new(Kind::Busy, text));
        };
        let (generation, idle) = self.take_idle();
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

    fn take_idle(&self) -> (u64, Option<Graph>) {
        let mut state = self.state.lock();
        (state.generation, state.idle.pop())
    }

    async fn open(&self) -> Result<Graph, Trouble> {
        let limit = self.access.connect_timeout;
        let opened = timeout(limit, async {
            let mut refusal = self.opening.lock().await;
            let password = self.password().await?;
            if let Some(refusal) = refusal.as_ref().filter(|r| r.password == password) {
                return Err(refusal.trouble.clone());
            }
            let opened = self.connect(&password).await;
            if let Err(trouble) = &opened
                && trouble.kind == Kind::Auth
            {
                self.state.lock().refusals += 1;
                *refusal = Some(Refusal {
                    password,
                    trouble: trouble.clone(),
                });
            }
            opened
        });
        opened.await.unwrap_or_else(|_| {
            Err(Trouble::new(
                Kind::Timeout,
                format!("no answer within {}", format_duration(limit)),
            ))
        })
    }

    async fn connect(&self, password: &Secret) -> Result<Graph, Trouble> {
        let config = self.access.config(password)?;
        self.access.check_ca_file().await?;
        let graph = spawn_blocking(move || {
            // Reads certificates where the address asks for TLS, and panics then where the process
            // has not chosen who does the cryptography. It is no matter if it has.
            rustls::crypto::ring::default_provider()
                .install_default()
                .ok();
            Graph::connect(config)
        })
        .await;
        let graph = graph.map_err(|error| Trouble::new(Kind::Io, error.to_string()))??;
        // The library connects with the first statement. Whatever the server answers to it, the
        // connection stands; only refused credentials do not.
        let attempt = query("RETURN 1").extra("db", self.access.database.as_str());
        match graph.execute_read(attempt).await.map_err(Trouble::from) {
            Err(trouble) if !trouble.answered() => Err(self.access.with_scheme_hint(trouble)),
            _ => Ok(graph),
        }
    }
}

impl Access {
    /// Names the other scheme where one side speaks TLS and the other does not.
    fn with_scheme_hint(&self, trouble: Trouble) -> Trouble {
        let scheme = self
            .uri
            .split_once("://")
            .map_or("bolt", |(scheme, _)| scheme);
        let stem = scheme.split('+').next().unwrap_or(scheme);
        let encrypted = stem != scheme;
        let hint = match trouble.text.as_str() {
            text if !encrypted && text.contains("early eof") => {
                format!("a server that expects TLS ends connections so: {stem}+s://")
            }
            text if encrypted && (text.contains("corrupt message") || text.contains("eof")) => {
                format!("a server without TLS answers so: {stem}://")
            }
            _ => return trouble,
        };
        Trouble {
            text: format!("{} ({hint})", trouble.text),
            ..trouble
        }
    }

    /// The library does not name the file that it cannot use, and takes an empty one.
    async fn check_ca_file(&self) -> Result<(), Trouble> {
        let Some(file) = self.ca_file.clone() else {
            return Ok(());
        };
        let name = file.display().to_string();
        let read = spawn_blocking(move || files::read(&file, files::SMALL)).await;
        let told = |why: String| Trouble::new(Kind::Io, format!("ca_file {name}: {why}"));
        let pem = read.map_err(std::io::Error::other).flatten();
        let pem = pem.map_err(|error| told(error.to_string()))?;
        match String::from_utf8_lossy(&pem).contains("BEGIN CERTIFICATE") {
            true => Ok(()),
            false => Err(told("no certificate in it".into())),
        }
    }

    fn config(&self, password: &Secret) -> Result<Config, Trouble> {
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
    /// The client that holds the connection.
    pub(super) fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }

    /// Keeps the connection for the next statement.
    pub(super) fn give_back(mut self) {
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
