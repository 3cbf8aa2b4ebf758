use std::convert::Infallible;
use std::sync::Arc;

use bellwether_collector::Memory;
use bellwether_collector::testing::http::{Reply, response, serve};
use bellwether_collector::testing::{Collected, collect, resolve_type};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UdpSocket};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use bellwether_core::Now;

use super::Probe;

/// Result of one collection with its notes.
async fn probe(settings: &str) -> (Collected, Vec<String>) {
    let yaml = format!("{{{settings}}}");
    let mut collector = resolve_type::<Probe>(&yaml).unwrap()(&Memory::default());
    let collected = collect(&mut *collector, Now::default()).await;
    assert_eq!(collected.failure, None);
    (collected, collector.notes())
}

/// Value of a metric of the target `instance`, with further labels in front.
fn value(collected: &Collected, metric: &str, instance: &str, label: &str) -> Option<f64> {
    // Labels are sorted, and `phase` and `version` come behind `job`.
    let labels = format!("instance=\"{instance}\", job=\"x\"");
    let separator = if label.is_empty() { "" } else { ", " };
    collected.value(&format!("{metric}{{{labels}{separator}{label}}}"))
}

async fn website(tasks: &mut JoinSet<()>) -> u16 {
    serve(tasks, |request| {
        let path = request.split(' ').nth(1).unwrap_or_default();
        let redirect = |status: &str, location: &str| {
            let head =
                format!("HTTP/1.1 {status}\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
            Reply::Bytes(head.into_bytes())
        };
        match path {
            "/ok" => response("Content-Length: 5\r\n", "all\nu"),
            "/moved" => redirect("302 Found", "/ok"),
            "/circle" => redirect("301 Moved Permanently", "/circle"),
            "/slow" => Reply::Hang(Vec::new()),
            "/endless" => {
                Reply::Endless(b"HTTP/1.1 200 OK\r\n\r\naaaaaaaaaaaaaaaaaaaaaaaa".to_vec())
            }
            "/garbage" => Reply::Bytes(b"SSH-2.0-x\r\n\r\n".to_vec()),
            "/secret" if request.contains("authorization: Bearer t0ken") => response("", ""),
            _ => Reply::Bytes(
                b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n".to_vec(),
            ),
        }
    })
    .await
}

#[tokio::test]
async fn an_http_probe_reports_status_phases_and_length() {
    let mut tasks = JoinSet::new();
    let port = website(&mut tasks).await;
    let url = format!("http://127.0.0.1:{port}/moved");
    let settings = format!(
        "prober: http, targets: ['{url}'], http: {{fail_if_body_not_matches_regexp: ['^all']}}"
    );
    let (collected, notes) = probe(&settings).await;
    let get = |metric, label| value(&collected, metric, &url, label);
    for (metric, label, expected) in [
        ("probe_success", "", 1.0),
        ("probe_http_status_code", "", 200.0),
        ("probe_http_redirects", "", 1.0),
        ("probe_http_ssl", "", 0.0),
        ("probe_http_version", "", 1.1),
        ("probe_http_content_length", "", 5.0),
        ("probe_http_uncompressed_body_length", "", 5.0),
        ("probe_failed_due_to_regex", "", 0.0),
        ("probe_ip_protocol", "", 4.0),
        ("probe_http_duration_seconds", "phase=\"tls\"", 0.0),
    ] {
        assert_eq!(
            get(metric, label),
            Some(expected),
            "{metric}: {collected:?}"
        );
    }
    for phase in ["resolve", "connect", "processing", "transfer"] {
        let label = format!("phase=\"{phase}\"");
        let took = value(&collected, "probe_http_duration_seconds", &url, &label);
        assert!(took.is_some_and(|took| took > 0.0), "{phase}");
    }
    assert_eq!(notes, [""; 0]);
}

#[tokio::test]
async fn what_an_http_probe_does_not_expect_is_its_failure() {
    let mut tasks = JoinSet::new();
    let port = website(&mut tasks).await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = closed.local_addr().unwrap().port();
    drop(closed);
    for (place, http, reason) in [
        (
            format!("{port}/none"),
            "",
            "answered 503 Service Unavailable",
        ),
        (
            format!("{port}/ok"),
            "valid_status_codes: [204]",
            "answered 200 OK, which is not in valid_status_codes",
        ),
        (
            format!("{port}/ok"),
            "fail_if_not_ssl: true",
            "answered without TLS",
        ),
        (
            format!("{port}/ok"),
            "fail_if_body_matches_regexp: [al+]",
            "the body matches \"al+\"",
        ),
        (
            format!("{port}/ok"),
            "fail_if_body_not_matches_regexp: [x]",
            "the body does not match \"x\"",
        ),
        (
            format!("{port}/moved"),
            "follow_redirects: false",
            "answered 302 Found",
        ),
        (format!("{port}/circle"), "", "redirects more than 10 times"),
        (
            format!("{port}/endless"),
            "",
            "the response is larger than 100KB",
        ),
        (format!("{port}/garbage"), "", "invalid HTTP"),
        (format!("{port}/slow"), "", "no answer within"),
        (format!("{nobody}/ok"), "", "onnection refused"),
        (
            format!("{port}/secret"),
            "bearer_token: wrong",
            "answered 503",
        ),
    ] {
        let (bad, good) = (
            format!("http://127.0.0.1:{place}"),
            format!("http://localhost:{port}/ok"),
        );
        let (collected, notes) = probe(&format!(
            "prober: http, timeout: 1s, limits: {{bytes: 100KB}}, targets: ['{bad}'], http: {{{http}}}"
        ))
        .await;
        assert_eq!(
            value(&collected, "probe_success", &bad, ""),
            Some(0.0),
            "{place}"
        );
        let start = format!("{bad}: ");
        assert!(
            notes[0].starts_with(&start) && notes[0].contains(reason),
            "{notes:?}"
        );
        let (collected, _) = probe(&format!(
            "prober: http, timeout: 1s, targets: ['{bad}', '{good}']"
        ))
        .await;
        assert_eq!(
            value(&collected, "probe_success", &good, ""),
            Some(1.0),
            "beside {place}"
        );
    }
    let secret = format!("http://127.0.0.1:{port}/secret");
    let settings = format!("prober: http, targets: ['{secret}'], http: {{bearer_token: t0ken}}");
    let (collected, _) = probe(&settings).await;
    assert_eq!(value(&collected, "probe_success", &secret, ""), Some(1.0));
}

/// TLS with a certificate of its own, and the folder with the PEM file of it, `ca.pem`.
fn acceptor(names: &[&str]) -> (TlsAcceptor, tempfile::TempDir) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = rcgen::date_time_ymd(2090, 1, 1);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(key.serialize_der().into()),
        )
        .unwrap();
    (TlsAcceptor::from(Arc::new(config)), folder)
}

/// A server of lines over TLS, and the folder with its certificate.
async fn encrypted(tasks: &mut JoinSet<()>, names: &[&str]) -> (u16, tempfile::TempDir) {
    let (acceptor, folder) = acceptor(names);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let mut request = [0; 1000];
                let _ = stream.read(&mut request).await;
                let _ = stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                    .await;
                let _ = stream.shutdown().await;
            }
        }
    });
    (port, folder)
}

#[tokio::test]
async fn certificates_are_checked_and_their_expiry_is_reported() {
    let mut tasks = JoinSet::new();
    let (port, folder) = encrypted(&mut tasks, &["localhost"]).await;
    let ca = folder.path().join("ca.pem").display().to_string();
    let url = format!("https://localhost:{port}/");
    let (collected, _) = probe(&format!(
        "prober: http, ca_file: '{ca}', targets: ['{url}']"
    ))
    .await;
    assert_eq!(
        value(&collected, "probe_success", &url, ""),
        Some(1.0),
        "{collected:?}"
    );
    assert_eq!(value(&collected, "probe_http_ssl", &url, ""), Some(1.0));
    let expiry = value(&collected, "probe_ssl_earliest_cert_expiry", &url, "");
    assert_eq!(expiry, Some(3_786_912_000.0));
    let version = value(
        &collected,
        "probe_tls_version_info",
        &url,
        "version=\"TLS 1.3\"",
    );
    assert_eq!(version, Some(1.0));

    // Another name than that of the certificate, over TCP.
    let (good, bad) = (format!("localhost:{port}"), format!("127.0.0.1:{port}"));
    let (collected, notes) = probe(&format!(
        "prober: tcp, tcp: {{tls: true}}, ca_file: '{ca}', targets: ['{good}', '{bad}']"
    ))
    .await;
    assert_eq!(value(&collected, "probe_success", &good, ""), Some(1.0));
    assert_eq!(value(&collected, "probe_success", &bad, ""), Some(0.0));
    assert!(
        notes[0].starts_with(&format!("{bad}: TLS: invalid peer certificate")),
        "{notes:?}"
    );
}

#[tokio::test]
async fn a_dialogue_over_tcp_sends_its_texts() {
    let mut tasks = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            open.spawn(async move {
                let _ = stream.write_all(b"hello\r\nPING 17\r\n").await;
                let mut answer = [0; 100];
                let length = stream.read(&mut answer).await.unwrap_or(0);
                if answer[..length] == *b"PONG 17\n" {
                    let _ = stream.write_all(b"welcome\n").await;
                }
                std::future::pending::<()>().await;
            });
        }
    });
    for (last, success) in [("^welcome$", 1.0), ("^goodbye$", 0.0)] {
        let (collected, _) = probe(&format!(
            "prober: tcp, timeout: 1s, targets: ['{target}'],
             tcp: {{query_response: [{{expect: 'PING (\\d+)', send: 'PONG ${{1}}'}}, {{expect: '{last}'}}]}}"
        ))
        .await;
        assert_eq!(
            value(&collected, "probe_success", &target, ""),
            Some(success)
        );
        let failed = value(&collected, "probe_failed_due_to_regex", &target, "");
        assert_eq!(failed, Some(1.0 - success));
    }
}

#[tokio::test]
async fn a_dialogue_has_labels_and_bytes() {
    let mut tasks = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2 Debian\r\nxyz").await;
        }
    });
    for (bytes, success, reason) in [
        ("xyz", 1.0, ""),
        ("xyZ", 0.0, "other bytes than expected: xyz"),
        ("xyz0", 0.0, "closed before the expected bytes"),
    ] {
        let (collected, notes) = probe(&format!(
            "prober: tcp, targets: ['{target}'], tcp: {{query_response: [
               {{expect: '^SSH-2.0-(\\S+) (.*)$', labels: {{version: '${{1}}', comment: '<${{2}}>'}}}},
               {{expect_bytes: {bytes}}}]}}"
        ))
        .await;
        let info = "probe_expect_info{comment=\"<Debian>\", ";
        let info = collected.value(&format!(
            "{info}instance=\"{target}\", job=\"x\", version=\"OpenSSH_9.2\"}}"
        ));
        assert_eq!(info, Some(1.0), "{collected:?}");
        let get = |metric| value(&collected, metric, &target, "");
        assert_eq!(get("probe_success"), Some(success), "{notes:?}");
        assert_eq!(get("probe_failed_due_to_bytes"), Some(1.0 - success));
        assert_eq!(get("probe_failed_due_to_regex"), Some(0.0));
        assert!(notes.concat().contains(reason), "{notes:?}");
    }
}

#[tokio::test]
async fn bytes_are_sent_as_they_are() {
    let mut tasks = JoinSet::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = listener.local_addr().unwrap().to_string();
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 10];
            if stream.read_exact(&mut request).await.is_ok() {
                let is_right = request == *b"\0\0\0\x08\x04\xd2\x16/x\n";
                let _ = stream.write_all(if is_right { b"S" } else { b"N" }).await;
            }
        }
    });
    let (_, notes) = probe(&format!(
        "prober: tcp, targets: ['{target}'],
         tcp: {{query_response: [{{send_bytes: AAAACATSFi8=}}, {{send: x}}, {{expect_bytes: S}}]}}"
    ))
    .await;
    assert_eq!(notes, Vec::<String>::new());
}

#[tokio::test]
async fn what_came_before_starttls_is_forgotten() {
    let mut tasks = JoinSet::new();
    let (acceptor, folder) = acceptor(&["localhost"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("localhost:{}", listener.local_addr().unwrap().port());
    tasks.spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut command = [0; 100];
            let _ = stream.read(&mut command).await;
            // As somebody on the way would add a line that looks like one of the server.
            let _ = stream.write_all(b"220 ready\r\n250 welcome\r\n").await;
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _ = stream.write_all(b"250 hello\r\n").await;
                let _ = stream.shutdown().await;
            }
        }
    });
    let ca = folder.path().join("ca.pem").display().to_string();
    for (last, success) in [("hello", 1.0), ("welcome", 0.0)] {
        let (collected, notes) = probe(&format!(
            "prober: tcp, ca_file: '{ca}', targets: ['{target}'],
             tcp: {{query_response: [{{send: STARTTLS}}, {{expect: '^220', starttls: true}}, {{expect: '^250 {last}'}}]}}"
        ))
        .await;
        let get = |metric| value(&collected, metric, &target, "");
        assert_eq!(get("probe_success"), Some(success), "{notes:?}");
        assert_eq!(get("probe_failed_due_to_regex"), Some(1.0 - success));
        let expiry = get("probe_ssl_earliest_cert_expiry");
        assert_eq!(expiry, Some(3_786_912_000.0));
    }
}

/// A server that answers the health checks of services named after their status.
async fn grpc_server(tasks: &mut JoinSet<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        let mut open = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service_fn(grpc_answer));
            open.spawn(async move {
                let _ = connection.await;
            });
        }
    });
    port
}

async fn grpc_answer(
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
    let metadata = request.headers().clone();
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let service = body.get(7..).unwrap_or_default().to_vec();
    let status = |code: &'static str| {
        HeaderMap::from_iter([(
            HeaderName::from_static("grpc-status"),
            HeaderValue::from_static(code),
        )])
    };
    let message = |health| Bytes::from(vec![0, 0, 0, 0, 2, 8, health]);
    let mut response = Response::new(match &service[..] {
        b"" => (message(1), Some(status("0"))),
        b"down" => (message(2), Some(status("0"))),
        b"tenant" if metadata["x-tenant"] == "a" && metadata["authorization"] == "Bearer t0ken" => {
            assert_eq!(metadata["te"], "trailers");
            (message(1), Some(status("0")))
        }
        b"odd" => (message(9), Some(status("0"))),
        b"large" => (vec![0; 20_000].into(), Some(status("0"))),
        b"late" => (Bytes::new(), Some(status("13"))),
        _ => (Bytes::new(), None),
    })
    .map(|(body, trailers)| {
        Full::new(body)
            .with_trailers(std::future::ready(trailers.map(Ok)))
            .boxed()
    });
    match &service[..] {
        b"hang" => std::future::pending().await,
        b"none" => response.headers_mut().extend(status("5")),
        b"proxy" => *response.status_mut() = StatusCode::BAD_GATEWAY,
        _ => {}
    }
    Ok(response)
}

#[tokio::test]
async fn a_grpc_server_is_asked_for_its_health() {
    let mut tasks = JoinSet::new();
    let target = format!("127.0.0.1:{}", grpc_server(&mut tasks).await);
    for (service, health, code, reason) in [
        ("", "SERVING", 0.0, ""),
        ("down", "NOT_SERVING", 0.0, "the service is NOT_SERVING"),
        ("odd", "", 0.0, "answered an unknown health: 9"),
        (
            "large",
            "",
            13.0,
            "answered INTERNAL: length limit exceeded",
        ),
        ("late", "", 13.0, "answered INTERNAL: "),
        ("none", "", 5.0, "answered NOT_FOUND: "),
        (
            "proxy",
            "",
            14.0,
            "answered UNAVAILABLE: HTTP 502 Bad Gateway",
        ),
        ("other", "", 13.0, "no grpc-status: not a gRPC server"),
        ("hang", "", 4.0, "no answer within"),
    ] {
        let (collected, notes) = probe(&format!(
            "prober: grpc, timeout: 500ms, targets: ['{target}'], grpc: {{service: '{service}'}}"
        ))
        .await;
        let get = |metric, label: &str| value(&collected, metric, &target, label);
        let success = f64::from(u8::from(health == "SERVING"));
        assert_eq!(
            get("probe_success", ""),
            Some(success),
            "{service}: {notes:?}"
        );
        assert_eq!(get("probe_grpc_status_code", ""), Some(code), "{service}");
        assert_eq!(get("probe_grpc_ssl", ""), Some(0.0));
        for status in ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"] {
            let label = format!("serving_status=\"{status}\"");
            let is_it = f64::from(u8::from(status == health));
            assert_eq!(get("probe_grpc_healthcheck_response", &label), Some(is_it));
        }
        assert!(notes.concat().contains(reason), "{service}: {notes:?}");
    }
    let (collected, notes) = probe("prober: grpc, targets: ['127.0.0.1:1']").await;
    let code = value(&collected, "probe_grpc_status_code", "127.0.0.1:1", "");
    assert_eq!(code, Some(14.0), "{notes:?}");
}

#[tokio::test]
async fn a_health_check_has_metadata() {
    let mut tasks = JoinSet::new();
    let target = format!("127.0.0.1:{}", grpc_server(&mut tasks).await);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "t0ken\n").unwrap();
    let settings = format!(
        "prober: grpc, targets: ['{target}'], grpc: {{service: tenant, headers: {{x-tenant: a, te: x}}, \
         bearer_token_file: '{}'}}",
        file.display()
    );
    let (collected, notes) = probe(&settings).await;
    let success = value(&collected, "probe_success", &target, "");
    assert_eq!(success, Some(1.0), "{notes:?}");
    std::fs::remove_file(file).unwrap();
    let (_, notes) = probe(&settings).await;
    assert!(notes.concat().contains("cannot read"), "{notes:?}");
}

#[tokio::test]
async fn probes_are_counted_over_reloads() {
    let mut tasks = JoinSet::new();
    let good = format!("http://127.0.0.1:{}/ok", website(&mut tasks).await);
    let bad = "http://127.0.0.1:1/";
    let memory = Memory::default();
    let yaml = format!("{{prober: http, targets: ['{good}', '{bad}'], buckets: [5]}}");
    for count in [1.0, 2.0] {
        let mut collector = resolve_type::<Probe>(&yaml).unwrap()(&memory);
        let collected = collect(&mut *collector, Now::default()).await;
        let get = |metric, instance, label: &str| value(&collected, metric, instance, label);
        for (instance, successes) in [(good.as_str(), count), (bad, 0.0)] {
            assert_eq!(get("probe_all_success_sum", instance, ""), Some(successes));
            assert_eq!(get("probe_all_success_count", instance, ""), Some(count));
            for bound in ["5", "+Inf"] {
                let label = format!("le=\"{bound}\"");
                let bucket = get("probe_all_duration_seconds_bucket", instance, &label);
                assert_eq!(bucket, Some(count));
            }
        }
    }
}

#[tokio::test]
async fn a_dns_server_is_asked() {
    let mut tasks = JoinSet::new();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let target = socket.local_addr().unwrap().to_string();
    tasks.spawn(async move {
        let mut query = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            let mut answer = query[..length - 11].to_vec();
            let known = answer[13] == b'a';
            let (code, count) = if known { (0x80, 1) } else { (0x83, 0) };
            answer[2..12].copy_from_slice(&[0x81, code, 0, 1, 0, count, 0, 0, 0, 0]);
            if known {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
            }
            let _ = socket.send_to(&answer, from).await;
        }
    });
    for (dns, success, reason) in [
        ("query_name: a.org", 1.0, ""),
        (
            "query_name: a.org, validate_answer_rrs: {fail_if_not_matches_regexp: ['\\sA\\s192\\.0\\.2\\.1$']}",
            1.0,
            "",
        ),
        (
            "query_name: a.org, validate_answer_rrs: {fail_if_matches_regexp: [192]}",
            0.0,
            "matches \"192\"",
        ),
        ("query_name: b.org", 0.0, "answered NXDOMAIN"),
        ("query_name: b.org, valid_rcodes: [NXDOMAIN]", 1.0, ""),
    ] {
        let (collected, notes) = probe(&format!(
            "prober: dns, targets: ['{target}'], dns: {{{dns}}}"
        ))
        .await;
        assert_eq!(
            value(&collected, "probe_success", &target, ""),
            Some(success),
            "{dns} {notes:?}"
        );
        assert_eq!(
            value(&collected, "probe_dns_query_succeeded", &target, ""),
            Some(1.0)
        );
        assert!(notes.concat().contains(reason), "{notes:?}");
    }
}

#[tokio::test]
async fn a_host_answers_an_echo_or_the_hint_says_what_is_missing() {
    let (collected, notes) = probe("prober: icmp, timeout: 2s, targets: [127.0.0.1]").await;
    match value(&collected, "probe_success", "127.0.0.1", "") {
        Some(1.0) => {
            let rtt = value(
                &collected,
                "probe_icmp_duration_seconds",
                "127.0.0.1",
                "phase=\"rtt\"",
            );
            assert!(rtt.is_some_and(|rtt| rtt > 0.0), "{collected:?}");
        }
        _ => assert!(notes[0].contains("ping_group_range"), "{notes:?}"),
    }
}

#[test]
fn mistakes_in_the_settings_are_reported_with_hints() {
    for (settings, message) in [
        ("prober: http, targets: []", "no targets"),
        (
            "prober: http, targets: [example.org]",
            "such as https://example.org/",
        ),
        (
            "prober: http, targets: ['http://u:p@a/']",
            "without user and password",
        ),
        ("prober: tcp, targets: [example.org]", "HOST:PORT"),
        (
            "prober: icmp, targets: ['http://a']",
            "the name or the address of a host",
        ),
        ("prober: dns, targets: [127.0.0.1]", "query_name"),
        (
            "prober: dns, targets: [127.0.0.1], dns: {query_name: a..b}",
            "not a DNS name: \"a..b\"",
        ),
        (
            "prober: http, targets: ['http://a'], http: {method: 'G T'}",
            "not a method: \"G T\"",
        ),
        (
            "prober: http, targets: ['http://a'], http: {fail_if_body_matches_regexp: ['(']}",
            "invalid regular expression",
        ),
        (
            "prober: tcp, targets: ['a:1'], tcp: {query_response: [{expect: '('}]}",
            "invalid regular expression",
        ),
        (
            "prober: tcp, targets: ['a:1'], tcp: {tls: true, query_response: [{starttls: true}]}",
            "TLS begins twice",
        ),
        (
            "prober: tcp, targets: ['a:1'], tcp: {query_response: [{expect: a, labels: {a-b: c}}]}",
            "not a label name: \"a-b\"",
        ),
        (
            "prober: tcp, targets: ['a:1'], tcp: {query_response: [{expect: a, labels: {job: c}}]}",
            "the target has a label job",
        ),
        (
            "prober: tcp, targets: ['a:1'], tcp: {query_response: [{labels: {a: c}}]}",
            "labels without `expect`",
        ),
        (
            "prober: tcp, targets: ['a:1'], tcp: {query_response: [{send_bytes: AAA}]}",
            "not Base64: ",
        ),
        (
            "prober: tcp, targets: ['a:1'], tcp: {query_response: [{send: a, send_bytes: AAAA}]}",
            "both `send` and `send_bytes`",
        ),
        ("prober: grpc, targets: ['http://a:1']", "HOST:PORT"),
        (
            "prober: grpc, targets: ['a:1'], grpc: {headers: {'a b': c}}",
            "not a header name: \"a b\"",
        ),
        (
            "prober: icmp, targets: [a], buckets: [2, 1]",
            "buckets must ascend",
        ),
    ] {
        let errors = resolve_type::<Probe>(&format!("{{{settings}}}"))
            .err()
            .unwrap_or_default();
        let found = errors.len() == 1 && errors[0].contains(message);
        assert!(found, "{settings}: {errors:?}");
    }
}
