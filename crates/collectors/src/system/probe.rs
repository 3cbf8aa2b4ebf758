//! Questions that may never be answered: `statvfs` of a dead network mount, a sensor on a dead bus.
//!
//! All of them are asked on one thread of its own. If one does not come back in time that thread
//! is left to it, the rest is asked on a new thread, and the same question is not asked again
//! before it has come back.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use tracing::{info, warn};

/// Threads that one round may lose. What is not asked then is asked in the next round, so that a
/// host full of dead mounts delays a collection by a bounded time.
const LOSSES_PER_ROUND: usize = 3;

/// How a question went.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// Answered, or refused.
    Answered(io::Result<T>),
    /// Not answered in time, now or earlier, or not asked because others were not.
    Unanswered,
}

/// What is asked about a path.
pub(super) type Question<T> = Arc<dyn Fn(&Path) -> io::Result<T> + Send + Sync>;

/// Asks a question about paths.
pub(super) struct Prober<T> {
    question: Question<T>,
    patience: Duration,
    lane: Option<Arc<Lane<T>>>,
    stuck: Vec<(Arc<Path>, Arc<Lane<T>>)>,
}

/// What a prober shares with one of its threads.
struct Lane<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    waiting: VecDeque<(usize, Arc<Path>)>,
    asked: Option<(usize, Arc<Path>)>,
    answers: Vec<(usize, io::Result<T>)>,
    /// Nobody waits for this thread any more; it ends as soon as it can.
    left: bool,
    ended: bool,
}

impl<T: Send + 'static> Prober<T> {
    /// Asks `question`, and waits `patience` for each answer.
    pub(super) fn new(question: Question<T>, patience: Duration) -> Self {
        Self {
            question,
            patience,
            lane: None,
            stuck: Vec::new(),
        }
    }

    /// Asks about all `paths`, in their order, and tells how each went by its index.
    pub(super) fn ask(
        &mut self,
        paths: impl Iterator<Item = Arc<Path>>,
        mut tell: impl FnMut(usize, Outcome<T>),
    ) {
        self.forget_recovered();
        let mut waiting = VecDeque::new();
        for (index, path) in paths.enumerate() {
            if self.stuck.iter().any(|(stuck, _)| *stuck == path) {
                tell(index, Outcome::Unanswered);
            } else {
                waiting.push_back((index, path));
            }
        }
        let mut losses = 0;
        while !waiting.is_empty() && losses < LOSSES_PER_ROUND {
            let (answers, lost) = self.ask_until_stuck(std::mem::take(&mut waiting));
            for (index, answer) in answers {
                tell(index, Outcome::Answered(answer));
            }
            if let Some((index, rest)) = lost {
                tell(index, Outcome::Unanswered);
                waiting = rest;
                losses += 1;
            }
        }
        for (index, _) in waiting {
            tell(index, Outcome::Unanswered);
        }
    }

    fn forget_recovered(&mut self) {
        self.stuck.retain(|(path, lane)| {
            let ended = lane.state.lock().ended;
            if ended {
                info!(path = %path.display(), "answers again");
            }
            !ended
        });
    }

    /// The answers, and where it got stuck the lost index with what was not asked yet.
    fn ask_until_stuck(&mut self, waiting: VecDeque<(usize, Arc<Path>)>) -> Round<T> {
        let lane = match self.lane.take().map_or_else(|| self.start(), Ok) {
            Ok(lane) => lane,
            Err(error) => {
                let refuse = |(index, _)| (index, Err(io::Error::from(error.kind())));
                return (waiting.into_iter().map(refuse).collect(), None);
            }
        };
        let mut state = lane.state.lock();
        state.waiting = waiting;
        lane.changed.notify_all();
        loop {
            let left = state.unanswered();
            if left == 0 {
                let answers = std::mem::take(&mut state.answers);
                drop(state);
                self.lane = Some(lane);
                return (answers, None);
            }
            let timed_out = lane.changed.wait_for(&mut state, self.patience).timed_out();
            if timed_out
                && state.unanswered() == left
                && let Some((index, path)) = state.asked.clone()
            {
                warn!(path = %path.display(), "does not answer; skipped until it does");
                state.left = true;
                let answers = std::mem::take(&mut state.answers);
                let rest = std::mem::take(&mut state.waiting);
                drop(state);
                self.stuck.push((path, lane));
                return (answers, Some((index, rest)));
            }
        }
    }

    fn start(&self) -> io::Result<Arc<Lane<T>>> {
        let lane = Arc::new(Lane {
            state: Mutex::new(State {
                waiting: VecDeque::new(),
                asked: None,
                answers: Vec::new(),
                left: false,
                ended: false,
            }),
            changed: Condvar::new(),
        });
        let (question, shared) = (Arc::clone(&self.question), Arc::clone(&lane));
        std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || shared.answer(&*question))?;
        Ok(lane)
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

impl<T> Lane<T> {
    /// The thread's work.
    fn answer(&self, question: &dyn Fn(&Path) -> io::Result<T>) {
        let mut state = self.state.lock();
        while !state.left {
            let Some((index, path)) = state.waiting.pop_front() else {
                self.changed.wait(&mut state);
                continue;
            };
            state.asked = Some((index, Arc::clone(&path)));
            drop(state);
            let answer = question(&path);
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
        if let Some(lane) = &self.lane {
            lane.state.lock().left = true;
            lane.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Instant;

    use super::*;

    /// Paths that hang until they are let go, and how often each path was asked about.
    #[derive(Default)]
    struct World {
        dead: Mutex<Vec<&'static str>>,
        revived: Condvar,
        asked: Mutex<BTreeMap<String, u32>>,
    }

    fn prober(world: &Arc<World>) -> Prober<usize> {
        let world = Arc::clone(world);
        let question = move |path: &Path| {
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
        };
        Prober::new(Arc::new(question), Duration::from_millis(500))
    }

    fn ask(prober: &mut Prober<usize>, paths: &[&str]) -> Vec<String> {
        let mut told = vec![String::new(); paths.len()];
        prober.ask(
            paths.iter().map(|path| Arc::from(Path::new(path))),
            |index, outcome| {
                assert_eq!(told[index], "", "each is told once");
                told[index] = match outcome {
                    Outcome::Answered(Ok(length)) => length.to_string(),
                    Outcome::Answered(Err(error)) => error.kind().to_string(),
                    Outcome::Unanswered => "?".to_owned(),
                };
            },
        );
        told
    }

    #[test]
    fn a_dead_path_costs_itself_and_is_asked_once_until_it_comes_back() {
        let world = Arc::new(World::default());
        *world.dead.lock() = vec!["dead"];
        let mut prober = prober(&world);
        let paths = ["a", "dead", "bb", "denied"];
        for _ in 0..3 {
            assert_eq!(
                ask(&mut prober, &paths),
                ["1", "?", "2", "permission denied"]
            );
        }
        assert_eq!(world.asked.lock()["dead"], 1);
        assert_eq!(world.asked.lock()["a"], 3);
        assert_eq!(prober.stuck.len(), 1);

        world.dead.lock().clear();
        world.revived.notify_all();
        let deadline = Instant::now() + Duration::from_secs(10);
        while ask(&mut prober, &paths)[1] != "4" {
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
            ask(&mut prober, &paths),
            ["5", "?", "?", "?", "?", "?", "?"]
        );
        assert_eq!(prober.stuck.len(), LOSSES_PER_ROUND);
        assert_eq!(
            ask(&mut prober, &paths),
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
        let question = move |_: &Path| Ok(Arc::strong_count(&held));
        let mut prober = Prober::new(Arc::new(question), Duration::from_secs(5));
        prober.ask([Arc::from(Path::new("a"))].into_iter(), |_, _| ());
        drop(prober);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Arc::strong_count(&alive) > 1 {
            assert!(Instant::now() < deadline, "the thread lives on");
            std::thread::yield_now();
        }
    }
}
