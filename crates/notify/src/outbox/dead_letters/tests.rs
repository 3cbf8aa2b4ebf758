use std::collections::HashSet;
use std::time::Duration;

use bellwether_core::Severity;

use super::super::super::testing::{FIRED, level, notification, notification_of};
use super::*;

const REJECTED: DropReason<'_> = DropReason {
    reason: "rejected",
    error: "no",
    at: UnixMillis(9),
    max_dead_letters: 10,
};

use Status::{Firing, Resolved};

fn offer(outbox: &mut Outbox, status: Status) {
    outbox.offer(notification("a", "/", status));
}

/// The same, as its journal gives it.
fn copy(outbox: &Outbox) -> Outbox {
    let mut copy = Outbox::default();
    for record in outbox.records() {
        copy.apply(record);
    }
    copy
}

/// Delivers or rejects the oldest.
fn next(outbox: &mut Outbox, takes: bool) {
    let seq = outbox.queue().next().unwrap().seq;
    if takes {
        outbox.mark_delivered(seq, Now::default())
    } else {
        outbox.drop_entry(seq, &REJECTED)
    };
}

/// Resends the oldest dead letter. Returns the queue.
fn resend(outbox: &mut Outbox) -> Vec<(Status, Cause)> {
    let seq = outbox.dead_letters().next().unwrap().seq;
    outbox.resend(seq, Now::default(), |notification| {
        Decision::Offer(notification.clone())
    });
    outbox
        .queue()
        .map(|notification| {
            (
                notification.notification.status,
                notification.notification.cause,
            )
        })
        .collect()
}

#[test]
fn a_rejected_firing_is_resent_and_its_resolved_follows() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, Firing);
    next(&mut outbox, false);
    assert_eq!(resend(&mut outbox), [(Firing, Cause::Resend)]);
    next(&mut outbox, true);
    offer(&mut outbox, Resolved);
    assert_eq!((outbox.len(), outbox.dead_letters().count()), (1, 0));
}

#[test]
fn a_firing_whose_alert_ended_goes_with_its_end_behind_it() {
    // It resolved before the firing was rejected, or after.
    for order in [[true, false], [false, true]] {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        for reject in order {
            if reject {
                next(&mut outbox, false)
            } else {
                offer(&mut outbox, Resolved)
            }
        }
        assert_eq!((outbox.len(), outbox.dead_letters().count()), (0, 1));
        assert_eq!(
            resend(&mut outbox),
            [(Firing, Cause::Resend), (Resolved, Cause::Resend)]
        );
        let later = UnixMillis(FIRED.0 + 86_400_000);
        assert!(
            outbox.ended_undelivered(Duration::ZERO, later).is_empty(),
            "as old as it is"
        );
    }
}

#[test]
fn a_rejected_resolved_is_resent_unless_the_alert_fires_again() {
    let mut rejected = Outbox::default();
    offer(&mut rejected, Firing);
    next(&mut rejected, true);
    offer(&mut rejected, Resolved);
    next(&mut rejected, false);
    let mut notifications_to_resend = copy(&rejected);
    assert_eq!(
        resend(&mut notifications_to_resend),
        [(Resolved, Cause::Resend)]
    );
    // A restart does not drop it as unmatched.
    notifications_to_resend = copy(&notifications_to_resend);
    notifications_to_resend.drop_unmatched_resolved();
    assert_eq!(notifications_to_resend.len(), 1);

    let mut anew = copy(&rejected);
    offer(&mut anew, Firing);
    assert_eq!(
        resend(&mut anew),
        [(Firing, Cause::Change)],
        "it would end what fires"
    );

    let mut whole = copy(&rejected);
    offer(&mut whole, Firing);
    offer(&mut whole, Resolved);
    let waits = [(Firing, Cause::Change), (Resolved, Cause::Change)];
    assert_eq!(resend(&mut whole), waits, "no end without a firing");

    let mut notified = copy(&rejected);
    offer(&mut notified, Firing);
    next(&mut notified, true);
    assert_eq!(
        notified.dead_letters().count(),
        0,
        "one end is enough for both"
    );
}

#[test]
fn a_newer_delivery_deletes_the_dead_letter() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, Firing);
    next(&mut outbox, false);
    let notifications_to_resend = Notification {
        cause: Cause::Repeat,
        ..notification("a", "/", Firing)
    };
    outbox.offer(notifications_to_resend.clone());
    assert_eq!(
        resend(&mut copy(&outbox)),
        [(Firing, Cause::Repeat)],
        "it is on its way"
    );
    next(&mut outbox, true);
    assert_eq!(outbox.dead_letters().count(), 0);

    // A rejected severity is unknown to the channel, until the alert resolves.
    outbox.offer(notification_of(&level("a", "/", Severity::Critical, 1)));
    next(&mut outbox, false);
    assert_eq!(resend(&mut copy(&outbox)), [(Firing, Cause::Resend)]);
    offer(&mut outbox, Resolved);
    assert_eq!(outbox.dead_letters().count(), 0);
}

#[test]
fn a_dropped_episode_stays_while_the_alert_fires_again() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, Firing);
    next(&mut outbox, false);
    offer(&mut outbox, Resolved);
    offer(&mut outbox, Firing);
    next(&mut outbox, true);
    assert_eq!(outbox.dead_letters().count(), 1);
    assert!(
        resend(&mut copy(&outbox)).is_empty(),
        "its end would end the new one"
    );
    offer(&mut outbox, Resolved);
    next(&mut outbox, true);
    assert_eq!(resend(&mut outbox).len(), 2);
}

#[test]
fn repeated_rejections_are_one_dead_letter_and_the_oldest_are_evicted() {
    let mut outbox = Outbox::default();
    for _ in 0..3 {
        let notifications_to_resend = Notification {
            cause: Cause::Repeat,
            ..notification("a", "/", Firing)
        };
        outbox.offer(notifications_to_resend);
        next(&mut outbox, false);
    }
    assert_eq!(outbox.dead_letters().count(), 1);
    for mount in ["/1", "/2", "/3"] {
        outbox.offer(notification("a", mount, Firing));
        let seq = outbox.queue().next().unwrap().seq;
        outbox.drop_entry(
            seq,
            &DropReason {
                max_dead_letters: 2,
                ..REJECTED
            },
        );
    }
    let mounts: Vec<&str> = outbox
        .dead_letters()
        .map(|notification| notification.notification.alert.label("mount"))
        .collect();
    assert_eq!(mounts, ["/2", "/3"]);
}

#[test]
fn an_unobserved_end_ends_dead_letters_too_and_a_heartbeat_is_none() {
    let mut outbox = Outbox::default();
    offer(&mut outbox, Firing);
    next(&mut outbox, false);
    let inactive = outbox.resolved_for_inactive(&HashSet::new(), FIRED);
    inactive.into_iter().for_each(|end| drop(outbox.offer(end)));
    assert!(
        outbox
            .dead_letters()
            .all(|dead_letter| dead_letter.end.is_some())
    );
    assert!(
        outbox
            .resolved_for_inactive(&HashSet::new(), FIRED)
            .is_empty()
    );

    let beat = notification("beat", "/", Firing);
    outbox.offer(Notification {
        cause: Cause::Heartbeat,
        ..beat
    });
    next(&mut outbox, false);
    assert_eq!(outbox.dead_letters().count(), 1);
}

#[test]
fn a_channel_without_resolved_keeps_the_end_in_the_dead_letter() {
    for ends_first in [true, false] {
        let mut outbox = Outbox::default();
        offer(&mut outbox, Firing);
        let resolved = notification("a", "/", Resolved);
        if ends_first {
            outbox.close_silently(&resolved);
        }
        next(&mut outbox, false);
        outbox.close_silently(&resolved);
        assert!(
            outbox
                .dead_letters()
                .all(|dead_letter| dead_letter.end.is_some()),
            "{ends_first}"
        );
        let seq = outbox.dead_letters().next().unwrap().seq;
        outbox.resend(seq, Now::default(), |notification| {
            match notification.status {
                Firing => Decision::Offer(notification.clone()),
                Resolved => Decision::CloseSilently(notification.clone()),
            }
        });
        next(&mut outbox, true);
        assert_eq!(outbox.records(), []);
    }
}
