//! The collector: finds the databases, runs the queries that are due, several at a time, and adds their series.

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Build, Collecting, Collector, EntryContext};
use bellwether_core::{Batch, Failure, Kind as MetricKind, MonoMillis, Now, SeriesBatch, counted};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::connection::{AnswerLimits, Options};
use super::dsn::{Dsn, Server};
use super::error::{Kind, SqlError};
use super::pool::{DatabaseName, Pool, PoolSettings, Request};
use super::query::Query;
use super::{DATABASE_LABEL, Sql};
use crate::queries::Schedule;

/// Errors that are shown of one collection.
const SHOWN: usize = 5;

/// Settings of a collector, checked.
struct Plan {
    /// Name of the collector.
    collector: &'static str,
    /// Query of the databases.
    databases: Option<Arc<str>>,
    queries: Vec<Arc<Query>>,
    interval: Duration,
    /// Longest duration of the queries of a collection.
    timeout: Duration,
    pool: PoolSettings,
}

/// Returns how a collector is built, unless the driver rejects the address.
pub(super) fn build(settings: &Sql, dsn: Dsn, context: &mut EntryContext<'_>) -> Option<Build> {
    if let Err(error) = Options::new(&dsn, None, None) {
        let error = SqlError::from(error);
        context
            .problems
            .error(&settings.dsn.at, format!("not a DSN: {}", error.text));
        return None;
    }
    let timeout = context.request_timeout();
    let queries = settings.queries.iter();
    let plan = Arc::new(Plan {
        collector: context.origin.as_str(),
        databases: settings.databases.as_ref().map(|sql| sql.trim().into()),
        queries: queries
            .map(|query| Arc::new(Query::new(query, timeout)))
            .collect(),
        interval: context.schedule.interval,
        timeout,
        pool: PoolSettings {
            // A file may be replaced, and a database with a connection cannot be dropped.
            is_kept: dsn.server != Server::Sqlite && settings.databases.is_none(),
            dsn,
            password_file: settings.password_file.as_deref().cloned(),
            max_connections: *settings.max_connections as usize,
            limits: AnswerLimits {
                rows: *settings.row_limit as usize,
                bytes: context.limits.bytes,
            },
            grace: (context.timeout() - timeout) / 2,
        },
    });
    context.build(move |_| SqlCollector::new(plan.clone()))
}

struct SqlCollector {
    pool: Arc<Pool>,
    runs: Vec<Run>,
    plan: Arc<Plan>,
}

/// A query in one database.
struct Run {
    database: DatabaseName,
    query: Arc<Query>,
    /// `None`: it runs at each collection.
    schedule: Option<Schedule>,
    /// Result of the last run.
    outcome: Outcome,
}

/// Result of one run.
#[derive(Default)]
struct Outcome {
    series: SeriesBatch,
    rows: usize,
    duration: Duration,
    error: Option<SqlError>,
}

impl SqlCollector {
    fn new(plan: Arc<Plan>) -> Self {
        let mut collector = Self {
            pool: Arc::new(Pool::new(plan.pool.clone())),
            runs: Vec::new(),
            plan,
        };
        if collector.plan.databases.is_none() {
            collector.set_databases(vec![None]);
        }
        collector
    }

    /// Keeps the runs in databases that are still there, and adds those in new ones.
    fn set_databases(&mut self, databases: Vec<DatabaseName>) {
        self.runs.retain(|run| databases.contains(&run.database));
        for database in databases {
            if !self.runs.iter().any(|run| run.database == database) {
                let queries = self.plan.queries.iter();
                let runs = queries.map(|query| Run::new(database.clone(), query.clone()));
                self.runs.extend(runs);
            }
        }
    }

    /// Finds the databases. After an error, those that were found before stay.
    async fn discover(&mut self, end: Instant, now: MonoMillis) -> Result<(), SqlError> {
        let Some(sql) = self.plan.databases.clone() else {
            return Ok(());
        };
        let request = Request {
            database: None,
            sql: &sql,
            // The queries need the rest.
            timeout: self.plan.timeout / 2,
            end,
            now,
        };
        let answer = self.pool.run(&request).await?;
        let names = answer
            .rows
            .iter()
            .filter_map(|row| row.first()?.label().ok());
        let names = names.filter(|name| !name.is_empty());
        self.set_databases(names.map(|name| Some(name.into())).collect());
        match answer.cut {
            Some(cut) => Err(SqlError::new(Kind::Query, cut)),
            None => Ok(()),
        }
    }

    /// Runs the queries that are due; those that hung last come last.
    async fn run_due(&mut self, end: Instant, now: MonoMillis) {
        let mut due: Vec<usize> = (0..self.runs.len())
            .filter(|index| self.runs[*index].is_due(now, self.plan.interval))
            .collect();
        due.sort_by_key(|index| self.runs[*index].outcome.has_timed_out());
        let mut tasks = JoinSet::new();
        for index in due {
            let (database, query) = self.runs[index].start();
            let pool = self.pool.clone();
            tasks.spawn(async move { (index, ask(&pool, database, &query, end, now).await) });
        }
        while let Some(ended) = tasks.join_next().await {
            if let Ok((index, outcome)) = ended {
                self.runs[index].end(outcome, now);
            }
        }
    }

    /// Returns the errors of the last runs. That of a connection, which many queries have, is there once.
    fn failure(&self, discovery: Result<(), SqlError>) -> Result<(), Failure> {
        let discovery = discovery.err().map(|error| match error.is_answer() {
            true => (error.kind, format!("databases: {}", error.text)),
            false => (error.kind, error.text),
        });
        let mut errors: Vec<(Kind, String)> = discovery.into_iter().collect();
        for error in self.runs.iter().filter_map(Run::error) {
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        let Some((kind, _)) = errors.first() else {
            return Ok(());
        };
        let shown: Vec<&str> = errors
            .iter()
            .take(SHOWN)
            .map(|(_, it)| it.as_str())
            .collect();
        let mut detail = shown.join("; ");
        if errors.len() > SHOWN {
            detail += &format!("; and {}", counted(errors.len() - SHOWN, "more error"));
        }
        Err(Failure::new(kind.reason(), detail))
    }

    fn add_series(&self, out: &mut SeriesBatch) {
        for run in &self.runs {
            out.append(&run.outcome.series);
        }
        self.add_figures(
            "sql_query_success",
            "1 if the last run of a query succeeded, 0 otherwise.",
            |outcome| f64::from(u8::from(outcome.error.is_none())),
            out,
        );
        self.add_figures(
            "sql_query_duration_seconds",
            "Duration of the last run of a query, with the wait for a connection.",
            |outcome| outcome.duration.as_secs_f64(),
            out,
        );
        self.add_figures(
            "sql_query_rows",
            "Rows of the last answer to a query.",
            |outcome| outcome.rows as f64,
            out,
        );
    }

    fn add_figures(
        &self,
        name: &str,
        help: &str,
        value: fn(&Outcome) -> f64,
        out: &mut SeriesBatch,
    ) {
        out.begin(name, Some(MetricKind::Gauge), help);
        for run in &self.runs {
            let labels = [
                ("collector", self.plan.collector),
                ("query", run.query.name.as_str()),
                (DATABASE_LABEL, run.database.as_deref().unwrap_or_default()),
            ];
            out.push(&labels, value(&run.outcome));
        }
    }
}

impl Collector for SqlCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let end = Instant::now() + self.plan.timeout;
            let discovery = self.discover(end, now.mono).await;
            self.run_due(end, now.mono).await;
            self.add_series(&mut batch.series);
            self.failure(discovery)
        })
    }
}

impl Run {
    fn new(database: DatabaseName, query: Arc<Query>) -> Self {
        Self {
            database,
            schedule: query.interval.map(Schedule::new),
            query,
            outcome: Outcome::default(),
        }
    }

    fn is_due(&self, now: MonoMillis, interval: Duration) -> bool {
        let schedule = self.schedule.as_ref();
        schedule.is_none_or(|schedule| schedule.is_due(now, interval))
    }

    /// Forgets the last result, so that one that never ends is an error.
    fn start(&mut self) -> (DatabaseName, Arc<Query>) {
        let error = SqlError::new(Kind::Query, "ended without a result");
        self.outcome = Outcome {
            error: Some(error),
            ..Outcome::default()
        };
        (self.database.clone(), self.query.clone())
    }

    /// A query that the server was not asked stays due.
    fn end(&mut self, outcome: Outcome, now: MonoMillis) {
        let was_asked = outcome.error.as_ref().is_none_or(SqlError::is_answer);
        self.outcome = outcome;
        if let Some(schedule) = self.schedule.as_mut().filter(|_| was_asked) {
            schedule.started(now);
        }
    }

    fn error(&self) -> Option<(Kind, String)> {
        let error = self.outcome.error.as_ref()?;
        if !error.is_answer() {
            return Some((error.kind, error.text.clone()));
        }
        let place = match &self.database {
            Some(database) => format!(" in database {database}"),
            None => String::new(),
        };
        let text = format!("query {}{place}: {}", self.query.name, error.text);
        Some((error.kind, text))
    }
}

impl Outcome {
    fn has_timed_out(&self) -> bool {
        let error = self.error.as_ref();
        error.is_some_and(|error| error.kind == Kind::Timeout)
    }
}

async fn ask(
    pool: &Pool,
    database: DatabaseName,
    query: &Query,
    end: Instant,
    now: MonoMillis,
) -> Outcome {
    let started = Instant::now();
    let request = Request {
        database,
        sql: &query.sql,
        timeout: query.timeout,
        end,
        now,
    };
    let answer = pool.run(&request).await;
    let mut outcome = Outcome {
        duration: started.elapsed(),
        ..Outcome::default()
    };
    match answer {
        Err(error) => outcome.error = Some(error),
        Ok(answer) => {
            let database = request.database.as_deref();
            let mut errors = query.read(&answer, database, &mut outcome.series);
            outcome.rows = answer.rows.len();
            errors.extend(answer.cut);
            if !errors.is_empty() {
                outcome.error = Some(SqlError::new(Kind::Query, errors.join("; ")));
            }
        }
    }
    outcome
}
