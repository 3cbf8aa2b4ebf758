//! The collector of files, with a thread that reads them.

use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, TryRecvError};
use std::thread::JoinHandle;
use std::time::Duration;

use bellwether_collector::{Collecting, Collector};
use bellwether_core::{Batch, Failure, Now, Origin, SeriesBatch};
use bellwether_runtime::Clock;
use tokio::sync::oneshot;

use super::checkpoint::{Checkpoints, Writer};
use super::follower::{Files, Follower};
use super::rules::Rules;

/// Time between two looks at the files. Nothing is lost by a longer one but lines of files that were removed or
/// truncated without a copy.
const POLL: Duration = Duration::from_secs(1);

/// Settings of the thread.
#[derive(Clone)]
pub(super) struct Plan {
    pub(super) origin: Origin,
    pub(super) files: Files,
    pub(super) rules: Rules,
    /// Time in which a collection catches up with the files.
    pub(super) limit: Duration,
}

/// Collects what a thread of its own reads all the time. The thread ends once the collector is dropped.
pub(super) struct FilesCollector {
    jobs: mpsc::Sender<Job>,
    thread: Option<JoinHandle<()>>,
    notes: Vec<String>,
}

/// A collection.
struct Job {
    series: SeriesBatch,
    done: oneshot::Sender<Collected>,
}

struct Collected {
    series: SeriesBatch,
    notes: Vec<String>,
    result: Result<(), Failure>,
}

impl FilesCollector {
    /// Starts the thread.
    pub(super) fn start(plan: Plan, checkpoints: &Arc<Checkpoints>) -> Self {
        let (jobs, queue) = mpsc::channel();
        let (writer, checkpoint) = checkpoints.begin();
        let thread = std::thread::Builder::new().name("log".to_owned());
        let started = thread.spawn(move || {
            let follower = Follower::new(plan.files.clone(), plan.rules.clone(), checkpoint);
            Reader {
                plan,
                writer,
                follower,
                clock: Clock::start(),
            }
            .run(&queue);
        });
        Self {
            jobs,
            thread: started.ok(),
            notes: Vec::new(),
        }
    }

    async fn run(&mut self, batch: &mut Batch) -> Result<(), Failure> {
        let (done, answer) = oneshot::channel();
        let series = std::mem::take(&mut batch.series);
        // If the thread has ended, the channel of the answer is dropped with the job.
        self.jobs.send(Job { series, done }).ok();
        if let Ok(collected) = answer.await {
            batch.series = collected.series;
            self.notes = collected.notes;
            return collected.result;
        }
        match self.thread.take().map(JoinHandle::join) {
            // The runner reports panics, and builds the collector again.
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => Err(Failure::new("panic", "the reading thread ended")),
        }
    }
}

impl Collector for FilesCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(self.run(batch))
    }

    fn notes(&self) -> Vec<String> {
        self.notes.clone()
    }
}

/// The thread.
struct Reader {
    plan: Plan,
    writer: Writer,
    follower: Follower,
    clock: Clock,
}

impl Reader {
    fn run(mut self, queue: &mpsc::Receiver<Job>) {
        let mut has_more = true;
        loop {
            let job = match has_more {
                true => queue
                    .try_recv()
                    .map_err(|error| error == TryRecvError::Empty),
                false => queue
                    .recv_timeout(POLL)
                    .map_err(|error| error == RecvTimeoutError::Timeout),
            };
            match job {
                Ok(job) => {
                    has_more = self.catch_up();
                    self.deliver(job);
                }
                Err(true) => has_more = self.follower.step(self.clock.now()),
                Err(false) => break,
            }
        }
        // What was read since the last collection need not be read again.
        if let Err(error) = self.writer.save(self.follower.checkpoint()) {
            tracing::warn!(%error, "the positions in logs are not saved");
        }
    }

    /// Reads what there is, as far as the time of a collection allows. Returns whether there is more.
    fn catch_up(&mut self) -> bool {
        let start = self.clock.now().mono;
        loop {
            let now = self.clock.now();
            if now.mono.since(start) > self.plan.limit {
                return true;
            }
            if !self.follower.step(now) {
                return false;
            }
        }
    }

    /// Answers a collection. Its values are on disk before anybody sees them, so that no counter falls over a restart.
    fn deliver(&mut self, job: Job) {
        let mut series = job.series;
        let saved = self.writer.save(self.follower.checkpoint());
        self.follower.fill(self.plan.origin.as_str(), &mut series);
        let mut problems = self.follower.problems();
        problems.extend(
            saved
                .err()
                .map(|error| format!("cannot save the positions: {error}")),
        );
        let result = match problems.is_empty() {
            true => Ok(()),
            false => Err(Failure::new("io", problems.join("; "))),
        };
        // Nobody waits for the answer when the program stops.
        job.done
            .send(Collected {
                series,
                notes: self.follower.notes(),
                result,
            })
            .ok();
    }
}
