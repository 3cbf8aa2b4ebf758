//! The collector, with a thread that reads the files, so that no async thread waits for one.

use std::io;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use bellwether_collector::{Collecting, Collector, System};
use bellwether_core::{Batch, Failure, MetricId, Now};
use tokio::sync::oneshot;

use super::groups::{Chip, Group, Probers, Roots, Run, Usage, groups};
use super::probe::{Probe, Prober};
use super::resolve::ResolvedMetric;
use super::skipped::Skipped;

/// Limits `probe_timeout`: newly dead mounts and sensors must not cost a short interval its whole
/// collection.
const PROBES_PER_INTERVAL: u32 = 8;

/// Collects the configured host metrics.
pub struct SystemCollector {
    setup: Setup,
    thread: Option<Thread>,
}

/// Parts of the thread, until it is started.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) settings: System,
    pub(super) configured: Arc<[(MetricId, ResolvedMetric)]>,
    pub(super) skipped: Arc<Skipped>,
    /// Tests replace it by a function that hangs.
    pub(super) statvfs: Probe<Usage>,
}

struct Thread {
    jobs: mpsc::Sender<Job>,
    handle: JoinHandle<()>,
}

struct Job {
    batch: Batch,
    now: Now,
    done: oneshot::Sender<(Batch, Result<(), Failure>)>,
}

impl SystemCollector {
    /// Creates the collector without reading. Skipped parts are counted in `skipped`.
    pub fn new(
        settings: System,
        configured: Arc<[(MetricId, ResolvedMetric)]>,
        skipped: Arc<Skipped>,
    ) -> Self {
        let statvfs = Arc::new(Usage::of);
        Self {
            setup: Setup {
                settings,
                configured,
                skipped,
                statvfs,
            },
            thread: None,
        }
    }

    fn thread(&mut self) -> Result<&mpsc::Sender<Job>, Failure> {
        let thread = match self.thread.take() {
            Some(thread) => thread,
            None => start(self.setup.clone())
                .map_err(|error| Failure::new("io", format!("cannot start a thread: {error}")))?,
        };
        Ok(&self.thread.insert(thread).jobs)
    }

    async fn run(&mut self, batch: &mut Batch, now: Now) -> Result<(), Failure> {
        let (done, answer) = oneshot::channel();
        let job = Job {
            batch: std::mem::take(batch),
            now,
            done,
        };
        // If the thread has ended, the channel of the answer is dropped with the job.
        self.thread()?.send(job).ok();
        if let Ok((filled, result)) = answer.await {
            *batch = filled;
            return result;
        }
        match self.thread.take().map(|thread| thread.handle.join()) {
            // The runner reports panics, and builds the collector again.
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            _ => Err(Failure::new("panic", "the collecting thread ended")),
        }
    }
}

impl Collector for SystemCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(self.run(batch, now))
    }
}

/// Runs jobs until the collector, and with it the sender of jobs, is dropped.
fn start(setup: Setup) -> io::Result<Thread> {
    let (jobs, queue) = mpsc::channel::<Job>();
    let handle = std::thread::Builder::new()
        .name("system".to_owned())
        .spawn(move || {
            let mut host = Host::new(&setup);
            for Job {
                mut batch,
                now,
                done,
            } in queue
            {
                let result = host.collect(&mut batch, now);
                // Nobody waits for the answer when the program stops.
                done.send((batch, result)).ok();
            }
        })?;
    Ok(Thread { jobs, handle })
}

/// Groups and counts of the thread.
pub(super) struct Host {
    groups: Vec<Box<dyn Group>>,
    skipped: Arc<Skipped>,
}

impl Host {
    pub(super) fn new(setup: &Setup) -> Self {
        let System {
            procfs,
            sysfs,
            rootfs,
            probe_timeout,
            ..
        } = &setup.settings;
        let roots = Roots {
            procfs,
            sysfs,
            rootfs,
        };
        let interval = setup
            .configured
            .iter()
            .map(|(_, metric)| metric.def.interval)
            .min();
        let timeout = interval.map_or(probe_timeout.0, |interval| {
            probe_timeout.0.min(interval / PROBES_PER_INTERVAL)
        });
        let probers = Probers {
            usage: Prober::new(Arc::clone(&setup.statvfs), timeout),
            chip: Prober::new(Arc::new(Chip::read), timeout),
        };
        Self {
            groups: groups(&roots, &setup.configured, probers),
            skipped: Arc::clone(&setup.skipped),
        }
    }

    pub(super) fn collect(&mut self, batch: &mut Batch, now: Now) -> Result<(), Failure> {
        let mut run = Run::new(batch, now, &self.skipped);
        for group in &mut self.groups {
            group.collect(&mut run);
        }
        run.result()
    }
}
