//! A real mail server, with STARTTLS, with TLS, with users, and with its moods.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use bellwether_notify::ChannelStats;
use serde_json::Value;
use tempfile::TempDir;

use super::notifier::{Send, firing, open, resolved, until};
use crate::support::certificates::Certificates;
use crate::support::smtp::Smtp;

const PASSWORD: &str = "sesame-123";

fn server(certificates: &Certificates, folder: &Path, tls: &str, more: &[&str]) -> Smtp {
    let (certificate, key) = (&certificates.certificate, &certificates.key);
    let own = ["--tls", tls, "--cert", certificate, "--key", key];
    Smtp::start(folder, &[&own, more].concat())
}

/// A channel with quick retries; `more` are further keys.
fn channel(port: u16, more: &str) -> String {
    format!(
        "[{{type: email, smtp_server: 127.0.0.1, smtp_port: {port}, hello: host-1.test, \
         from: 'Bellwether <bellwether@example.org>', recipients: ['Ops <ops@example.org>'], \
         retry: {{initial: 20ms, max: 50ms}}, {more}}}]"
    )
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    mail["headers"][name].as_str().unwrap_or_default()
}

fn idle(stats: &ChannelStats) -> bool {
    stats.queued == 0 && stats.sent + stats.failed > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn starttls_and_a_user_and_the_end_in_the_thread_of_the_beginning() {
    let folder = TempDir::new().unwrap();
    let certificates = Certificates::write(folder.path(), "right");
    let users = ["--user", "bellwether", "--password", PASSWORD];
    let server = server(&certificates, folder.path(), "starttls", &users);
    let more = format!(
        "ca_file: {}, username: bellwether, password: {PASSWORD}, cc: [cc@example.org], \
         bcc: [secret@example.org], reply_to: answers@example.org, headers: {{X-Team: storage}}",
        certificates.authority
    );
    let notifier = open(folder.path(), &channel(server.port(), &more)).await;
    notifier
        .notify(&[firing("disk", "/a", 0), firing("disk", "/ü<b>", 0)])
        .await;
    until(&notifier, "email", |stats| stats.sent == 2).await;
    notifier
        .notify(&[resolved("disk", "/a", 0), resolved("disk", "/ü<b>", 0)])
        .await;
    until(&notifier, "email", |stats| stats.sent == 4).await;

    let mails = server.mails();
    assert_eq!(mails.len(), 2, "one mail per group: {mails:#?}");
    let (firing, resolved) = (&mails[0], &mails[1]);
    assert_eq!(firing["encrypted"], true);
    assert_eq!(firing["user"], "bellwether");
    assert_eq!(firing["hello"], "host-1.test");
    assert_eq!(firing["from"], "bellwether@example.org");
    let everyone = ["ops@example.org", "cc@example.org", "secret@example.org"];
    assert_eq!(firing["recipients"], serde_json::json!(everyone));
    assert_eq!(header(firing, "To"), "Ops <ops@example.org>");
    assert_eq!(header(firing, "Cc"), "cc@example.org");
    assert!(
        !firing["headers"].to_string().contains("secret@"),
        "{firing:#}"
    );
    assert_eq!(header(firing, "Reply-To"), "answers@example.org");
    assert_eq!(header(firing, "X-Team"), "storage");
    assert_eq!(header(firing, "Auto-Submitted"), "auto-generated");
    assert_eq!(header(firing, "Precedence"), "bulk");
    assert!(
        header(firing, "Subject").starts_with("[FIRING:2] disk"),
        "{firing:#}"
    );
    assert!(
        header(resolved, "Subject").contains("RESOLVED"),
        "{resolved:#}"
    );
    assert_eq!(header(firing, "References"), header(resolved, "References"));
    assert_ne!(header(firing, "Message-ID"), header(resolved, "Message-ID"));
    let (plain, html) = (
        firing["plain"].as_str().unwrap(),
        firing["html"].as_str().unwrap(),
    );
    assert!(
        plain.contains("/ü<b>") && html.contains("/ü&lt;b&gt;"),
        "{firing:#}"
    );
    assert!(
        !html.contains("<b>,") && html.starts_with("<!DOCTYPE html>"),
        "{html}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_self_signed_certificate_is_trusted_where_ca_file_holds_it() {
    let folder = TempDir::new().unwrap();
    let own = Certificates::self_signed(folder.path());
    let others = Certificates::write(folder.path(), "other");
    for (tls, key) in [("starttls", "starttls"), ("implicit", "tls")] {
        let server = server(&own, folder.path(), tls, &[]);
        let state = folder.path().join(tls);
        fs::create_dir(&state).unwrap();
        let more = |name: &str, ca: &str| format!("name: {name}, tls: {key}, ca_file: {ca}");
        let right = channel(server.port(), &more("right", &own.authority));
        let wrong = channel(server.port(), &more("wrong", &others.authority));
        let channels = format!(
            "{}, {}",
            right.trim_end_matches(']'),
            wrong.trim_start_matches('[')
        );
        let notifier = open(&state, &channels).await;
        notifier.notify(&[firing("disk", "/a", 0)]).await;
        until(&notifier, "right", |stats| stats.sent == 1).await;
        let rejected = until(&notifier, "wrong", |stats| stats.last_error.is_some()).await;
        let error = rejected.last_error.unwrap();
        assert!(error.contains("certificate"), "{error}");
        assert_eq!(server.mails()[0]["encrypted"], true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_from_the_beginning_with_login_and_what_a_wrong_secret_or_authority_means() {
    let folder = TempDir::new().unwrap();
    let certificates = Certificates::write(folder.path(), "right");
    let others = Certificates::write(folder.path(), "other");
    let users = ["--user", "bellwether", "--password", PASSWORD, "--no-plain"];
    let server = server(&certificates, folder.path(), "implicit", &users);
    let secret = folder.path().join("password");
    fs::write(&secret, "wrong-secret\n").unwrap();
    let more = |name: &str, authority: &str| {
        format!(
            "name: {name}, tls: tls, auth: login, username: bellwether, password_file: {}, \
             ca_file: {authority}",
            secret.display()
        )
    };
    let right = channel(server.port(), &more("right", &certificates.authority));
    let wrong = channel(server.port(), &more("wrong", &others.authority));
    let channels = format!(
        "{}, {}",
        right.trim_end_matches(']'),
        wrong.trim_start_matches('[')
    );
    let notifier = open(folder.path(), &channels).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;

    let stats = until(&notifier, "right", |stats| stats.failed > 1).await;
    let error = stats.last_error.unwrap();
    assert!(
        error.contains("authentication") && error.contains("535"),
        "{error}"
    );
    assert!(!error.contains("wrong-secret"), "{error}");
    assert_eq!(stats.queued, 1, "a password can be fixed");
    fs::write(&secret, format!("{PASSWORD}\n")).unwrap();
    until(&notifier, "right", |stats| stats.sent == 1).await;
    let mail = &server.mails()[0];
    assert_eq!(
        (&mail["encrypted"], &mail["user"]),
        (&true.into(), &"bellwether".into())
    );

    let stats = until(&notifier, "wrong", |stats| stats.failed > 0).await;
    let error = stats.last_error.unwrap();
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert_eq!((stats.queued, server.mails().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_pass_is_tried_again_and_what_is_rejected_is_given_up() {
    let folder = TempDir::new().unwrap();
    let moods = ["451 later", "452 full", "250 taken", "554 no such mail"];
    let options: Vec<&str> = moods.iter().flat_map(|mood| ["--data", mood]).collect();
    let server = Smtp::start(folder.path(), &options);
    let notifier = open(folder.path(), &channel(server.port(), "tls: none")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "email", |stats| stats.sent == 1).await;
    assert_eq!((stats.failed, server.mails().len()), (2, 1));

    notifier.notify(&[firing("disk", "/b", 0)]).await;
    let stats = until(&notifier, "email", |stats| stats.failed == 3).await;
    assert_eq!((stats.queued, stats.dropped), (0, vec![("rejected", 1)]));
    let error = stats.last_error.unwrap();
    assert!(
        error.contains("554") && error.contains("no such mail"),
        "{error}"
    );
    assert!(error.starts_with("127.0.0.1:"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recipient_that_is_rejected_takes_no_other_along() {
    let folder = TempDir::new().unwrap();
    let rejected = [
        "--rcpt",
        "cc@example.org=550 no such user",
        "--rcpt",
        "bcc@example.org=452 full",
    ];
    let server = Smtp::start(folder.path(), &rejected);
    let more = "tls: none, cc: [cc@example.org], bcc: [bcc@example.org]";
    let notifier = open(folder.path(), &channel(server.port(), more)).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "email", |stats| stats.sent == 1).await;
    assert_eq!((stats.failed, stats.last_error), (0, None));
    assert_eq!(
        server.mails()[0]["recipients"],
        serde_json::json!(["ops@example.org"])
    );

    // Where nobody is left, one that may be taken later keeps the mail.
    for (answer, dropped) in [("550 no such user", 1), ("450 later", 0)] {
        let rejected = format!("ops@example.org={answer}");
        let server = Smtp::start(folder.path(), &["--rcpt", &rejected]);
        let state = TempDir::new().unwrap();
        let notifier = open(state.path(), &channel(server.port(), "tls: none")).await;
        notifier.notify(&[firing("disk", "/a", 0)]).await;
        let stats = until(&notifier, "email", |stats| stats.failed > 0).await;
        let lost: u64 = stats.dropped.iter().map(|(_, count)| count).sum();
        assert_eq!(
            (lost, stats.queued as u64),
            (dropped, 1 - dropped),
            "{answer}"
        );
        assert_eq!(server.mails().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_encryption_only_where_that_is_declared() {
    let folder = TempDir::new().unwrap();
    let server = Smtp::start(folder.path(), &[]);
    let (required, opportunistic) = (
        channel(server.port(), "name: required"),
        channel(server.port(), "tls: opportunistic"),
    );
    let channels = format!(
        "{}, {}",
        required.trim_end_matches(']'),
        opportunistic.trim_start_matches('[')
    );
    let notifier = open(folder.path(), &channels).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "required", |stats| stats.failed > 0).await;
    assert!(
        stats
            .last_error
            .unwrap()
            .contains("does not offer STARTTLS")
    );
    assert_eq!(stats.queued, 1);
    let stats = until(&notifier, "email", idle).await;
    assert_eq!((stats.sent, server.mails().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_or_half_of_it_costs_an_attempt() {
    let folder = TempDir::new().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (let_go, held) = std::sync::mpsc::channel::<()>();
    std::thread::spawn(move || {
        use std::io::Write;
        let mut streams = listener.incoming().map_while(Result::ok);
        let mute = streams.next().unwrap();
        let mut half = streams.next().unwrap();
        half.write_all(b"220 mail.te").unwrap();
        drop(half);
        let mut forged = streams.next().unwrap();
        forged.write_all(b"554 go\x1b[31m away\r\n").unwrap();
        drop(forged);
        held.recv().ok();
        drop(mute);
    });
    let notifier = open(folder.path(), &channel(port, "tls: none, timeout: 300ms")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "email", |stats| stats.failed >= 3).await;
    assert_eq!((stats.queued, stats.sent), (1, 0), "{stats:?}");
    assert!(!stats.last_error.unwrap().contains('\x1b'));
    let_go.send(()).ok();
}
