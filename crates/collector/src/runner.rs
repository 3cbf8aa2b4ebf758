//! Runs one collector on its schedule: deadline, panic isolation, success, duration and age.
//!
//! A run that misses its deadline continues, and no second one is started beside it; its samples are
//! discarded. So a collector that hangs costs its own metrics and one waiting task.

mod self_metrics;

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use bellwether_calendar::{Cron, Location};
use bellwether_core::{Batch, Failure, Now, Origin, UnixMillis};
use bellwether_runtime::Clock;
use parking_lot::Mutex;
pub use self_metrics::SELF_METRICS;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{Build, Collector, Memory, UNSEEN};

/// Receiver of batches.
pub trait Sink: Send + Sync + 'static {
    /// Receives the `batch` that `origin` collected at `now`; empty after a failure without samples.
    fn collected(&self, origin: Origin, batch: &Batch, now: Now);
}

/// Health of a collector.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Health {
    /// Result of the last run; `None` before the first has ended, and while its source was never
    /// seen.
    pub success: Option<bool>,
    /// Duration of the last finished run.
    pub duration: Duration,
    /// Time of the last success.
    pub last_success: Option<Now>,
    /// Start of the last run.
    pub last_run: Option<UnixMillis>,
    /// Error of the last run, if it failed.
    pub failure: Option<Failure>,
    /// Notes of the collector for the operator.
    pub notes: Vec<String>,
    /// Finished runs, successful or not.
    pub runs: u64,
    /// Failed runs by reason.
    pub failures: BTreeMap<&'static str, u64>,
}

/// Health of all collectors, shared between the runners and the API.
#[derive(Clone, Debug, Default)]
pub struct HealthBoard(Arc<Mutex<BTreeMap<Origin, Health>>>);

impl HealthBoard {
    /// Returns the health of all collectors.
    #[must_use]
    pub fn all(&self) -> BTreeMap<Origin, Health> {
        self.0.lock().clone()
    }

    /// Adds a collector that has not run yet.
    pub fn expect(&self, origin: Origin) {
        self.0.lock().entry(origin).or_default();
    }

    /// Removes a collector that no longer runs.
    pub fn forget(&self, origin: Origin) {
        self.0.lock().remove(&origin);
    }

    fn note(&self, origin: Origin, notes: Vec<String>) {
        self.0.lock().entry(origin).or_default().notes = notes;
    }

    /// Adds notes for the operator to those of the last run.
    pub fn add_notes(&self, origin: Origin, notes: Vec<String>) {
        if !notes.is_empty() {
            self.0.lock().entry(origin).or_default().notes.extend(notes);
        }
    }

    /// Returns whether the last run of `origin` succeeded; `None` if unknown.
    #[must_use]
    pub fn is_up(&self, origin: Origin) -> Option<bool> {
        self.0.lock().get(&origin)?.success
    }

    fn record(&self, origin: Origin, duration: Duration, now: Now, result: Result<(), Failure>) {
        let mut board = self.0.lock();
        let health = board.entry(origin).or_default();
        health.runs += 1;
        health.last_run = Some(now.wall);
        health.duration = duration;
        let before = health.failure.take();
        match result {
            Ok(()) => {
                if let Some(before) = before {
                    info!(
                        collector = origin.as_str(),
                        after = before.reason,
                        "collector recovered"
                    );
                }
                health.success = Some(true);
                health.last_success = Some(now);
            }
            Err(failure) => {
                // Logged when the reason changes, not every interval.
                let is_new = before.as_ref().map(|failure| failure.reason) != Some(failure.reason);
                let unseen = failure.reason == UNSEEN;
                let (collector, reason) = (origin.as_str(), failure.reason);
                let error = failure.detail.as_str();
                match (is_new, unseen) {
                    (true, true) => info!(
                        collector,
                        error, "source was never seen; not counted as a failure"
                    ),
                    (true, false) => warn!(collector, reason, error, "collector failed"),
                    (false, _) => {}
                }
                health.success = (!unseen).then_some(false);
                if !unseen {
                    *health.failures.entry(failure.reason).or_default() += 1;
                }
                health.failure = Some(failure);
            }
        }
    }
}

type Job = JoinHandle<(Box<dyn Collector>, Box<Batch>, Result<(), Failure>)>;

/// Schedule of a collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Time from the start of one run to the start of the next.
    pub interval: Duration,
    /// Longest duration of a run.
    pub deadline: Duration,
    /// Time of the second run after the first, for metrics that are the difference of two samples.
    pub settle: Option<Duration>,
}

/// Times of the day at which a collector runs, beside the start, in place of an interval.
#[derive(Clone, Debug, PartialEq)]
pub struct Times {
    /// Times as in crontab.
    pub schedule: Cron,
    /// Time zone of the times.
    pub location: Location,
}

/// Longest sleep until a time of the day. Then the clock is looked at again, which may have been set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

impl Times {
    /// Returns how long to sleep at `now` until the time `due` comes; `None` if it has come.
    fn sleep(due: UnixMillis, now: UnixMillis) -> Option<Duration> {
        (now < due).then(|| due.since(now).min(LONGEST_SLEEP))
    }

    /// Waits until the next of the times.
    async fn wait(&self, clock: &Clock) {
        let due = self.schedule.next(clock.now().wall, self.location.zone());
        // A schedule that has no more times, such as one of a year that is over, never comes.
        let due = due.unwrap_or(UnixMillis(i64::MAX));
        while let Some(time) = Self::sleep(due, clock.now().wall) {
            sleep(time).await;
        }
    }
}

/// One collector with its schedule.
pub struct Runner {
    /// The collector.
    pub origin: Origin,
    /// Schedule of its runs.
    pub schedule: Schedule,
    /// Times of its runs, in place of the interval of the schedule.
    pub times: Option<Times>,
    /// Creates the collector, at the start and again after a panic.
    pub build: Build,
    /// State that the collector finds again.
    pub memory: Memory,
    /// Receives its health.
    pub board: HealthBoard,
    /// Receives the batches.
    pub sink: Arc<dyn Sink>,
    /// The clocks.
    pub clock: Clock,
}

/// State of a runner between two runs.
enum State {
    /// Without a collector before the first run and after a panic.
    Idle(Option<Box<dyn Collector>>, Box<Batch>),
    /// A run that missed its deadline and has not ended.
    Overdue(Job),
}

impl State {
    /// Waits until the collector has something to collect before it is due.
    async fn changed(&mut self) {
        match self {
            Self::Idle(Some(collector), _) => collector.changed().await,
            Self::Idle(None, _) | Self::Overdue(_) => std::future::pending().await,
        }
    }
}

impl Runner {
    /// Collects at once and then every interval, or at the times, until `stop`; also when a collector says that
    /// there is something new.
    pub async fn run(mut self, stop: CancellationToken) {
        self.board.expect(self.origin);
        let mut ticks = interval(self.schedule.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut state = State::Idle(None, Box::default());
        ticks.tick().await;
        let mut settle = self
            .schedule
            .settle
            .filter(|settle| *settle < self.schedule.interval);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                next = self.collect(state) => state = next,
            }
            let next = async {
                match settle.take() {
                    // Metrics that need two runs begin with the second, and so does the grid of intervals.
                    Some(settle) => {
                        sleep(settle).await;
                        ticks.reset();
                    }
                    None => match &self.times {
                        Some(times) => times.wait(&self.clock).await,
                        None => {
                            ticks.tick().await;
                        }
                    },
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = next => {}
                () = state.changed() => {}
            }
        }
    }

    async fn collect(&mut self, state: State) -> State {
        let now = self.clock.now();
        let (fresh, mut job) = match state {
            State::Idle(collector, batch) => (true, self.start(collector, batch, now)),
            State::Overdue(job) => (false, job),
        };
        let started = Instant::now();
        let Ok(ended) = timeout(self.schedule.deadline, &mut job).await else {
            let detail = format!("not done after {:?}", self.schedule.deadline);
            self.fail(started.elapsed(), Failure::new("timeout", detail), now);
            return State::Overdue(job);
        };
        match ended {
            Ok((collector, mut batch, result)) => {
                if fresh {
                    self.board
                        .record(self.origin, started.elapsed(), now, result);
                    self.board.note(self.origin, collector.notes());
                    self.sink.collected(self.origin, &batch, now);
                }
                batch.clear();
                State::Idle(Some(collector), batch)
            }
            Err(error) => {
                self.fail(started.elapsed(), panicked(error), now);
                State::Idle(None, Box::default())
            }
        }
    }

    /// Starts a run in a task of its own, so that a panic ends there.
    fn start(&self, collector: Option<Box<dyn Collector>>, mut batch: Box<Batch>, now: Now) -> Job {
        let (build, memory) = (self.build.clone(), self.memory.clone());
        tokio::spawn(async move {
            let mut collector = match collector {
                Some(collector) => collector,
                None => spawn_blocking(move || build(&memory))
                    .await
                    .unwrap_or_else(|error| resume_unwind(Box::new(panicked(error).detail))),
            };
            let result = collector.collect(&mut batch, now).await;
            (collector, batch, result)
        })
    }

    fn fail(&self, duration: Duration, failure: Failure, now: Now) {
        self.board.record(self.origin, duration, now, Err(failure));
        self.sink.collected(self.origin, &Batch::default(), now);
    }
}

fn panicked(error: JoinError) -> Failure {
    let detail = match error.try_into_panic() {
        Ok(payload) => payload
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string))
            .unwrap_or_else(|| "without a message".to_owned()),
        Err(error) => error.to_string(),
    };
    Failure::new("panic", detail)
}

#[cfg(test)]
mod tests {
    use bellwether_core::MetricId;

    use super::*;
    use crate::{Changed, Collecting};

    /// Does what its script says, one word a run.
    struct Scripted(Arc<Mutex<Vec<&'static str>>>);

    impl Collector for Scripted {
        fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
            let step = self.0.lock().pop().unwrap_or("good");
            Box::pin(async move {
                match step {
                    "panic" => panic!("boom"),
                    "hang" => tokio::time::sleep(Duration::from_secs(25)).await,
                    _ => {}
                }
                batch.push(MetricId(0), &[], 1.0);
                if step == "partial" {
                    Err(Failure::new("query", "one of two"))
                } else {
                    Ok(())
                }
            })
        }
    }

    #[derive(Default)]
    struct Sizes(Mutex<Vec<usize>>);

    impl Sink for Sizes {
        fn collected(&self, _: Origin, batch: &Batch, _: Now) {
            self.0.lock().push(batch.len());
        }
    }

    /// A runner every 10 s, with a deadline of 5 s.
    fn runner(build: Build, board: &HealthBoard, sink: Arc<Sizes>) -> Runner {
        Runner {
            origin: Origin::new("system"),
            schedule: Schedule {
                interval: Duration::from_secs(10),
                deadline: Duration::from_secs(5),
                settle: None,
            },
            times: None,
            build,
            memory: Memory::default(),
            board: board.clone(),
            sink,
            clock: Clock::start(),
        }
    }

    /// Runs `script` (last word first) for `seconds` of virtual time.
    async fn drive(script: &[&'static str], seconds: u64) -> (Health, Vec<usize>) {
        drive_settling(script, seconds, None).await
    }

    async fn drive_settling(
        script: &[&'static str],
        seconds: u64,
        settle: Option<Duration>,
    ) -> (Health, Vec<usize>) {
        let (board, sink) = (HealthBoard::default(), Arc::new(Sizes::default()));
        let script = Arc::new(Mutex::new(script.to_vec()));
        let build: Build = Arc::new(move |_| Box::new(Scripted(script.clone())));
        let mut runner = runner(build, &board, sink.clone());
        runner.schedule.settle = settle;
        let stop = CancellationToken::new();
        let task = tokio::spawn(runner.run(stop.clone()));
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        stop.cancel();
        task.await.unwrap();
        let sizes = sink.0.lock().clone();
        (board.all().remove(&Origin::new("system")).unwrap(), sizes)
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_run_follows_soon_where_the_first_needs_one() {
        let settle = Some(Duration::from_secs(1));
        assert_eq!(drive_settling(&[], 2, settle).await.0.runs, 2);
        assert_eq!(drive_settling(&[], 10, settle).await.0.runs, 2);
        assert_eq!(drive_settling(&[], 12, settle).await.0.runs, 3);
        assert_eq!(drive_settling(&[], 22, settle).await.0.runs, 4);
        assert_eq!(
            drive_settling(&[], 9, Some(Duration::from_secs(10)))
                .await
                .0
                .runs,
            1
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_is_counted_and_the_next_run_is_good() {
        let (health, sizes) = drive(&["panic"], 11).await;
        assert_eq!(
            (health.success, health.runs, sizes),
            (Some(true), 2, vec![0, 1])
        );
        assert_eq!(health.failures, BTreeMap::from([("panic", 1)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_that_cannot_be_built_is_built_again_at_the_next_run() {
        let (board, builds) = (HealthBoard::default(), Mutex::new(0));
        let build: Build = Arc::new(move |_| {
            *builds.lock() += 1;
            assert!(*builds.lock() > 1, "the first time");
            Box::new(Scripted(Arc::default()))
        });
        let stop = CancellationToken::new();
        let running =
            tokio::spawn(runner(build, &board, Arc::<Sizes>::default()).run(stop.clone()));
        tokio::time::sleep(Duration::from_secs(11)).await;
        stop.cancel();
        running.await.unwrap();
        let health = board.all().remove(&Origin::new("system")).unwrap();
        assert_eq!((health.success, health.runs), (Some(true), 2));
        assert_eq!(health.failures, BTreeMap::from([("panic", 1)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hang_is_not_run_twice_and_what_it_brings_late_is_dropped() {
        // Hangs from 0 to 25 s: overdue at 0 and 10, ended within the tick at 20, fresh at 30.
        let (health, sizes) = drive(&["hang"], 31).await;
        assert_eq!(health.failures, BTreeMap::from([("timeout", 2)]));
        assert_eq!((health.success, sizes), (Some(true), vec![0, 0, 1]));
    }

    #[test]
    fn a_run_at_a_time_of_the_day_waits_for_it_and_looks_at_the_clock() {
        let at = |seconds: i64| UnixMillis(seconds * 1000);
        assert_eq!(Times::sleep(at(100), at(70)), Some(Duration::from_secs(30)));
        assert_eq!(Times::sleep(at(1000), at(70)), Some(LONGEST_SLEEP));
        assert_eq!(Times::sleep(at(100), at(100)), None);
        // The clock was set past it.
        assert_eq!(Times::sleep(at(100), at(5000)), None);
    }

    #[test]
    fn what_was_never_seen_is_no_failure_until_it_was_there() {
        let board = HealthBoard::default();
        let run = |result| {
            board.record(Origin::new("neo4j"), Duration::ZERO, Now::default(), result);
            board.all().remove(&Origin::new("neo4j")).unwrap()
        };
        let unseen = run(Err(Failure::new(UNSEEN, "bolt://localhost:7687: refused")));
        assert_eq!(
            (unseen.success, unseen.runs, unseen.failures.len()),
            (None, 1, 0)
        );
        assert_eq!(
            unseen.failure.unwrap().detail,
            "bolt://localhost:7687: refused"
        );
        assert_eq!(run(Ok(())).success, Some(true));
        let down = run(Err(Failure::new("connect", "refused")));
        assert_eq!((down.success, down.failures["connect"]), (Some(false), 1));
    }

    /// Has something new a while after each of its first runs.
    struct Restless(u32);

    impl Collector for Restless {
        fn collect<'a>(&'a mut self, _: &'a mut Batch, _: Now) -> Collecting<'a> {
            self.0 += 1;
            Box::pin(std::future::ready(Ok(())))
        }

        fn changed(&mut self) -> Changed<'_> {
            let first = self.0 < 3;
            Box::pin(async move {
                match first {
                    true => sleep(Duration::from_secs(2)).await,
                    false => std::future::pending().await,
                }
            })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_collector_with_something_new_is_run_before_it_is_due() {
        for (seconds, runs) in [(1, 1), (3, 2), (9, 3), (11, 4), (19, 4), (21, 5)] {
            let (board, sink) = (HealthBoard::default(), Arc::new(Sizes::default()));
            let stop = CancellationToken::new();
            let runner = runner(Arc::new(|_| Box::new(Restless(0))), &board, sink);
            let task = tokio::spawn(runner.run(stop.clone()));
            sleep(Duration::from_secs(seconds)).await;
            stop.cancel();
            task.await.unwrap();
            let health = board.all().remove(&Origin::new("system")).unwrap();
            assert_eq!(health.runs, runs, "after {seconds} s");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn partial_results_are_delivered_with_the_failure() {
        let (health, sizes) = drive(&["partial"], 5).await;
        assert_eq!((health.success, sizes), (Some(false), vec![1]));
        assert_eq!(health.failure.unwrap().reason, "query");
    }
}
