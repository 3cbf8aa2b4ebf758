use std::time::Duration;

use proptest::prelude::*;

use super::super::testing::notification;
use super::*;

fn statuses(outbox: &Outbox) -> Vec<(Status, String)> {
    outbox
        .queue()
        .map(|entry| {
            (
                entry.notification.status,
                entry.notification.alert.rule.to_string(),
            )
        })
        .collect()
}

/// A rejection, with at most two dead letters.
const REJECTED: DropReason<'_> = DropReason {
    reason: "rejected",
    error: "no",
    at: UnixMillis(9),
    max_dead_letters: 2,
};

fn offer(outbox: &mut Outbox, rule: &str, status: Status) -> Vec<Record> {
    outbox.offer(notification(rule, "/", status))
}

#[test]
fn a_resolved_needs_a_firing_and_a_repeat_is_not_queued() {
    let mut outbox = Outbox::default();
    assert!(offer(&mut outbox, "a", Status::Resolved).is_empty());
    offer(&mut outbox, "a", Status::Firing);
    assert!(
        offer(&mut outbox, "a", Status::Firing).is_empty(),
        "sent twice"
    );
    let mut worse = notification("a", "/", Status::Firing);
    worse.alert = Arc::new(Alert {
        severity: Severity::Critical,
        ..(*worse.alert).clone()
    });
    assert!(
        !outbox.offer(worse).is_empty(),
        "a change of severity is sent"
    );
    offer(&mut outbox, "a", Status::Resolved);
    assert!(offer(&mut outbox, "a", Status::Resolved).is_empty());
    assert_eq!(outbox.len(), 3);
}

#[test]
fn a_dropped_firing_takes_its_resolved_along_unless_one_got_through() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, "a", Status::Firing);
    offer(&mut outbox, "a", Status::Resolved);
    let first = outbox.queue().next().unwrap().seq;
    assert_eq!(
        outbox
            .drop_entry(
                first,
                &DropReason {
                    max_dead_letters: 0,
                    ..REJECTED
                }
            )
            .len(),
        2
    );
    assert_eq!(outbox.take_dropped().len(), 2);
    assert_eq!(
        outbox,
        Outbox {
            next: outbox.next,
            ..Outbox::default()
        }
    );

    offer(&mut outbox, "b", Status::Firing);
    let first = outbox.queue().next().unwrap().seq;
    outbox.mark_delivered(first, Now::default());
    assert_eq!(outbox.open().count(), 1);
    offer(&mut outbox, "b", Status::Resolved);
    assert_eq!(statuses(&outbox), [(Status::Resolved, "b".into())]);
}

#[test]
fn a_queued_notification_counts_as_sent_now() {
    let mut outbox = Outbox::default();
    let alert = notification("a", "/", Status::Firing).alert.fingerprint;
    let at = |second: u64| Now::default().after(Duration::from_secs(second));
    let last = |outbox: &Outbox| outbox.last_notified(alert, at(9).mono);
    assert_eq!(last(&outbox), None);
    offer(&mut outbox, "a", Status::Firing);
    assert_eq!(last(&outbox), Some(at(9).mono));
    let seq = outbox.queue().next().unwrap().seq;
    outbox.mark_delivered(seq, at(2));
    assert_eq!(last(&outbox), Some(at(2).mono));
    offer(&mut outbox, "a", Status::Resolved);
    assert_eq!(last(&outbox), None);
}

#[test]
fn a_full_queue_drops_the_oldest_alert_with_its_resolved_and_no_resolved_of_a_notified_one() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, "notified", Status::Firing);
    let seq = outbox.queue().next().unwrap().seq;
    outbox.mark_delivered(seq, Now::default());
    offer(&mut outbox, "notified", Status::Resolved);
    offer(&mut outbox, "old", Status::Firing);
    offer(&mut outbox, "new", Status::Firing);
    outbox.trim(2, &REJECTED);
    assert_eq!(
        statuses(&outbox),
        [
            (Status::Resolved, "notified".into()),
            (Status::Firing, "new".into())
        ]
    );
    offer(&mut outbox, "old", Status::Resolved);
    assert_eq!(outbox.len(), 2, "its firing was not sent");
}

#[test]
fn a_full_queue_drops_the_least_important() {
    let level = |rule: &str, severity| {
        let mut notification = notification(rule, "/", Status::Firing);
        let alert = Alert {
            severity,
            ..(*notification.alert).clone()
        };
        notification.alert = Arc::new(alert);
        notification
    };
    let mut outbox = Outbox::default();
    offer(&mut outbox, "oldest", Status::Firing);
    offer(&mut outbox, "rising", Status::Firing);
    outbox.offer(level("rising", Severity::Critical));
    offer(&mut outbox, "over", Status::Firing);
    offer(&mut outbox, "over", Status::Resolved);
    let rules = |outbox: &Outbox| {
        statuses(outbox)
            .into_iter()
            .map(|(_, rule)| rule)
            .collect::<Vec<_>>()
    };
    outbox.trim(4, &REJECTED);
    assert_eq!(
        rules(&outbox),
        ["oldest", "rising", "rising"],
        "an alert goes whole"
    );
    outbox.trim(2, &REJECTED);
    assert_eq!(rules(&outbox), ["oldest", "rising"]);
    assert_eq!(
        outbox.queue().nth(1).unwrap().notification.alert.severity,
        Severity::Critical
    );
    outbox.trim(1, &REJECTED);
    assert_eq!(rules(&outbox), ["rising"]);
}

#[test]
fn an_attempt_under_way_is_not_dropped() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, "a", Status::Firing);
    let seq = outbox.queue().next().unwrap().seq;
    outbox.claim([seq]);
    offer(&mut outbox, "a", Status::Resolved);
    offer(&mut outbox, "b", Status::Firing);
    outbox.trim(1, &REJECTED);
    outbox.mark_delivered(seq, Now::default());
    assert_eq!(statuses(&outbox), [(Status::Resolved, "a".into())]);
}

#[test]
fn a_resolved_has_the_severity_that_was_notified() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, "a", Status::Firing);
    let mut lower = notification("a", "/", Status::Firing);
    lower.status = Status::Resolved;
    lower.alert = Arc::new(Alert {
        severity: Severity::Info,
        ..(*lower.alert).clone()
    });
    outbox.offer(lower.clone());
    let notified = outbox.queue().nth(1).unwrap().notification.alert.clone();
    assert_eq!(
        (notified.severity, notified.state),
        (Severity::Warning, AlertState::Inactive)
    );
    assert_eq!(notified.resolved_at, Some(lower.at));
}

#[test]
fn what_began_and_ended_unsent_goes_stale() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, "a", Status::Firing);
    let day = Duration::from_secs(86_400);
    let later = UnixMillis(notification("a", "/", Status::Resolved).at.0 + 86_400_000);
    assert!(
        outbox.ended_undelivered(day, later).is_empty(),
        "it still fires"
    );
    offer(&mut outbox, "a", Status::Resolved);
    assert_eq!(
        outbox.ended_undelivered(day, UnixMillis(later.0 - 1)).len(),
        0
    );
    assert_eq!(outbox.ended_undelivered(day, later).len(), 1);
}

/// Checks the order of one alert's deliveries: never a resolved without a firing.
fn in_order(delivered: &[(Status, String)]) -> bool {
    let mut open = HashSet::new();
    delivered.iter().all(|(status, rule)| match status {
        Status::Firing => {
            open.insert(rule.clone());
            true
        }
        Status::Resolved => open.remove(rule),
    })
}

proptest! {
    /// Offers, deliveries and drops in any order, and a replay of the records after each.
    #[test]
    fn the_contract_holds_and_the_records_replay(
        steps in prop::collection::vec((0..10_u8, 0..3_usize), 1..80),
    ) {
        let (mut outbox, mut journal, mut delivered) = (Outbox::default(), Vec::new(), Vec::new());
        // Alerts whose resolved was not sent or was rejected: the last one may be firing.
        let mut silent = HashSet::new();
        for (step, which) in steps {
            let rule = ["a", "b", "c"][which];
            match step {
                0 => journal.extend(offer(&mut outbox, rule, Status::Firing)),
                1 => journal.extend(offer(&mut outbox, rule, Status::Resolved)),
                2 => journal.extend(outbox.trim(4, &REJECTED)),
                3 => { let head = outbox.queue().next().map(|entry| entry.seq); outbox.claim(head); },
                6 => {
                    let ended = notification(rule, "/", Status::Resolved);
                    journal.extend(outbox.close_silently(&ended));
                    silent.insert(rule.to_owned());
                }
                7 => {
                    let again = notification(rule, "/", Status::Firing);
                    journal.extend(outbox.offer(Notification { cause: Cause::Repeat, ..again }));
                }
                8 => {
                    let Some(seq) = outbox.dead_letters().nth(which).map(|notification| notification.seq) else {
                        continue;
                    };
                    journal.extend(outbox.resend(seq, Now::default(), |notification| Decision::Offer(notification.clone())));
                }
                _ => {
                    let Some(entry) = outbox.queue().next().cloned() else { continue };
                    outbox.claim([]);
                    if step == 4 {
                        let notified = &entry.notification;
                        delivered.push((notified.status, notified.alert.rule.to_string()));
                        journal.extend(outbox.mark_delivered(entry.seq, Now::default()));
                    } else {
                        if entry.notification.status == Status::Resolved {
                            silent.insert(entry.notification.alert.rule.to_string());
                        }
                        journal.extend(outbox.drop_entry(entry.seq, &REJECTED));
                    }
                }
            }
            prop_assert!(in_order(&delivered), "{delivered:?}");
            for records in [journal.clone(), outbox.records()] {
                let mut replayed = Outbox::default();
                for record in records {
                    replayed.apply(record);
                }
                replayed.next = outbox.next;
                replayed.in_flight.clone_from(&outbox.in_flight);
                replayed.dropped.clone_from(&outbox.dropped);
                prop_assert_eq!(&replayed, &outbox);
            }
        }
        prop_assert!(outbox.dead_letters().count() <= REJECTED.max_dead_letters);
        // Deliver the rest: every notified alert that ended is notified as resolved.
        let left: Vec<Entry> = outbox.queue().cloned().collect();
        for entry in left {
            let notified = &entry.notification;
            delivered.push((notified.status, notified.alert.rule.to_string()));
            outbox.mark_delivered(entry.seq, Now::default());
        }
        prop_assert!(in_order(&delivered));
        for alert in ["a", "b", "c"] {
            let last = delivered.iter().rev().find(|(_, rule)| rule == alert);
            let fires = outbox.open().any(|(open, _)| &*open.rule == alert);
            let notified = last.is_some_and(|(status, _)| *status == Status::Firing);
            prop_assert!(notified == fires || notified && silent.contains(alert));
        }
    }
}
