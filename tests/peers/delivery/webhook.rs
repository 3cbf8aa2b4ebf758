//! A webhook that fails in every way a network and a receiver can.

use std::collections::HashSet;
use std::fs;
use std::time::Duration;

use bellwether_core::{MonoMillis, UnixMillis};
use bellwether_notify::ChannelStats;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::notifier::{Send, firing, open, prepare, resolved, until};
use super::receiver::{Answer, Receiver, TAKEN, authority, closed_address, wait_for};

/// A channel with quick retries; `more` are further keys.
fn channel(receiver: &Receiver, more: &str) -> String {
    format!(
        "[{{type: webhook, url: 'http://{}/hook', retry: {{initial: 20ms, max: 50ms}}{more}}}]",
        receiver.address
    )
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected
        .iter()
        .map(|(status, mount)| ((*status).to_owned(), (*mount).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alertmanagers_document_arrives_with_its_headers() {
    let receiver = Receiver::start([]);
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("token"), "s3cret\n").unwrap();
    let token = folder.path().join("token");
    let more = format!(
        ", headers: {{X-Team: ops}}, bearer_token_file: {}",
        token.display()
    );
    let notifier = open(folder.path(), &channel(&receiver, &more)).await;
    notifier
        .notify(&[firing("disk", "/a", 0), firing("disk", "/b", 0)])
        .await;
    until(&notifier, "webhook", |stats| stats.sent == 2).await;

    let request = &receiver.taken()[0];
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("authorization"), Some("Bearer s3cret"));
    assert_eq!(header("x-team"), Some("ops"));
    let document: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!(document["version"], "4");
    assert_eq!(document["receiver"], "webhook");
    assert_eq!(document["groupLabels"], json!({"alertname": "disk"}));
    assert_eq!(document["alerts"][0]["labels"]["instance"], "host-1");
    assert_eq!(
        document["alerts"][0]["startsAt"],
        "2026-11-21T04:00:00.000Z"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_and_a_password_make_any_receiver_content() {
    let receiver = Receiver::start([]);
    let folder = TempDir::new().unwrap();
    let more = ", max_alerts: 1, method: PUT, headers: {Content-Type: text/plain}, \
                basic_auth: {username: me, password: pw}, \
                template: '{{ alerts[0].status }}: {{ alerts[0].message }}'";
    let notifier = open(folder.path(), &channel(&receiver, more)).await;
    notifier
        .notify(&[firing("disk", "/a", 0), firing("disk", "/b", 0)])
        .await;
    until(&notifier, "webhook", |stats| stats.sent == 2).await;

    let requests = receiver.taken();
    let bodies: Vec<_> = requests
        .iter()
        .map(|request| request.body.as_str())
        .collect();
    assert_eq!(bodies, ["firing: disk of /a", "firing: disk of /b"]);
    assert_eq!(requests[0].line, "PUT /hook HTTP/1.1");
    assert_eq!(requests[0].headers["content-type"], "text/plain");
    assert_eq!(requests[0].headers["authorization"], "Basic bWU6cHc=");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_passes_is_tried_again_and_order_is_kept() {
    let troubles = [
        Answer::Status(500, "", "database is gone"),
        Answer::Closed,
        Answer::Status(429, "", ""),
        Answer::Half,
        Answer::Status(408, "", ""),
        Answer::Mute,
        Answer::Status(503, "", ""),
    ];
    let receiver = Receiver::start(troubles.clone());
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&receiver, ", timeout: 300ms")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    notifier
        .notify(&[resolved("disk", "/a", 0), firing("disk", "/b", 1)])
        .await;
    notifier.notify(&[firing("disk", "/a", 2)]).await;

    let settled = |stats: &ChannelStats| stats.queued == 0 && stats.last_error.is_none();
    let stats = until(&notifier, "webhook", settled).await;
    assert_eq!((stats.sent, stats.failed), (4, troubles.len() as u64));
    assert_eq!(stats.dropped, []);
    let notified = pairs(&[
        ("firing", "/a"),
        ("resolved", "/a"),
        ("firing", "/b"),
        ("firing", "/a"),
    ]);
    assert_eq!(receiver.notified(), notified);
    let ids: HashSet<String> = receiver
        .taken()
        .iter()
        .map(|request| id(&request.body))
        .collect();
    assert_eq!(
        ids.len(),
        receiver.taken().len(),
        "every change has an id of its own"
    );
    let attempts: HashSet<String> = receiver.requests()[..troubles.len()]
        .iter()
        .map(|request| id(&request.body))
        .collect();
    assert_eq!(attempts.len(), 1, "every attempt has the id of its change");
}

fn id(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap();
    document["alerts"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_followed_with_what_is_sent_and_without_credentials() {
    for status in [301, 302, 303, 307, 308] {
        let there = Receiver::start([]);
        let on = Answer::Redirect(status, format!("http://{}/there", there.address));
        let here = Receiver::start([Answer::Redirect(status, "/moved".into()), on]);
        let folder = TempDir::new().unwrap();
        let more = ", bearer_token: s3cret, headers: {X-Team: ops, Content-Type: text/json}";
        let notifier = open(folder.path(), &channel(&here, more)).await;
        notifier.notify(&[firing("disk", "/a", 0)]).await;
        let stats = until(&notifier, "webhook", |stats| stats.sent == 1).await;
        assert_eq!(stats.failed, 0);
        let sent = here.requests();
        assert_eq!(sent.len(), 2, "{sent:#?}");
        let there = &there.requests()[0];
        let method = if status == 303 { "GET" } else { "POST" };
        assert_eq!(sent[0].line, "POST /hook HTTP/1.1");
        assert_eq!(sent[1].line, format!("{method} /moved HTTP/1.1"));
        assert_eq!(there.line, format!("{method} /there HTTP/1.1"));
        for request in &sent {
            assert_eq!(request.headers["authorization"], "Bearer s3cret");
            assert_eq!(request.headers["x-team"], "ops");
        }
        for name in ["authorization", "x-team"] {
            assert_eq!(there.headers.get(name), None, "{status}: {name}");
        }
        if status == 303 {
            assert_eq!(there.body, "");
        } else {
            assert_eq!(there.body, sent[0].body);
            assert_eq!(there.headers["content-type"], "text/json");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_that_leads_nowhere_is_rejected_for_good() {
    let plain = |place: &str| Receiver::start(vec![Answer::Redirect(307, place.to_owned()); 20]);
    for (receiver, expected) in [
        (plain("/again"), "redirects more than 10 times"),
        (
            plain("ftp://127.0.0.1/x"),
            "redirects to the scheme \"ftp\"",
        ),
        (plain("http://["), "redirects to an invalid URL"),
    ] {
        let folder = TempDir::new().unwrap();
        let notifier = open(folder.path(), &channel(&receiver, "")).await;
        notifier.notify(&[firing("disk", "/a", 0)]).await;
        let rejected = vec![("rejected", 1)];
        let stats = until(&notifier, "webhook", |stats| stats.dropped == rejected).await;
        let error = stats.last_error.unwrap();
        assert!(error.contains(expected), "{error}");
        assert_eq!(receiver.taken().len(), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_encrypted_is_not_sent_again_without() {
    let there = Receiver::start([]);
    let (pem, config) = authority();
    let on = Answer::Redirect(308, format!("http://{}/", there.address));
    let here = Receiver::start_tls(config, [Answer::Redirect(301, "/x".into()), on], TAKEN);
    let folder = TempDir::new().unwrap();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, pem).unwrap();
    let channels = format!(
        "[{{type: webhook, url: 'https://me:pw@{}/', ca_file: {}}}]",
        here.address,
        ca.display()
    );
    let notifier = open(folder.path(), &channels).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let rejected = vec![("rejected", 1)];
    let stats = until(&notifier, "webhook", |stats| stats.dropped == rejected).await;
    let error = stats.last_error.unwrap();
    assert!(
        error.contains("redirects from https to http; set the final URL"),
        "{error}"
    );
    assert_eq!(there.requests().len(), 0);
    let sent = here.requests();
    assert!(
        sent.iter()
            .all(|one| one.headers["authorization"] == "Basic bWU6cHc="),
        "{sent:#?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirects_may_be_rejected() {
    let there = Receiver::start([]);
    let here = Receiver::start([Answer::Redirect(307, format!("http://{}/", there.address))]);
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&here, ", follow_redirects: false")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let rejected = vec![("rejected", 1)];
    let stats = until(&notifier, "webhook", |stats| stats.dropped == rejected).await;
    let error = stats.last_error.unwrap();
    assert!(
        error.contains("307 Temporary Redirect, which is not followed"),
        "{error}"
    );
    assert_eq!(there.requests().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_that_says_it_failed_is_none() {
    let script = [
        Answer::Status(
            200,
            "",
            "{\"ok\":false,\"error\":\"ratelimited\",\"retry_after\":0}",
        ),
        Answer::Status(
            200,
            "",
            "{\"errcode\":310000,\"errmsg\":\"sign not match\"}",
        ),
    ];
    let receiver = Receiver::start(script);
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&receiver, "")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let rejected = vec![("rejected", 1)];
    let stats = until(&notifier, "webhook", |stats| stats.dropped == rejected).await;
    assert_eq!((stats.sent, stats.failed), (0, 2));
    let error = stats.last_error.unwrap();
    assert!(
        error.ends_with("answered: sign not match, errcode 310000"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_gives_nothing_or_fails_costs_no_alert() {
    for template in [
        "{{ commonAnnotations.none }}",
        " {% if false %}x{% endif %} ",
        "{{ nothing() }}",
    ] {
        let receiver = Receiver::start([Answer::Status(400, "", "what is this?")]);
        let folder = TempDir::new().unwrap();
        let more = format!(", template: '{template}'");
        let notifier = open(folder.path(), &channel(&receiver, &more)).await;
        notifier.notify(&[firing("disk", "/a", 0)]).await;
        let rejected = vec![("rejected", 1)];
        let stats = until(&notifier, "webhook", |stats| stats.dropped == rejected).await;
        let error = stats.last_error.unwrap();
        assert!(error.contains("what is this?; the template "), "{error}");
        notifier.notify(&[firing("disk", "/b", 0)]).await;
        until(&notifier, "webhook", |stats| stats.sent == 1).await;
        assert_eq!(receiver.notified(), pairs(&[("firing", "/b")]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retry_after_is_kept_to() {
    let receiver = Receiver::start([Answer::Status(429, "retry-after: 1\r\n", "")]);
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&receiver, "")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    until(&notifier, "webhook", |stats| stats.sent == 1).await;
    let requests = receiver.requests();
    assert!(requests[1].at - requests[0].at >= Duration::from_secs(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejection_is_final_and_takes_the_end_along() {
    let receiver = Receiver::start([Answer::Status(400, "", "no such\r\nteam")]);
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&receiver, ", max_alerts: 1")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "webhook", |stats| stats.failed == 1).await;
    assert_eq!((stats.queued, stats.dropped), (0, vec![("rejected", 1)]));
    let error = stats.last_error.unwrap();
    assert!(
        error.ends_with("answered 400 Bad Request: no such  team"),
        "{error}"
    );

    notifier
        .notify(&[resolved("disk", "/a", 0), firing("disk", "/b", 0)])
        .await;
    until(&notifier, "webhook", |stats| stats.sent == 1).await;
    assert_eq!(receiver.notified(), pairs(&[("firing", "/b")]));
    assert_eq!(receiver.requests().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_rejected_takes_no_other_of_its_request_along() {
    let rejected = Answer::Status(400, "", "");
    let receiver = Receiver::start([rejected.clone(), Answer::Status(200, "", ""), rejected]);
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&receiver, "")).await;
    let three = [
        firing("disk", "/a", 0),
        firing("disk", "/b", 0),
        firing("disk", "/c", 0),
    ];
    notifier.notify(&three).await;
    let settled = |stats: &ChannelStats| stats.queued == 0 && stats.failed == 2;
    let stats = until(&notifier, "webhook", settled).await;
    assert_eq!((stats.sent, stats.dropped), (2, vec![("rejected", 1)]));
    assert_eq!(
        receiver.notified(),
        pairs(&[("firing", "/a"), ("firing", "/c")])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_channel_is_notified_of_what_fires_and_one_that_knows_is_not() {
    let (old, new) = (Receiver::start([]), Receiver::start([]));
    let folder = TempDir::new().unwrap();
    let one = format!(
        "{{type: webhook, name: old, url: 'http://{}'}}",
        old.address
    );
    let other = format!(
        "{{type: webhook, name: new, url: 'http://{}'}}",
        new.address
    );
    let notifier = open(folder.path(), &format!("[{one}]")).await;
    let firing = firing("disk", "/a", 0);
    notifier.notify(std::slice::from_ref(&firing)).await;
    until(&notifier, "old", |stats| {
        stats.sent == 1 && stats.queued == 0
    })
    .await;
    let resolved_of = |channel: &str| {
        let last = notifier.last_notified(MonoMillis::NEVER)(channel, firing.alert.fingerprint);
        last.map(|at| at < MonoMillis::NEVER)
    };
    assert_eq!((resolved_of("old"), resolved_of("new")), (Some(true), None));

    // What is queued while channels are replaced goes to those that stay.
    let prepared = prepare(&notifier, &format!("[{one}, {other}]")).await;
    let during = [
        resolved("disk", "/b", 0),
        super::notifier::firing("disk", "/c", 0),
    ];
    tokio::join!(notifier.replace(prepared), notifier.notify(&during));
    // A dispatcher notifies again of all firing alerts after a reload.
    notifier.notify(&[firing, during[1].clone()]).await;
    until(&notifier, "old", |stats| stats.sent == 2).await;
    until(&notifier, "new", |stats| stats.sent == 2).await;
    notifier.stop(Duration::from_secs(5)).await;
    assert_eq!(old.notified(), pairs(&[("firing", "/a"), ("firing", "/c")]));
    let mut notified = new.notified();
    notified.sort();
    assert_eq!(notified, pairs(&[("firing", "/a"), ("firing", "/c")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_is_what_was_answered_with_2xx_even_if_the_body_is_cut() {
    let receiver = Receiver::start([Answer::CutBody]);
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&receiver, "")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "webhook", |stats| stats.sent == 1).await;
    assert_eq!((stats.failed, receiver.requests().len()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_down_delays_no_other_and_loses_nothing() {
    let well = Receiver::start([]);
    let address = closed_address();
    let folder = TempDir::new().unwrap();
    let channels = format!(
        "[{{type: webhook, name: down, url: 'http://{address}', retry: {{initial: 20ms, max: 50ms}}}}, \
          {{type: webhook, name: well, url: 'http://{}'}}]",
        well.address
    );
    let notifier = open(folder.path(), &channels).await;
    for minute in 0..20 {
        notifier
            .notify(&[firing("disk", "/a", minute), resolved("disk", "/a", minute)])
            .await;
    }
    until(&notifier, "well", |stats| stats.sent == 40).await;
    let stats = until(&notifier, "down", |stats| stats.failed > 0).await;
    assert_eq!((stats.sent, stats.queued), (0, 40));

    let late = Receiver::start_at(address);
    until(&notifier, "down", |stats| stats.sent == 40).await;
    assert_eq!(late.notified(), well.notified());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_survives_the_process_and_what_ended_meanwhile_is_resolved() {
    let address = closed_address();
    let folder = TempDir::new().unwrap();
    let channels = format!(
        "[{{type: webhook, url: 'http://{address}', retry: {{initial: 20ms, max: 50ms}}}}]"
    );
    let notifier = open(folder.path(), &channels).await;
    notifier
        .notify(&[firing("disk", "/a", 0), firing("disk", "/b", 0)])
        .await;
    notifier.notify(&[resolved("disk", "/a", 0)]).await;
    until(&notifier, "webhook", |stats| stats.failed > 0).await;
    // As after kill -9: nothing is drained, nothing is stopped.
    drop(notifier);

    let receiver = Receiver::start_at(address);
    let notifier = open(folder.path(), &channels).await;
    until(&notifier, "webhook", |stats| stats.sent == 3).await;
    notifier
        .reconcile(&HashSet::new(), UnixMillis(1_795_240_000_000))
        .await;
    until(&notifier, "webhook", |stats| stats.sent == 4).await;
    let firing = firing("disk", "/c", 0);
    notifier.notify(std::slice::from_ref(&firing)).await;
    notifier
        .reconcile(&HashSet::from([firing.alert.fingerprint]), UnixMillis(0))
        .await;
    until(&notifier, "webhook", |stats| stats.sent == 5).await;
    notifier.stop(Duration::from_secs(5)).await;
    assert_eq!(
        receiver.notified(),
        pairs(&[
            ("firing", "/a"),
            ("firing", "/b"),
            ("resolved", "/a"),
            ("resolved", "/b"),
            ("firing", "/c"),
        ])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_process_leaves_the_queues_of_the_first_alone() {
    let address = closed_address();
    let folder = TempDir::new().unwrap();
    let channels = format!(
        "[{{type: webhook, url: 'http://{address}', retry: {{initial: 20ms, max: 50ms}}}}]"
    );
    let first = open(folder.path(), &channels).await;
    first.notify(&[firing("disk", "/a", 0)]).await;
    let second = open(folder.path(), &channels).await;
    second.notify(&[firing("disk", "/b", 0)]).await;
    let stats = until(&second, "webhook", |stats| stats.failed > 0).await;
    assert_eq!(stats.queued, 1, "only its own");
    drop(second);
    first.notify(&[firing("disk", "/c", 0)]).await;
    drop(first);

    let receiver = Receiver::start_at(address);
    let again = open(folder.path(), &channels).await;
    until(&again, "webhook", |stats| stats.sent == 2).await;
    assert_eq!(
        receiver.notified(),
        pairs(&[("firing", "/a"), ("firing", "/c")])
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_is_drained_at_the_stop() {
    let receiver = Receiver::start([]);
    let folder = TempDir::new().unwrap();
    let notifier = open(folder.path(), &channel(&receiver, ", max_alerts: 1")).await;
    let transitions: Vec<_> = (0..50)
        .map(|number| firing("disk", &format!("/{number}"), 0))
        .collect();
    notifier.notify(&transitions).await;
    notifier.stop(Duration::from_secs(60)).await;
    assert_eq!(receiver.notified().len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_does_not_hold_up_the_stop() {
    let receiver = Receiver::start([Answer::Mute]);
    let folder = TempDir::new().unwrap();
    let channels = channel(&receiver, ", timeout: 1h");
    let notifier = open(folder.path(), &channels).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    wait_for("a request", &receiver, |receiver| {
        receiver.requests().len() == 1
    })
    .await;
    // The test ends long before the hour does.
    notifier.stop(Duration::from_millis(100)).await;
    assert_eq!(receiver.notified(), []);
    drop(notifier);

    let notifier = open(folder.path(), &channels).await;
    until(&notifier, "webhook", |stats| stats.sent == 1).await;
    assert_eq!(receiver.notified(), pairs(&[("firing", "/a")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_with_an_authority_of_ones_own() {
    let (pem, config) = authority();
    let (other, _) = authority();
    let receiver = Receiver::start_tls(config, [], TAKEN);
    let folder = TempDir::new().unwrap();
    let written = |name: &str, pem: &str| {
        let path = folder.path().join(name);
        fs::write(&path, pem).unwrap();
        path.display().to_string()
    };
    let url = format!("https://user:hunter2@{}/hunter2", receiver.address);
    let channels = format!(
        "[{{type: webhook, name: right, url: '{url}', ca_file: {}}}, \
          {{type: webhook, name: wrong, url: '{url}', ca_file: {}}}]",
        written("ca.pem", &pem),
        written("other.pem", &other),
    );
    let notifier = open(folder.path(), &channels).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    until(&notifier, "right", |stats| stats.sent == 1).await;
    let authorization = receiver.taken()[0].headers["authorization"].clone();
    assert_eq!(authorization, "Basic dXNlcjpodW50ZXIy");

    let stats = until(&notifier, "wrong", |stats| stats.failed > 0).await;
    let error = stats.last_error.unwrap();
    assert!(error.contains("invalid peer certificate"), "{error}");
    assert!(
        error.starts_with(&format!("https://{}:", receiver.address)),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");
    assert_eq!(stats.queued, 1, "a certificate can be fixed");
}
