//! Work on history: few at once, on blocking threads, each under a guard.
//!
//! Owns the queue and the ends of a job: its time is over, its client has left, it holds too much.

use std::sync::Arc;
use std::time::Duration;

use bellwether_promql::{Guard, Pool};
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::stats::QueryStats;
use crate::answer::Trouble;

/// How many may wait for each that runs.
const WAITING_PER_RUNNING: u32 = 16;

/// Runs jobs.
pub(crate) struct Jobs {
    slots: Arc<Semaphore>,
    /// Jobs that may be there at once, running or waiting.
    places: Arc<Semaphore>,
    stats: Arc<QueryStats>,
    /// What all jobs hold in memory.
    memory: Arc<Pool>,
}

/// The limits of one job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Time for it, its wait included.
    pub(crate) timeout: Duration,
    /// Samples it may hold.
    pub(crate) max_samples: u64,
    /// Bytes of all else that it may hold.
    pub(crate) max_bytes: u64,
}

/// What a job made, with its right to run: while it lives, others wait, so that what was made and
/// not yet sent is bounded too.
pub(crate) struct Made<T> {
    pub(crate) value: T,
    /// Has what was made on its account until all of it is sent.
    pub(crate) guard: Arc<Guard>,
    _slot: Slot,
}

/// Given back when the work has really ended.
struct Slot {
    _slot: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    _counted: super::stats::Counted,
}

impl Jobs {
    /// Runs `concurrency` jobs at once, which hold `memory` bytes together. With those that wait
    /// they take at most half of `connections`: the rest is for scrapes.
    pub(crate) fn new(
        concurrency: u32,
        connections: u32,
        memory: u64,
        stats: Arc<QueryStats>,
    ) -> Self {
        let places = concurrency
            .saturating_mul(1 + WAITING_PER_RUNNING)
            .min(connections / 2);
        Self {
            slots: Arc::new(Semaphore::new(concurrency as usize)),
            places: Arc::new(Semaphore::new(places as usize)),
            stats,
            memory: Arc::new(Pool::new(memory)),
        }
    }

    /// Does `work` on a blocking thread when its turn has come. Dropping the future cancels it.
    ///
    /// # Errors
    /// What `work` says, or that it could not begin or end in time.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        limits: Limits,
        work: impl FnOnce(&Guard) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<Made<T>, Trouble> {
        let mut ending = Ending::begin(&self.stats, limits, Arc::clone(&self.memory));
        let result = self.within(limits, &ending.guard, work).await;
        ending.result = Some(result.as_ref().map_or_else(Trouble::kind, |_| "success"));
        result
    }

    async fn within<T: Send + 'static>(
        &self,
        limits: Limits,
        guard: &Arc<Guard>,
        work: impl FnOnce(&Guard) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<Made<T>, Trouble> {
        let deadline = Instant::now() + limits.timeout;
        let place = Arc::clone(&self.places)
            .try_acquire_owned()
            .map_err(|_| too_many())?;
        let waits = self.stats.waits();
        let turn = tokio::time::timeout_at(deadline, Arc::clone(&self.slots).acquire_owned());
        let slot = turn
            .await
            .map_err(|_| timed_out("query queue"))?
            .map_err(|_| too_many())?;
        drop(waits);
        let slot = Slot {
            _slot: slot,
            _place: place,
            _counted: self.stats.runs(),
        };
        let inner = Arc::clone(guard);
        let work = tokio::task::spawn_blocking(move || {
            let value = work(&inner)?;
            Ok(Made {
                value,
                guard: inner,
                _slot: slot,
            })
        });
        tokio::select! {
            done = work => done.unwrap_or_else(|_| Err(failed())),
            () = sleep_until(deadline) => {
                guard.time_out();
                Err(timed_out("expression evaluation"))
            }
        }
    }
}

/// Sees that a job ends with the interest in it, and is counted however it ends.
struct Ending {
    guard: Arc<Guard>,
    stats: Arc<QueryStats>,
    began: Instant,
    result: Option<&'static str>,
}

impl Ending {
    fn begin(stats: &Arc<QueryStats>, limits: Limits, memory: Arc<Pool>) -> Self {
        Self {
            guard: Arc::new(Guard::within(limits.max_samples, limits.max_bytes, memory)),
            stats: Arc::clone(stats),
            began: Instant::now(),
            result: None,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.guard.cancel();
        self.stats
            .end(self.result.unwrap_or("canceled"), self.began.elapsed());
    }
}

fn too_many() -> Trouble {
    Trouble::of_kind(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "too many queries are waiting",
    )
    .hint("ask again later, or raise prometheus.query.max_concurrency")
    .header(RETRY_AFTER, "5")
}

/// In Prometheus's words.
fn timed_out(during: &str) -> Trouble {
    let message = format!("query timed out in {during}");
    Trouble::of_kind(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
}

fn failed() -> Trouble {
    Trouble::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "this query failed: see the log",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use bellwether_promql::Stopped;

    use super::*;

    const LIMITS: Limits = Limits {
        timeout: Duration::from_secs(20),
        max_samples: 10,
        max_bytes: 100,
    };

    fn jobs(concurrency: u32, connections: u32) -> (Jobs, Arc<QueryStats>) {
        let stats = Arc::new(QueryStats::default());
        (
            Jobs::new(concurrency, connections, 1_000, Arc::clone(&stats)),
            stats,
        )
    }

    /// Works until it is stopped, and says why it was.
    fn endless(told: mpsc::Sender<Stopped>) -> impl FnOnce(&Guard) -> Result<(), Trouble> {
        move |guard| {
            let stopped = loop {
                match guard.check() {
                    Ok(()) => std::thread::yield_now(),
                    Err(stopped) => break stopped,
                }
            };
            told.send(stopped).ok();
            Err(failed())
        }
    }

    #[tokio::test]
    async fn a_job_makes_what_it_makes_and_is_limited() {
        let (jobs, stats) = jobs(1, 8);
        assert_eq!(jobs.run(LIMITS, |_| Ok(7)).await.unwrap().value, 7);
        let charged = jobs.run(LIMITS, |guard| match guard.charge(11) {
            Ok(()) => Ok(()),
            Err(stopped) => Err(Trouble::of_kind(
                StatusCode::UNPROCESSABLE_ENTITY,
                "execution",
                stopped.to_string(),
            )),
        });
        assert_eq!(charged.await.err().unwrap().kind(), "execution");
        let counts: Vec<_> = stats
            .ended()
            .iter()
            .map(|(what, (count, _))| (*what, *count))
            .collect();
        assert_eq!(counts, [("execution", 1), ("success", 1)]);
        assert_eq!((stats.running(), stats.waiting()), (0, 0));
    }

    #[tokio::test]
    async fn what_was_made_is_on_its_account_until_it_is_sent() {
        let (jobs, _) = jobs(2, 8);
        let fill = |guard: &Guard| {
            guard.charge_bytes(90).map_err(|stopped| {
                Trouble::of_kind(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "execution",
                    stopped.to_string(),
                )
            })
        };
        let made = jobs.run(LIMITS, fill).await.unwrap();
        assert_eq!(jobs.memory.held(), 90);
        drop(made);
        assert_eq!(jobs.memory.held(), 0);
        let limits = Limits {
            max_bytes: 10,
            ..LIMITS
        };
        let refused = jobs.run(limits, fill).await.err().unwrap();
        assert!(refused.message.contains("bytes"), "{}", refused.message);
        assert_eq!(jobs.memory.held(), 0);
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_told_to_stop() {
        let (jobs, stats) = jobs(1, 8);
        let (told, why) = mpsc::channel();
        let limits = Limits {
            timeout: Duration::from_millis(20),
            ..LIMITS
        };
        let trouble = jobs.run(limits, endless(told)).await.err().unwrap();
        assert_eq!(
            (trouble.status, trouble.kind()),
            (StatusCode::SERVICE_UNAVAILABLE, "timeout")
        );
        assert_eq!(why.recv().unwrap(), Stopped::TimedOut);
        assert_eq!(stats.ended()["timeout"].0, 1);
        assert_eq!(
            jobs.run(LIMITS, |_| Ok(1)).await.unwrap().value,
            1,
            "its slot came back"
        );
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_told_to_stop() {
        let (jobs, stats) = jobs(1, 8);
        let (told, why) = mpsc::channel();
        let mut running = Box::pin(jobs.run(LIMITS, endless(told)));
        let begun = async {
            while stats.running() == 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = &mut running => panic!("endless work ended"),
            () = begun => {}
        }
        drop(running);
        assert_eq!(why.recv().unwrap(), Stopped::Cancelled);
        assert_eq!(stats.ended()["canceled"].0, 1);
    }

    #[tokio::test]
    async fn few_run_some_wait_and_the_rest_is_refused() {
        let (jobs, stats) = jobs(1, 6);
        let made = jobs.run(LIMITS, |_| Ok(())).await.unwrap();
        let mut waiting: Vec<_> = (0..2)
            .map(|_| Box::pin(jobs.run(LIMITS, |_| Ok(()))))
            .collect();
        for job in &mut waiting {
            assert!(
                futures_pending(job).await,
                "it waits while an answer is not sent"
            );
        }
        assert_eq!((stats.running(), stats.waiting()), (1, 2));
        let refused = jobs.run(LIMITS, |_| Ok(())).await.err().unwrap();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(refused.message.contains("too many"), "{}", refused.message);
        drop(made);
        for job in waiting {
            job.await.unwrap();
        }
    }

    async fn futures_pending<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|cx| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx).is_pending())
        })
        .await
    }

    #[tokio::test(start_paused = true)]
    async fn the_wait_counts_as_time_of_the_query() {
        let (jobs, _) = jobs(1, 8);
        let _made = jobs.run(LIMITS, |_| Ok(())).await.unwrap();
        let trouble = jobs.run(LIMITS, |_| Ok(())).await.err().unwrap();
        assert_eq!(trouble.message, "query timed out in query queue");
    }
}
