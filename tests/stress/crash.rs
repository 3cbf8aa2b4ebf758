//! Killed at random moments, again and again, while alerts come and go: what is promised holds on
//! each channel all the time, and in the end everybody knows what is true.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use fastrand::Rng;
use tempfile::TempDir;

use crate::ledger::{Ledger, Taken};
use crate::load::{LABEL, Load, configuration};
use crate::number;
use crate::support::agent::Agent;
use crate::support::kafka::Topic;
use crate::support::servers::Server;
use crate::support::sink::{Reply, Sink, status};

/// Routes otherwise than without any. Nothing is sent twice while a test lasts, but for changes.
const ROUTES: &str = "
    routes:
      receiver: webhook
      group_by: [job]
      group_wait: 200ms
      group_interval: 500ms
      repeat_interval: 12h
      routes:
        - {matchers: alertname=late, receiver: kafka, continue: true, group_by: [alertname]}
        - {matchers: severity=warning, receiver: webhook, group_wait: 0s}
";

/// Longest time from a start to the last notification: alerts from before it wait a minute for their
/// data, and alerts that ended unseen are looked for after that.
const SETTLES: Duration = Duration::from_secs(150);

/// Time that the receiver hangs; its client does not wait so long.
const HANGS: Duration = Duration::from_millis(600);

/// A receiver that rejects, hangs and hangs up at random, and a ledger of what it took, also where
/// nobody learned of it.
fn receiver(mut random: Rng, moody: Arc<Mutex<bool>>) -> (Sink, Arc<Mutex<Ledger>>) {
    let ledger = Arc::<Mutex<Ledger>>::default();
    let taking = ledger.clone();
    let sink = Sink::start(move |request| {
        let take = || {
            let document = serde_json::from_slice(&request.body).unwrap();
            let mut ledger = taking.lock().unwrap();
            Taken::of_document(&document, LABEL)
                .into_iter()
                .for_each(|one| ledger.take(one));
        };
        let hanging = || {
            Some(Reply {
                status: 200,
                after: HANGS,
                ..Reply::default()
            })
        };
        match random.u32(..20) {
            _ if !*moody.lock().unwrap() => {}
            0 | 1 => return status(500),
            2 => return status(429),
            3 => return None,
            4 => return hanging(),
            5 => {
                take();
                return None;
            }
            6 => {
                take();
                return hanging();
            }
            7 => {
                take();
                return status(503);
            }
            _ => {}
        }
        take();
        status(200)
    });
    (sink, ledger)
}

/// Number of each step.
#[derive(Debug, Default)]
struct Done {
    changes: usize,
    kills: usize,
    stops: usize,
    kills_while_stopping: usize,
    kills_while_starting: usize,
    reloads: usize,
    hangs_of_kafka: usize,
}

struct Scene<'a> {
    folder: &'a Path,
    configurations: [String; 2],
    declared: usize,
    kafka: &'a Server,
    random: Rng,
    load: Load,
    done: Done,
}

impl Scene<'_> {
    fn start(&self) -> Agent {
        let agent = Agent::start(self.folder, &self.configurations[self.declared]);
        self.load.record(&agent);
        agent
    }

    /// Waits for a moment of which nobody knows what the process does in it.
    fn pass(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(self.random.u64(..most)));
    }

    /// One thing happens to the process, most often none.
    fn hardship(&mut self, agent: Agent) -> Agent {
        match self.random.u32(..16) {
            0..=2 => {
                self.done.kills += 1;
                sane(agent).kill();
            }
            3 => {
                self.done.stops += 1;
                assert!(sane(agent).stop().success());
            }
            4 => {
                self.done.kills_while_stopping += 1;
                agent.signal("TERM");
                self.pass(300);
                sane(agent).kill();
            }
            5 => {
                sane(agent).kill();
                for _ in 0..self.random.usize(1..4) {
                    self.done.kills_while_starting += 1;
                    let after = Duration::from_millis(self.random.u64(..400));
                    Agent::start_and_kill(self.folder, after);
                }
            }
            6 => {
                self.done.reloads += 1;
                self.declared = 1 - self.declared;
                agent.write_config(&self.configurations[self.declared]);
                agent.signal("HUP");
                return agent;
            }
            7 => {
                self.done.hangs_of_kafka += 1;
                self.kafka.signal("STOP");
                self.pass(1500);
                self.kafka.signal("CONT");
                return agent;
            }
            _ => return agent,
        }
        self.start()
    }
}

/// Checks that its log shows no defect.
fn sane(agent: Agent) -> Agent {
    let defect = |line: &&String| {
        [
            "panicked",
            "makes no sense",
            "corrupt",
            "ended badly",
            "ended unexpectedly",
        ]
        .iter()
        .any(|word| line.contains(word))
    };
    let log = agent.log();
    assert_eq!(log.iter().find(defect), None);
    agent
}

/// `CRASH_SECONDS` says for how long it is killed, `CRASH_SEED` of which chance the moments are.
#[test]
fn whenever_it_is_killed_each_channel_gets_what_is_promised() {
    let seed = number("CRASH_SEED", fastrand::u64(..1 << 32));
    let length = Duration::from_secs(number("CRASH_SECONDS", 20));
    eprintln!("CRASH_SEED={seed}");
    let kafka = Server::kafka();
    let moody = Arc::new(Mutex::new(true));
    let (sink, webhook) = receiver(Rng::with_seed(seed ^ 1), moody.clone());
    let channels = format!(
        "{{type: webhook, url: 'http://{}/', timeout: 300ms, retry: {{initial: 50ms, max: 300ms}}}},
         {{type: kafka, brokers: '{}', topic: alerts, timeout: 2s, retry: {{initial: 50ms, max: 300ms}}}}",
        sink.address(),
        kafka.address(),
    );
    let folder = TempDir::new().unwrap();
    let mut scene = Scene {
        folder: folder.path(),
        configurations: ["", ROUTES].map(|routes| configuration(&channels, routes)),
        declared: 0,
        kafka: &kafka,
        random: Rng::with_seed(seed),
        load: Load::calm(),
        done: Done::default(),
    };
    let start = Instant::now();
    let mut agent = scene.start();
    while start.elapsed() < length {
        for _ in 0..scene.random.usize(..4) {
            scene.done.changes += 1;
            scene.load.change(&mut scene.random);
        }
        scene.load.record(&agent);
        let most = if scene.random.u32(..8) == 0 {
            4000
        } else {
            500
        };
        scene.pass(most);
        agent = scene.hardship(agent);
    }

    // Everything comes to rest, with what fires still firing.
    *moody.lock().unwrap() = false;
    sane(agent).kill();
    scene.declared = 0;
    let agent = scene.start();
    let topic = Topic::open(&kafka.address(), "alerts");
    let mut published = Ledger::default();
    let mut settle = |load: &Load| {
        let expected = load.alerts();
        load.record(&agent);
        let known = |published: &mut Ledger| {
            let read = std::iter::from_fn(|| topic.next());
            read.for_each(|message| published.take(Taken::of_message(&message.value, LABEL)));
            let webhook = webhook.lock().unwrap().firing();
            (webhook == expected && published.firing() == expected).then_some(())
        };
        let begun = Instant::now();
        while known(&mut published).is_none() && begun.elapsed() < SETTLES {}
        webhook.lock().unwrap().check("webhook", &expected);
        published.check("kafka", &expected);
    };
    settle(&scene.load);
    settle(&Load::calm());
    for channel in ["webhook", "kafka"] {
        let queue = format!("bellwether_notification_queue_length{{channel=\"{channel}\"");
        agent.wait_for_value(&queue, |length| length == 0.0);
    }
    sane(agent).stop();
    let [firing, resolved, again] = webhook.lock().unwrap().counts;
    eprintln!(
        "{:?}; the webhook took {firing} firings, {resolved} ends, {again} again",
        scene.done
    );
    let [firing, resolved, again] = published.counts;
    eprintln!("in Kafka are {firing} firings, {resolved} ends, {again} again");
    assert!(firing > 0 && resolved > 0);
}
