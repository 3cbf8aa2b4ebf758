//! A wall clock that was wrong and was set: what is on disk is from another time than now.

use std::fs;
use std::path::Path;
use std::time::Duration;

use regex::{Captures, Regex};
use tempfile::TempDir;

use crate::ledger::{Ledger, Taken};
use crate::load::{LABEL, Load, configuration};
use crate::support::agent::Agent;
use crate::support::poll;
use crate::support::receiver::Receiver;

/// Moves all times, in milliseconds, in the files of JSON below `folder` by `days`.
fn shift(folder: &Path, days: i64) {
    // Thirteen digits in a row are a time of this century; fingerprints have more.
    let time = Regex::new(r"\b\d{13}\b").unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            shift(&path, days);
        } else if path
            .extension()
            .is_some_and(|kind| kind == "json" || kind == "jsonl")
        {
            let text = fs::read_to_string(&path).unwrap();
            let later = |time: &Captures<'_>| {
                (time[0].parse::<i64>().unwrap() + days * 86_400_000).to_string()
            };
            fs::write(&path, time.replace_all(&text, later).as_ref()).unwrap();
        }
    }
}

fn taken(receiver: &Receiver) -> Ledger {
    let mut ledger = Ledger::default();
    for document in receiver.bodies() {
        Taken::of_document(&document, LABEL)
            .into_iter()
            .for_each(|one| ledger.take(one));
    }
    ledger
}

fn wait_for(receiver: &Receiver, load: &Load) {
    let expected = load.alerts();
    poll("everybody knows", Duration::from_secs(120), || {
        (taken(receiver).firing() == expected).then_some(())
    });
    taken(receiver).check("webhook", &expected);
}

#[test]
fn what_was_sent_by_a_clock_that_was_wrong_is_not_sent_again_and_ends_once() {
    for days in [400, -400] {
        let (folder, receiver) = (TempDir::new().unwrap(), Receiver::start(0));
        let channel = format!("{{type: webhook, url: 'http://{}/'}}", receiver.address());
        let yaml = configuration(&channel, "");
        let agent = Agent::start(folder.path(), &yaml);
        let mut load = Load::calm();
        let mut random = fastrand::Rng::with_seed(3);
        (0..20).for_each(|_| load.change(&mut random));
        load.record(&agent);
        wait_for(&receiver, &load);
        // In order: what is queued, and comes again, would have another id by another time.
        assert!(agent.stop().success());
        shift(&folder.path().join("state"), days);

        let agent = Agent::start(folder.path(), &yaml);
        load.record(&agent);
        // All of it is asked for, by whatever time.
        for path in [
            "/api/v1/alerts",
            "/api/v1/alerts/history",
            "/api/v1/explain?rule=busy",
        ] {
            assert_eq!(agent.get(path).0, 200, "{path}");
        }
        let firing = load.alerts().len();
        agent.wait_for_value("bellwether_alerts{state=\"firing\"", |n| n == firing as f64);
        // New alerts are sent, and so would be those that were sent already.
        let before = taken(&receiver).counts;
        let more = Load::busiest();
        more.record(&agent);
        wait_for(&receiver, &more);
        let sent = taken(&receiver).counts[0] - before[0];
        let known = load.alerts();
        let is_known = |(alert, severity): &(_, String)| known.get(alert) == Some(severity);
        assert_eq!(
            sent,
            more.alerts()
                .into_iter()
                .filter(|one| !is_known(one))
                .count()
        );
        Load::calm().record(&agent);
        wait_for(&receiver, &Load::calm());
        for document in receiver.bodies() {
            for alert in document["alerts"].as_array().unwrap() {
                let lasted = alert["durationSeconds"].as_f64().unwrap_or(0.0);
                assert!(lasted >= 0.0, "{alert}");
            }
        }
    }
}
