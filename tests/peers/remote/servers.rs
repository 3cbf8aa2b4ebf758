//! Remote write into real servers, compared sample by sample with our own history: over outages of
//! the receivers and of ourselves.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::storage::{Samples, Storage, difference, lines};

const WAIT: Duration = Duration::from_secs(60);

fn configuration(prometheus: &Storage, victoria: &Storage) -> String {
    let queue = "{max_samples_per_send: 40, batch_send_deadline: 100ms, min_backoff: 50ms, max_backoff: 300ms}";
    format!(
        "performance_monitor:\n  collection_interval: 200ms\n  enabled_collectors: [system]\n  \
         system_metrics:\n    - {{name: cpu_percent, type: gauge}}\n    \
         - {{name: load_average_1m, type: gauge}}\n    - {{name: memory_used_bytes, type: gauge}}\n\
         remote_write:\n  - {{url: '{}', name: prometheus, queue: {queue}}}\n  \
         - {{url: '{}', name: victoria, protocol: '2.0', queue: {queue}}}\n",
        prometheus.write_url(),
        victoria.write_url(),
    )
}

fn figure(agent: &Agent, name: &str, destination: &str) -> f64 {
    let series = format!("bellwether_remote_write_{name}{{destination=\"{destination}\"}}");
    agent.value(&series).unwrap_or(0.0)
}

/// Waits until both receivers have taken everything up to now; returns that time.
fn caught_up(agent: &Agent) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    for destination in ["prometheus", "victoria"] {
        poll(&format!("{destination} has everything"), WAIT, || {
            let newest = figure(agent, "highest_sent_timestamp_seconds", destination);
            (newest > now.as_secs_f64()).then_some(())
        });
    }
    now.as_millis() as i64
}

/// Waits until sending fails and collecting went on.
fn outage(agent: &Agent, destination: &str) {
    let before = figure(agent, "samples_retried_total", destination);
    let appended = agent
        .value("bellwether_history_samples_appended_total")
        .unwrap();
    poll(&format!("an outage of {destination}"), WAIT, || {
        let retried = figure(agent, "samples_retried_total", destination) > before;
        let now = agent
            .value("bellwether_history_samples_appended_total")
            .unwrap();
        (retried && now > appended + 500.0).then_some(())
    });
}

fn history(folder: &Path) -> Samples {
    let output = Command::new(env!("CARGO_BIN_EXE_bellwether"))
        .args(["export", "-o", "json", "--history"])
        .arg(folder.join("state/history"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    lines(&String::from_utf8(output.stdout).unwrap())
}

fn until(mut samples: Samples, end: i64) -> Samples {
    for series in samples.values_mut() {
        series.retain(|at, _| *at <= end);
    }
    samples.retain(|_, series| !series.is_empty());
    samples
}

/// Returns the differences that remain after a while: VictoriaMetrics shows new samples a little later.
fn same(ours: &Samples, storage: &Storage, end: i64) -> Vec<String> {
    let start = Instant::now();
    loop {
        let differences = difference(ours, &until(storage.samples(), end), storage.rounding());
        if differences.is_empty() || start.elapsed() > WAIT {
            return differences;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn nothing_is_lost_over_outages_of_the_receivers_and_of_ourselves() {
    let folder = tempfile::tempdir().unwrap();
    let mut prometheus = Storage::prometheus(&folder.path().join("prometheus"));
    let mut victoria = Storage::victoria_metrics(&folder.path().join("victoria"));
    let configuration = configuration(&prometheus, &victoria);
    let agent = Agent::start(folder.path(), &configuration);
    caught_up(&agent);

    // The receivers go, one of them without a word, and come back.
    prometheus.end("KILL");
    victoria.end("TERM");
    outage(&agent, "prometheus");
    outage(&agent, "victoria");
    let (_, health) = agent.get("/api/v1/health");
    assert!(
        health.contains("degraded") && health.contains("Connection refused"),
        "{health}"
    );
    prometheus.start();
    victoria.start();
    caught_up(&agent);

    // We go while sending; then while one receiver is away.
    agent.kill();
    let agent = Agent::start(folder.path(), &configuration);
    caught_up(&agent);
    prometheus.end("KILL");
    outage(&agent, "prometheus");
    agent.kill();
    let agent = Agent::start(folder.path(), &configuration);
    prometheus.start();
    // Collections that began at one moment may end up in the log in another order.
    let end = caught_up(&agent) - 1000;
    for destination in ["prometheus", "victoria"] {
        let lost = format!(
            "bellwether_remote_write_samples_dropped_total{{destination=\"{destination}\",reason=\"lost\"}}"
        );
        assert_eq!(agent.value(&lost), Some(0.0), "{destination}");
    }
    assert!(agent.stop().success());

    let ours = until(history(folder.path()), end);
    let samples: usize = ours.values().map(std::collections::BTreeMap::len).sum();
    // The two outages of the first agent append more than 1000, and all are sent before it is killed. Up to half of them may be
    // staleness markers, where collections are late: each follows a sample of its series. The outage of the second agent
    // guarantees nothing: its last samples are lost by the kill, and the others may be within the second before `end`.
    assert!(
        ours.len() > 30 && samples > 500,
        "{} series, {samples} samples",
        ours.len()
    );
    for (name, storage) in [("prometheus", &prometheus), ("victoria", &victoria)] {
        assert_eq!(same(&ours, storage, end), [""; 0], "{name}");
    }
    println!(
        "{samples} samples of {} series are the same in all three",
        ours.len()
    );
}
