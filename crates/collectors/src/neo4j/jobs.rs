//! The statements of a plan as they run: which are due, which are under way, how each fares.
//!
//! Each runs in a task of its own, at most once at a time. One that outlasts a collection is
//! delivered by a later one, so a slow statement delays nobody.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Batch, MetricId, MonoMillis};
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use super::durations::Durations;
use super::plan::{Job, Reading};
use super::pool::Pool;
use super::rows::{Row, read};
use super::schedule::Schedule;
use super::skipped::SkippedRows;
use super::statement::{Answer, Statement};
use super::trouble::{Kind, Trouble};

/// How long a server that cannot tell something is not asked for it again, while connected.
const ASK_AGAIN: Duration = Duration::from_secs(300);

/// All statements.
pub(super) struct Jobs {
    all: Vec<Progress>,
    running: JoinSet<Done>,
    tasks: HashMap<Id, usize>,
    first: MetricId,
    row_limit: usize,
    skipped: Arc<SkippedRows>,
}

struct Progress {
    job: Arc<Job>,
    /// The metrics it fills, for messages.
    name: String,
    schedule: Schedule,
    running: bool,
    /// Whether it has run since the connection was made. The server plans a statement when it sees
    /// it first, which takes a hundred times longer and says nothing about how the server fares.
    planned: bool,
    /// What was wrong when it last ended.
    trouble: Option<Trouble>,
    /// Set once a row that was left out was named in the log.
    named: bool,
    answers: Answers,
}

/// Content of the answers so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answers {
    /// There was none yet.
    None,
    /// No value in any of them.
    Empty,
    /// Values, in one of them at least.
    Values,
}

#[derive(Default)]
struct Done {
    points: Batch,
    /// The first row that was left out.
    left_out: Option<String>,
    trouble: Option<Trouble>,
    took: Option<Duration>,
}

impl Jobs {
    /// None has run yet. The plan's metrics have ids from `first` on.
    pub(super) fn new(
        jobs: Vec<Job>,
        first: MetricId,
        row_limit: usize,
        skipped: Arc<SkippedRows>,
    ) -> Self {
        let all = jobs.into_iter().map(|job| Progress {
            name: name(&job),
            schedule: Schedule::new(job.interval),
            running: false,
            planned: false,
            trouble: None,
            named: false,
            answers: Answers::None,
            job: Arc::new(job),
        });
        let (running, tasks) = (JoinSet::new(), HashMap::new());
        Self {
            all: all.collect(),
            running,
            tasks,
            first,
            row_limit,
            skipped,
        }
    }

    /// Ends what runs and makes everything due: the connection is gone.
    pub(super) fn lose(&mut self) {
        self.running.abort_all();
        self.running.detach_all();
        self.tasks.clear();
        for progress in &mut self.all {
            progress.running = false;
            progress.planned = false;
            progress.schedule.reset();
        }
    }

    /// Starts what is due, but nothing on databases that are `down`; those are due once they are
    /// back.
    pub(super) fn start(
        &mut self,
        pool: &Arc<Pool>,
        now: MonoMillis,
        tick: Duration,
        down: &[Arc<str>],
    ) {
        let (first, row_limit) = (self.first, self.row_limit);
        for (index, progress) in self.all.iter_mut().enumerate() {
            if down.contains(&progress.job.database) {
                progress.schedule.reset();
            } else if !progress.running && progress.schedule.due(now, tick) {
                progress.schedule.started(now);
                progress.running = true;
                let (job, pool) = (progress.job.clone(), pool.clone());
                let skipped = self.skipped.clone();
                let task = self
                    .running
                    .spawn(async move { run(&job, &pool, first, row_limit, &skipped).await });
                self.tasks.insert(task.id(), index);
            }
        }
    }

    /// Waits for what runs, until `deadline`, and delivers what has ended.
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
            for point in done.points.iter() {
                batch.push_packed(point.metric, point.labels, point.numbers);
            }
            if let Some(progress) = self
                .tasks
                .remove(&id)
                .and_then(|index| self.all.get_mut(index))
            {
                let counts = std::mem::replace(&mut progress.planned, true)
                    || done
                        .trouble
                        .as_ref()
                        .is_some_and(|t| t.kind == Kind::Timeout);
                if let Some(took) = done.took.filter(|_| counts) {
                    durations.record(now, took);
                }
                progress.answered(&done);
                progress.ended(done.trouble, now);
            }
        }
    }

    /// Whether a statement was refused for its user or password.
    pub(super) fn refused(&self) -> Option<&Trouble> {
        self.troubles()
            .map(|(_, trouble)| trouble)
            .find(|trouble| trouble.kind == Kind::Auth)
    }

    /// What is wrong now, by name.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (&str, &Trouble)> {
        self.all
            .iter()
            .filter(|progress| !progress.absent())
            .filter_map(|progress| {
                progress
                    .trouble
                    .as_ref()
                    .map(|trouble| (progress.name.as_str(), trouble))
            })
    }

    /// Statements that were answered, and never with a value.
    pub(super) fn empty(&self) -> impl Iterator<Item = &str> {
        let empty = |progress: &&Progress| progress.answers == Answers::Empty;
        self.all
            .iter()
            .filter(empty)
            .map(|progress| progress.name.as_str())
    }

    /// Forgets troubles that belong to a connection that is gone.
    pub(super) fn forgive(&mut self, kind: Kind) {
        for progress in &mut self.all {
            progress.trouble = progress
                .trouble
                .take()
                .filter(|trouble| trouble.kind != kind);
        }
    }
}

impl Progress {
    /// Whether the server cannot tell it, and that is no failure.
    fn absent(&self) -> bool {
        self.job.auto
            && self
                .trouble
                .as_ref()
                .is_some_and(|t| t.kind == Kind::Missing)
    }

    /// Notes what an answer held. What is left out of it, and that there is nothing in it, is said
    /// once.
    fn answered(&mut self, done: &Done) {
        let (query, database) = (self.name.as_str(), &*self.job.database);
        if let Some(row) = &done.left_out
            && !std::mem::replace(&mut self.named, true)
        {
            warn!(
                query,
                database, row, "neo4j row left out; more are only counted"
            );
        }
        if !done.points.is_empty() {
            self.answers = Answers::Values;
        } else if done.trouble.is_none() && self.answers == Answers::None {
            info!(query, database, "neo4j query has no rows so far");
            self.answers = Answers::Empty;
        }
    }

    /// Notes the end of a run, and says so in the log once per change.
    fn ended(&mut self, trouble: Option<Trouble>, now: MonoMillis) {
        self.running = false;
        let before = std::mem::replace(&mut self.trouble, trouble);
        let absent = self.absent();
        if absent {
            self.schedule.postpone(now, ASK_AGAIN);
        }
        let kind = |trouble: &Option<Trouble>| trouble.as_ref().map(|trouble| trouble.kind);
        if kind(&before) == kind(&self.trouble) {
            return;
        }
        let (query, database) = (self.name.as_str(), &*self.job.database);
        match &self.trouble {
            None => info!(query, database, "neo4j query recovered"),
            Some(why) if absent => {
                info!(
                    query,
                    database,
                    why = why.text,
                    "neo4j cannot tell this; left out"
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
    let trouble = Some(Trouble::new(
        Kind::Query,
        format!("ended without a result: {error}"),
    ));
    Done {
        trouble,
        ..Done::default()
    }
}

async fn run(
    job: &Job,
    pool: &Arc<Pool>,
    first: MetricId,
    row_limit: usize,
    skipped: &SkippedRows,
) -> Done {
    let statement = Statement {
        cypher: &job.cypher,
        database: &job.database,
        timeout: job.timeout,
        row_limit,
    };
    let (answer, took) = statement.ask(pool).await;
    match answer {
        Err(trouble) => {
            let trouble = of_system(trouble, &job.database);
            // A statement that was refused says nothing about how long statements take.
            let took = took.filter(|_| trouble.kind == Kind::Timeout);
            Done {
                trouble: Some(trouble),
                took,
                ..Done::default()
            }
        }
        Ok(answer) => {
            let mut done = Done {
                took,
                ..Done::default()
            };
            let mut wrong: Vec<String> = over(&answer, row_limit).into_iter().collect();
            for reading in &job.readings {
                if let Err(error) = fill(&answer.rows, reading, first, skipped, &mut done) {
                    wrong.push(error);
                }
            }
            let wrong =
                (!wrong.is_empty()).then(|| Trouble::new(Kind::Query, wrong.join(", and ")));
            Done {
                trouble: wrong,
                ..done
            }
        }
    }
}

/// The database `system` takes administration commands only: whatever else it refuses as a
/// statement, it cannot tell.
fn of_system(trouble: Trouble, database: &str) -> Trouble {
    let refused = trouble.text.starts_with("Neo.ClientError.Statement.");
    let kind = match trouble.kind {
        Kind::Query if refused && database.eq_ignore_ascii_case("system") => Kind::Missing,
        kind => kind,
    };
    Trouble { kind, ..trouble }
}

/// A bad row costs itself; where all of them are bad, the answer as a whole is.
fn fill(
    rows: &[Row],
    reading: &Reading,
    first: MetricId,
    skipped: &SkippedRows,
    done: &mut Done,
) -> Result<(), String> {
    let id = MetricId(first.0 + reading.metric as u32);
    let found = read(rows, reading)?;
    found.bad.iter().for_each(|(why, _)| skipped.count(*why));
    for (labels, value) in &found.points {
        done.points.push_packed(id, labels.packed(), &[*value]);
    }
    match found.bad.into_iter().next() {
        Some((_, text)) if found.points.is_empty() => Err(text),
        Some((_, text)) => {
            done.left_out.get_or_insert(text);
            Ok(())
        }
        None => Ok(()),
    }
}

fn over(answer: &Answer, row_limit: usize) -> Option<String> {
    let more = if answer.complete { "" } else { "at least " };
    (answer.dropped > 0).then(|| {
        format!(
            "{more}{} rows over row_limit {row_limit} dropped",
            answer.dropped
        )
    })
}
