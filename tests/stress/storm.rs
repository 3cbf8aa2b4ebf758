//! Very many alerts that fire at once and end at once: all are sent, in groups, and while they are
//! /metrics and the API answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::ledger::{Ledger, Taken};
use crate::number;
use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::sink::{Sink, status};

/// Groups.
const SITES: usize = 10;
/// Recordings of one request.
const PIECE: usize = 5000;
/// Memory that an alert may take while it storms, the texts and buffers of its way included.
const BYTES: usize = 40_000;

fn configuration(alerts: usize, sink: &Sink) -> String {
    let (capacity, series) = (alerts + 1000, 2 * alerts + 1000);
    format!(
        r#"
performance_monitor:
  collection_interval: 1s
  enabled_collectors: [application]
  application_metrics:
    - {{name: load, type: gauge, labels: [site, host], max_series: {alerts}}}
  alerting:
    notifications:
      channels:
        - {{type: webhook, url: "http://{}/", max_alerts: 500, queue: {{capacity: {capacity}}}}}
    rules:
      - {{name: overload, metric: load, condition: ">", threshold: 10, severity: critical,
          message: "{{{{ labels.host }}}} of {{{{ labels.site }}}} is at {{{{ value }}}}"}}
    routes:
      receiver: webhook
      group_by: [alertname, site]
      group_wait: 1s
      group_interval: 2s
trend_analysis: {{storage: {{max_series: {series}}}}}
"#,
        sink.address()
    )
}

/// Every host has this load.
fn record(agent: &Agent, hosts: usize, load: f64) {
    let all: Vec<usize> = (0..hosts).collect();
    for piece in all.chunks(PIECE) {
        let each = piece.iter().map(|host| {
            let site = host % SITES;
            format!(
                r#"{{"metric":"load","labels":{{"site":"{site}","host":"{host}"}},"set":{load}}}"#
            )
        });
        let body = format!("[{}]", each.collect::<Vec<_>>().join(","));
        let (status, answer) = agent.post("/api/v1/record", &body);
        assert_eq!(status, 200, "{answer}");
    }
}

/// Requests during the storm, with the longest time of an answer to each.
struct Questions([(&'static str, Duration); 4], usize);

impl Questions {
    fn new() -> Self {
        let paths = ["/metrics", "/api/v1/alerts", "/api/v1/health", "/"];
        Self(paths.map(|path| (path, Duration::ZERO)), 0)
    }

    /// Asks the next one.
    fn ask(&mut self, agent: &Agent) {
        let (path, slowest) = &mut self.0[self.1];
        let asked = Instant::now();
        assert_eq!(agent.get(path).0, 200, "{path}");
        *slowest = (*slowest).max(asked.elapsed());
        self.1 = (self.1 + 1) % self.0.len();
    }
}

/// `STORM_ALERTS` says how many. 100,000 are for a release build: without optimization the answers of
/// the API take longer than a request may.
#[test]
fn a_storm_of_alerts_is_sent_whole_while_the_exposition_answers() {
    let alerts = usize::try_from(number("STORM_ALERTS", 5000)).unwrap();
    let ledger = Arc::<Mutex<Ledger>>::default();
    let (taking, requests) = (ledger.clone(), Arc::new(Mutex::new(0)));
    let counting = requests.clone();
    let sink = Sink::start(move |request| {
        let document = serde_json::from_slice(&request.body).unwrap();
        let mut ledger = taking.lock().unwrap();
        Taken::of_document(&document, "host")
            .into_iter()
            .for_each(|one| ledger.take(one));
        *counting.lock().unwrap() += 1;
        status(200)
    });
    let folder = TempDir::new().unwrap();
    let agent = Agent::start(folder.path(), &configuration(alerts, &sink));
    record(&agent, alerts, 1.0);
    let calm = agent.memory("VmRSS");
    let mut questions = Questions::new();
    let hosts: BTreeSet<_> = (0..alerts).map(|host| host.to_string()).collect();
    let all: BTreeMap<_, _> = hosts
        .into_iter()
        .map(|host| (("overload".to_owned(), host), "critical".to_owned()))
        .collect();
    for (load, expected) in [(80.0, all), (1.0, BTreeMap::new())] {
        let begun = Instant::now();
        record(&agent, alerts, load);
        let recorded = begun.elapsed();
        poll("all of them are sent", Duration::from_secs(1800), || {
            questions.ask(&agent);
            (ledger.lock().unwrap().firing().len() == expected.len()).then_some(())
        });
        ledger.lock().unwrap().check("webhook", &expected);
        eprintln!(
            "{} fire: recorded in {recorded:?}, all sent in {:?}, {} requests so far, {} kB",
            expected.len(),
            begun.elapsed(),
            requests.lock().unwrap(),
            agent.memory("VmRSS")
        );
    }
    let most = agent.memory("VmHWM");
    let each = (most - calm) as usize * 1024 / alerts;
    eprintln!(
        "slowest answers {:?}; {calm} kB calm, {most} kB at most, {each} bytes an alert",
        questions.0
    );
    assert_eq!(ledger.lock().unwrap().counts, [alerts, alerts, 0]);
    assert!(each < BYTES, "{each} bytes an alert");
}
