//! An hour in which a receiver is away, on virtual time, with a journal on disk and a crash in the
//! middle: attempts are few, what waits is bounded, and what was missed is told in order and once.

use bellwether_core::{Alert, AlertState, Cause};
use bellwether_files::durable::StateFolder;
use tempfile::TempDir;

use super::super::super::samples::{START, alert, group};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: u32 = 3600;
/// Alerts that come and go.
const ALERTS: usize = 300;
/// How often what fires is told again.
const REPEAT: u32 = 600;

/// Takes everything but for an hour.
struct Away {
    from: Instant,
    heard: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    /// Attempts that failed.
    failed: usize,
    taken: Vec<Notification>,
}

impl Channel for Away {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        let mut log = self.heard.lock();
        let away = self.from <= Instant::now() && self.from.elapsed() < SECOND * HOUR;
        let result = if away {
            log.failed += 1;
            Err(DeliveryError::transient("nobody is there"))
        } else {
            log.taken.extend(batch.news.iter().cloned());
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }

    fn max_batch(&self) -> usize {
        64
    }
}

/// One alert after the other fires, or ends, and the channel is told of it.
struct World {
    folder: TempDir,
    state: Arc<StateFolder>,
    began: Instant,
    /// Of the queue.
    capacity: usize,
    delivery: Arc<Delivery>,
    task: AbortOnDropHandle<()>,
    heard: Arc<Mutex<Log>>,
    /// Seconds so far.
    passed: u32,
    /// Since when each fires.
    firing: Vec<Option<UnixMillis>>,
    /// The changes of each, by their ids.
    changes: Vec<Vec<String>>,
}

fn open(
    state: &Arc<StateFolder>,
    capacity: usize,
    began: Instant,
    heard: &Arc<Mutex<Log>>,
) -> Arc<Delivery> {
    let (delivery, _) = delivery(&format!("queue: {{capacity: {capacity}}}"), []);
    let Ok(mut delivery) = Arc::try_unwrap(delivery) else {
        panic!("nobody else has it")
    };
    delivery.mailbox = Arc::new(Mailbox::open("test", Some(state.clone()), now(began)));
    delivery.channel = Box::new(Away {
        from: began + SECOND * HOUR,
        heard: heard.clone(),
    });
    delivery.clock = Arc::new(move || now(began));
    Arc::new(delivery)
}

fn now(began: Instant) -> Now {
    let start = Now {
        wall: START,
        ..Now::default()
    };
    start.after(began.elapsed())
}

impl World {
    fn new(capacity: usize) -> Self {
        let (folder, began, heard) = (TempDir::new().unwrap(), Instant::now(), Arc::default());
        let state = Arc::new(StateFolder::open(folder.path()));
        let delivery = open(&state, capacity, began, &heard);
        let task = run(&delivery);
        let (firing, changes) = (vec![None; ALERTS], vec![Vec::new(); ALERTS]);
        Self {
            folder,
            state,
            began,
            capacity,
            delivery,
            task,
            heard,
            passed: 0,
            firing,
            changes,
        }
    }

    /// The process dies where it stands, and another one goes on.
    fn crash(&mut self) {
        self.task.abort();
        self.delivery = open(&self.state, self.capacity, self.began, &self.heard);
        self.task = run(&self.delivery);
    }

    fn notification(&self, number: usize, cause: Cause) -> Notification {
        let (at, fired) = (now(self.began).wall, self.firing[number]);
        let told = Alert {
            state: if fired.is_some() {
                AlertState::Firing
            } else {
                AlertState::Inactive
            },
            fired_at: fired,
            resolved_at: fired.is_none().then_some(at),
            ..alert("disk", &number.to_string())
        };
        Notification {
            id: told.change_id(at),
            status: if fired.is_some() {
                Status::Firing
            } else {
                Status::Resolved
            },
            cause,
            group: Arc::new(group("disk")),
            alert: Arc::new(told),
            reason: "it changed".into(),
            at,
        }
    }

    /// Every ten seconds ten change, and what stands is told again when that is due.
    async fn pass(&mut self, seconds: u32) {
        for second in (self.passed..self.passed + seconds).step_by(10) {
            let mut told: Vec<_> = (second..second + 10)
                .map(|count| self.change(count))
                .collect();
            if second % REPEAT == 0 {
                let standing = (0..ALERTS).filter(|number| self.firing[*number].is_some());
                told.extend(standing.map(|number| self.notification(number, Cause::Repeat)));
            }
            self.delivery.accept(told.iter());
            sleep(10 * SECOND).await;
        }
        self.passed += seconds;
    }

    fn change(&mut self, count: u32) -> Notification {
        let number = (count as usize * 7) % ALERTS;
        self.firing[number] = match self.firing[number] {
            None => Some(now(self.began).wall),
            Some(_) => None,
        };
        let change = self.notification(number, Cause::Change);
        self.changes[number].push(change.id.clone());
        change
    }

    /// Lines of the journal, and how many it needs.
    fn lines(&self) -> (usize, usize) {
        let text = std::fs::read_to_string(self.folder.path().join("outbox/test.jsonl")).unwrap();
        (
            text.lines().count(),
            self.delivery.mailbox.outbox.lock().records().len(),
        )
    }

    async fn drained(&self) {
        while self.delivery.mailbox.queued() > 0 {
            sleep(SECOND).await;
        }
    }

    /// What of each alert was taken, in order.
    fn taken(&self) -> Vec<Vec<Notification>> {
        let mut taken = vec![Vec::new(); ALERTS];
        for one in &self.heard.lock().taken {
            taken[one.alert.labels["mount"].parse::<usize>().unwrap()].push(one.clone());
        }
        taken
    }
}

fn run(delivery: &Arc<Delivery>) -> AbortOnDropHandle<()> {
    let never = CancellationToken::new;
    AbortOnDropHandle::new(tokio::spawn(delivery.clone().run(never(), never())))
}

/// Never a resolved without a firing, nor a second of either.
fn in_order(taken: &[Notification]) -> bool {
    let mut fires = false;
    let mut follows = |one: &Notification| {
        let before = std::mem::replace(&mut fires, one.status == Status::Firing);
        before != fires || one.cause == Cause::Repeat
    };
    taken.iter().all(&mut follows)
}

#[tokio::test(start_paused = true)]
async fn what_an_hour_without_a_receiver_brings_is_told_after_it_in_order_and_once() {
    let mut world = World::new(10_000);
    world.pass(HOUR).await;
    let told = world.taken();
    assert!(told.iter().all(|taken| !taken.is_empty()));

    world.pass(HOUR).await;
    let (lines, needed) = world.lines();
    assert!(world.delivery.mailbox.queued() >= HOUR as usize);
    assert!(
        lines <= 2 * needed + 2000,
        "{lines} lines where {needed} are needed"
    );
    // 1 s, 2 s, 4 s ... 256 s, and every five minutes from then on.
    assert_eq!(world.heard.lock().failed, 20);

    world.drained().await;
    for (number, taken) in world.taken().iter().enumerate() {
        assert!(in_order(taken), "{number}: {taken:#?}");
        let changes = taken.iter().filter(|one| one.cause == Cause::Change);
        let changes: Vec<_> = changes.map(|one| one.id.clone()).collect();
        assert_eq!(changes, world.changes[number]);
        // Before, it was told again as often as that was due; meanwhile at most once.
        let again = |taken: &[Notification]| {
            taken
                .iter()
                .filter(|one| one.cause == Cause::Repeat)
                .count()
        };
        assert!(
            again(taken) <= again(&told[number]) + 1,
            "{number}: {taken:#?}"
        );
    }
    let (lines, _) = world.lines();
    assert!(
        lines <= 2 * ALERTS + 2000,
        "{lines} lines where nothing waits"
    );
}

#[tokio::test(start_paused = true)]
async fn a_queue_too_small_for_it_and_a_crash_cost_no_end_of_what_was_told() {
    const CAPACITY: usize = 400;
    let mut world = World::new(CAPACITY);
    world.pass(HOUR).await;
    world.pass(HOUR / 2).await;
    world.crash();
    world.pass(HOUR / 2).await;
    let (lines, needed) = world.lines();
    // One end at most of each that was told is kept beyond it.
    assert!(world.delivery.mailbox.queued() <= CAPACITY + ALERTS);
    assert!(
        lines <= 2 * needed + 2000,
        "{lines} lines where {needed} are needed"
    );

    world.drained().await;
    for (taken, fires) in world.taken().iter().zip(&world.firing) {
        assert!(in_order(taken), "{taken:#?}");
        let believed = taken.last().is_some_and(|one| one.status == Status::Firing);
        assert!(
            !believed || fires.is_some(),
            "its end was never told: {taken:#?}"
        );
    }
}
