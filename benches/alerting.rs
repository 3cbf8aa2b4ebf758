//! From ten thousand transitions to queued notifications: how long a tick takes, a storm, what it
//! takes in memory, and the queue on disk.
//!
//! With routes of three kinds, an inhibition rule and ten silences. Plain measurements of whole
//! runs, each from the start: a tick changes what it is measured on.

#![allow(clippy::print_stdout)]

mod resident;

use std::process;
use std::sync::Arc;
use std::time::{Duration, Instant};

// The allocator of the binary.
use bellwether_agent as _;
use bellwether_core::{Alert, AlertState, Dispatch, Labels, Now, Severity, Transition, UnixMillis};
use bellwether_files::durable::StateDirectory;
use bellwether_notify::{ChannelSettings, Notifier, Preview, Sender, Setup};
use bellwether_routing::{
    Command, Dispatcher, Feedback, FlappingSettings, HeartbeatSettings, InhibitRuleSettings,
    Matchers, ReceiverSettings, Routes, Routing, RoutingSettings, SilenceDraft, Traits,
};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
use resident::resident;

/// Set in the process that measures memory.
const CHILD: &str = "BELLWETHER_BENCH_ALERTING";
const RUNS: usize = 5;

const ROUTES: &str = "
receiver: team
group_by: [alertname, zone]
group_wait: 0s
group_interval: 1s
routes:
  - {matchers: [severity=critical], receiver: pager, continue: true}
  - {matchers: ['host=~\"h[0-4].*\"'], group_by: [host]}
  - {matchers: ['alertname=~\"r[0-9]\"'], receiver: log, group_by: ['...']}
";
const CHANNELS: &str = "[{type: log}, {type: log, name: chat}, {type: log, name: pager}]";

fn decode<T: Decode>(yaml: &str) -> T {
    let mut problems = Diagnostics::default();
    let node = parse(yaml).unwrap_or_else(|_| unreachable!("YAML"));
    let decoded = T::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None));
    assert!(problems.is_empty(), "{:?}", problems.into_sorted());
    decoded.unwrap_or_else(|| unreachable!("a configuration"))
}

fn routing() -> Arc<Routing> {
    let routes: Routes = decode(ROUTES);
    let receivers: Vec<ReceiverSettings> =
        decode("[{name: team, channels: [log, chat], fallback: pager}]");
    let inhibit: Vec<InhibitRuleSettings> = decode(
        "[{source_matchers: [severity=critical], target_matchers: [severity=warning], equal: [host]}]",
    );
    let mut problems = Diagnostics::default();
    let declared = RoutingSettings {
        receivers: &receivers,
        routes: Some(&routes),
        time_intervals: &[],
        inhibit_rules: &inhibit,
        maintenance: &[],
        silences: &[],
        flapping: &FlappingSettings::default(),
        heartbeat: &HeartbeatSettings::default(),
        cooldown: Duration::ZERO,
        channels: &["log", "chat", "pager"].map(|name| (name.to_owned(), true)),
        sender: Labels::from([("instance".to_owned(), "bench".to_owned())]),
        traits: Traits::new(),
    };
    Arc::new(Routing::compile(declared, &mut problems))
}

/// Nothing fires, and ten silences hold that mean some hosts each.
fn dispatcher(now: Now) -> Dispatcher {
    let mut dispatcher = Dispatcher::new(routing(), now);
    for number in 0..10_u128 {
        let text = format!("host=~\"h[0-9]*{number}3\",zone!=\"z{number}\"");
        let draft = SilenceDraft {
            matchers: Matchers::parse(&text).unwrap_or_default(),
            ends_at: now.after(Duration::from_secs(86_400)).wall,
            created_by: "ada".into(),
            comment: "known".into(),
            ..SilenceDraft::default()
        };
        assert!(
            dispatcher
                .execute(Command::Silence(draft), number << 80, now)
                .is_ok()
        );
    }
    dispatcher
}

fn start() -> Now {
    let now = Now {
        wall: UnixMillis(1_795_435_200_000),
        ..Now::default()
    };
    now.after(Duration::from_secs(3_600))
}

/// Alerts of a hundred rules; of every tenth host one is critical.
fn alerts(count: usize, now: Now) -> Vec<Transition> {
    let one = |n: usize| {
        let rule = format!("r{}", n % 100);
        let pairs = [
            ("host", format!("h{}", n / 100)),
            ("zone", format!("z{}", n % 7)),
            ("component", "database".into()),
        ];
        let labels: Labels = pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let critical = n.is_multiple_of(1000);
        let severity = if critical {
            Severity::Critical
        } else {
            Severity::Warning
        };
        let alert = Alert {
            message: format!("{rule} of {} is 91.5", labels["host"]),
            annotations: Labels::from([("runbook".to_owned(), "https://example.org/r".to_owned())]),
            value: Some(91.5),
            threshold: Some(85.0),
            fired_value: Some(91.5),
            peak: Some(91.5),
            active_at: now.wall,
            fired_at: Some(now.wall),
            ..Alert::firing(&rule, severity, labels)
        };
        let reason = "usage 91.5 > 85".to_owned();
        Transition {
            alert: Arc::new(alert),
            from: AlertState::Pending,
            reason,
            at: now.wall,
        }
    };
    (0..count).map(one).collect()
}

fn ends(transitions: &[Transition], now: Now) -> Vec<Transition> {
    let one = |transition: &Transition| {
        let before = Alert::clone(&transition.alert);
        let alert = Alert {
            state: AlertState::Inactive,
            resolved_at: Some(now.wall),
            ..before
        };
        let reason = "usage 80 is no longer > 85".to_owned();
        Transition {
            alert: Arc::new(alert),
            from: AlertState::Firing,
            reason,
            at: now.wall,
        }
    };
    transitions.iter().map(one).collect()
}

fn turn(dispatcher: &mut Dispatcher, found: &[Transition], now: Now) -> Vec<Dispatch> {
    dispatcher.apply(found, now);
    let feedback = Feedback {
        last_evaluation: now.mono,
        ..Feedback::default()
    };
    dispatcher.advance(&feedback, &|_, _| None, now).dispatches
}

fn count(dispatches: &[Dispatch]) -> usize {
    dispatches
        .iter()
        .map(|dispatch| dispatch.notifications.len())
        .sum()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// All of `size` alerts fire in one tick, nothing happens in the next, and all end in the last;
/// each routed, then queued in memory.
fn ticks(size: usize) {
    let [mut fire, mut still, mut end, mut queue] = [const { Vec::new() }; 4];
    let mut sent = (0, 0);
    for _ in 0..RUNS {
        let mut now = start();
        let found = alerts(size, now);
        let mut dispatcher = dispatcher(now);
        let mut outboxes = Preview::new(&decode::<Vec<ChannelSettings>>(CHANNELS));
        let began = Instant::now();
        let dispatches = turn(&mut dispatcher, &found, now);
        fire.push(began.elapsed());
        sent.0 = count(&dispatches);
        let began = Instant::now();
        outboxes.accept(&dispatches, now);
        queue.push(began.elapsed());
        // What is kept back is looked at every five seconds.
        now = now.after(Duration::from_secs(5));
        let began = Instant::now();
        turn(&mut dispatcher, &[], now);
        still.push(began.elapsed());
        now = now.after(Duration::from_secs(5));
        let over = ends(&found, now);
        let began = Instant::now();
        let dispatches = turn(&mut dispatcher, &over, now);
        end.push(began.elapsed());
        sent.1 = count(&dispatches);
    }
    println!(
        "{size} fire: {:.1?} ({} sent); queued in memory: {:.1?}; muted, checked again: {:.1?}; \
         all end: {:.1?} ({} sent)",
        median(fire),
        sent.0,
        median(queue),
        median(still),
        median(end),
        sent.1,
    );
}

/// In a process of its own: what ten thousand firing alerts take, alerts themselves included.
fn memory_child() {
    let now = start();
    let mut dispatcher = dispatcher(now);
    let mut outboxes = Preview::new(&decode::<Vec<ChannelSettings>>(CHANNELS));
    let before = resident();
    let found = alerts(10_000, now);
    let dispatches = turn(&mut dispatcher, &found, now);
    outboxes.accept(&dispatches, now);
    drop((found, dispatches));
    let grown = resident().saturating_sub(before) as f64 / 1e6;
    println!("memory of 10000 firing alerts, dispatcher and three channels: {grown:.1} MB");
}

/// Ten thousand dispatched alerts to three channels with their queues on disk: until all are safe,
/// and until all are handed over.
async fn on_disk() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir_in(std::env::current_dir()?)?;
    let setup = Setup {
        state: Some(Arc::new(StateDirectory::open(folder.path()))),
        clock: Arc::new(start),
        random: || 0.5,
        observer: Arc::new(|_| {}),
    };
    let notifier = Notifier::new(setup);
    let channels: Vec<ChannelSettings> = decode(CHANNELS);
    notifier
        .replace(notifier.prepare(&channels, Sender::default()).await?)
        .await;
    let now = start();
    let dispatches = turn(&mut dispatcher(now), &alerts(10_000, now), now);
    let began = Instant::now();
    notifier.offer(dispatches).await;
    let safe = began.elapsed();
    while notifier.stats().iter().any(|channel| channel.queued > 0) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let sent: u64 = notifier.stats().iter().map(|channel| channel.sent).sum();
    println!(
        "queued on disk: {safe:.1?}; handed over by then or later: {:.1?} ({sent} to three channels)",
        began.elapsed()
    );
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if std::env::var_os(CHILD).is_some() {
        memory_child();
        return Ok(());
    }
    ticks(10_000);
    ticks(100_000);
    let output = process::Command::new(std::env::current_exe()?)
        .env(CHILD, "1")
        .output()?;
    print!("{}", String::from_utf8_lossy(&output.stdout));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(on_disk())
}
