//! Judges after every collection, and sees that what follows is told and saved.
//!
//! One task owns the order: judge, hand to the channels (which write it down first), save the
//! state. A crash between the two repeats a notification and never loses one. Rules that ask
//! history are asked on a blocking thread, one round at a time, while the others go on.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bellwether_analysis::lookout::Lookout;
use bellwether_collectors::{HealthBoard, Sink};
use bellwether_core::{Batch, Fingerprint, Now, Origin, Transition};
use bellwether_files::durable::Saver;
use bellwether_rules::{Engine, QueryResults, RuleSet, SampleStorage, StateFile, Tick};
use bellwether_runtime::Clock;
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::Store;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::desk::Desk;
use super::made::Made;
use super::watch::Watch;

/// Longest time that running durations may be behind in the state file.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// How often it is tried to save what could not be saved.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long after a start a channel's alert may be unknown to the rules: their data may not be
/// there yet.
const GRACE: Duration = Duration::from_secs(60);

/// The engine, and what is waiting to be judged by it.
pub(super) struct Judge {
    engine: Mutex<Judged>,
    /// Collections since the last judgement, by origin.
    due: Mutex<BTreeSet<Origin>>,
    wake: Notify,
    clock: Clock,
    desk: Arc<Desk>,
    /// None: alerts end with the process.
    file: Option<Arc<Saver>>,
    history: Option<Arc<History>>,
    watch: Arc<Watch>,
    made: Arc<Made>,
    missed: AtomicU64,
}

/// What is judged, swapped together at a reload.
pub(super) struct Judged {
    pub(super) engine: Engine,
    pub(super) store: Arc<Store>,
    /// How long the last tick took that had rules to judge.
    pub(super) last_tick: Duration,
}

impl Judged {
    pub(super) fn new(engine: Engine, store: Arc<Store>) -> Self {
        Self {
            engine,
            store,
            last_tick: Duration::ZERO,
        }
    }
}

impl Judge {
    pub(super) fn new(
        judged: Judged,
        clock: Clock,
        desk: Arc<Desk>,
        file: Option<Arc<Saver>>,
        history: Option<Arc<History>>,
        made: Arc<Made>,
    ) -> Self {
        Self {
            made,
            engine: Mutex::new(judged),
            due: Mutex::default(),
            wake: Notify::new(),
            clock,
            desk,
            file,
            history,
            watch: Arc::default(),
            missed: AtomicU64::new(0),
        }
    }

    /// What is judged now. Held briefly: judging waits for it.
    pub(super) fn judged(&self) -> MutexGuard<'_, Judged> {
        self.engine.lock()
    }

    /// Judgements left out because the one before was still under way.
    pub(super) fn missed(&self) -> u64 {
        self.missed.load(Relaxed)
    }

    /// Times the state could not be saved.
    pub(super) fn save_failures(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| file.failures())
    }

    /// Why the state is not on disk, if so.
    pub(super) fn problem(&self) -> Option<String> {
        self.file.as_ref()?.problem()
    }

    /// Judges other rules on another store from now on. The transitions tell of alerts whose rules
    /// are gone.
    pub(super) fn replace(&self, rules: RuleSet, store: Arc<Store>) -> Vec<Transition> {
        let now = self.clock.now();
        let mut judged = self.engine.lock();
        let old = std::mem::replace(&mut *judged, Judged::new(Engine::new(rules, now), store));
        judged.last_tick = old.last_tick;
        judged.engine.adopt(old.engine, now)
    }

    /// Whether rules can still be judged.
    pub(super) fn responds(&self) -> bool {
        self.engine.try_lock_for(Duration::from_secs(1)).is_some()
    }

    /// Notes that `origin` was collected.
    fn collected(&self, origin: Origin) {
        if !self.due.lock().insert(origin) {
            self.missed.fetch_add(1, Relaxed);
        }
        self.wake.notify_one();
    }

    /// Judges until `stop`, then saves the state a last time.
    pub(super) async fn run(self: Arc<Self>, stop: CancellationToken) {
        let started = self.clock.now();
        let mut last_save = started;
        let mut last_look = started;
        // A round that is asked, and what was collected since it began.
        let mut asked: Option<JoinHandle<QueryResults>> = None;
        let mut waiting = BTreeSet::new();
        loop {
            let mut changed = false;
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.wake.notified() => {}
                answered = ended(&mut asked) => {
                    asked = None;
                    changed |= self.answered(answered).await;
                }
                () = tokio::time::sleep(Watch::EVERY), if asked.is_some() => self.watch.enforce(),
                () = self.desk.due() => self.desk.tell(&[]).await,
            }
            let due = std::mem::take(&mut *self.due.lock());
            for origin in due {
                changed |= self.tick(origin).await;
                let missed = !waiting.insert(origin);
                self.missed.fetch_add(u64::from(missed), Relaxed);
            }
            if asked.is_none() && !waiting.is_empty() {
                let filled: Vec<Origin> = std::mem::take(&mut waiting).into_iter().collect();
                asked = self.ask(&filled);
            }
            let now = self.clock.now();
            let late = now.mono.since(last_save.mono) >= SAVE_EVERY;
            if changed || late {
                self.save().await;
                last_save = now;
            }
            if now.mono.since(last_look.mono) >= LOOK_EVERY {
                self.save_what_is_due().await;
                last_look = now;
            }
            if late && now.mono.since(started.mono) >= GRACE {
                self.reconcile().await;
            }
        }
        self.watch.cancel();
        self.save().await;
    }

    /// Has the channels resolve what they told as firing and what is neither firing nor about to:
    /// what a crash between telling and saving leaves behind.
    async fn reconcile(&self) {
        let alerts = self.engine.lock().engine.alerts();
        let standing: HashSet<Fingerprint> = alerts.iter().map(|alert| alert.fingerprint).collect();
        self.desk.reconcile(standing).await;
    }

    /// Judges the rules that look at `origin`; whether anything changed that must be saved.
    async fn tick(&self, origin: Origin) -> bool {
        let tick = {
            let mut judged = self.engine.lock();
            let store = judged.store.clone();
            let started = Instant::now();
            let tick = judged
                .engine
                .judge(&store, self.clock.now(), Some(&[origin]));
            // A collection that no rule looks at tells nothing of what judging costs.
            if tick.evaluated > 0 {
                judged.last_tick = started.elapsed();
            }
            tick
        };
        // Once an interval, and at once where anything has changed.
        if origin == Origin::Own || !tick.transitions.is_empty() {
            self.remember_alerts();
        }
        self.follow(tick).await
    }

    /// Appends the state of all alerts to history.
    fn remember_alerts(&self) {
        let alerts = self.engine.lock().engine.alerts();
        self.made.evaluated(&alerts, self.clock.now().wall);
    }

    /// Begins to ask history what the rules want to know that look at what was `filled`.
    fn ask(&self, filled: &[Origin]) -> Option<JoinHandle<QueryResults>> {
        let round = self
            .engine
            .lock()
            .engine
            .round(self.clock.now(), Some(filled));
        if round.is_empty() {
            return None;
        }
        let (history, watch) = (self.history.clone(), self.watch.clone());
        Some(tokio::task::spawn_blocking(move || {
            round.ask(
                history
                    .as_deref()
                    .map(|history| history as &dyn SampleStorage),
                &*watch,
            )
        }))
    }

    /// Judges what history answered; whether anything changed that must be saved.
    async fn answered(&self, answered: Result<QueryResults, JoinError>) -> bool {
        let answered = match answered {
            Ok(answered) => answered,
            Err(error) => {
                error!(%error, "asking history for the rules ended badly");
                return false;
            }
        };
        let tick = self.engine.lock().engine.answered(answered);
        if !tick.transitions.is_empty() {
            self.remember_alerts();
        }
        self.follow(tick).await
    }

    async fn follow(&self, tick: Tick) -> bool {
        self.desk.judged();
        self.desk.confirm(&tick.confirmed);
        self.tell(&tick.transitions).await;
        tick.changed
    }

    /// Logs transitions and hands them to the channels.
    pub(super) async fn tell(&self, transitions: &[Transition]) {
        for transition in transitions {
            let alert = &transition.alert;
            info!(
                rule = &*alert.rule,
                labels = ?alert.labels,
                reason = transition.reason,
                "alert {} => {}",
                transition.from.as_str(),
                alert.state.as_str(),
            );
        }
        self.desk.tell(transitions).await;
    }

    /// Writes the state file on a blocking thread.
    pub(super) async fn save(&self) {
        let Some(saver) = self.file.clone() else {
            return;
        };
        let now = self.clock.now();
        let alerts = self.engine.lock().engine.carried();
        let saving = move || {
            saver
                .save(|| StateFile::new(saver.path()).save(&alerts, now))
                .ok()
        };
        if let Err(error) = tokio::task::spawn_blocking(saving).await {
            error!(%error, "saving the state of the alerts ended badly");
        }
    }

    /// Saves what could not be saved before, or what somebody deleted: queues, silences, alerts.
    async fn save_what_is_due(&self) {
        self.desk.save_what_is_due().await;
        if self.file.as_ref().is_some_and(|file| file.is_due()) {
            self.save().await;
        }
    }
}

/// What was asked, once it is answered; never where nothing was.
async fn ended(asked: &mut Option<JoinHandle<QueryResults>>) -> Result<QueryResults, JoinError> {
    match asked {
        Some(asked) => asked.await,
        None => std::future::pending().await,
    }
}

/// Commits to one store and wakes the judge. A reload brings a new one with the new store.
pub(super) struct Committer {
    pub(super) store: Arc<Store>,
    pub(super) lookout: Arc<Lookout>,
    pub(super) judge: Arc<Judge>,
    pub(super) made: Arc<Made>,
    pub(super) board: HealthBoard,
}

impl Sink for Committer {
    fn collected(&self, origin: Origin, batch: &Batch, now: Now) {
        self.store.commit(batch, now);
        let up = self.board.is_up(origin).unwrap_or_default();
        self.made.collected(origin, up, now.wall);
        self.store.expire(now);
        self.lookout.observe(batch, now);
        self.judge.collected(origin);
    }
}
