//! Chats and pagers over HTTPS, against servers that hold every request to the service's schema
//! and reject in the service's own words.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Dispatch, Group};
use bellwether_notify::Bulletin;
use serde_json::Value;
use tempfile::TempDir;

use super::notifier::{Send, firing, notification_of, open, resolved, until};
use super::receiver::{Answer, Receiver, Request, authority};
use super::schema::Schema;

/// A service, as far as a test needs to know it.
struct Service {
    /// Keys of the channel; `{url}` is where the server is.
    keys: &'static str,
    schema: &'static str,
    /// Answer to an accepted request.
    usual: Answer,
    /// Retryable errors of its own.
    passing: Vec<Answer>,
    /// Rejections of its own that stay, and the error of each.
    lasting: Vec<(Answer, &'static str)>,
    /// The first line of a request.
    line: &'static str,
    /// Most bytes of a request.
    largest: usize,
    /// True if each alert is a request.
    pages: bool,
}

/// A part of each URL and token; no message may show it.
const SECRET: &str = "0123456789abcdefhunter2sesameXYZ";

/// That of a proxy, or of whoever wants somebody to log in.
const PAGE: Answer = Answer::Status(200, "", "<!DOCTYPE html><html>Log in</html>");

fn slack() -> Service {
    Service {
        keys: "type: slack, url: '{url}/services/T/B/0123456789abcdefhunter2sesameXYZ'",
        schema: include_str!("schemas/slack.json"),
        usual: Answer::Status(200, "", "ok"),
        passing: vec![
            Answer::Status(429, "retry-after: 1\r\n", ""),
            Answer::Status(500, "", "rollup_error"),
            PAGE,
        ],
        lasting: vec![
            (
                Answer::Status(200, "", "{\"ok\":false,\"error\":\"not_authed\"}"),
                "not_authed",
            ),
            (
                Answer::Status(400, "", "invalid_payload"),
                "invalid_payload",
            ),
            (
                Answer::Status(403, "", "action_prohibited"),
                "action_prohibited",
            ),
            (Answer::Status(404, "", "no_service"), "no_service"),
            (
                Answer::Status(410, "", "channel_is_archived"),
                "channel_is_archived",
            ),
        ],
        line: "POST /services/T/B/0123456789abcdefhunter2sesameXYZ HTTP/1.1",
        largest: 100_000,
        pages: false,
    }
}

fn slack_bot() -> Service {
    Service {
        keys: "type: slack, token: 0123456789abcdefhunter2sesameXYZ, channel: '#ops', \
               api_url: '{url}/api/'",
        usual: Answer::Status(200, "", "{\"ok\": true, \"ts\": \"1.2\"}"),
        passing: vec![
            Answer::Status(
                429,
                "retry-after: 1\r\n",
                "{\"ok\": false, \"error\": \"ratelimited\"}",
            ),
            Answer::Status(200, "", "{\"ok\": false, \"error\": \"ratelimited\"}"),
            Answer::Status(200, "", "{\"ok\": false, \"error\": \"internal_error\"}"),
            Answer::Status(200, "", "what is this?"),
            PAGE,
            Answer::CutBody,
        ],
        lasting: vec![
            (
                Answer::Status(200, "", "{\"ok\": false, \"error\": \"channel_not_found\"}"),
                "channel_not_found",
            ),
            (
                Answer::Status(200, "", "{\"ok\": false, \"error\": \"invalid_auth\"}"),
                "invalid_auth",
            ),
            (
                Answer::Status(200, "", "{\"ok\": false, \"error\": \"not_in_channel\"}"),
                "not_in_channel",
            ),
        ],
        line: "POST /api/chat.postMessage HTTP/1.1",
        ..slack()
    }
}

fn discord() -> Service {
    Service {
        keys: "type: discord, url: '{url}/api/webhooks/1/0123456789abcdefhunter2sesameXYZ', \
               thread_id: '7', mention_roles: ['42']",
        schema: include_str!("schemas/discord.json"),
        usual: Answer::Status(200, "", "{\"id\": \"1\"}"),
        passing: vec![
            Answer::Status(
                429,
                "",
                "{\"message\": \"limited\", \"retry_after\": 0.9, \"global\": false}",
            ),
            Answer::Status(502, "", "<html>"),
            PAGE,
        ],
        lasting: vec![
            (
                Answer::Status(
                    200,
                    "",
                    "{\"message\": \"Unknown Webhook\", \"code\": 10015}",
                ),
                "Unknown Webhook",
            ),
            (
                Answer::Status(
                    404,
                    "",
                    "{\"message\": \"Unknown Webhook\", \"code\": 10015}",
                ),
                "Unknown Webhook",
            ),
            (
                Answer::Status(
                    400,
                    "",
                    "{\"code\": 50035, \"message\": \"Invalid Form Body\"}",
                ),
                "50035",
            ),
        ],
        line: "POST /api/webhooks/1/0123456789abcdefhunter2sesameXYZ?wait=true&thread_id=7 HTTP/1.1",
        largest: 100_000,
        pages: false,
    }
}

fn teams() -> Service {
    Service {
        keys: "type: teams, url: '{url}/workflows/x?sig=0123456789abcdefhunter2sesameXYZ'",
        schema: include_str!("schemas/teams.json"),
        usual: Answer::Status(202, "", ""),
        passing: vec![
            Answer::Status(429, "retry-after: 1\r\n", ""),
            Answer::Status(
                200,
                "",
                "Webhook message delivery failed with error: Microsoft Teams endpoint returned \
                 HTTP error 429 with ContextId x",
            ),
            PAGE,
        ],
        lasting: vec![
            (
                Answer::Status(
                    200,
                    "",
                    "{\"error\": {\"code\": \"WorkflowDisabled\", \"message\": \"it is off\"}}",
                ),
                "it is off, code WorkflowDisabled",
            ),
            (
                Answer::Status(
                    200,
                    "",
                    "Microsoft Teams endpoint returned HTTP error 413 with x",
                ),
                "413",
            ),
            (
                Answer::Status(
                    400,
                    "",
                    "{\"error\": {\"code\": \"TriggerInputSchemaMismatch\"}}",
                ),
                "Mismatch",
            ),
            (
                Answer::Status(
                    401,
                    "",
                    "{\"error\": {\"code\": \"DirectApiAuthorizationRequired\"}}",
                ),
                "401",
            ),
        ],
        line: "POST /workflows/x?sig=0123456789abcdefhunter2sesameXYZ HTTP/1.1",
        largest: 28_000,
        pages: false,
    }
}

fn telegram() -> Service {
    Service {
        keys: "type: telegram, token: 0123456789abcdefhunter2sesameXYZ, chat_id: -1001, \
               message_thread_id: 7, api_url: '{url}'",
        schema: include_str!("schemas/telegram.json"),
        usual: Answer::Status(200, "", "{\"ok\": true, \"result\": {}}"),
        passing: vec![
            Answer::Status(
                429,
                "",
                "{\"ok\": false, \"error_code\": 429, \"description\": \"Too Many Requests: retry \
                 after 1\", \"parameters\": {\"retry_after\": 1}}",
            ),
            Answer::Status(502, "", "{\"ok\": false, \"error_code\": 502}"),
            Answer::Status(200, "", "{\"ok\": false, \"error_code\": 502}"),
            Answer::Status(200, "", "{}"),
            PAGE,
            Answer::CutBody,
        ],
        lasting: vec![
            (
                Answer::Status(
                    200,
                    "",
                    "{\"ok\": false, \"error_code\": 403, \"description\": \"bot was kicked\"}",
                ),
                "bot was kicked, error_code 403",
            ),
            (
                Answer::Status(
                    400,
                    "",
                    "{\"ok\": false, \"description\": \"Bad Request: chat not found\"}",
                ),
                "chat not found",
            ),
            (
                Answer::Status(
                    400,
                    "",
                    "{\"ok\": false, \"description\": \"group chat was upgraded to a supergroup chat\", \
                     \"parameters\": {\"migrate_to_chat_id\": -100200}}",
                ),
                "set `chat_id` to -100200",
            ),
            (
                Answer::Status(
                    401,
                    "",
                    "{\"ok\": false, \"description\": \"Unauthorized\"}",
                ),
                "Unauthorized",
            ),
        ],
        line: "POST /bot0123456789abcdefhunter2sesameXYZ/sendMessage HTTP/1.1",
        largest: 100_000,
        pages: false,
    }
}

fn pagerduty() -> Service {
    Service {
        keys: "type: pagerduty, routing_key: 0123456789abcdefhunter2sesameXYZ, api_url: '{url}'",
        schema: include_str!("schemas/pagerduty.json"),
        usual: Answer::Status(202, "", "{\"status\": \"success\", \"dedup_key\": \"x\"}"),
        passing: vec![
            Answer::Status(
                429,
                "retry-after: 1\r\n",
                "{\"status\": \"throttle exceeded\"}",
            ),
            Answer::Status(503, "", ""),
            PAGE,
        ],
        lasting: vec![
            (
                Answer::Status(
                    400,
                    "",
                    "{\"status\": \"invalid event\", \"errors\": [\"Invalid routing key \
                     0123456789abcdefhunter2sesameXYZ\"]}",
                ),
                "Invalid routing key <secret>",
            ),
            (
                Answer::Status(202, "", "{\"status\": \"invalid event\"}"),
                "invalid event",
            ),
            (
                Answer::Status(
                    202,
                    "",
                    "{\"status\": \"invalid event\", \"errors\": [\"Length of 'x'\"]}",
                ),
                "Length of 'x'",
            ),
        ],
        line: "POST /v2/enqueue HTTP/1.1",
        largest: 512_000,
        pages: true,
    }
}

fn opsgenie() -> Service {
    Service {
        keys: "type: opsgenie, api_key: 0123456789abcdefhunter2sesameXYZ, api_url: '{url}', \
               responders: [{type: team, name: ops}]",
        schema: include_str!("schemas/opsgenie.json"),
        usual: Answer::Status(202, "", "{\"result\": \"Request will be processed\"}"),
        passing: vec![
            Answer::Status(
                429,
                "retry-after: 1\r\n",
                "{\"message\": \"You are making too many requests!\"}",
            ),
            Answer::Status(500, "", ""),
            PAGE,
        ],
        lasting: vec![
            (
                Answer::Status(202, "", "{\"message\": \"no access\", \"code\": 40301}"),
                "40301",
            ),
            (
                Answer::Status(
                    422,
                    "",
                    "{\"message\": \"Request body is not processable\"}",
                ),
                "not processable",
            ),
            (
                Answer::Status(401, "", "{\"message\": \"Could not authenticate\"}"),
                "authenticate",
            ),
            (
                Answer::Status(403, "", "{\"message\": \"no access\", \"code\": 40301}"),
                "40301",
            ),
        ],
        line: "POST /v2/alerts HTTP/1.1",
        largest: 100_000,
        pages: true,
    }
}

/// A server of the service and a channel to it, over TLS with an authority of its own.
fn serve(service: &Service, script: Vec<Answer>, folder: &TempDir) -> (Receiver, String) {
    let (pem, config) = authority();
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, pem).unwrap();
    let receiver = Receiver::start_tls(config, script, service.usual.clone());
    let keys = service
        .keys
        .replace("{url}", &format!("https://{}", receiver.address));
    let channel = format!(
        "[{{{keys}, name: it, ca_file: {}, timeout: 1s, retry: {{initial: 20ms, max: 50ms}}}}]",
        ca.display()
    );
    (receiver, channel)
}

/// Holds every request to the schema, the limit and what all have.
fn validated_bodies(service: &Service, receiver: &Receiver) -> Vec<Value> {
    let schema = Schema::new(service.schema);
    assert!(!receiver.requests().is_empty());
    let bodies = receiver
        .requests()
        .into_iter()
        .map(|Request { headers, body, .. }| {
            assert_eq!(headers["content-type"], "application/json");
            assert!(body.len() <= service.largest, "{} bytes", body.len());
            let body: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(schema.faults(&body), [""; 0], "{body:#}");
            body
        });
    bodies.collect()
}

/// Everything retryable is retried, as late as is asked for, and delivered once and in order.
async fn tells_once(service: Service) {
    let mut script = service.passing.clone();
    let asked_to_wait = receiver_asks_to_wait(&script);
    script.extend([
        Answer::Status(500, "", ""),
        Answer::Closed,
        Answer::Half,
        Answer::Mute,
        Answer::Status(503, "", ""),
    ]);
    let troubles = script.len();
    let folder = TempDir::new().unwrap();
    let (receiver, channel) = serve(&service, script, &folder);
    let notifier = open(folder.path(), &channel).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    notifier
        .notify(&[resolved("disk", "/a", 0), firing("disk", "/b", 1)])
        .await;
    notifier.notify(&[resolved("disk", "/b", 1)]).await;
    let stats = until(&notifier, "it", |stats| stats.queued == 0).await;
    assert_eq!(
        (stats.sent, stats.failed),
        (4, troubles as u64),
        "{stats:?}"
    );
    assert_eq!((stats.dropped, stats.last_error), (vec![], None));

    let bodies = validated_bodies(&service, &receiver);
    let requests = receiver.requests();
    assert_eq!(requests[0].line, service.line);
    assert!(requests[1].at - requests[0].at >= asked_to_wait);
    let bodies: Vec<String> = bodies.iter().map(Value::to_string).collect();
    // What was not taken is said again, until it is; more may have joined it.
    assert!(
        bodies[..=troubles]
            .iter()
            .all(|body| body.contains("of /a")),
        "{bodies:#?}"
    );
    let delivered = &bodies[troubles..];
    if service.pages {
        assert_eq!(delivered.len(), 4, "{delivered:#?}");
    } else {
        let count = |label: &str| {
            delivered
                .iter()
                .map(|text| text.matches(label).count())
                .sum()
        };
        let (a, b): (usize, usize) = (count("mount=/a"), count("mount=/b"));
        assert_eq!(
            (a, b),
            (2, 2),
            "its firing and its resolved: {delivered:#?}"
        );
    }
}

/// Wait that the first answer asks for: all of ours ask for about a second.
fn receiver_asks_to_wait(script: &[Answer]) -> Duration {
    match script.first() {
        Some(Answer::Status(429, ..)) => Duration::from_millis(900),
        _ => Duration::ZERO,
    }
}

/// Rejected notifications are dropped, with a reason and without any secret.
async fn gives_up(service: Service) {
    let lasting = service.lasting.clone();
    let folder = TempDir::new().unwrap();
    let script = lasting.iter().map(|(answer, _)| answer.clone()).collect();
    let (receiver, channel) = serve(&service, script, &folder);
    let notifier = open(folder.path(), &channel).await;
    for (index, (answer, expected)) in lasting.iter().enumerate() {
        notifier
            .notify(&[firing("disk", &format!("/{index}"), 0)])
            .await;
        let rejected = vec![("rejected", index as u64 + 1)];
        let stats = until(&notifier, "it", |stats| stats.dropped == rejected).await;
        let error = stats.last_error.unwrap();
        assert!(error.contains(expected), "{answer:?}: {error}");
        assert!(
            error.starts_with(&format!("https://{}", receiver.address)),
            "{error}"
        );
        assert!(!error.contains(SECRET), "{error}");
    }
    notifier.notify(&[firing("disk", "/last", 0)]).await;
    until(&notifier, "it", |stats| stats.sent == 1).await;
    validated_bodies(&service, &receiver);
}

/// A storm stays within all limits, and none of it is lost.
async fn weathers_a_storm(service: Service) {
    let folder = TempDir::new().unwrap();
    let (receiver, channel) = serve(&service, Vec::new(), &folder);
    let notifier = open(folder.path(), &channel).await;
    let odd = "é🦀<@everyone>&*`|".repeat(30);
    let storm: Vec<_> = (0..300)
        .map(|n| firing("disk", &format!("/{n}/{odd}"), 0))
        .collect();
    notifier.notify(&storm).await;
    until(&notifier, "it", |stats| stats.sent == 300).await;
    validated_bodies(&service, &receiver);
}

/// Every text in `value`.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(fields) => fields.values().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}

/// A template that gives nothing is one that fails: the channel's own words go out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_blank() {
    let blank = [
        "{{ commonAnnotations.none }}",
        "{% for a in alerts %}{{ a.annotations.description }}{% endfor %}\\n",
        "{{ '\u{200b} ' }}",
    ];
    type Texts<'a> = (fn() -> Service, &'a [&'a str]);
    let services: [Texts<'_>; 7] = [
        (slack, &["title", "text"]),
        (slack_bot, &["title", "text", "username", "icon_emoji"]),
        (discord, &["title", "text", "username", "avatar_url"]),
        (teams, &["title", "text"]),
        (telegram, &["title", "text"]),
        (pagerduty, &["title", "details: {x"]),
        (opsgenie, &["title", "text", "tags: [", "details: {x"]),
    ];
    for (service, keys) in services {
        let service = service();
        let folder = TempDir::new().unwrap();
        let (receiver, channel) = serve(&service, Vec::new(), &folder);
        let mut channels = Vec::new();
        for key in keys {
            for template in blank {
                let (open, close) = match *key {
                    "tags: [" => (key.to_string(), "]"),
                    "details: {x" => (format!("{key}:"), "}"),
                    key => (format!("{key}:"), ""),
                };
                let more = format!("{open} \"{template}\"{close}, name: it{},", channels.len());
                let one = channel.replace("name: it,", &more);
                channels.push(one[1..one.len() - 1].to_owned());
            }
        }
        let notifier = open(folder.path(), &format!("[{}]", channels.join(", "))).await;
        notifier.notify(&[firing("disk", "/a", 0)]).await;
        for number in 0..channels.len() {
            until(&notifier, &format!("it{number}"), |stats| stats.sent == 1).await;
        }
        for body in validated_bodies(&service, &receiver) {
            let texts = texts(&body);
            assert!(texts.iter().all(|text| !text.trim().is_empty()), "{body:#}");
            assert!(
                texts.iter().any(|text| text.contains("disk of /a")),
                "{body:#}"
            );
        }
    }
}

/// Reports keep to the schema and the limits of each chat, whatever their text, and no token is in an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_is_a_message_of_each_chat() {
    for service in [slack, slack_bot, discord, teams, telegram].map(|service| service()) {
        let folder = TempDir::new().unwrap();
        let again = Answer::Status(503, "", "");
        let (receiver, channel) = serve(&service, vec![again], &folder);
        let notifier = open(folder.path(), &channel).await;
        for (id, text) in [
            ("a", "No alert fired.".to_owned()),
            ("b", "é<@everyone>&*`|\n".repeat(5_000)),
        ] {
            let bulletin = Bulletin {
                id: id.into(),
                topic: "report/weekly".into(),
                title: "Report weekly of <host>".into(),
                text,
                ..Bulletin::default()
            };
            let missing = notifier
                .publish(bulletin, &["it".into(), "gone".into()])
                .await;
            assert_eq!(missing, ["gone"]);
        }
        let sent = || {
            notifier
                .bulletin_stats()
                .iter()
                .map(|stats| stats.sent)
                .sum::<u64>()
        };
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while sent() < 2 {
            assert!(
                std::time::Instant::now() < deadline,
                "{:?}",
                notifier.bulletin_stats()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let stats = &notifier.bulletin_stats()[0];
        assert_eq!((stats.failed, stats.dropped), (1, 0));
        let bodies = validated_bodies(&service, &receiver);
        let first = texts(&bodies[1]).concat();
        for words in ["Report weekly of", "No alert fired."] {
            assert!(first.contains(words), "{first}");
        }
        assert!(
            texts(&bodies[2]).concat().contains("cut:"),
            "what is left out is said"
        );
    }
}

macro_rules! services {
    ($($name:ident),+) => { $(
        mod $name {
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn tells_once() {
                super::tells_once(super::$name()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn gives_up() {
                super::gives_up(super::$name()).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn weathers_a_storm() {
                super::weathers_a_storm(super::$name()).await;
            }
        }
    )+ };
}

services!(
    slack, slack_bot, discord, teams, telegram, pagerduty, opsgenie
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_go_where_they_belong() {
    for (service, expected) in [
        (slack_bot(), "Bearer 0123456789abcdefhunter2sesameXYZ"),
        (opsgenie(), "GenieKey 0123456789abcdefhunter2sesameXYZ"),
    ] {
        let folder = TempDir::new().unwrap();
        let (receiver, channel) = serve(&service, Vec::new(), &folder);
        let notifier = open(folder.path(), &channel).await;
        notifier.notify(&[firing("disk", "/a", 0)]).await;
        until(&notifier, "it", |stats| stats.sent == 1).await;
        let request = &receiver.requests()[0];
        assert_eq!(request.headers["authorization"], expected);
        assert!(!request.body.contains(SECRET));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_is_closed_under_the_name_it_was_opened() {
    let folder = TempDir::new().unwrap();
    let (receiver, channel) = serve(&pagerduty(), Vec::new(), &folder);
    let notifier = open(folder.path(), &channel).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    notifier.notify(&[resolved("disk", "/a", 0)]).await;
    until(&notifier, "it", |stats| stats.sent == 2).await;
    let bodies = validated_bodies(&pagerduty(), &receiver);
    let actions: Vec<_> = bodies
        .iter()
        .map(|body| body["event_action"].as_str().unwrap())
        .collect();
    assert_eq!(actions, ["trigger", "resolve"]);
    assert_eq!(bodies[0]["dedup_key"], bodies[1]["dedup_key"]);

    let (receiver, channel) = serve(&opsgenie(), Vec::new(), &folder);
    let channel = channel.replace("name: it", "name: other");
    let notifier = open(folder.path(), &channel).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    notifier.notify(&[resolved("disk", "/a", 0)]).await;
    until(&notifier, "other", |stats| stats.sent == 2).await;
    let bodies = validated_bodies(&opsgenie(), &receiver);
    let alias = bodies[0]["alias"].as_str().unwrap();
    let closing = format!("POST /v2/alerts/{alias}/close?identifierType=alias HTTP/1.1");
    assert_eq!(receiver.requests()[1].line, closing);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn incidents_of_groups_stay_apart_under_a_rate_limit() {
    let folder = TempDir::new().unwrap();
    let (receiver, channel) = serve(&pagerduty(), Vec::new(), &folder);
    let more = "incident_per: group, rate_limit: {messages: 1, per: 200ms, reserve: 0}, api_url";
    let notifier = open(folder.path(), &channel.replace("api_url", more)).await;
    for transition in [
        firing("disk", "/a", 0),
        firing("cpu", "/a", 0),
        firing("cpu", "/b", 0),
        firing("net", "/a", 0),
        resolved("cpu", "/a", 0),
    ] {
        let mut one = notification_of(&transition);
        one.group = Arc::new(Group {
            include_firing: true,
            ..Group::clone(&one.group)
        });
        notifier
            .offer(vec![Dispatch {
                to: None,
                notifications: vec![one],
            }])
            .await;
    }
    until(&notifier, "it", |stats| stats.queued == 0).await;
    let bodies = validated_bodies(&pagerduty(), &receiver);
    assert!(
        bodies.iter().all(|body| body["event_action"] == "trigger"),
        "{bodies:#?}"
    );
    for rule in ["disk", "cpu", "net"] {
        let of_rule = bodies
            .iter()
            .filter(|body| body["payload"]["class"] == rule);
        let keys: HashSet<_> = of_rule.map(|body| body["dedup_key"].to_string()).collect();
        assert_eq!(keys.len(), 1, "{rule}: {bodies:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_telegram_cannot_read_does_not_cost_the_alert() {
    let folder = TempDir::new().unwrap();
    let rejection = Answer::Status(
        400,
        "",
        "{\"ok\": false, \"description\": \"Bad Request: can't parse entities: Unsupported tag\"}",
    );
    let (receiver, channel) = serve(&telegram(), vec![rejection], &folder);
    let channel = channel.replace("chat_id", "text: '<blink>{{ alerts[0].message }}', chat_id");
    let notifier = open(folder.path(), &channel).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "it", |stats| stats.sent == 1).await;
    assert_eq!(stats.failed, 0);
    let bodies = validated_bodies(&telegram(), &receiver);
    assert_eq!(bodies[0]["parse_mode"], "HTML");
    assert_eq!(bodies[1].get("parse_mode"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proxy_is_gone_through() {
    let proxy = Receiver::start([]);
    let folder = TempDir::new().unwrap();
    let channel = format!(
        "[{{type: webhook, name: it, url: 'http://receiver.invalid/hook', \
           proxy_url: 'http://me:pw@{}'}}]",
        proxy.address
    );
    let notifier = open(folder.path(), &channel).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    until(&notifier, "it", |stats| stats.sent == 1).await;
    let request = &proxy.taken()[0];
    assert_eq!(request.line, "POST http://receiver.invalid/hook HTTP/1.1");
    assert_eq!(request.headers["proxy-authorization"], "Basic bWU6cHc=");
}
