//! Jobs that read history: few at once, on threads of low priority, each under a guard.
//!
//! Owns the queue, and the ends of a job: its timeout, a client that leaves, its memory limit.

use std::sync::Arc;
use std::time::Duration;

use bellwether_promql::{Guard, Pool};
use hyper::StatusCode;
use hyper::header::RETRY_AFTER;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until};

use super::stats::QueryStats;
use crate::api::response::ApiError;
use crate::api::threads::Threads;

/// Jobs that may wait for each that runs.
const WAITING_PER_RUNNING: u32 = 16;

pub(crate) struct Jobs {
    slots: Arc<Semaphore>,
    /// Places for jobs, running or waiting.
    places: Arc<Semaphore>,
    stats: Arc<QueryStats>,
    /// Memory of all jobs.
    memory: Arc<Pool>,
    threads: Arc<Threads>,
}

/// Limits of one job.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Timeout, including the wait in the queue.
    pub(crate) timeout: Duration,
    /// Samples that it may hold in memory.
    pub(crate) max_samples: u64,
    /// Bytes of everything else that it may hold in memory.
    pub(crate) max_bytes: u64,
}

/// Output of a job with its slot: while it exists, others wait, so that output that is not yet sent
/// is bounded too.
pub(crate) struct JobOutput<T> {
    pub(crate) value: T,
    /// Charged for the output until all of it is sent.
    pub(crate) guard: Arc<Guard>,
    _slot: Slot,
}

/// Slot of a job, given back when the work has ended, even if nobody waits for it any more.
struct Slot {
    _slot: OwnedSemaphorePermit,
    _place: OwnedSemaphorePermit,
    _counted: super::stats::Counted,
}

impl Jobs {
    /// Creates a runner of `concurrency` jobs at once, which hold `memory` bytes together. Running
    /// and waiting jobs take at most half of `connections`: the rest is for scrapes.
    pub(crate) fn new(
        concurrency: u32,
        connections: u32,
        memory: u64,
        stats: Arc<QueryStats>,
        threads: Arc<Threads>,
    ) -> Self {
        let places = concurrency
            .saturating_mul(1 + WAITING_PER_RUNNING)
            .min(connections / 2);
        Self {
            slots: Arc::new(Semaphore::new(concurrency as usize)),
            places: Arc::new(Semaphore::new(places as usize)),
            stats,
            memory: Arc::new(Pool::new(memory)),
            threads,
        }
    }

    /// Runs `work` on a thread of its own when its turn has come. Dropping the future cancels it.
    ///
    /// # Errors
    /// The error of `work`, or that it could not begin or end in time.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        limits: Limits,
        work: impl FnOnce(&Guard) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<JobOutput<T>, ApiError> {
        let mut ending = Ending::begin(&self.stats, limits, Arc::clone(&self.memory));
        let result = self.within(limits, &ending.guard, work).await;
        ending.result = Some(result.as_ref().map_or_else(ApiError::kind, |_| "success"));
        result
    }

    async fn within<T: Send + 'static>(
        &self,
        limits: Limits,
        guard: &Arc<Guard>,
        work: impl FnOnce(&Guard) -> Result<T, ApiError> + Send + 'static,
    ) -> Result<JobOutput<T>, ApiError> {
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
        let work = self.threads.spawn(move || {
            let value = work(&inner)?;
            Ok(JobOutput {
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

/// Cancels the job when nobody waits for it any more, and counts its result.
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

fn too_many() -> ApiError {
    ApiError::with_kind(
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "too many queries are waiting",
    )
    .hint("retry later, or raise prometheus.query.max_concurrency")
    .header(RETRY_AFTER, "5")
}

/// Returns Prometheus's error for a timeout.
fn timed_out(during: &str) -> ApiError {
    let message = format!("query timed out in {during}");
    ApiError::with_kind(StatusCode::SERVICE_UNAVAILABLE, "timeout", message)
}

fn failed() -> ApiError {
    ApiError::new(
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
            Jobs::new(
                concurrency,
                connections,
                1_000,
                Arc::clone(&stats),
                Arc::new(Threads::new(concurrency)),
            ),
            stats,
        )
    }

    /// Works until it is stopped, and sends the reason.
    fn endless(sender: mpsc::Sender<Stopped>) -> impl FnOnce(&Guard) -> Result<(), ApiError> {
        move |guard| {
            let stopped = loop {
                match guard.check() {
                    Ok(()) => std::thread::yield_now(),
                    Err(stopped) => break stopped,
                }
            };
            sender.send(stopped).ok();
            Err(failed())
        }
    }

    #[tokio::test]
    async fn a_job_returns_its_output_within_limits() {
        let (jobs, stats) = jobs(1, 8);
        assert_eq!(jobs.run(LIMITS, |_| Ok(7)).await.unwrap().value, 7);
        let charged = jobs.run(LIMITS, |guard| match guard.charge(11) {
            Ok(()) => Ok(()),
            Err(stopped) => Err(ApiError::with_kind(
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
    async fn output_is_charged_until_it_is_sent() {
        let (jobs, _) = jobs(2, 8);
        let fill = |guard: &Guard| {
            guard.charge_bytes(90).map_err(|stopped| {
                ApiError::with_kind(
                    StatusCode::UNPROCESSABLE_ENTITY,
                    "execution",
                    stopped.to_string(),
                )
            })
        };
        let output = jobs.run(LIMITS, fill).await.unwrap();
        assert_eq!(jobs.memory.usage(), 90);
        drop(output);
        assert_eq!(jobs.memory.usage(), 0);
        let limits = Limits {
            max_bytes: 10,
            ..LIMITS
        };
        let rejected = jobs.run(limits, fill).await.err().unwrap();
        assert!(rejected.message.contains("bytes"), "{}", rejected.message);
        assert_eq!(jobs.memory.usage(), 0);
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_stopped() {
        let (jobs, stats) = jobs(1, 8);
        let (sender, stopped) = mpsc::channel();
        let limits = Limits {
            timeout: Duration::from_millis(20),
            ..LIMITS
        };
        let error = jobs.run(limits, endless(sender)).await.err().unwrap();
        assert_eq!(
            (error.status, error.kind()),
            (StatusCode::SERVICE_UNAVAILABLE, "timeout")
        );
        assert_eq!(stopped.recv().unwrap(), Stopped::TimedOut);
        assert_eq!(stats.ended()["timeout"].0, 1);
        assert_eq!(
            jobs.run(LIMITS, |_| Ok(1)).await.unwrap().value,
            1,
            "its slot came back"
        );
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_is_stopped() {
        let (jobs, stats) = jobs(1, 8);
        let (sender, stopped) = mpsc::channel();
        let mut running = Box::pin(jobs.run(LIMITS, endless(sender)));
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
        assert_eq!(stopped.recv().unwrap(), Stopped::Cancelled);
        assert_eq!(stats.ended()["canceled"].0, 1);
    }

    #[tokio::test]
    async fn few_run_some_wait_and_the_rest_is_rejected() {
        let (jobs, stats) = jobs(1, 6);
        let output = jobs.run(LIMITS, |_| Ok(())).await.unwrap();
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
        let rejected = jobs.run(LIMITS, |_| Ok(())).await.err().unwrap();
        assert_eq!(rejected.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            rejected.message.contains("too many"),
            "{}",
            rejected.message
        );
        drop(output);
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

    #[tokio::test]
    async fn the_wait_counts_as_time_of_the_query() {
        let (jobs, _) = jobs(1, 8);
        let _output = jobs.run(LIMITS, |_| Ok(())).await.unwrap();
        let short = Limits {
            timeout: Duration::from_millis(20),
            ..LIMITS
        };
        let error = jobs.run(short, |_| Ok(())).await.err().unwrap();
        assert_eq!(error.message, "query timed out in query queue");
    }
}
