//! Connections of a collector: few, kept between collections, opened again after they broke.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::MonoMillis;
use bellwether_http::{redacted, reread_secret};
use bellwether_schema::{Secret, format_duration};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use super::connection::{AnswerLimits, Connection, Options};
use super::dsn::Dsn;
use super::error::{Kind, SqlError};
use super::query::Answer;
use crate::queries::Backoff;

/// Database of a connection; `None`: that of the address.
pub(super) type DatabaseName = Option<Arc<str>>;

/// Settings of a pool.
#[derive(Clone)]
pub(super) struct PoolSettings {
    pub(super) dsn: Dsn,
    pub(super) password_file: Option<PathBuf>,
    pub(super) max_connections: usize,
    /// True if connections are kept, which then are to the database of the address.
    pub(super) is_kept: bool,
    pub(super) limits: AnswerLimits,
    /// Time that the server's own message about a timeout may take.
    pub(super) grace: Duration,
}

/// A statement to run.
pub(super) struct Request<'a> {
    pub(super) database: DatabaseName,
    pub(super) sql: &'a str,
    pub(super) timeout: Duration,
    /// End of the collection.
    pub(super) end: Instant,
    pub(super) now: MonoMillis,
}

/// Pool of connections.
pub(super) struct Pool {
    settings: PoolSettings,
    permits: Semaphore,
    idle: Mutex<Vec<Connection>>,
    /// Locked while a connection is opened, so that a wrong password is tried once and not once per query.
    rejected: tokio::sync::Mutex<BTreeMap<DatabaseName, Rejection>>,
}

/// A password that the server rejected.
#[derive(Default)]
struct Rejection {
    password: Option<Secret>,
    error: Option<SqlError>,
    backoff: Backoff,
}

impl Pool {
    /// Creates a pool without connections.
    pub(super) fn new(settings: PoolSettings) -> Self {
        Self {
            permits: Semaphore::new(settings.max_connections),
            settings,
            idle: Mutex::default(),
            rejected: tokio::sync::Mutex::default(),
        }
    }

    /// Runs a statement on an idle connection, or on a new one.
    ///
    /// # Errors
    /// No connection, an error of the server, or no answer in time.
    pub(super) async fn run(&self, request: &Request<'_>) -> Result<Answer, SqlError> {
        let Ok(Ok(_permit)) = timeout_at(request.end, self.permits.acquire()).await else {
            let text = "no free connection in time; hint: raise max_connections, or set the timeout of slow queries";
            return Err(SqlError::new(Kind::Busy, text));
        };
        let end = request.end.min(Instant::now() + request.timeout);
        let answer = timeout_at(end + self.settings.grace, self.run_until(request, end)).await;
        match answer {
            Ok(Err(error)) if error.kind == Kind::Timeout => {
                Err(late(request, &format!(": {}", error.text)))
            }
            Ok(answer) => answer,
            Err(_) => Err(late(request, "")),
        }
    }

    async fn run_until(&self, request: &Request<'_>, end: Instant) -> Result<Answer, SqlError> {
        let mut connection = self.begin(request, end).await?;
        let answer = connection.fetch(request.sql, self.settings.limits).await;
        let answer = answer.map_err(|error| self.error(error, None));
        // A connection with an unread answer is closed, which ends the statement too.
        let is_usable = match &answer {
            Ok(answer) => answer.cut.is_none(),
            Err(error) => error.is_answer(),
        };
        if is_usable && connection.commit().await.is_ok() {
            self.release(connection).await;
        }
        answer
    }

    /// Returns a connection with a transaction. An idle one may be closed already, as after a restart of the server.
    async fn begin(&self, request: &Request<'_>, end: Instant) -> Result<Connection, SqlError> {
        let left = || end.saturating_duration_since(Instant::now());
        let idle = self.idle.lock().pop();
        if let Some(mut connection) = idle
            && connection.begin(left()).await.is_ok()
        {
            return Ok(connection);
        }
        let opened = timeout_at(end, self.open(request)).await;
        let mut connection = opened.unwrap_or_else(|_| {
            let text = format!("{}: no connection in time", self.settings.dsn);
            Err(SqlError::new(Kind::Connect, text))
        })?;
        let begun = connection.begin(left()).await;
        begun.map_err(|error| self.error(error, None))?;
        Ok(connection)
    }

    /// Keeps or closes the connection after its transaction.
    async fn release(&self, connection: Connection) {
        match self.settings.is_kept {
            true => self.idle.lock().push(connection),
            false => connection.close().await,
        }
    }

    async fn open(&self, request: &Request<'_>) -> Result<Connection, SqlError> {
        let mut rejected = self.rejected.lock().await;
        let password = self.password().await?;
        let rejection = rejected.entry(request.database.clone()).or_default();
        if let Some(error) = &rejection.error
            && rejection.password == password
            && !rejection.backoff.is_ready(request.now)
        {
            return Err(error.clone());
        }
        let opened = self
            .connect(request.database.clone(), password.clone())
            .await;
        match &opened {
            Err(error) if error.kind == Kind::Auth => {
                rejection.backoff.rejected(request.now);
                rejection.error = Some(error.clone());
                rejection.password = password;
            }
            _ => *rejection = Rejection::default(),
        }
        opened
    }

    async fn connect(
        &self,
        database: DatabaseName,
        password: Option<Secret>,
    ) -> Result<Connection, SqlError> {
        // Fails only where the process has a provider already.
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let (dsn, secret) = (self.settings.dsn.clone(), password.clone());
        let options =
            spawn_blocking(move || Options::new(&dsn, database.as_deref(), secret.as_ref()));
        let options = options
            .await
            .map_err(|error| SqlError::new(Kind::Io, error.to_string()))?;
        let opened = match options {
            Ok(options) => Connection::open(options).await,
            Err(error) => Err(error),
        };
        opened.map_err(|error| {
            let error = self.error(error, password.as_ref());
            // Whatever the server says to a client that connects, there is no connection.
            let kind = match error.kind {
                Kind::Auth => Kind::Auth,
                _ => Kind::Connect,
            };
            SqlError::new(kind, format!("{}: {}", self.settings.dsn, error.text))
        })
    }

    /// Returns the current password; a file is read each time.
    async fn password(&self) -> Result<Option<Secret>, SqlError> {
        let Some(file) = self.settings.password_file.clone() else {
            return Ok(None);
        };
        let read = reread_secret(file).await;
        read.map(Some)
            .map_err(|error| SqlError::new(Kind::Io, error.to_string()))
    }

    /// Converts an error, without passwords.
    fn error(&self, error: sqlx::Error, password: Option<&Secret>) -> SqlError {
        let SqlError { kind, text } = error.into();
        let secrets = self.settings.dsn.url.password();
        let secrets = secrets.into_iter().chain(password.map(Secret::expose));
        SqlError::new(kind, redacted(text, secrets))
    }
}

fn late(request: &Request<'_>, why: &str) -> SqlError {
    let text = format!("not done within {}{why}", format_duration(request.timeout));
    SqlError::new(Kind::Timeout, text)
}
