use std::path::Path;

use bellwether_schema::Spanned;
use hyper::header::HeaderValue;

use super::*;

fn control(networks: &[&str], token: Option<&str>) -> Control {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), token.unwrap_or_default()).unwrap();
    let networks = networks
        .iter()
        .map(|network| Spanned::nowhere((*network).to_owned()));
    Control::new(&settings::Control {
        networks: networks.collect(),
        token_file: token.map(|_| file.path().to_owned()),
        socket: None,
    })
    .unwrap()
}

/// Takes `headers` as `name: value` lines; returns the reason of the error, or `ok`.
fn decide_network(control: &Control, peer: &str, headers: &[&str]) -> &'static str {
    let peer: IpAddr = peer.parse().unwrap();
    decide(control, peer.into(), headers, false)
}

fn decide(control: &Control, peer: Peer, headers: &[&str], users: bool) -> &'static str {
    let headers: HeaderMap = headers
        .iter()
        .map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    let uri = Uri::from_static("/-/reload");
    match control.authorize(peer, &uri, &headers, users) {
        Ok(()) => "ok",
        Err(error) => error.reason,
    }
}

#[test]
fn without_settings_only_this_host_is_allowed() {
    let control = control(&[], None);
    for (peer, headers, expected) in [
        ("127.0.0.1", &["host: 127.0.0.1:9091"][..], "ok"),
        ("127.8.8.8", &["host: localhost:9091"], "ok"),
        ("::1", &["host: [::1]:9091"], "ok"),
        ("::ffff:127.0.0.1", &["host: 127.0.0.1"], "ok"),
        ("127.0.0.1", &["host: bellwether.localhost"], "ok"),
        ("10.0.0.1", &["host: 127.0.0.1"], "peer"),
        ("fe80::1", &["host: localhost"], "peer"),
        ("127.0.0.1", &["host: evil.example:9091"], "host"),
        ("127.0.0.1", &["host: localhost.evil.example"], "host"),
        ("127.0.0.1", &[], "host"),
        (
            "127.0.0.1",
            &["host: localhost", "x-forwarded-for: 1.2.3.4"],
            "forwarded",
        ),
        (
            "127.0.0.1",
            &["host: localhost", "forwarded: for=1.2.3.4"],
            "forwarded",
        ),
        (
            "127.0.0.1",
            &["host: localhost", "via: 1.1 proxy"],
            "forwarded",
        ),
        (
            "127.0.0.1",
            &["host: localhost", "x-real-ip: 127.0.0.1"],
            "forwarded",
        ),
        (
            "127.0.0.1",
            &["host: localhost:9091", "origin: http://localhost:9091"],
            "ok",
        ),
        (
            "127.0.0.1",
            &["host: localhost:9091", "origin: http://localhost:3000"],
            "cross_site",
        ),
        (
            "127.0.0.1",
            &["host: localhost:9091", "origin: https://evil.example"],
            "cross_site",
        ),
        (
            "127.0.0.1",
            &["host: localhost:9091", "origin: null"],
            "cross_site",
        ),
        (
            "127.0.0.1",
            &["host: localhost", "sec-fetch-site: cross-site"],
            "cross_site",
        ),
        (
            "127.0.0.1",
            &["host: localhost", "sec-fetch-site: same-site"],
            "cross_site",
        ),
        (
            "127.0.0.1",
            &["host: localhost", "sec-fetch-site: same-origin"],
            "ok",
        ),
        (
            "127.0.0.1",
            &["host: evil.example", "origin: http://evil.example"],
            "host",
        ),
        (
            "127.0.0.1",
            &["host: localhost", "authorization: Bearer guess"],
            "ok",
        ),
    ] {
        assert_eq!(
            decide_network(&control, peer, headers),
            expected,
            "{peer} {headers:?}"
        );
    }
}

#[test]
fn configured_networks_replace_loopback() {
    let control = control(&["10.0.0.0/8", "fd00::/8"], None);
    for (peer, headers, expected) in [
        ("10.1.2.3", &["host: monitor.example:9091"][..], "ok"),
        ("fd00::1", &["host: [fd00::2]:9091"], "ok"),
        ("127.0.0.1", &["host: localhost"], "peer"),
        ("11.0.0.1", &["host: monitor.example"], "peer"),
        (
            "10.1.2.3",
            &["host: monitor.example", "x-forwarded-for: 1.2.3.4"],
            "forwarded",
        ),
        (
            "10.1.2.3",
            &["host: evil.example", "origin: http://evil.example"],
            "host",
        ),
        (
            "10.1.2.3",
            &["host: 10.0.0.1", "origin: http://10.0.0.1"],
            "ok",
        ),
    ] {
        assert_eq!(
            decide_network(&control, peer, headers),
            expected,
            "{peer} {headers:?}"
        );
    }
}

#[test]
fn with_users_a_client_on_this_host_alone_is_not_enough() {
    let local = Peer::from(IpAddr::from([127, 0, 0, 1]));
    let host = ["host: localhost"];
    let token = ["host: localhost", "authorization: Bearer s3cret"];
    let users = |control: &Control, peer, headers: &[&str]| decide(control, peer, headers, true);
    assert_eq!(users(&control(&[], None), local, &host), "users");
    assert_eq!(
        users(&control(&["127.0.0.0/8"], None), local, &host),
        "ok",
        "it was named"
    );
    assert_eq!(users(&control(&[], Some("s3cret")), local, &token), "ok");
    assert_eq!(users(&control(&[], Some("s3cret")), local, &host), "token");
    assert_eq!(users(&control(&[], None), Peer::Socket(None), &host), "ok");
}

#[test]
fn the_mode_of_the_socket_decides_but_for_proxies_and_web_pages() {
    for (control, headers, expected) in [
        (control(&[], None), &["host: x"][..], "ok"),
        (control(&["10.0.0.0/8"], Some("s3cret")), &["host: x"], "ok"),
        (
            control(&[], None),
            &["host: x", "x-forwarded-for: 1.2.3.4"],
            "forwarded",
        ),
        (
            control(&[], None),
            &["host: x", "origin: http://y"],
            "cross_site",
        ),
    ] {
        assert_eq!(
            decide(&control, Peer::Socket(None), headers, true),
            expected,
            "{headers:?}"
        );
    }
}

#[test]
fn a_token_decides() {
    let right = "authorization: bearer s3cret";
    let alone = control(&[], Some(" s3cret\n"));
    let both = control(&["10.0.0.0/8"], Some("s3cret"));
    for (control, peer, headers, expected) in [
        (
            &alone,
            "8.8.8.8",
            &["host: monitor.example", right][..],
            "ok",
        ),
        (
            &alone,
            "127.0.0.1",
            &["host: x", "x-forwarded-for: 1.2.3.4", right],
            "ok",
        ),
        (&alone, "127.0.0.1", &["host: localhost"], "token"),
        (
            &alone,
            "127.0.0.1",
            &["host: localhost", "authorization: Bearer s3cre"],
            "token",
        ),
        (
            &alone,
            "127.0.0.1",
            &["host: localhost", "authorization: Bearer s3cret2"],
            "token",
        ),
        (
            &alone,
            "127.0.0.1",
            &["host: localhost", "authorization: Basic s3cret"],
            "token",
        ),
        (
            &alone,
            "8.8.8.8",
            &["host: m.example", right, "origin: http://e.example"],
            "cross_site",
        ),
        (&both, "10.0.0.1", &["host: monitor.example", right], "ok"),
        (&both, "127.0.0.1", &["host: localhost", right], "peer"),
        (&both, "10.0.0.1", &["host: monitor.example"], "token"),
    ] {
        assert_eq!(
            decide_network(control, peer, headers),
            expected,
            "{peer} {headers:?}"
        );
    }
    assert_eq!(format!("{alone:?}").matches("s3cret").count(), 0);
}

#[test]
fn an_unusable_token_file_is_an_error() {
    let load = |path: &Path| {
        let settings = settings::Control {
            token_file: Some(path.into()),
            ..settings::Control::default()
        };
        Control::new(&settings).unwrap_err().to_string()
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    assert!(load(&path).contains("cannot read"));
    for (text, expected) in [(" \n", "contains no token"), ("a\nb", "more than one line")] {
        std::fs::write(&path, text).unwrap();
        assert!(load(&path).contains(expected), "{text:?}");
    }
}
