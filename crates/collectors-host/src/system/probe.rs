//! Probes that may never return: `statvfs` of a dead network mount, a sensor on a dead bus.
//!
//! All of them run on one thread of their own. If one does not return in time, that thread is left
//! to it and the others run on a new thread. The same path is not probed again before its probe has
//! returned.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::{info, warn};

/// Maximum number of threads that one round may lose. The remaining paths are probed in the next round, so that a
/// host full of dead mounts delays a collection by a bounded time.
const LOSSES_PER_ROUND: usize = 3;

/// Outcome of a probe.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// The probe returned a value or an error.
    Answered(io::Result<T>),
    /// The probe did not return in time, now or earlier, or did not run because others hung.
    Unanswered,
}

/// Probe of a path.
pub(crate) type Probe<T> = Arc<dyn Fn(&Path) -> io::Result<T> + Send + Sync>;

/// Runs probes of paths.
pub(crate) struct Prober<T> {
    probe: Probe<T>,
    timeout: Duration,
    worker: Option<Arc<Worker<T>>>,
    stuck: Vec<(Arc<Path>, Arc<Worker<T>>)>,
}

/// State that a prober shares with one of its threads.
struct Worker<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<(usize, Arc<Path>)>,
    asked: Option<(usize, Arc<Path>)>,
    answers: Vec<(usize, io::Result<T>)>,
    /// Set when the prober no longer waits for this thread, which then ends as soon as it can.
    left: bool,
    ended: bool,
}

impl<T: Send + 'static> Prober<T> {
    /// Creates a prober that waits `timeout` for each `probe`.
    pub(crate) fn new(probe: Probe<T>, timeout: Duration) -> Self {
        Self {
            probe,
            timeout,
            worker: None,
            stuck: Vec::new(),
        }
    }

    /// Probes all `paths` in their order, and calls back with the index and the outcome of each.
    pub(crate) fn probe_all(
        &mut self,
        paths: impl Iterator<Item = Arc<Path>>,
        mut report: impl FnMut(usize, Outcome<T>),
    ) {
        self.forget_recovered();
        let mut waiting = VecDeque::new();
        for (index, path) in paths.enumerate() {
            if self.stuck.iter().any(|(stuck, _)| *stuck == path) {
                report(index, Outcome::Unanswered);
            } else {
                waiting.push_back((index, path));
            }
        }
        let mut losses = 0;
        while !waiting.is_empty() && losses < LOSSES_PER_ROUND {
            let (answers, lost) = self.probe_until_stuck(std::mem::take(&mut waiting));
            for (index, answer) in answers {
                report(index, Outcome::Answered(answer));
            }
            if let Some((index, rest)) = lost {
                report(index, Outcome::Unanswered);
                waiting = rest;
                losses += 1;
            }
        }
        for (index, _) in waiting {
            report(index, Outcome::Unanswered);
        }
    }

    fn forget_recovered(&mut self) {
        self.stuck.retain(|(path, worker)| {
            let ended = worker.state.lock().ended;
            if ended {
                info!(path = %path.display(), "answers again");
            }
            !ended
        });
    }

    /// Probes until one hangs. Returns the outcomes and, if one hung, its index and the paths that are
    /// left.
    fn probe_until_stuck(&mut self, waiting: VecDeque<(usize, Arc<Path>)>) -> Round<T> {
        let worker = match self.worker.take().map_or_else(|| self.start(), Ok) {
            Ok(worker) => worker,
            Err(error) => {
                return (
                    waiting
                        .into_iter()
                        .map(|(index, _)| (index, Err(io::Error::from(error.kind()))))
                        .collect(),
                    None,
                );
            }
        };
        let mut state = worker.state.lock();
        state.waiting = waiting;
        worker.changed.notify_all();
        loop {
            let left = state.unanswered();
            if left == 0 {
                let answers = std::mem::take(&mut state.answers);
                drop(state);
                self.worker = Some(worker);
                return (answers, None);
            }
            let timed_out = worker
                .changed
                .wait_for(&mut state, self.timeout)
                .timed_out();
            if timed_out
                && state.unanswered() == left
                && let Some((index, path)) = state.asked.clone()
            {
                warn!(path = %path.display(), "does not answer; skipped until it does");
                state.left = true;
                let answers = std::mem::take(&mut state.answers);
                let rest = std::mem::take(&mut state.waiting);
                drop(state);
                self.stuck.push((path, worker));
                return (answers, Some((index, rest)));
            }
        }
    }

    fn start(&self) -> io::Result<Arc<Worker<T>>> {
        let worker = Arc::new(Worker {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                asked: None,
                answers: Vec::new(),
                left: false,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let (probe, shared) = (Arc::clone(&self.probe), Arc::clone(&worker));
        std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || shared.answer(&*probe))?;
        Ok(worker)
    }
}

type Round<T> = (
    Vec<(usize, io::Result<T>)>,
    Option<(usize, VecDeque<(usize, Arc<Path>)>)>,
);

impl<T> State<T> {
    fn unanswered(&self) -> usize {
        self.waiting.len() + usize::from(self.asked.is_some())
    }
}

impl<T> Worker<T> {
    /// Runs probes until there are none left.
    fn answer(&self, probe: &dyn Fn(&Path) -> io::Result<T>) {
        let mut state = self.state.lock();
        while !state.left {
            let Some((index, path)) = state.waiting.pop_front() else {
                self.changed.wait(&mut state);
                continue;
            };
            state.asked = Some((index, Arc::clone(&path)));
            drop(state);
            let answer = probe(&path);
            state = self.state.lock();
            state.asked = None;
            state.answers.push((index, answer));
            if state.waiting.is_empty() {
                self.changed.notify_all();
            }
        }
        state.ended = true;
    }
}

impl<T> Drop for Prober<T> {
    fn drop(&mut self) {
        if let Some(worker) = &self.worker {
            worker.state.lock().left = true;
            worker.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use super::*;

    /// Paths that hang until they are released, and the number of probes of each path.
    #[derive(Default)]
    struct World {
        dead: Mutex<Vec<&'static str>>,
        revived: Condvar,
        asked: Mutex<BTreeMap<String, u32>>,
    }

    fn prober(world: &Arc<World>) -> Prober<usize> {
        let world = Arc::clone(world);
        Prober::new(
            Arc::new(move |path: &Path| {
                let name = path.display().to_string();
                *world.asked.lock().entry(name.clone()).or_default() += 1;
                let mut dead = world.dead.lock();
                while dead.contains(&name.as_str()) {
                    world.revived.wait(&mut dead);
                }
                if name == "denied" {
                    Err(io::ErrorKind::PermissionDenied.into())
                } else {
                    Ok(name.len())
                }
            }),
            Duration::from_millis(500),
        )
    }

    fn probe_all(prober: &mut Prober<usize>, paths: &[&str]) -> Vec<String> {
        let mut outcomes = vec![String::new(); paths.len()];
        prober.probe_all(
            paths.iter().map(|path| Arc::from(Path::new(path))),
            |index, outcome| {
                assert_eq!(outcomes[index], "", "each is reported once");
                outcomes[index] = match outcome {
                    Outcome::Answered(Ok(length)) => length.to_string(),
                    Outcome::Answered(Err(error)) => error.kind().to_string(),
                    Outcome::Unanswered => "?".to_owned(),
                };
            },
        );
        outcomes
    }

    #[test]
    fn a_dead_path_costs_itself_and_is_asked_once_until_it_comes_back() {
        let world = Arc::new(World::default());
        *world.dead.lock() = vec!["dead"];
        let mut prober = prober(&world);
        let paths = ["a", "dead", "bb", "denied"];
        for _ in 0..3 {
            assert_eq!(
                probe_all(&mut prober, &paths),
                ["1", "?", "2", "permission denied"]
            );
        }
        assert_eq!(world.asked.lock()["dead"], 1);
        assert_eq!(world.asked.lock()["a"], 3);
        assert_eq!(prober.stuck.len(), 1);

        world.dead.lock().clear();
        world.revived.notify_all();
        let deadline = Instant::now() + Duration::from_secs(10);
        while probe_all(&mut prober, &paths)[1] != "4" {
            assert!(Instant::now() < deadline, "never came back");
            std::thread::yield_now();
        }
        assert!(prober.stuck.is_empty());
    }

    #[test]
    fn a_host_full_of_dead_paths_is_found_out_over_several_rounds() {
        let world = Arc::new(World::default());
        let dead = ["d1", "d2", "d3", "d4", "d5"];
        *world.dead.lock() = dead.to_vec();
        let mut prober = prober(&world);
        let paths = ["first", "d1", "d2", "d3", "d4", "d5", "last"];
        assert_eq!(
            probe_all(&mut prober, &paths),
            ["5", "?", "?", "?", "?", "?", "?"]
        );
        assert_eq!(prober.stuck.len(), LOSSES_PER_ROUND);
        assert_eq!(
            probe_all(&mut prober, &paths),
            ["5", "?", "?", "?", "?", "?", "4"]
        );
        assert_eq!(prober.stuck.len(), dead.len());
        assert!(
            world
                .asked
                .lock()
                .iter()
                .all(|(path, times)| !path.starts_with('d') || *times == 1)
        );
        world.dead.lock().clear();
        world.revived.notify_all();
    }

    #[test]
    fn its_threads_end_with_it() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let mut prober = Prober::new(
            Arc::new(move |_: &Path| Ok(Arc::strong_count(&held))),
            Duration::from_secs(5),
        );
        prober.probe_all([Arc::from(Path::new("a"))].into_iter(), |_, _| ());
        drop(prober);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Arc::strong_count(&alive) > 1 {
            assert!(Instant::now() < deadline, "the thread lives on");
            std::thread::yield_now();
        }
    }
}
