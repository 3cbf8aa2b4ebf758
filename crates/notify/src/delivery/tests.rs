//! Deliveries on virtual time, to a channel that follows a script.

mod bulletins;
mod outage;

use std::collections::VecDeque;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::{Now, Severity, Transition};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::channel::Attempt;
use super::super::testing::{decoded, firing, level, notification_of, resolved};
use super::*;
use crate::ChannelSettings;

/// Result of one attempt of the channel.
enum Act {
    Accept,
    Reject,
    Fail(Option<Duration>),
    Panic,
}

#[derive(Default)]
struct Log {
    acts: VecDeque<Act>,
    /// Time and content of each attempt.
    attempts: Vec<(Duration, Vec<String>)>,
    /// Events that the observer received.
    events: Vec<String>,
}

struct Scripted {
    start: Instant,
    log: Arc<Mutex<Log>>,
}

impl Channel for Scripted {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let texts = batch.notifications.iter().map(|notification| {
                let severity = notification.alert.severity.as_str();
                format!(
                    "{} {} {severity}",
                    notification.status.as_str(),
                    notification.alert.rule
                )
            });
            self.act(texts.collect())
        })
    }

    fn publish<'a>(&'a self, bulletin: &'a crate::Bulletin) -> Attempt<'a> {
        let text = format!("{} {}", bulletin.topic, bulletin.id);
        Box::pin(async move { self.act(vec![text]) })
    }

    fn max_batch(&self) -> usize {
        10
    }
}

impl Scripted {
    fn act(&self, texts: Vec<String>) -> Result<(), DeliveryError> {
        let act = {
            let mut log = self.log.lock();
            log.attempts.push((self.start.elapsed(), texts));
            log.acts.pop_front()
        };
        match act {
            None | Some(Act::Accept) => Ok(()),
            Some(Act::Reject) => Err(DeliveryError::permanent("no")),
            Some(Act::Fail(retry_after)) => Err(DeliveryError {
                retry_after,
                ..DeliveryError::transient("not now")
            }),
            Some(Act::Panic) => panic!("a channel at its end"),
        }
    }
}

/// A channel in memory, with further keys as YAML.
fn delivery(more: &str, acts: impl Into<VecDeque<Act>>) -> (Arc<Delivery>, Arc<Mutex<Log>>) {
    let settings: ChannelSettings = decoded(&format!("{{type: log, {more}}}"));
    let log = Arc::new(Mutex::new(Log {
        acts: acts.into(),
        ..Log::default()
    }));
    let delivery = Delivery {
        state: Arc::new(ChannelState::open("test", None, Now::default())),
        filter: Filter::new(&settings.common),
        limiter: settings.common.rate_limit.as_ref().map(Limiter::new),
        common: settings.common,
        channel: Box::new(Scripted {
            start: Instant::now(),
            log: log.clone(),
        }),
        clock: Arc::new(Now::default),
        random: || 1.0,
        observer: Arc::new({
            let log = log.clone();
            move |event| {
                let notification = event.notification;
                let (status, rule) = (notification.status.as_str(), &notification.alert.rule);
                log.lock()
                    .events
                    .push(format!("{status} {rule} {:?}", event.outcome));
            }
        }),
    };
    (Arc::new(delivery), log)
}

fn accept(delivery: &Delivery, transitions: &[Transition]) {
    let notifications: Vec<_> = transitions.iter().map(notification_of).collect();
    delivery.accept(notifications.iter());
}

/// Runs it until its queue is empty.
async fn drained(delivery: &Arc<Delivery>) {
    let stop = CancellationToken::new();
    let task = tokio::spawn(delivery.clone().run(stop.clone(), CancellationToken::new()));
    while delivery.state.queued() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    task.await.unwrap();
}

fn texts(log: &Mutex<Log>) -> Vec<String> {
    log.lock()
        .attempts
        .iter()
        .map(|(_, texts)| texts.join(", "))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn waits_double_and_what_the_receiver_asks_for_is_kept_to() {
    let ask = Some(Duration::from_secs(60));
    let acts = [
        Act::Fail(None),
        Act::Fail(None),
        Act::Fail(None),
        Act::Fail(ask),
    ];
    let (delivery, log) = delivery("retry: {initial: 1s, max: 3s}", acts);
    accept(&delivery, &[firing("a", "/")]);
    drained(&delivery).await;
    let seconds: Vec<u64> = log
        .lock()
        .attempts
        .iter()
        .map(|(at, _)| at.as_secs())
        .collect();
    assert_eq!(seconds, [0, 1, 3, 6, 66]);
    let failed = |attempt: u32, wait: u64| {
        format!("firing a Retried {{ attempt: {attempt}, error: \"not now\", retry_in: {wait}s }}")
    };
    assert_eq!(
        log.lock().events,
        [
            "firing a Queued",
            &failed(1, 1),
            &failed(2, 2),
            &failed(3, 3),
            &failed(4, 60),
            "firing a Delivered { attempt: 5 }",
        ]
    );
    let stats = delivery.stats();
    assert_eq!((stats.sent, stats.failed, stats.last_error), (1, 4, None));
}

#[tokio::test(start_paused = true)]
async fn the_start_of_a_failure_is_of_the_monotonic_clock() {
    let (delivery, _) = delivery("name: a", [Act::Fail(None)]);
    let start = Instant::now();
    let mut delivery = Arc::into_inner(delivery).unwrap();
    // A day passes on the wall clock with each look at it.
    let looks = AtomicI64::new(0);
    delivery.clock = Arc::new(move || Now {
        mono: MonoMillis(start.elapsed().as_millis() as u64),
        wall: UnixMillis(looks.fetch_add(86_400_000, Relaxed)),
    });
    let delivery = Arc::new(delivery);
    accept(&delivery, &[firing("a", "/")]);
    let (stop, halt) = (CancellationToken::new(), CancellationToken::new());
    let task = tokio::spawn(delivery.clone().run(stop.clone(), halt));
    let since = loop {
        let since = delivery.state.counts.lock().failing_since;
        if let Some(since) = since {
            break since;
        }
        sleep(Duration::from_millis(1)).await;
    };
    assert!(
        since.mono < MonoMillis(500) && since.wall >= UnixMillis(86_400_000),
        "{since:?}"
    );
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_costs_one_attempt() {
    let (delivery, log) = delivery("name: a", [Act::Panic, Act::Accept]);
    accept(&delivery, &[firing("a", "/")]);
    drained(&delivery).await;
    assert_eq!(texts(&log), ["firing a warning", "firing a warning"]);
    assert_eq!(delivery.stats().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_has_an_alert_once_and_a_rejected_one_is_retried_one_by_one() {
    let acts = [Act::Reject, Act::Accept, Act::Reject, Act::Accept];
    let (delivery, log) = delivery("name: a", acts);
    accept(
        &delivery,
        &[firing("a", "/"), firing("b", "/"), resolved("a", "/")],
    );
    drained(&delivery).await;
    assert_eq!(
        texts(&log),
        [
            "firing a warning, firing b warning",
            "firing a warning",
            "firing b warning",
            "resolved a warning",
        ]
    );
    assert_eq!(delivery.stats().dropped, [("rejected", 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_observer_gets_each_outcome() {
    let acts = [Act::Reject, Act::Reject, Act::Accept, Act::Reject];
    let (delivery, log) = delivery("queue: {capacity: 2}", acts);
    accept(
        &delivery,
        &[
            firing("a", "/"),
            resolved("a", "/"),
            firing("b", "/"),
            firing("c", "/"),
        ],
    );
    drained(&delivery).await;
    accept(&delivery, &[firing("d", "/"), resolved("d", "/")]);
    drained(&delivery).await;
    assert_eq!(
        log.lock().events,
        [
            "firing a Queued",
            "resolved a Queued",
            "firing b Queued",
            "firing c Queued",
            "firing a Dropped { reason: \"overflow\" }",
            "resolved a Dropped { reason: \"overflow\" }",
            "firing b Retried { attempt: 1, error: \"no\", retry_in: 0ns }",
            "firing c Retried { attempt: 1, error: \"no\", retry_in: 0ns }",
            "firing b Rejected { error: \"no\" }",
            "firing c Delivered { attempt: 1 }",
            "firing d Queued",
            "resolved d Queued",
            "firing d Rejected { error: \"no\" }",
            "resolved d Dropped { reason: \"rejected\" }",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_falls_below_the_least_severity_is_resolved_for_the_channel() {
    let (delivery, log) = delivery("min_severity: critical", []);
    for transition in [
        firing("a", "/"),
        level("a", "/", Severity::Critical, 1),
        level("a", "/", Severity::Emergency, 2),
        level("a", "/", Severity::Warning, 3),
        level("a", "/", Severity::Critical, 4),
        resolved("a", "/"),
    ] {
        accept(&delivery, &[transition]);
        drained(&delivery).await;
    }
    assert_eq!(
        texts(&log),
        [
            "firing a critical",
            "firing a emergency",
            "resolved a emergency",
            "firing a critical",
            "resolved a critical",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_ended_unwatched_is_resolved_once() {
    let (delivery, log) = delivery("rules: [a, b]", []);
    accept(
        &delivery,
        &[firing("a", "/"), firing("b", "/"), firing("c", "/")],
    );
    let still_firing = HashSet::from([firing("b", "/").alert.fingerprint]);
    delivery.reconcile(&still_firing, UnixMillis(1));
    delivery.reconcile(&still_firing, UnixMillis(2));
    drained(&delivery).await;
    assert_eq!(
        texts(&log).join(", "),
        "firing a warning, firing b warning, resolved a warning"
    );
}
