//! All receivers are away at once, for long: its memory is bounded, and what they missed they
//! hear when they are back, in order and once.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use crate::ledger::{Ledger, Taken};
use crate::load::{LABEL, Load, configuration};
use crate::number;
use crate::support::agent::Agent;
use crate::support::kafka::Topic;
use crate::support::receiver::Receiver;
use crate::support::servers::Server;
use crate::support::smtp::Smtp;
use crate::support::{free_port, poll};

const CHANNELS: [&str; 3] = ["webhook", "kafka", "email"];

/// Time that the notifications may take, beside the wait for the next attempt.
const LATE: Duration = Duration::from_secs(120);

/// Notifications that wait, by channel.
fn waiting(agent: &Agent) -> [f64; 3] {
    CHANNELS.map(|channel| {
        let queue = format!("bellwether_notification_queue_length{{channel=\"{channel}\"");
        agent.value(&queue).unwrap()
    })
}

/// Failed attempts, by channel.
fn failed(agent: &Agent) -> [f64; 3] {
    CHANNELS.map(|channel| {
        let failed =
            format!("bellwether_notifications_total{{channel=\"{channel}\",result=\"failed\"");
        agent.value(&failed).unwrap()
    })
}

/// Bytes on disk of each queue.
fn journals(folder: &Path) -> [u64; 3] {
    CHANNELS.map(|channel| {
        let journal = folder.join(format!("state/outbox/{channel}.jsonl"));
        fs::metadata(journal).map_or(0, |file| file.len())
    })
}

/// `OUTAGE_SECONDS` says how long they are away, `OUTAGE_PAUSE_MS` how long it is between two
/// changes, `OUTAGE_RETRY_MS` the longest wait between two attempts.
#[test]
fn all_channels_at_once_are_away_and_miss_nothing() {
    let length = Duration::from_secs(number("OUTAGE_SECONDS", 10));
    let (pause, retry) = (
        number("OUTAGE_PAUSE_MS", 100),
        number("OUTAGE_RETRY_MS", 1000),
    );
    let mut random = Rng::with_seed(7);
    let folder = TempDir::new().unwrap();
    let kafka = Server::kafka();
    let topic = Topic::open(&kafka.address(), "alerts");
    kafka.stop();
    let [port, mail] = [free_port(), free_port()];
    let waits = format!("retry: {{initial: 100ms, max: {retry}ms}}");
    let channels = format!(
        "{{type: webhook, url: 'http://127.0.0.1:{port}/', timeout: 2s, {waits}}},
         {{type: kafka, brokers: '{}', topic: alerts, timeout: 2s, {waits}}},
         {{type: email, smtp_server: 127.0.0.1, smtp_port: {mail}, tls: none, from: a@example.org,
          recipients: [ops@example.org], {waits}}}",
        kafka.address(),
    );
    let agent = Agent::start(folder.path(), &configuration(&channels, ""));

    let (mut load, mut changes, mut largest) = (Load::calm(), 0, [0; 3]);
    let (start, mut reported) = (Instant::now(), Instant::now());
    while start.elapsed() < length {
        load.change(&mut random);
        load.record(&agent);
        changes += 1;
        let journals = journals(folder.path());
        largest = std::array::from_fn(|index| largest[index].max(journals[index]));
        if reported.elapsed() >= Duration::from_secs(60) {
            reported = Instant::now();
            eprintln!(
                "after {:?}: {changes} changes, {:?} wait, {:?} attempts failed, {journals:?} bytes, \
                 {} kB of memory",
                start.elapsed(),
                waiting(&agent),
                failed(&agent),
                agent.memory("VmRSS")
            );
        }
        std::thread::sleep(Duration::from_millis(pause));
    }
    let (waiting_for, failed) = (waiting(&agent), failed(&agent));
    eprintln!(
        "{changes} changes in {length:?}: {waiting_for:?} wait, {failed:?} attempts failed, journals \
         of {largest:?} bytes at most, {} kB of memory at most",
        agent.memory("VmHWM")
    );
    assert!(waiting_for.iter().chain(&failed).all(|count| *count > 0.0));

    let back = Instant::now();
    let receiver = Receiver::start(port);
    let mails = Smtp::start_at(mail, folder.path(), &[]);
    kafka.start();
    let expected = load.alerts();
    let [mut webhook, mut published] = [Ledger::default(), Ledger::default()];
    poll(
        "all that was missed is sent",
        LATE + Duration::from_millis(2 * retry),
        || {
            let read = std::iter::from_fn(|| topic.next());
            read.for_each(|message| published.take(Taken::of_message(&message.value, LABEL)));
            (waiting(&agent) == [0.0; 3] && published.firing() == expected).then_some(())
        },
    );
    let bodies = receiver.bodies();
    let news = bodies
        .iter()
        .flat_map(|document| Taken::of_document(document, LABEL));
    news.for_each(|one| webhook.take(one));
    webhook.check("webhook", &expected);
    published.check("kafka", &expected);
    eprintln!(
        "back for {:?}: webhook {:?}, kafka {:?} firings, ends and repetitions, {} mails",
        back.elapsed(),
        webhook.counts,
        published.counts,
        mails.mails().len()
    );
    assert_eq!(webhook.counts[2], 0, "nothing is sent twice");
    assert!(!mails.mails().is_empty());
}
