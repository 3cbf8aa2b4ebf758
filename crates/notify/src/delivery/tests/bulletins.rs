//! Bulletins on virtual time, beside notifications.

use super::*;
use crate::Bulletin;

fn bulletin(topic: &str, id: &str) -> Bulletin {
    Bulletin {
        id: id.into(),
        topic: topic.into(),
        ..Bulletin::default()
    }
}

/// Runs both loops until nothing is queued.
async fn published(delivery: &Arc<Delivery>) {
    let stop = CancellationToken::new();
    let run = delivery.clone().run(stop.clone(), CancellationToken::new());
    let publish = delivery
        .clone()
        .publish(stop.clone(), CancellationToken::new());
    let task = tokio::spawn(async move { tokio::join!(run, publish) });
    while delivery.state.queued() + delivery.state.bulletins.queued() > 0 {
        sleep(Duration::from_millis(1)).await;
    }
    stop.cancel();
    task.await.unwrap();
}

/// The attempts, each with its second.
fn attempts(log: &Mutex<Log>) -> Vec<String> {
    let log = log.lock();
    let attempts = log.attempts.iter();
    attempts
        .map(|(at, texts)| format!("{} {}", at.as_secs(), texts.join(", ")))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_report_is_tried_again_and_no_alert_waits_for_it() {
    let acts = [Act::Fail(None), Act::Panic, Act::Fail(None)];
    let (delivery, log) = delivery("retry: {initial: 1s, max: 3s}", acts);
    delivery.queue_bulletin(bulletin("report/weekly", "a"));
    let alerts = delivery.clone();
    let alert = async move {
        sleep(Duration::from_millis(1500)).await;
        accept(&alerts, &[firing("disk", "/")]);
    };
    tokio::join!(published(&delivery), alert);
    assert_eq!(
        attempts(&log),
        [
            "0 report/weekly a",
            "1 report/weekly a",
            "1 firing disk warning",
            "2 firing disk warning",
            "3 report/weekly a"
        ]
    );
    let stats = &delivery.state.bulletins.stats()[0];
    assert_eq!((stats.sent, stats.failed, stats.dropped), (1, 2, 0));
    assert_eq!(stats.last_error, None);
    assert_eq!(delivery.stats().failed, 1, "those of the alert alone");
}

#[tokio::test(start_paused = true)]
async fn a_bulletin_that_is_rejected_is_dropped_and_the_next_one_sent() {
    let (delivery, log) = delivery("name: a", [Act::Reject]);
    delivery.queue_bulletin(bulletin("report/weekly", "a"));
    delivery.queue_bulletin(bulletin("audit", "b"));
    published(&delivery).await;
    assert_eq!(attempts(&log), ["0 report/weekly a", "0 audit b"]);
    let stats = delivery.state.bulletins.stats();
    let of = |topic: &str| {
        let stats = stats.iter().find(|stats| stats.topic == topic).unwrap();
        (stats.sent, stats.dropped)
    };
    assert_eq!((of("report/weekly"), of("audit")), ((0, 1), (1, 0)));
}

#[tokio::test(start_paused = true)]
async fn bulletins_count_against_the_rate_limit_and_leave_its_reserve() {
    let (delivery, log) = delivery("rate_limit: {messages: 2, per: 60s, reserve: 1}", []);
    for id in ["a", "b"] {
        delivery.queue_bulletin(bulletin("audit", id));
    }
    published(&delivery).await;
    assert_eq!(attempts(&log), ["0 audit a", "30 audit b"]);
}

#[tokio::test(start_paused = true)]
async fn notifications_that_the_rate_limit_delays_go_first() {
    let (delivery, _) = delivery("rate_limit: {messages: 10}", []);
    accept(&delivery, &[firing("a", "/")]);
    assert!(
        delivery.acquire_for_bulletin().is_err(),
        "an alert waits, though there is room"
    );
    drained(&delivery).await;
    assert_eq!(delivery.acquire_for_bulletin(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a_bulletin_that_is_too_old_is_dropped_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let state = Arc::new(bellwether_files::durable::StateDirectory::open(
        folder.path(),
    ));
    let open = || ChannelState::open("test", Some(state.clone()), Now::default());
    let (first, _) = delivery("retry: {max_elapsed_time: 1h}", []);
    let mut first = Arc::into_inner(first).unwrap();
    first.state = Arc::new(open());
    first.queue_bulletin(bulletin("audit", "a"));
    drop(first);

    let (second, log) = delivery("retry: {max_elapsed_time: 1h}", []);
    let mut second = Arc::into_inner(second).unwrap();
    second.state = Arc::new(open());
    assert_eq!(second.state.bulletins.queued(), 1, "it was on disk");
    second.clock = Arc::new(|| Now {
        wall: UnixMillis(2 * 3_600_000),
        ..Now::default()
    });
    let second = Arc::new(second);
    published(&second).await;
    assert_eq!(attempts(&log), [""; 0]);
    assert_eq!(second.state.bulletins.stats()[0].dropped, 1);
}
