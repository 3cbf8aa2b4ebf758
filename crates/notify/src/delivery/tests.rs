//! Deliveries on virtual time, to a channel that does as it is told.

mod outage;

use std::collections::VecDeque;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

use bellwether_core::{Now, Severity, Transition};
use bellwether_schema::{Decode, DecodeContext, Diagnostics};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::super::channels::Attempt;
use super::super::samples::{firing, level, resolved, told};
use super::*;
use crate::ChannelSettings;

/// What the channel does with one attempt.
enum Act {
    Take,
    Refuse,
    Fail(Option<Duration>),
    Panic,
}

#[derive(Default)]
struct Heard {
    acts: VecDeque<Act>,
    /// When each attempt was made, and what it held.
    attempts: Vec<(Duration, Vec<String>)>,
    /// What the observer was told.
    events: Vec<String>,
}

struct Scripted {
    start: Instant,
    heard: Arc<Mutex<Heard>>,
}

impl Channel for Scripted {
    fn deliver<'a>(&'a self, batch: &'a Batch) -> Attempt<'a> {
        Box::pin(async move {
            let texts = batch.news.iter().map(|one| {
                let severity = one.alert.severity.as_str();
                format!("{} {} {severity}", one.status.as_str(), one.alert.rule)
            });
            let act = {
                let mut heard = self.heard.lock();
                heard.attempts.push((self.start.elapsed(), texts.collect()));
                heard.acts.pop_front()
            };
            match act {
                None | Some(Act::Take) => Ok(()),
                Some(Act::Refuse) => Err(DeliveryError::permanent("no")),
                Some(Act::Fail(retry_after)) => Err(DeliveryError {
                    retry_after,
                    ..DeliveryError::transient("not now")
                }),
                Some(Act::Panic) => panic!("a channel at its end"),
            }
        })
    }

    fn max_batch(&self) -> usize {
        10
    }
}

/// A channel in memory, with further keys as YAML.
fn delivery(more: &str, acts: impl Into<VecDeque<Act>>) -> (Arc<Delivery>, Arc<Mutex<Heard>>) {
    let mut problems = Diagnostics::default();
    let node = bellwether_schema::parse(&format!("{{type: log, {more}}}")).unwrap();
    let settings =
        ChannelSettings::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
    let heard = Arc::new(Mutex::new(Heard {
        acts: acts.into(),
        ..Heard::default()
    }));
    let delivery = Delivery {
        mailbox: Arc::new(Mailbox::open("test", None, Now::default())),
        filter: Filter::new(&settings.common),
        common: settings.common,
        channel: Box::new(Scripted {
            start: Instant::now(),
            heard: heard.clone(),
        }),
        clock: Arc::new(Now::default),
        random: || 1.0,
        observer: Arc::new({
            let heard = heard.clone();
            move |event| {
                let told = event.notification;
                let (status, rule) = (told.status.as_str(), &told.alert.rule);
                heard
                    .lock()
                    .events
                    .push(format!("{status} {rule} {:?}", event.outcome));
            }
        }),
    };
    (Arc::new(delivery), heard)
}

fn accept(delivery: &Delivery, transitions: &[Transition]) {
    let told: Vec<_> = transitions.iter().map(told).collect();
    delivery.accept(told.iter());
}

/// Runs it until its queue is empty.
async fn drained(delivery: &Arc<Delivery>) {
    let stop = CancellationToken::new();
    let task = tokio::spawn(delivery.clone().run(stop.clone(), CancellationToken::new()));
    while delivery.mailbox.queued() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    task.await.unwrap();
}

fn texts(heard: &Mutex<Heard>) -> Vec<String> {
    heard
        .lock()
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
    let (delivery, heard) = delivery("retry: {initial: 1s, max: 3s}", acts);
    accept(&delivery, &[firing("a", "/")]);
    drained(&delivery).await;
    let seconds: Vec<u64> = heard
        .lock()
        .attempts
        .iter()
        .map(|(at, _)| at.as_secs())
        .collect();
    assert_eq!(seconds, [0, 1, 3, 6, 66]);
    let failed = |attempt: u32, wait: u64| {
        format!("firing a Failed {{ attempt: {attempt}, error: \"not now\", retry_in: {wait}s }}")
    };
    assert_eq!(
        heard.lock().events,
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
async fn how_long_a_channel_fails_is_judged_by_the_monotonic_clock() {
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
        let since = delivery.mailbox.counts.lock().failing_since;
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
    let (delivery, heard) = delivery("name: a", [Act::Panic, Act::Take]);
    accept(&delivery, &[firing("a", "/")]);
    drained(&delivery).await;
    assert_eq!(texts(&heard), ["firing a warning", "firing a warning"]);
    assert_eq!(delivery.stats().failed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_holds_an_alert_once_and_a_refused_one_is_tried_piece_by_piece() {
    let acts = [Act::Refuse, Act::Take, Act::Refuse, Act::Take];
    let (delivery, heard) = delivery("name: a", acts);
    accept(
        &delivery,
        &[firing("a", "/"), firing("b", "/"), resolved("a", "/")],
    );
    drained(&delivery).await;
    assert_eq!(
        texts(&heard),
        [
            "firing a warning, firing b warning",
            "firing a warning",
            "firing b warning",
            "resolved a warning",
        ]
    );
    assert_eq!(delivery.stats().dropped, [("refused", 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_observer_hears_what_becomes_of_each() {
    let acts = [Act::Refuse, Act::Refuse, Act::Take, Act::Refuse];
    let (delivery, heard) = delivery("queue: {capacity: 2}", acts);
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
        heard.lock().events,
        [
            "firing a Queued",
            "resolved a Queued",
            "firing b Queued",
            "firing c Queued",
            "firing a Dropped { reason: \"overflow\" }",
            "resolved a Dropped { reason: \"overflow\" }",
            "firing b Failed { attempt: 1, error: \"no\", retry_in: 0ns }",
            "firing c Failed { attempt: 1, error: \"no\", retry_in: 0ns }",
            "firing b Refused { error: \"no\" }",
            "firing c Delivered { attempt: 1 }",
            "firing d Queued",
            "resolved d Queued",
            "firing d Refused { error: \"no\" }",
            "resolved d Dropped { reason: \"refused\" }",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_alert_that_falls_below_the_least_severity_is_over_for_the_channel() {
    let (delivery, heard) = delivery("min_severity: critical", []);
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
        texts(&heard),
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
    let (delivery, heard) = delivery("rules: [a, b]", []);
    accept(
        &delivery,
        &[firing("a", "/"), firing("b", "/"), firing("c", "/")],
    );
    let standing = HashSet::from([firing("b", "/").alert.fingerprint]);
    delivery.reconcile(&standing, UnixMillis(1));
    delivery.reconcile(&standing, UnixMillis(2));
    drained(&delivery).await;
    assert_eq!(
        texts(&heard).join(", "),
        "firing a warning, firing b warning, resolved a warning"
    );
}
