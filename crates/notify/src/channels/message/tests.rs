use std::sync::Arc;

use super::*;
use crate::testing::{HOSTILE, alert, batch, context, crowd, hostile, notification};

fn plain(batch: &Batch, budget: usize) -> Vec<String> {
    paragraphs(batch, &context().sender, &Plain, budget, width)
}

fn batch_of(cause: Cause, status: Status) -> Batch {
    batch([Notification {
        cause,
        ..notification("disk", "/data", status)
    }])
}

#[test]
fn a_single_alert_has_all_details() {
    let text = plain(&batch_of(Cause::Change, Status::Firing), 4000);
    assert_eq!(
        text,
        ["disk (warning): disk of /data\n\
          instance=host-1, mount=/data\n\
          Value 91.5, threshold 85\n\
          Since 2026-11-21 04:05:00 UTC\n\
          Why: disk 91 > 85 for 5m\n\
          Runbook: https://example.org/disk"]
    );
}

#[test]
fn its_end_reports_how_long_and_how_bad_it_was() {
    let mut notification = notification("disk", "/data", Status::Resolved);
    let mut ended = (*notification.alert).clone();
    (ended.fired_value, ended.peak, ended.value) = (Some(91.5), Some(99.25), Some(80.0));
    notification.alert = Arc::new(ended);
    let text = plain(&batch([notification]), 4000);
    assert_eq!(
        text,
        ["disk resolved: disk of /data\n\
          instance=host-1, mount=/data\n\
          Value 91.5 when it fired, 99.25 at worst, 80 at its end, threshold 85\n\
          From 2026-11-21 04:05:00 UTC to 2026-11-21 04:10:00 UTC, for 4m59s\n\
          Why: disk 80 is no longer > 85\n\
          Runbook: https://example.org/disk"]
    );
}

#[test]
fn titles() {
    let disk = "disk (warning): disk of /data";
    for (cause, status, expected) in [
        (Cause::Change, Status::Firing, format!("[FIRING] {disk}")),
        (
            Cause::Change,
            Status::Resolved,
            "[RESOLVED] disk: disk of /data".into(),
        ),
        (
            Cause::Repeat,
            Status::Firing,
            format!("[STILL FIRING] {disk}"),
        ),
        (
            Cause::Escalation,
            Status::Firing,
            format!("[ESCALATED] {disk}"),
        ),
        (Cause::Fallback, Status::Firing, format!("[FIRING] {disk}")),
        (
            Cause::Flapping,
            Status::Firing,
            format!("[FLAPPING] {disk}"),
        ),
        (
            Cause::Heartbeat,
            Status::Firing,
            format!("[HEARTBEAT] {disk}"),
        ),
        (Cause::Test, Status::Firing, format!("[TEST] {disk}")),
    ] {
        assert_eq!(title(&batch_of(cause, status)), expected);
    }
    assert_eq!(title(&crowd(9)), "[FIRING:6, RESOLVED:3] disk (warning)");
    let digest = Some(Digest {
        since: UnixMillis(0),
        ended: 3,
    });
    let many = Batch { digest, ..crowd(9) };
    assert_eq!(title(&many), "[DIGEST] 9 alerts: 6 firing, 3 resolved");
    assert_eq!(
        plain(&many, 4000)[0],
        "Delayed by the rate limit of this channel since 1970-01-01 00:00:00 UTC. \
         3 more fired and resolved meanwhile."
    );
}

#[test]
fn the_cause_is_the_first_paragraph() {
    let text = plain(&batch_of(Cause::Escalation, Status::Firing), 4000);
    assert_eq!(text[0], "Escalated, as nobody acknowledged it in time.");
    assert_eq!(text.len(), 2);
    let mixed = batch([
        Notification {
            cause: Cause::Repeat,
            ..notification("disk", "/a", Status::Firing)
        },
        notification("disk", "/b", Status::Firing),
    ]);
    let text = plain(&mixed, 4000);
    assert!(
        text[0].contains("\nRepeated, as it still fires.\n"),
        "{text:?}"
    );
    assert!(!text[1].contains("Told"), "{text:?}");
}

#[test]
fn the_worst_comes_first_and_what_does_not_fit_is_counted() {
    let mut crowd = crowd(1000);
    let mut worst = notification("disk", "/worst", Status::Firing);
    worst.alert = Arc::new(Alert {
        severity: Severity::Emergency,
        ..alert("disk", "/worst")
    });
    crowd.notifications.push(worst);
    for budget in [1500, 3000, 4096, 20_000] {
        let text = plain(&crowd, budget);
        assert!(text[0].starts_with("disk (emergency)"), "{}", text[0]);
        let spent: usize = text.iter().map(|text| width(text)).sum();
        assert!(spent <= budget, "{spent} of {budget}");
        let batch_of = text.iter().filter(|text| text.starts_with("disk")).count();
        let counted = &text[text.len() - 2];
        let rest = 1001 - batch_of;
        assert!(
            counted.starts_with(&format!("… and {rest} more: ")),
            "{counted}"
        );
        assert_eq!(
            text.last().unwrap(),
            "Of the same group 1000 more still fire."
        );
    }
}

#[test]
fn an_alert_that_is_too_long_has_less_detail() {
    let mut text = plain(&batch([hostile()]), 700);
    assert_eq!(text.len(), 1);
    assert!(width(&text.remove(0)) <= 700);
}

#[test]
fn firing_alerts_are_listed_while_there_is_room() {
    let mut some = batch_of(Cause::Change, Status::Firing);
    some.still_firing = vec![Arc::new(alert("disk", "/home"))];
    assert_eq!(
        plain(&some, 4000)[1],
        "Of the same group 1 more still fires.\n\
         disk (warning) instance=host-1, mount=/home, since 2026-11-21 04:05:00 UTC"
    );
}

#[test]
fn many_that_stand_shorten_nothing_of_what_is_new() {
    let mut some = batch_of(Cause::Change, Status::Firing);
    some.still_firing = crowd(200).still_firing;
    let text = plain(&some, 4000);
    assert!(text[0].contains("Why: disk 91 > 85 for 5m"), "{text:?}");
    assert!(
        (1000..4000).contains(&width(&text[1])),
        "{}",
        width(&text[1])
    );
}

#[test]
fn a_text_is_cut_between_characters() {
    assert_eq!(shorten("abc", 3), "abc");
    assert_eq!(shorten("abcd", 3), "ab…");
    assert_eq!(shorten("🦀🦀", 4), "🦀🦀");
    assert_eq!(shorten("🦀🦀🦀", 4), "🦀…");
    assert_eq!(shorten("a", 0), "");
    for longest in 0..200 {
        assert!(width(&shorten(HOSTILE, longest)) <= longest);
    }
}

#[test]
fn only_links_of_the_web_are_links() {
    assert_eq!(
        web_link("https://a.test/x|y)(z").unwrap(),
        "https://a.test/x%7Cy%29%28z"
    );
    assert_eq!(
        web_link("https://a.test/a b>\"").unwrap(),
        "https://a.test/a%20b%3E%22"
    );
    for text in [
        "javascript:alert(1)",
        "see https://a.test",
        "",
        "ftp://a.test",
    ] {
        assert_eq!(web_link(text), None, "{text}");
    }
}

#[test]
fn numbers() {
    for (value, expected) in [
        (91.0, "91"),
        (12_345_678.0, "12345678"),
        (0.1 + 0.2, "0.3"),
        (91.533_333_33, "91.5333"),
        (1e300, "1e300"),
        (0.000_012, "1.2e-5"),
        (f64::NAN, "NaN"),
        (-0.5, "-0.5"),
    ] {
        assert_eq!(number(value), expected);
    }
}

#[test]
fn two_hosts_do_not_share_an_alert() {
    let notification = alert("disk", "/data");
    let here = context().sender;
    let there = Sender {
        labels: Labels::new(),
        ..here.clone()
    };
    assert_ne!(
        identity(&notification, &here),
        identity(&notification, &there)
    );
    assert_eq!(
        identity(&notification, &here),
        identity(&notification, &here)
    );
}

#[test]
fn urls_in_a_text_are_found_and_stay_whole() {
    let escape = |text: &str| outside_urls(text, |other| backslashed(other, "*_#()[]|~`\\<>"));
    for (text, expected) in [
        (
            "see https://w.test/disk_full_now#do_it.",
            "see https://w.test/disk_full_now#do_it.",
        ),
        (
            "a_b http://h:9090/x?a=1&b=%20 c_d",
            "a\\_b http://h:9090/x?a=1&b=%20 c\\_d",
        ),
        (
            "(https://w.test/a_(b)_c)",
            "\\(https://w.test/a%5F(b)%5Fc\\)",
        ),
        ("*https://w.test/x*", "\\*https://w.test/x\\*"),
        (
            "_https://w.test/_x_/*y*_",
            "\\_https://w.test/%5Fx%5F/%2Ay\\*\\_",
        ),
        (
            "[x](https://w.test/) [y](z)",
            "\\[x\\]\\(https://w.test/\\) \\[y\\]\\(z\\)",
        ),
        ("<https://w.test/|x>", "\\<https://w.test/%7Cx\\>"),
        ("http://[::1]:9091/a_b", "http://[::1]:9091/a_b"),
        (
            "https://a.test/,https://b.test/_",
            "https://a.test/,https://b.test/\\_",
        ),
        (
            "xhttps://a_b http:// https://",
            "xhttps://a\\_b http:// https://",
        ),
        ("- a\n1. b\n-c 2)d", "\\- a\n1\\. b\n-c 2\\)d"),
    ] {
        assert_eq!(escape(text), expected, "{text}");
    }
}

#[test]
fn a_message_that_says_nothing_is_none() {
    let mut notification = notification("disk", "/data", Status::Firing);
    let mut alert = (*notification.alert).clone();
    alert.message = " \n\u{200b}".into();
    alert.annotations.insert("description".into(), " ".into());
    notification.alert = Arc::new(alert);
    assert_eq!(
        title(&batch([notification.clone()])),
        "[FIRING] disk (warning)"
    );
    let text = plain(&batch([notification]), 4000);
    assert!(text[0].starts_with("disk (warning)\ninstance="), "{text:?}");
    assert!(!text[0].contains("Description"), "{text:?}");
}
