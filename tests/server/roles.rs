//! Roles, sessions and trusted proxies, over the wire.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bellwether_server::{Access, AuditOutcome, ControlToken, Prometheus, Role, role_reference};
use tempfile::TempDir;

use super::support::{Reply, Running, TestBackend, get, request, run, send, settings, start};
use super::web_config::hash;

const JSON: &str = "content-type: application/json";
pub const ORIGIN: &str = "origin: http://localhost";
pub const NAMES: [&str; 3] = ["viewer", "operator", "admin"];

/// A server with a user and a token for each role, named like it.
pub struct Scene {
    directory: TempDir,
    pub settings: Prometheus,
    pub server: Running,
}

impl Scene {
    pub async fn new() -> Self {
        Self::with("").await
    }

    pub async fn with(more: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let settings = Self::settings(&directory, &NAMES, "s3cret", more);
        let server = run(settings.clone(), TestBackend::new(3)).await;
        Self {
            directory,
            settings,
            server,
        }
    }

    fn settings(directory: &TempDir, users: &[&str], password: &str, more: &str) -> Prometheus {
        let file = |name: &str, text: &str| -> PathBuf {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let hashes: Vec<String> = users
            .iter()
            .map(|user| format!("  {user}: {}\n", hash(password)))
            .collect();
        let roles: Vec<String> = users
            .iter()
            .map(|user| format!("  {user}: {user}\n"))
            .collect();
        let (hashes, roles) = (hashes.concat(), roles.concat());
        let web = file(
            "web.yml",
            &format!("basic_auth_users:\n{hashes}roles:\n{roles}{more}"),
        );
        settings(|settings| {
            settings.web_config_file = Some(web.into());
            settings.control.tokens = NAMES
                .iter()
                .zip([Role::Viewer, Role::Operator, Role::Admin])
                .map(|(name, role)| ControlToken {
                    name: (*name).to_owned().into(),
                    file: file(&format!("{name}.token"), &format!("token-{name}")).into(),
                    role,
                })
                .collect();
        })
    }

    /// Applies the users with `password` again, as a reload does.
    pub fn reload(&self, users: &[&str], password: &str) {
        let settings = Self::settings(&self.directory, users, password, "");
        self.server.handle.apply(Access::load(&settings).unwrap());
    }

    pub async fn login(&self, user: &str, password: &str, extra: &[&str]) -> Reply {
        let body = format!(r#"{{"user": "{user}", "password": "{password}"}}"#);
        let headers = [&[JSON, ORIGIN], extra].concat();
        let login = request("POST", "/api/v1/login", &headers, &body);
        send(self.server.address, login).await
    }

    /// Logs in and returns the header that a browser sends then.
    pub async fn cookie(&self, user: &str) -> String {
        let reply = self.login(user, "s3cret", &[]).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        cookie(&reply)
    }

    pub async fn session(&self, extra: &[&str]) -> serde_json::Value {
        let reply = get(self.server.address, "/api/v1/session", extra).await;
        assert_eq!(reply.status, 200);
        reply.json()["data"].clone()
    }

    async fn reload_status(&self, extra: &[&str]) -> u16 {
        let reload = request("POST", "/-/reload", extra, "");
        send(self.server.address, reload).await.status
    }
}

fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie");
    format!("cookie: {}", set.split(';').next().unwrap())
}

pub fn basic(user: &str, password: &str) -> String {
    let pair = STANDARD.encode(format!("{user}:{password}"));
    format!("authorization: Basic {pair}")
}

/// Methods and path of each row of the table, and whether each column may.
fn cells() -> Vec<(Vec<String>, String, Vec<bool>)> {
    let table = role_reference();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let (methods, path) = cells[0].trim_matches('`').rsplit_once(' ').unwrap();
        let may = cells[1..].iter().map(|cell| *cell == "yes").collect();
        (
            methods.split(", ").map(str::to_owned).collect(),
            path.to_owned(),
            may,
        )
    })
    .collect()
}

#[tokio::test]
async fn each_endpoint_answers_each_role_as_the_table_says() {
    let scene = Scene::new().await;
    let cells = cells();
    assert!(cells.len() > 50, "{}", cells.len());
    let mut clients: Vec<(String, Vec<String>, usize)> = vec![("nobody".to_owned(), Vec::new(), 0)];
    for (index, name) in NAMES.into_iter().enumerate() {
        let token = format!("authorization: Bearer token-{name}");
        let cookie = scene.cookie(name).await;
        for (kind, header) in [
            ("password", basic(name, "s3cret")),
            ("token", token),
            ("session", cookie),
        ] {
            clients.push((format!("{name} by {kind}"), vec![header], index + 1));
        }
    }
    for (methods, path, may) in &cells {
        // What ends a session has no other cells to ask afterwards.
        let ends_session = path == "/api/v1/logout";
        for (client, header, column) in clients
            .iter()
            .filter(|(name, ..)| !ends_session || !name.ends_with("session"))
        {
            for method in methods {
                let mut headers = vec![ORIGIN, JSON];
                headers.extend(header.iter().map(String::as_str));
                let path = path.replace(['<', '>'], "");
                let reply = send(scene.server.address, request(method, &path, &headers, "")).await;
                let rejected = matches!(reply.status, 401 | 403);
                assert_eq!(
                    rejected, !may[*column],
                    "{client}: {method} {path}: {}",
                    reply.head
                );
                if rejected {
                    let expected = if *column == 0 { 401 } else { 403 };
                    assert_eq!(reply.status, expected, "{client}: {method} {path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn a_session_is_that_of_its_user_until_the_logout() {
    let scene = Scene::new().await;
    assert_eq!(
        scene.session(&[]).await,
        serde_json::json!({"user": null, "role": null, "may_change": false, "login": true})
    );
    let reply = scene.login("operator", "s3cret", &[]).await;
    let set = reply.header("set-cookie");
    assert!(
        set.ends_with("; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict"),
        "{set}"
    );
    let cookie = cookie(&reply);
    let expected = serde_json::json!({"user": "operator", "role": "operator", "may_change": true, "login": true});
    assert_eq!(reply.json()["data"], expected);
    assert_eq!(scene.session(&[&cookie]).await, expected);
    assert_eq!(
        get(scene.server.address, "/metrics", &[&cookie])
            .await
            .status,
        200
    );
    let logout = request("POST", "/api/v1/logout", &[&cookie, ORIGIN], "");
    let reply = send(scene.server.address, logout).await;
    assert_eq!(reply.status, 200);
    assert!(
        reply.header("set-cookie").contains("Max-Age=0"),
        "{}",
        reply.head
    );
    assert_eq!(
        get(scene.server.address, "/metrics", &[&cookie])
            .await
            .status,
        401
    );
    let entries = scene.server.backend.entries.lock().clone();
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| (entry.action, entry.actor.user.as_deref(), entry.actor.auth))
        .collect();
    assert_eq!(
        entries,
        [
            ("login", Some("operator"), Some("password")),
            ("logout", Some("operator"), Some("session"))
        ]
    );
}

#[tokio::test]
async fn a_session_ends_with_its_user_and_its_password() {
    let scene = Scene::new().await;
    let cookies = [scene.cookie("viewer").await, scene.cookie("admin").await];
    let user = async |cookie: &str| scene.session(&[cookie]).await["user"].clone();
    scene
        .server
        .handle
        .apply(Access::load(&scene.settings).unwrap());
    assert_eq!(user(&cookies[1]).await, "admin", "nothing has changed");
    scene.reload(&["viewer"], "s3cret");
    assert_eq!(
        user(&cookies[1]).await,
        serde_json::Value::Null,
        "admin is gone"
    );
    assert_eq!(
        user(&cookies[0]).await,
        serde_json::Value::Null,
        "another salt is another password"
    );
}

#[tokio::test]
async fn other_sites_do_nothing_with_a_session() {
    let scene = Scene::new().await;
    let cookie = scene.cookie("admin").await;
    for (extra, expected) in [
        (&["origin: https://evil.example"][..], 403),
        (&["origin: null"], 403),
        (&["origin: http://localhost:3000"], 403),
        (&["sec-fetch-site: cross-site"], 403),
        (&["sec-fetch-site: same-site"], 403),
        (&[], 403),
        (&[ORIGIN], 200),
        (&["sec-fetch-site: same-origin"], 200),
    ] {
        let headers = [&[cookie.as_str()], extra].concat();
        assert_eq!(scene.reload_status(&headers).await, expected, "{extra:?}");
    }
    // Neither do they log anybody in.
    let reply = scene
        .login("admin", "s3cret", &["sec-fetch-site: cross-site"])
        .await;
    assert_eq!((reply.status, reply.header("set-cookie")), (403, ""));
    let form = ["content-type: application/x-www-form-urlencoded", ORIGIN];
    let login = request("POST", "/api/v1/login", &form, "user=admin&password=s3cret");
    assert_eq!(send(scene.server.address, login).await.status, 415);
}

#[tokio::test]
async fn a_login_gives_out_a_new_id_and_ends_the_one_before() {
    let scene = Scene::new().await;
    let first = scene.cookie("admin").await;
    let name = first.split('=').next().unwrap();
    let planted = format!("{name}=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let second = cookie(&scene.login("admin", "s3cret", &[&planted]).await);
    assert!(second != planted && second != first);
    assert_eq!(scene.reload_status(&[&planted, ORIGIN]).await, 401);
    let third = cookie(&scene.login("admin", "s3cret", &[&second]).await);
    assert_eq!(scene.reload_status(&[&second, ORIGIN]).await, 401);
    assert_eq!(scene.reload_status(&[&third, ORIGIN]).await, 200);
}

#[tokio::test]
async fn a_guesser_is_slowed_down_and_logged() {
    let scene = Scene::new().await;
    let mut wrong = 0;
    let limited = loop {
        match scene.login("admin", "guess", &[]).await {
            reply if reply.status == 401 && wrong < 100 => wrong += 1,
            reply => break reply,
        }
    };
    assert_eq!((limited.status, limited.header("retry-after")), (429, "10"));
    assert!(wrong >= 10, "{wrong}");
    let entries = scene.server.backend.entries.lock().clone();
    assert_eq!(entries.len(), 5, "the log is not filled");
    let outcome = AuditOutcome::Rejected("the user or the password is wrong".to_owned());
    assert!(
        entries
            .iter()
            .all(|entry| entry.action == "login" && entry.outcome == outcome)
    );
    // An unknown user is answered like a known one.
    let other = Scene::new().await;
    let known = other.login("admin", "guess", &[]).await;
    let unknown = other.login("nobody", "guess", &[]).await;
    assert_eq!(
        (known.status, known.text()),
        (unknown.status, unknown.text())
    );
}

#[tokio::test]
async fn a_dialog_is_for_programs_and_the_page_has_a_form() {
    let scene = Scene::new().await;
    let address = scene.server.address;
    let challenge = async |extra: &[&str]| {
        let reply = get(address, "/api/v1/alerts", extra).await;
        assert_eq!(reply.status, 401);
        reply
            .header("www-authenticate")
            .split(' ')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(challenge(&[]).await, "Basic");
    assert_eq!(challenge(&["sec-fetch-mode: navigate"]).await, "Basic");
    assert_eq!(challenge(&["sec-fetch-mode: cors"]).await, "Bearer");
    assert_eq!(challenge(&["x-requested-with: bellwether"]).await, "Bearer");
    let reply = scene.login("admin", "guess", &[]).await;
    assert_eq!(reply.header("www-authenticate"), "Bearer");
    assert_eq!(get(address, "/", &["accept: text/html"]).await.status, 200);
}

#[tokio::test]
async fn hostile_logins_are_rejected_early() {
    let scene = Scene::new().await;
    let login = async |body: &str| {
        let login = request("POST", "/api/v1/login", &[JSON, ORIGIN], body);
        send(scene.server.address, login).await.status
    };
    for body in [
        "",
        "{",
        "[]",
        "{}",
        r#"{"user": "a"}"#,
        r#"{"user": 1, "password": "x"}"#,
    ] {
        assert_eq!(login(body).await, 400, "{body}");
    }
    let long = "x".repeat(2000);
    assert_eq!(
        login(&format!(r#"{{"user": "admin", "password": "{long}"}}"#)).await,
        400
    );
    assert_eq!(
        login(&format!(r#"{{"user": "{long}", "password": "x"}}"#)).await,
        400
    );
    assert_eq!(login(&" ".repeat(1 << 21)).await, 413);
}

#[tokio::test]
async fn a_trusted_proxy_names_the_user_and_nobody_else_does() {
    let proxy = "trusted_proxies: {networks: [127.0.0.1/32]}\n";
    let trusting = Scene::with(proxy).await;
    let user = "x-forwarded-user: operator";
    let session = trusting.session(&[user]).await;
    assert_eq!(
        (&session["user"], &session["role"]),
        (&"operator".into(), &"operator".into())
    );
    let stranger = trusting.session(&["x-forwarded-user: eve"]).await;
    assert_eq!(
        (&stranger["user"], &stranger["role"]),
        (&"eve".into(), &"viewer".into())
    );
    assert_eq!(
        trusting.reload_status(&["x-forwarded-user: admin"]).await,
        200
    );
    assert_eq!(trusting.reload_status(&[user]).await, 403);
    assert_eq!(
        trusting
            .reload_status(&["x-forwarded-user: admin", "origin: http://evil.example"])
            .await,
        403
    );
    let actor = trusting.server.backend.entries.lock()[0].actor.clone();
    assert_eq!(
        (actor.user.as_deref(), actor.auth),
        (Some("admin"), Some("proxy"))
    );
    let distrusting = Scene::new().await;
    assert_eq!(
        distrusting
            .reload_status(&["x-forwarded-user: admin"])
            .await,
        401
    );
}

#[tokio::test]
async fn a_trusted_proxy_without_a_user_has_no_rights_of_this_host() {
    let directory = TempDir::new().unwrap();
    let web = directory.path().join("web.yml");
    std::fs::write(&web, "trusted_proxies: {networks: [127.0.0.1/32]}\n").unwrap();
    let server = run(
        settings(|settings| settings.web_config_file = Some(web.into())),
        TestBackend::new(1),
    )
    .await;
    let reload = request("POST", "/-/reload", &[], "");
    assert_eq!(send(server.address, reload).await.status, 403);
    assert_eq!(get(server.address, "/metrics", &[]).await.status, 200);
}

#[tokio::test]
async fn without_users_this_host_may_do_all_and_others_may_look() {
    let server = start().await;
    let session = async |extra: &[&str]| {
        let data = get(server.address, "/api/v1/session", extra).await.json()["data"].clone();
        assert_eq!(
            (&data["user"], &data["login"]),
            (&serde_json::Value::Null, &false.into())
        );
        data["role"].clone()
    };
    assert_eq!(session(&[]).await, "admin");
    assert_eq!(session(&["x-forwarded-for: 203.0.113.9"]).await, "viewer");
    assert_eq!(
        session(&["host: evil.example"]).await,
        "viewer",
        "a name that was rebound"
    );
    let login = request(
        "POST",
        "/api/v1/login",
        &[JSON],
        r#"{"user": "a", "password": "b"}"#,
    );
    let reply = send(server.address, login).await;
    assert_eq!(reply.status, 404, "{}", reply.text());
}
