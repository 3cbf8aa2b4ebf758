use std::path::Path;

use bellwether_schema::{SourceLocation, Spanned};
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
        token_file: token.map(|_| file.path().to_owned().into()),
        ..settings::Control::default()
    })
    .unwrap()
}

/// Takes `headers` as `name: value` lines; returns the reason of the error, or `ok`.
fn decide_network(control: &Control, peer: &str, headers: &[&str]) -> &'static str {
    let peer: IpAddr = peer.parse().unwrap();
    decide(control, peer.into(), headers, false)
}

/// Decides as the server does over a client without a role; with `users` it sent a password.
fn decide(control: &Control, peer: Peer, headers: &[&str], users: bool) -> &'static str {
    let headers = parse(headers);
    let identity = match (control.token(&headers), peer) {
        (Some(token), _) => Identity {
            user: token.name.clone(),
            auth: Authentication::Token,
            role: Some(token.role),
        },
        (None, Peer::Socket(_)) if !is_forwarded(&headers) => Identity::SOCKET,
        _ if users => Identity::user("ada".to_owned(), Authentication::Password, None),
        _ => Identity::ADDRESS,
    };
    reason(control, peer, &headers, &identity, Role::Admin)
}

fn parse(headers: &[&str]) -> HeaderMap {
    let headers = headers.iter().map(|line| {
        let (name, value) = line.split_once(": ").unwrap();
        (
            name.parse::<HeaderName>().unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    });
    headers.collect()
}

/// Reason of the error of a `POST`, or `ok`.
fn reason(
    control: &Control,
    peer: Peer,
    headers: &HeaderMap,
    identity: &Identity,
    needed: Role,
) -> &'static str {
    let head = Head {
        peer,
        is_forwarded: is_forwarded(headers),
        method: &Method::POST,
        uri: &Uri::from_static("/-/reload"),
        headers,
    };
    match control.authorize(&head, identity, needed) {
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
            &[
                "host: localhost:9091",
                "origin: https://monitor.example",
                "sec-fetch-site: same-origin",
            ],
            "ok",
        ),
        (
            "127.0.0.1",
            &["host: evil.example", "sec-fetch-site: same-origin"],
            "host",
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
        let at = SourceLocation {
            path: "control.token_file".into(),
            ..SourceLocation::default()
        };
        let settings = settings::Control {
            token_file: Some(Spanned {
                value: path.to_owned(),
                at,
            }),
            tokens: vec![settings::ControlToken {
                name: Spanned::nowhere("push".to_owned()),
                file: path.join("gone").into(),
                role: Role::Viewer,
            }],
            ..settings::Control::default()
        };
        let problems = Control::new(&settings).unwrap_err();
        // All files are looked at.
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(problems[0].help.is_some(), "{problems:?}");
        problems[0].to_string()
    };
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("token");
    assert!(load(&path).starts_with("control.token_file: cannot read"));
    for (text, expected) in [(" \n", "contains no token"), ("a\nb", "more than one line")] {
        std::fs::write(&path, text).unwrap();
        assert!(load(&path).contains(expected), "{text:?}");
    }
}

#[test]
fn a_role_includes_those_before_it() {
    let control = control(&[], None);
    let peer = Peer::from(IpAddr::from([10, 0, 0, 1]));
    for role in Role::ALL {
        let user = Identity::user("ada".to_owned(), Authentication::Password, Some(role));
        for needed in Role::ALL {
            let expected = if role >= needed { "ok" } else { "role" };
            let headers = parse(&["host: monitor.example", "x-forwarded-for: 1.2.3.4"]);
            let decided = reason(&control, peer, &headers, &user, needed);
            assert_eq!(decided, expected, "{role:?} {needed:?}");
        }
    }
}

#[test]
fn users_and_tokens_change_state_from_configured_networks_only() {
    let control = control(&["10.0.0.0/8"], None);
    let admin = Identity::user(
        "ada".to_owned(),
        Authentication::Password,
        Some(Role::Admin),
    );
    let from = |peer: [u8; 4], needed| {
        let headers = parse(&["host: monitor.example"]);
        reason(
            &control,
            IpAddr::from(peer).into(),
            &headers,
            &admin,
            needed,
        )
    };
    assert_eq!(from([10, 0, 0, 1], Role::Admin), "ok");
    assert_eq!(from([11, 0, 0, 1], Role::Admin), "peer");
    assert_eq!(from([11, 0, 0, 1], Role::Viewer), "ok", "it only reads");
}

#[test]
fn a_change_with_a_cookie_says_where_it_comes_from() {
    let control = control(&[], None);
    let peer = Peer::from(IpAddr::from([10, 0, 0, 1]));
    let session = Identity::user("ada".to_owned(), Authentication::Session, Some(Role::Admin));
    for (headers, expected) in [
        (&["host: m.example"][..], "cross_site"),
        (&["host: m.example", "origin: http://m.example"], "ok"),
        (&["host: m.example", "sec-fetch-site: same-origin"], "ok"),
        (
            &["host: m.example", "origin: http://e.example"],
            "cross_site",
        ),
        (
            &["host: m.example", "sec-fetch-site: same-site"],
            "cross_site",
        ),
        (&["host: m.example", "origin: null"], "cross_site"),
        (
            &[
                "host: m.example",
                "sec-fetch-site: cross-site",
                "origin: http://m.example",
            ],
            "cross_site",
        ),
    ] {
        let decided = reason(&control, peer, &parse(headers), &session, Role::Operator);
        assert_eq!(decided, expected, "{headers:?}");
    }
}

#[test]
fn each_token_has_its_role_and_a_viewers_takes_no_rights_of_addresses() {
    let directory = tempfile::tempdir().unwrap();
    let token = |name: &str, role| {
        let file = directory.path().join(name);
        std::fs::write(&file, name).unwrap();
        settings::ControlToken {
            name: Spanned::nowhere(name.to_owned()),
            file: file.into(),
            role,
        }
    };
    let with = |tokens| {
        Control::new(&settings::Control {
            tokens,
            ..settings::Control::default()
        })
        .unwrap()
    };
    let (reader, deployer) = (token("read", Role::Viewer), token("deploy", Role::Operator));
    let both = with(vec![reader.clone(), deployer]);
    let sent = |text: &str| parse(&[&format!("authorization: Bearer {text}")]);
    assert_eq!(both.token(&sent("read")).unwrap().role, Role::Viewer);
    let deploy = both.token(&sent("deploy")).unwrap();
    assert_eq!(
        (deploy.name.as_deref(), deploy.role),
        (Some("deploy"), Role::Operator)
    );
    assert!(both.token(&sent("rea")).is_none());
    assert_eq!(
        decide_network(&both, "127.0.0.1", &["host: localhost"]),
        "token"
    );
    let alone = with(vec![reader]);
    assert_eq!(
        decide_network(&alone, "127.0.0.1", &["host: localhost"]),
        "ok"
    );
}
