//! One connection: a read-only transaction around each query, with the timeout at the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bellwether_schema::{Secret, Size};
use futures_util::TryStreamExt;
use futures_util::stream::BoxStream;
use sqlx::database::HasStatementCache;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{
    AssertSqlSafe, Column, ConnectOptions, Connection as _, Database, Executor, Row, TypeInfo,
    raw_sql,
};

use super::dsn::{Dsn, Server};
use super::query::Answer;
use super::values::{Cell, mysql, postgres, sqlite};

/// Instructions of SQLite between two looks at whether a query shall end: some milliseconds.
const INSTRUCTIONS: i32 = 10_000;

/// Settings of a connection.
pub(super) enum Options {
    Postgres(PgConnectOptions),
    MySql(MySqlConnectOptions),
    Sqlite(SqliteConnectOptions),
}

/// Connection to a server, or to a file.
pub(super) enum Connection {
    Postgres(Box<PgConnection>),
    /// With the statement that sets the timeout, up to its value.
    MySql(Box<MySqlConnection>, Timeout),
    /// Dropped in this order, so that a query that runs is interrupted.
    Sqlite(
        #[expect(dead_code, reason = "it is there to be dropped")] StopOnDrop,
        Box<SqliteConnection>,
    ),
}

/// Variable for the timeout of a statement.
#[derive(Clone, Copy)]
pub(super) enum Timeout {
    MySql,
    MariaDb,
}

/// Ends the query of a SQLite connection.
#[derive(Default)]
pub(super) struct StopOnDrop(Arc<AtomicBool>);

/// Limits of an answer.
#[derive(Clone, Copy)]
pub(super) struct AnswerLimits {
    pub(super) rows: usize,
    pub(super) bytes: Size,
}

impl Options {
    /// Reads a password file of PostgreSQL's own (`~/.pgpass`), so it runs on a blocking thread. `database` replaces that
    /// of the address.
    pub(super) fn new(
        dsn: &Dsn,
        database: Option<&str>,
        password: Option<&Secret>,
    ) -> Result<Self, sqlx::Error> {
        Ok(match dsn.server {
            Server::Postgres => Self::Postgres(of_postgres(dsn, database, password)?),
            Server::MySql => Self::MySql(of_mysql(dsn, database, password)?),
            Server::Sqlite => Self::Sqlite(
                SqliteConnectOptions::new()
                    .filename(&dsn.file)
                    .read_only(true)
                    .pragma("query_only", "ON")
                    .disable_statement_logging(),
            ),
        })
    }
}

fn of_postgres(
    dsn: &Dsn,
    database: Option<&str>,
    password: Option<&Secret>,
) -> Result<PgConnectOptions, sqlx::Error> {
    let mut options = PgConnectOptions::from_url(&dsn.url)?.disable_statement_logging();
    if options.get_application_name().is_none() {
        options = options.application_name("bellwether");
    }
    if let Some(database) = database {
        options = options.database(database);
    }
    if let Some(password) = password {
        options = options.password(password.expose());
    }
    Ok(options)
}

/// The server's `sql_mode` stays as it is.
fn of_mysql(
    dsn: &Dsn,
    database: Option<&str>,
    password: Option<&Secret>,
) -> Result<MySqlConnectOptions, sqlx::Error> {
    let mut options = MySqlConnectOptions::from_url(&dsn.url)?
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .disable_statement_logging();
    if let Some(database) = database {
        options = options.database(database);
    }
    if let Some(password) = password {
        options = options.password(password.expose());
    }
    Ok(options)
}

impl Connection {
    pub(super) async fn open(options: Options) -> Result<Self, sqlx::Error> {
        match options {
            Options::Postgres(options) => Ok(Self::Postgres(Box::new(options.connect().await?))),
            Options::MySql(options) => {
                let mut connection = options.connect().await?;
                let version = connection.fetch_one("SELECT VERSION()").await?;
                let version: String = version.try_get(0)?;
                let timeout = match version.contains("MariaDB") {
                    true => Timeout::MariaDb,
                    false => Timeout::MySql,
                };
                Ok(Self::MySql(Box::new(connection), timeout))
            }
            Options::Sqlite(options) => {
                let mut connection = options.connect().await?;
                let stop = StopOnDrop::default();
                let is_stopped = stop.0.clone();
                let mut handle = connection.lock_handle().await?;
                handle.set_progress_handler(INSTRUCTIONS, move || {
                    !is_stopped.load(Ordering::Relaxed)
                });
                drop(handle);
                Ok(Self::Sqlite(stop, Box::new(connection)))
            }
        }
    }

    /// Begins a read-only transaction. The server ends a statement in it after `timeout`; SQLite has no such limit, and
    /// ends when the connection is dropped.
    pub(super) async fn begin(&mut self, timeout: Duration) -> Result<(), sqlx::Error> {
        let millis = timeout.as_millis().max(1);
        let sql = match self {
            Self::Postgres(_) => {
                format!("BEGIN READ ONLY; SET LOCAL statement_timeout = {millis}")
            }
            Self::MySql(_, variable) => {
                // A statement that commits by itself, such as DROP TABLE, is in a transaction of the session's mode.
                let timeout = variable.set(millis);
                format!("SET SESSION TRANSACTION READ ONLY; {timeout}; START TRANSACTION READ ONLY")
            }
            Self::Sqlite(..) => "BEGIN".to_owned(),
        };
        self.execute(sql).await
    }

    /// Ends the transaction.
    pub(super) async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.execute("COMMIT".to_owned()).await
    }

    /// Closes the connection with a goodbye, without which servers count it as aborted.
    pub(super) async fn close(self) {
        // A server that is gone needs no message.
        let _ = match self {
            Self::Postgres(connection) => connection.close().await,
            Self::MySql(connection, _) => connection.close().await,
            Self::Sqlite(_, connection) => connection.close().await,
        };
    }

    async fn execute(&mut self, sql: String) -> Result<(), sqlx::Error> {
        let sql = raw_sql(AssertSqlSafe(sql));
        match self {
            Self::Postgres(connection) => connection.execute(sql).await.map(|_| ()),
            Self::MySql(connection, _) => connection.execute(sql).await.map(|_| ()),
            Self::Sqlite(_, connection) => connection.execute(sql).await.map(|_| ()),
        }
    }

    /// Runs one statement and reads its rows, up to the limits. It is prepared, which allows no second one behind it, and
    /// not kept prepared, as poolers do not like it.
    pub(super) async fn fetch(
        &mut self,
        sql: &str,
        limits: AnswerLimits,
    ) -> Result<Answer, sqlx::Error> {
        match self {
            Self::Postgres(connection) => {
                let rows = query(sql).fetch(&mut **connection);
                let cell = |row: &sqlx::postgres::PgRow, place| {
                    row.try_get_raw(place).map(|value| postgres::cell(&value))
                };
                read(rows, limits, cell).await
            }
            Self::MySql(connection, _) => {
                let rows = query(sql).fetch(&mut **connection);
                let cell =
                    |row: &sqlx::mysql::MySqlRow, place| row.try_get_raw(place).map(mysql::cell);
                read(rows, limits, cell).await
            }
            Self::Sqlite(_, connection) => {
                let rows = query(sql).fetch(&mut **connection);
                let cell = |row: &sqlx::sqlite::SqliteRow, place: usize| {
                    let column = row.columns()[place].type_info();
                    row.try_get_raw(place)
                        .map(|value| sqlite::cell(value, column.name()))
                };
                read(rows, limits, cell).await
            }
        }
    }
}

impl Timeout {
    fn set(self, millis: u128) -> String {
        match self {
            Self::MySql => format!("SET SESSION max_execution_time = {millis}"),
            Self::MariaDb => {
                format!(
                    "SET SESSION max_statement_time = {}",
                    millis as f64 / 1000.0
                )
            }
        }
    }
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn query<DB: Database + HasStatementCache>(sql: &str) -> Query<'_, DB, DB::Arguments> {
    sqlx::query(AssertSqlSafe(sql)).persistent(false)
}

async fn read<R: Row>(
    mut rows: BoxStream<'_, Result<R, sqlx::Error>>,
    limits: AnswerLimits,
    cell: impl Fn(&R, usize) -> Result<Cell, sqlx::Error>,
) -> Result<Answer, sqlx::Error> {
    let mut answer = Answer::default();
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        if answer.columns.is_empty() {
            let columns = row.columns().iter();
            answer.columns = columns.map(|column| column.name().to_owned()).collect();
        }
        let cells: Result<Vec<Cell>, _> = (0..row.len()).map(|place| cell(&row, place)).collect();
        let cells = cells?;
        bytes += cells.iter().map(Cell::size).sum::<usize>();
        answer.cut = limits.exceeded(answer.rows.len() + 1, bytes);
        if answer.cut.is_some() {
            break;
        }
        answer.rows.push(cells);
    }
    Ok(answer)
}

impl AnswerLimits {
    /// Returns the message about more rows or bytes than allowed.
    fn exceeded(self, rows: usize, bytes: usize) -> Option<String> {
        if rows > self.rows {
            return Some(format!("rows over row_limit {} dropped", self.rows));
        }
        (bytes as u64 > self.bytes.0)
            .then(|| format!("rows over limits.bytes {} dropped", self.bytes))
    }
}
