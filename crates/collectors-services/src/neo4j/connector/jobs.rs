//! Runs the statements of a plan: which are due, which run, and the last error of each.
//!
//! Each runs in a task of its own, at most once at a time. The result of one that outlasts a
//! collection is delivered by a later collection, so a slow statement delays no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Batch, MetricId, MonoMillis, counted};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::durations::Durations;
use super::error::{Kind, Neo4jError};
use super::plan::{Job, Reading};
use super::pool::Pool;
use super::rows::{Row, read};
use super::statement::{Answer, Statement};
use crate::neo4j::stats::{QueryStats, Run};
use crate::queries::Schedule;

/// Time after which a statement that the server does not support is tried again.
const RETRY_MISSING: Duration = Duration::from_secs(300);

/// All statements.
pub(super) struct Jobs {
    all: Vec<Progress>,
    running: JoinSet<Done>,
    tasks: HashMap<Id, usize>,
    first: MetricId,
    row_limit: usize,
    stats: Arc<QueryStats>,
}

struct Progress {
    job: Arc<Job>,
    /// Names of the metrics that it fills, for messages.
    name: String,
    schedule: Schedule,
    running: bool,
    /// Set once the statement has run on this connection. The server plans a statement at its first
    /// run, which takes a hundred times longer and says nothing about the health of the server.
    planned: bool,
    /// Error of the last run.
    error: Option<Neo4jError>,
    /// Set once a skipped row was logged.
    skip_logged: bool,
    answers: Answers,
}

/// Content of the answers so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// No answer yet.
    None,
    /// Answers without a value.
    Empty,
    /// At least one answer with a value.
    Values,
}

#[derive(Default)]
struct Done {
    samples: Batch,
    /// Message of the first skipped row.
    skipped_row: Option<String>,
    error: Option<Neo4jError>,
    took: Option<Duration>,
    /// Rows of the answer, those over the limit included.
    rows: Option<usize>,
}

impl Jobs {
    /// Creates the jobs of a plan whose metrics have ids from `first` on.
    pub(super) fn new(
        jobs: Vec<Job>,
        first: MetricId,
        row_limit: usize,
        stats: Arc<QueryStats>,
    ) -> Self {
        let all = jobs.into_iter().map(|job| Progress {
            name: name(&job),
            schedule: Schedule::new(job.interval),
            running: false,
            planned: false,
            error: None,
            skip_logged: false,
            answers: Answers::None,
            job: Arc::new(job),
        });
        let (running, tasks) = (JoinSet::new(), HashMap::new());
        let all: Vec<_> = all.collect();
        stats.keep(all.iter().map(|progress| &*progress.name));
        Self {
            all,
            running,
            tasks,
            first,
            row_limit,
            stats,
        }
    }

    /// Aborts all running statements and makes all due, after the connection was lost.
    pub(super) fn abort(&mut self) {
        self.running.abort_all();
        self.running.detach_all();
        self.tasks.clear();
        for progress in &mut self.all {
            progress.running = false;
            progress.planned = false;
            progress.schedule.reset();
        }
    }

    /// Starts the statements that are due, except on databases that are `down`. Those are due once
    /// the database is up.
    pub(super) fn start(
        &mut self,
        pool: &Arc<Pool>,
        now: MonoMillis,
        collection_interval: Duration,
        down: &[Arc<str>],
    ) {
        let (first, row_limit) = (self.first, self.row_limit);
        for (index, progress) in self.all.iter_mut().enumerate() {
            if down.contains(&progress.job.database) {
                progress.schedule.reset();
            } else if !progress.running && progress.schedule.is_due(now, collection_interval) {
                progress.schedule.started(now);
                progress.running = true;
                let (job, pool) = (progress.job.clone(), pool.clone());
                let stats = self.stats.clone();
                let task = self
                    .running
                    .spawn(async move { run(&job, &pool, first, row_limit, &stats).await });
                self.tasks.insert(task.id(), index);
            }
        }
    }

    /// Waits until `deadline` for running statements, and adds the samples of those that have ended to
    /// `batch`.
    pub(super) async fn deliver(
        &mut self,
        deadline: Instant,
        now: MonoMillis,
        batch: &mut Batch,
        durations: &mut Durations,
    ) {
        while let Ok(Some(ended)) = timeout_at(deadline, self.running.join_next_with_id()).await {
            let id = match &ended {
                Ok((id, _)) => *id,
                Err(error) => error.id(),
            };
            let done = ended.map_or_else(broken, |(_, done)| done);
            for sample in done.samples.iter() {
                batch.push_packed(sample.metric, sample.labels, sample.values);
            }
            if let Some(progress) = self
                .tasks
                .remove(&id)
                .and_then(|index| self.all.get_mut(index))
            {
                let counts = std::mem::replace(&mut progress.planned, true)
                    || done.error.as_ref().is_some_and(|t| t.kind == Kind::Timeout);
                if let Some(took) = done.took.filter(|_| counts) {
                    durations.record(now, took);
                }
                progress.record_answer(&done);
                let (duration, rows) = (done.took, done.rows);
                progress.record_end(done.error, now);
                if !progress.is_unsupported() {
                    let has_succeeded = progress.error.is_none();
                    let run = Run {
                        duration,
                        rows,
                        has_succeeded,
                    };
                    self.stats.record(&progress.name, run);
                }
            }
        }
    }

    /// Returns the error of a statement that was rejected because of the user or the password.
    pub(super) fn auth_error(&self) -> Option<&Neo4jError> {
        self.errors()
            .map(|(_, error)| error)
            .find(|error| error.kind == Kind::Auth)
    }

    /// Returns the current errors, with the name of the statement.
    pub(super) fn errors(&self) -> impl Iterator<Item = (&str, &Neo4jError)> {
        self.all
            .iter()
            .filter(|progress| !progress.is_unsupported())
            .filter_map(|progress| {
                progress
                    .error
                    .as_ref()
                    .map(|error| (progress.name.as_str(), error))
            })
    }

    /// Returns the names of statements that were answered, but never with a value.
    pub(super) fn empty(&self) -> impl Iterator<Item = &str> {
        self.all
            .iter()
            .filter(|progress| progress.answers == Answers::Empty)
            .map(|progress| progress.name.as_str())
    }

    /// Clears troubles that belong to a connection that is gone.
    pub(super) fn clear_errors(&mut self, kind: Kind) {
        for progress in &mut self.all {
            progress.error = progress.error.take().filter(|error| error.kind != kind);
        }
    }
}

impl Progress {
    /// Returns whether the server does not support the statement, and that is no failure.
    fn is_unsupported(&self) -> bool {
        self.job.auto && self.error.as_ref().is_some_and(|t| t.kind == Kind::Missing)
    }

    /// Records the content of an answer. A skipped row, and an empty answer, are logged once.
    fn record_answer(&mut self, done: &Done) {
        let (query, database) = (self.name.as_str(), &*self.job.database);
        if let Some(row) = &done.skipped_row
            && !std::mem::replace(&mut self.skip_logged, true)
        {
            warn!(
                query,
                database, row, "neo4j row skipped; further rows are only counted"
            );
        }
        if !done.samples.is_empty() {
            self.answers = Answers::Values;
        } else if done.error.is_none() && self.answers == Answers::None {
            info!(query, database, "neo4j query has no rows so far");
            self.answers = Answers::Empty;
        }
    }

    /// Records the end of a run, and logs a change of its result.
    fn record_end(&mut self, error: Option<Neo4jError>, now: MonoMillis) {
        self.running = false;
        let before = std::mem::replace(&mut self.error, error);
        let unsupported = self.is_unsupported();
        if unsupported {
            self.schedule.postpone(now, RETRY_MISSING);
        }
        let kind = |error: &Option<Neo4jError>| error.as_ref().map(|error| error.kind);
        if kind(&before) == kind(&self.error) {
            return;
        }
        let (query, database) = (self.name.as_str(), &*self.job.database);
        match &self.error {
            None => info!(query, database, "neo4j query recovered"),
            Some(why) if unsupported => {
                info!(
                    query,
                    database,
                    why = why.text,
                    "neo4j query is not supported by the server; skipped"
                );
            }
            Some(why) => warn!(query, database, error = why.text, "neo4j query failed"),
        }
    }
}

fn name(job: &Job) -> String {
    let names: Vec<&str> = job.readings.iter().map(|reading| &*reading.name).collect();
    let labelled = job
        .readings
        .iter()
        .any(|reading| reading.database.is_some());
    match labelled {
        true => format!("{} on {}", names.join(", "), job.database),
        false => names.join(", "),
    }
}

fn broken(error: JoinError) -> Done {
    let error = Some(Neo4jError::new(
        Kind::Query,
        format!("ended without a result: {error}"),
    ));
    Done {
        error,
        ..Done::default()
    }
}

async fn run(
    job: &Job,
    pool: &Arc<Pool>,
    first: MetricId,
    row_limit: usize,
    stats: &QueryStats,
) -> Done {
    let statement = Statement {
        cypher: &job.cypher,
        database: &job.database,
        timeout: job.timeout,
        row_limit,
    };
    let (answer, took) = statement.run(pool).await;
    match answer {
        Err(error) => {
            let error = of_system(error, &job.database);
            // The duration of a rejected statement says nothing about other statements.
            let took = took.filter(|_| error.kind == Kind::Timeout);
            Done {
                error: Some(error),
                took,
                ..Done::default()
            }
        }
        Ok(answer) => {
            let mut done = Done {
                took,
                rows: Some(answer.rows.len() + answer.dropped),
                ..Done::default()
            };
            let mut wrong: Vec<String> = over(&answer, row_limit).into_iter().collect();
            for reading in &job.readings {
                if let Err(error) = fill(&answer.rows, reading, first, stats, &mut done) {
                    wrong.push(error);
                }
            }
            let wrong =
                (!wrong.is_empty()).then(|| Neo4jError::new(Kind::Query, wrong.join(", and ")));
            Done {
                error: wrong,
                ..done
            }
        }
    }
}

/// Converts errors of the database `system`, which accepts administration commands only: any other
/// statement is not supported there.
fn of_system(error: Neo4jError, database: &str) -> Neo4jError {
    let rejected = error.text.starts_with("Neo.ClientError.Statement.");
    let kind = match error.kind {
        Kind::Query if rejected && database.eq_ignore_ascii_case("system") => Kind::Missing,
        kind => kind,
    };
    Neo4jError { kind, ..error }
}

/// Adds the samples of one metric to `done`. A bad row is skipped; if all rows are bad, that is an
/// error.
fn fill(
    rows: &[Row],
    reading: &Reading,
    first: MetricId,
    stats: &QueryStats,
    done: &mut Done,
) -> Result<(), String> {
    let id = MetricId(first.0 + reading.metric as u32);
    let samples = read(rows, reading)?;
    samples
        .bad
        .iter()
        .for_each(|(why, _)| stats.count_skipped(*why));
    for (labels, value) in &samples.samples {
        done.samples.push_packed(id, labels.packed(), &[*value]);
    }
    match samples.bad.into_iter().next() {
        Some((_, text)) if samples.samples.is_empty() => Err(text),
        Some((_, text)) => {
            done.skipped_row.get_or_insert(text);
            Ok(())
        }
        None => Ok(()),
    }
}

fn over(answer: &Answer, row_limit: usize) -> Option<String> {
    let more = if answer.complete { "" } else { "at least " };
    (answer.dropped > 0).then(|| {
        format!(
            "{more}{} over row_limit {row_limit} dropped",
            counted(answer.dropped, "row")
        )
    })
}
