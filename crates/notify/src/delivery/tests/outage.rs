//! An hour's outage of a service, on virtual time, with a journal on disk and a crash in the
//! middle: attempts are few, the queue is bounded, and missed notifications are delivered in order
//! and once.

use bellwether_core::{Alert, AlertState, Cause};
use bellwether_files::durable::StateDirectory;
use tempfile::TempDir;

use super::super::super::testing::{START, alert, group};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: u32 = 3600;
/// Alerts that come and go.
const ALERTS: usize = 300;
/// Repeat interval of firing alerts, in seconds.
const REPEAT: u32 = 600;

/// Takes everything but for an hour.
struct FailingChannel {
    from: Instant,
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    /// Attempts that failed.
    failed: usize,
    accepted: Vec<Notification>,
}

impl Channel for FailingChannel {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        let mut log = self.log.lock();
        let away = self.from <= Instant::now() && self.from.elapsed() < SECOND * HOUR;
        let result = if away {
            log.failed += 1;
            Err(DeliveryError::transient("nobody is there"))
        } else {
            log.accepted.extend(batch.notifications.iter().cloned());
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }

    fn max_batch(&self) -> usize {
        64
    }
}

/// Alerts that fire and resolve in turn, with a channel that is notified of them.
struct World {
    folder: TempDir,
    state: Arc<StateDirectory>,
    began: Instant,
    /// Capacity of the queue.
    capacity: usize,
    delivery: Arc<Delivery>,
    task: AbortOnDropHandle<()>,
    log: Arc<Mutex<Log>>,
    /// Seconds so far.
    passed: u32,
    /// Start of each firing alert.
    firing: Vec<Option<UnixMillis>>,
    /// The changes of each, by their ids.
    changes: Vec<Vec<String>>,
}

fn open(
    state: &Arc<StateDirectory>,
    capacity: usize,
    began: Instant,
    log: &Arc<Mutex<Log>>,
) -> Arc<Delivery> {
    let (delivery, _) = delivery(&format!("queue: {{capacity: {capacity}}}"), []);
    let Ok(mut delivery) = Arc::try_unwrap(delivery) else {
        panic!("nobody else has it")
    };
    delivery.state = Arc::new(ChannelState::open("test", Some(state.clone()), now(began)));
    delivery.channel = Box::new(FailingChannel {
        from: began + SECOND * HOUR,
        log: log.clone(),
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
        let (folder, began, log) = (TempDir::new().unwrap(), Instant::now(), Arc::default());
        let state = Arc::new(StateDirectory::open(folder.path()));
        let delivery = open(&state, capacity, began, &log);
        let task = run(&delivery);
        let (firing, changes) = (vec![None; ALERTS], vec![Vec::new(); ALERTS]);
        Self {
            folder,
            state,
            began,
            capacity,
            delivery,
            task,
            log,
            passed: 0,
            firing,
            changes,
        }
    }

    /// The process crashes, and a new one continues.
    fn crash(&mut self) {
        self.task.abort();
        self.delivery = open(&self.state, self.capacity, self.began, &self.log);
        self.task = run(&self.delivery);
    }

    fn notification(&self, number: usize, cause: Cause) -> Notification {
        let (at, fired) = (now(self.began).wall, self.firing[number]);
        let notifications = Alert {
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
            id: notifications.change_id(at),
            status: if fired.is_some() {
                Status::Firing
            } else {
                Status::Resolved
            },
            cause,
            group: Arc::new(group("disk")),
            alert: Arc::new(notifications),
            reason: "it changed".into(),
            at,
        }
    }

    /// Every ten seconds ten alerts change, and firing alerts are repeated when due.
    async fn pass(&mut self, seconds: u32) {
        for second in (self.passed..self.passed + seconds).step_by(10) {
            let mut notifications: Vec<_> = (second..second + 10)
                .map(|count| self.change(count))
                .collect();
            if second % REPEAT == 0 {
                let still_firing = (0..ALERTS).filter(|number| self.firing[*number].is_some());
                notifications
                    .extend(still_firing.map(|number| self.notification(number, Cause::Repeat)));
            }
            self.delivery.accept(notifications.iter());
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
            self.delivery.state.outbox.lock().records().len(),
        )
    }

    async fn drained(&self) {
        while self.delivery.state.queued() > 0 {
            sleep(SECOND).await;
        }
    }

    /// Accepted notifications of each alert, in order.
    fn accepted(&self) -> Vec<Vec<Notification>> {
        let mut accepted = vec![Vec::new(); ALERTS];
        for notification in &self.log.lock().accepted {
            accepted[notification.alert.labels["mount"].parse::<usize>().unwrap()]
                .push(notification.clone());
        }
        accepted
    }
}

fn run(delivery: &Arc<Delivery>) -> AbortOnDropHandle<()> {
    let never = CancellationToken::new;
    AbortOnDropHandle::new(tokio::spawn(delivery.clone().run(never(), never())))
}

/// Never a resolved without a firing, nor a second of either.
fn in_order(accepted: &[Notification]) -> bool {
    let mut fires = false;
    let mut follows = |notification: &Notification| {
        let before = std::mem::replace(&mut fires, notification.status == Status::Firing);
        before != fires || notification.cause == Cause::Repeat
    };
    accepted.iter().all(&mut follows)
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_an_hour_is_delivered_after_it_in_order_and_once() {
    let mut world = World::new(10_000);
    world.pass(HOUR).await;
    let notifications = world.accepted();
    assert!(notifications.iter().all(|accepted| !accepted.is_empty()));

    world.pass(HOUR).await;
    let (lines, needed) = world.lines();
    assert!(world.delivery.state.queued() >= HOUR as usize);
    assert!(
        lines <= 2 * needed + 2000,
        "{lines} lines where {needed} are needed"
    );
    // 1 s, 2 s, 4 s ... 256 s, and every five minutes from then on.
    assert_eq!(world.log.lock().failed, 20);

    world.drained().await;
    for (number, accepted) in world.accepted().iter().enumerate() {
        assert!(in_order(accepted), "{number}: {accepted:#?}");
        let changes = accepted
            .iter()
            .filter(|notification| notification.cause == Cause::Change);
        let changes: Vec<_> = changes
            .map(|notification| notification.id.clone())
            .collect();
        assert_eq!(changes, world.changes[number]);
        // Before the outage it was repeated when due; meanwhile at most once.
        let repeats = |accepted: &[Notification]| {
            accepted
                .iter()
                .filter(|notification| notification.cause == Cause::Repeat)
                .count()
        };
        assert!(
            repeats(accepted) <= repeats(&notifications[number]) + 1,
            "{number}: {accepted:#?}"
        );
    }
    let (lines, _) = world.lines();
    assert!(
        lines <= 2 * ALERTS + 2000,
        "{lines} lines where nothing waits"
    );
}

#[tokio::test(start_paused = true)]
async fn a_small_queue_and_a_crash_lose_no_resolved_of_a_notified_alert() {
    const CAPACITY: usize = 400;
    let mut world = World::new(CAPACITY);
    world.pass(HOUR).await;
    world.pass(HOUR / 2).await;
    world.crash();
    world.pass(HOUR / 2).await;
    let (lines, needed) = world.lines();
    // Beyond the capacity, at most one resolved of each notified alert is kept.
    assert!(world.delivery.state.queued() <= CAPACITY + ALERTS);
    assert!(
        lines <= 2 * needed + 2000,
        "{lines} lines where {needed} are needed"
    );

    world.drained().await;
    for (accepted, fires) in world.accepted().iter().zip(&world.firing) {
        assert!(in_order(accepted), "{accepted:#?}");
        let believed = accepted
            .last()
            .is_some_and(|notification| notification.status == Status::Firing);
        assert!(
            !believed || fires.is_some(),
            "its resolved was never sent: {accepted:#?}"
        );
    }
}
