use std::sync::Arc;

use bellwether_core::{Labels, Severity, Status};

use super::*;
use crate::channels::Sender;
use crate::testing::{START, batch, checked, notification};

const PLAIN: &str = "smtp_server: mail.test, from: 'Bellwether <b@example.org>', \
                     recipients: [ops@example.org]";

fn decode(more: &str) -> (EmailChannel, Vec<String>) {
    checked(&format!("{{{PLAIN}{more}}}"), EmailChannel::check)
}

fn writer(more: &str) -> MailWriter {
    let (settings, problems) = decode(more);
    assert_eq!(problems, [""; 0]);
    let sender = Sender {
        labels: Labels::from([("instance".to_owned(), "host-1".to_owned())]),
        url: String::new(),
    };
    let context = Context {
        name: "mail".into(),
        sender,
        clock: Arc::new(|| START),
    };
    settings.writer(context).unwrap()
}

fn written(writer: &MailWriter, batch: &Batch) -> String {
    String::from_utf8(writer.write(batch).unwrap().formatted()).unwrap()
}

fn header<'a>(mail: &'a str, name: &str) -> &'a str {
    let head = mail.split("\r\n\r\n").next().unwrap();
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    lines
        .find(|(header, _)| *header == name)
        .map_or("", |(_, value)| value)
}

#[test]
fn invalid_settings_are_errors() {
    for (more, expected) in [
        (", cc: ['a b']", "cc[0]: not a mail address: \"a b\""),
        (", bcc: [\"a@b\\r\\nBcc: c@d\"]", "bcc[0]: not a"),
        (
            ", reply_to: 'ü@example.org'",
            "reply_to: not a plain mail address",
        ),
        (", hello: 'a b'", "hello: not a host name: \"a b\""),
        (", username: u", "username: a user without a password"),
        (", password: p", "a password without a user"),
        (
            ", username: u, password: p, password_file: f",
            "both `password` and `password_file`",
        ),
        (
            ", username: u, password: p, tls: none",
            "the password would be sent unencrypted",
        ),
        (
            ", ca_file: /x, tls: none",
            "ca_file: `tls: none` checks no certificate",
        ),
        (
            ", headers: {Subject: x}",
            "headers.Subject: Subject is not set here\n  hint: set `subject`",
        ),
        (
            ", headers: {To: x}",
            "headers.To: To is not set here\n  hint: set `recipients`",
        ),
        (
            ", headers: {Reply-To: x}",
            "Reply-To is not set here\n  hint: set `reply_to`",
        ),
        (
            ", headers: {Date: x}",
            "Date is not set here\n  hint: leave it out",
        ),
        (
            ", headers: {X-A: '{{ a'}",
            "headers.X-A: invalid template: ",
        ),
        (
            ", cc: ['{{ commonLabels.team }}@example.org']",
            "cc[0]: a template is not supported here",
        ),
        (", headers: {'a b': x}", "not a header name: \"a b\""),
        (
            ", headers: {X-A: \"x\\r\\nBcc: y\"}",
            "not a header value: that of \"X-A\"",
        ),
        (", subject: '{{ a'", "subject: invalid template: "),
        (", timeout: 0", "timeout: must be longer than 0s"),
        (", max_alerts: 0", "max_alerts: must be at least 1"),
    ] {
        let (_, problems) = decode(more);
        assert_eq!(problems.len(), 1, "{more}: {problems:?}");
        assert!(problems[0].contains(expected), "{more}: {problems:?}");
    }
}

#[test]
fn the_end_is_in_the_thread_of_the_beginning_and_each_attempt_has_the_same_id() {
    let writer = writer("");
    let firing = batch([notification("disk", "/data", Status::Firing)]);
    let resolved = batch([notification("disk", "/data", Status::Resolved)]);
    let other = batch([notification("cpu", "/data", Status::Firing)]);
    let [firing, again, resolved, other] =
        [&firing, &firing, &resolved, &other].map(|batch| written(&writer, batch));
    assert_eq!(header(&firing, "Message-ID"), header(&again, "Message-ID"));
    assert_ne!(
        header(&firing, "Message-ID"),
        header(&resolved, "Message-ID")
    );
    assert!(header(&firing, "References").ends_with("@example.org>"));
    assert_eq!(
        header(&firing, "References"),
        header(&resolved, "References")
    );
    assert_eq!(
        header(&firing, "References"),
        header(&resolved, "In-Reply-To")
    );
    assert_ne!(header(&firing, "References"), header(&other, "References"));
    assert_eq!(header(&firing, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(&firing, "Precedence"), "bulk");
    assert_eq!(header(&firing, "Date"), "Sat, 21 Nov 2026 04:00:00 +0000");
    assert_eq!(header(&firing, "Importance"), "normal");
}

#[test]
fn a_label_can_neither_add_a_header_nor_markup() {
    let writer = writer(
        ", subject: '{{ alerts[0].labels.mount }} {{ alerts[0].severity }}', \
         html: '<p>{{ alerts[0].labels.mount }}</p>'",
    );
    let mount = "/data\r\nBcc: victim@example.org\r\n\r\n<script>x</script>\u{0}";
    let mut firing = notification("disk", mount, Status::Firing);
    let mut alert = (*firing.alert).clone();
    alert.severity = Severity::Critical;
    firing.alert = Arc::new(alert);
    let mail = written(&writer, &batch([firing]));
    let head = mail.split("\r\n\r\n").next().unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{mail}");
    assert!(head.lines().all(|line| line.len() <= 998), "{mail}");
    let html = mail.split("text/html").nth(1).unwrap();
    assert!(
        html.contains("&lt;script&gt;") && !html.contains("<script>"),
        "{mail}"
    );
    assert!(!mail.contains('\0'), "{mail}");
    assert_eq!(header(&mail, "Importance"), "high");
}

#[test]
fn the_usual_mail_escapes_too() {
    let mail = written(
        &writer(""),
        &batch([notification("disk", "<b>&", Status::Firing)]),
    );
    assert!(
        mail.contains("&lt;b&gt;&amp;") && mail.contains("mount=<b>&"),
        "{mail}"
    );
}

#[test]
fn templates_have_their_functions_and_one_that_fails_costs_no_mail() {
    let writer = writer(
        ", html: '', subject: '{{ status | toUpper }} {{ since(alerts[0].startsAt) | humanizeDuration }}', \
         text: '{{ alerts[0].startsAt | date(\"15:04\") }} {{ nothing() }}'",
    );
    let mail = written(
        &writer,
        &batch([notification("disk", "/data", Status::Firing)]),
    );
    assert_eq!(header(&mail, "Subject"), "FIRING -5m 0s", "{mail}");
    assert!(mail.contains("The template `text` fails"), "{mail}");
    assert!(mail.contains("disk of /data"), "{mail}");
    assert!(!mail.contains("multipart"), "{mail}");
}

#[test]
fn what_looks_encoded_in_a_subject_is_read_as_it_is() {
    let writer = writer(
        ", subject: '{{ alerts[0].labels.mount }}', headers: {X-Mount: '{{ alerts[0].labels.mount }}', \
         X-None: '{{ commonLabels.none }}', Importance: low}",
    );
    for mount in [
        "=?utf-8?q?x?=",
        "a =?utf-8?b?eA==?= é",
        &"=?utf-8?q?é?=".repeat(9),
    ] {
        let mail = written(
            &writer,
            &batch([notification("disk", mount, Status::Firing)]),
        );
        let head = mail.split("\r\n\r\n").next().unwrap();
        assert!(head.lines().all(|line| line.len() <= 78), "{mail}");
        let unfolded = head.replace("\r\n ", " ");
        for name in ["Subject: ", "X-Mount: "] {
            let line = unfolded
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            let words = line.split(' ').map(|word| {
                let word = word
                    .strip_prefix("=?utf-8?b?")
                    .unwrap()
                    .strip_suffix("?=")
                    .unwrap();
                base64::Engine::decode(&base64::prelude::BASE64_STANDARD, word).unwrap()
            });
            assert_eq!(
                String::from_utf8(words.flatten().collect()).unwrap(),
                mount,
                "{mail}"
            );
        }
        assert!(
            !head.contains("X-None") && head.contains("Importance: low"),
            "{mail}"
        );
    }
}

#[test]
fn an_empty_name_is_none() {
    let (settings, problems) = decode(", username: '', password: '', hello: ''");
    assert_eq!(problems, [""; 0]);
    assert!(settings.username().is_none() && settings.hello().is_none());
}

#[test]
fn an_empty_rendering_is_replaced_by_the_default() {
    let writer = writer(
        ", subject: '{{ commonAnnotations.none }}', text: \" {{ commonAnnotations.none }}\\n\", \
         html: '{{ commonAnnotations.none }}'",
    );
    let mail = written(
        &writer,
        &batch([notification("disk", "/data", Status::Firing)]),
    );
    assert_eq!(
        header(&mail, "Subject"),
        "[FIRING] disk (warning): disk of /data"
    );
    for name in ["subject", "text", "html"] {
        let expected = format!("The template `{name}` renders nothing for these alerts");
        assert!(mail.contains(&expected), "{mail}");
    }
    assert!(
        mail.contains("mount=/data") && mail.contains("<h2"),
        "{mail}"
    );
}

#[test]
fn a_report_is_a_plain_text_with_its_file_attached() {
    let bulletin = Bulletin {
        id: "report/weekly/2026-11-30T0700Z".into(),
        topic: "report/weekly".into(),
        title: "Report weekly of host-1\r\nBcc: x@example.org".into(),
        text: "No alert fired.".into(),
        document: Some(crate::Document {
            name: "weekly.html".into(),
            content_type: "text/html; charset=utf-8".into(),
            content: "<p>é</p>".into(),
        }),
        ..Bulletin::default()
    };
    let writer = writer(", subject: '{{ alerts[0].labels.x }}', headers: {X-Kind: '{{ status }}'}");
    let written = |bulletin: &Bulletin| {
        String::from_utf8(writer.write_bulletin(bulletin).unwrap().formatted()).unwrap()
    };
    let mail = written(&bulletin);
    assert_eq!(
        header(&mail, "Subject"),
        "Report weekly of host-1  Bcc: x@example.org"
    );
    assert!(
        header(&mail, "Content-Type").starts_with("multipart/mixed"),
        "{mail}"
    );
    assert!(
        mail.contains("Content-Disposition: attachment; filename=\"weekly.html\""),
        "{mail}"
    );
    assert!(mail.contains("No alert fired."), "{mail}");
    assert_eq!(header(&mail, "Importance"), "normal");
    // A later one is in the thread of this one, with an id of its own.
    let later = written(&Bulletin {
        id: "later".into(),
        ..bulletin
    });
    assert_eq!(header(&mail, "References"), header(&later, "References"));
    assert_ne!(header(&mail, "Message-ID"), header(&later, "Message-ID"));
    let text = written(&Bulletin {
        document: None,
        ..Bulletin::default()
    });
    assert!(
        header(&text, "Content-Type").starts_with("text/plain"),
        "{text}"
    );
}
