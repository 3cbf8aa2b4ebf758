//! Live updates end with the right to read them: sessions, users, tokens and roles.

use bellwether_server::{Access, Prometheus, Role};
use serde_json::json;

use super::live::Live;
use super::roles::{NAMES, ORIGIN, Scene, basic};
use super::support::{connect, request, send};

/// Opens live updates with a header, and waits until they run.
async fn live(scene: &Scene, header: &str) -> Live {
    let (name, value) = header.split_once(": ").unwrap();
    let name: &'static str = match name {
        "cookie" => "cookie",
        _ => "authorization",
    };
    let stream = connect(scene.server.address).await;
    let (mut live, _) = Live::on(stream, &[(name, value)]).await.unwrap();
    assert_eq!(live.next().await["type"], "initial_data");
    live
}

/// Asserts that live updates go on.
async fn goes_on(live: &mut Live) {
    live.ask(json!({"type": "unsubscribe", "id": "nothing"}))
        .await;
    assert_eq!(live.next_of("error").await["id"], "nothing");
}

/// Asserts that they are closed because the client may no longer read.
async fn ends(live: &mut Live, why: &str) {
    let (code, reason) = live.closed().await;
    assert!(code == 1008 && reason.contains(why), "{code} {reason}");
}

fn bearer(name: &str) -> String {
    format!("authorization: Bearer token-{name}")
}

fn apply(scene: &Scene, settings: &Prometheus) {
    scene.server.handle.apply(Access::load(settings).unwrap());
}

#[tokio::test]
async fn a_logout_ends_the_live_updates_of_its_session_alone() {
    let scene = Scene::new().await;
    let (first, second) = (scene.cookie("viewer").await, scene.cookie("viewer").await);
    let mut ended = [live(&scene, &first).await, live(&scene, &first).await];
    let mut others = [
        live(&scene, &second).await,
        live(&scene, &basic("viewer", "s3cret")).await,
        live(&scene, &bearer("viewer")).await,
    ];
    let logout = request("POST", "/api/v1/logout", &[ORIGIN, &first], "");
    assert_eq!(send(scene.server.address, logout).await.status, 200);
    for live in &mut ended {
        ends(live, "the session has ended; log in again").await;
    }
    for live in &mut others {
        goes_on(live).await;
    }
    // A browser that logs in anew has another session.
    scene.login("admin", "s3cret", &[&second]).await;
    ends(&mut others[0], "the session has ended").await;
}

#[tokio::test]
async fn an_open_connection_does_not_keep_a_session_alive() {
    for limit in ["lifetime", "idle_timeout"] {
        let scene = Scene::with(&format!("sessions:\n  {limit}: 1s\n")).await;
        let cookie = scene.cookie("viewer").await;
        let mut live = live(&scene, &cookie).await;
        ends(&mut live, "the session has ended").await;
        assert_eq!(scene.session(&[&cookie]).await["role"], json!(null));
    }
}

#[tokio::test]
async fn a_user_who_is_gone_or_has_another_password_follows_nothing() {
    let scene = Scene::new().await;
    let cookie = scene.cookie("viewer").await;
    let mut session = live(&scene, &cookie).await;
    let mut password = live(&scene, &basic("viewer", "s3cret")).await;
    let mut token = live(&scene, &bearer("viewer")).await;
    scene.reload(&["operator", "admin"], "s3cret");
    ends(&mut session, "the session has ended").await;
    ends(&mut password, "the user is gone").await;
    // All others connect again, for it is not known who may still read.
    assert_eq!(token.closed().await.0, 1012);

    let mut password = live(&scene, &basic("admin", "s3cret")).await;
    scene.reload(&NAMES, "other");
    ends(&mut password, "another password").await;
}

#[tokio::test]
async fn another_role_ends_live_updates() {
    let scene = Scene::new().await;
    let cookie = scene.cookie("viewer").await;
    let mut session = live(&scene, &cookie).await;
    let mut password = live(&scene, &basic("viewer", "s3cret")).await;
    let path = scene.settings.web_config_file.as_deref().unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, text.replace("viewer: viewer", "viewer: operator")).unwrap();
    apply(&scene, &scene.settings);
    ends(&mut session, "the role of the user has changed").await;
    ends(&mut password, "the role of the user has changed").await;
    assert_eq!(scene.session(&[&cookie]).await["role"], "operator");
    live(&scene, &cookie).await;
}

#[tokio::test]
async fn a_token_that_is_gone_or_has_another_role_follows_nothing() {
    let scene = Scene::new().await;
    let mut removed = live(&scene, &bearer("viewer")).await;
    let mut demoted = live(&scene, &bearer("admin")).await;
    let mut rotated = live(&scene, &bearer("operator")).await;
    let mut user = live(&scene, &basic("viewer", "s3cret")).await;
    let mut settings = scene.settings.clone();
    settings
        .control
        .tokens
        .retain(|token| *token.name != "viewer");
    for token in &mut settings.control.tokens {
        if *token.name == "admin" {
            token.role = Role::Viewer;
        }
    }
    apply(&scene, &settings);
    ends(&mut removed, "the token is gone").await;
    ends(&mut demoted, "another role").await;
    goes_on(&mut rotated).await;
    let file = &settings.control.tokens[0].file;
    std::fs::write(&file.value, "another-token").unwrap();
    apply(&scene, &settings);
    ends(&mut rotated, "the token is gone").await;
    // The users are as they were.
    goes_on(&mut user).await;
}
