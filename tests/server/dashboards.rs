//! Dashboards over the wire: layouts are saved, reset and listed.

use bellwether_server::AuditOutcome;
use serde_json::json;

use super::support::{get, request, send, start};

const LAYOUT: &str = "/api/v1/dashboards/own/layout";
const JSON: &str = "content-type: application/json";
const BODY: &str =
    r#"{"items": [{"id": "load", "x": 0, "y": 0, "w": 12, "h": 4}], "removed": ["row-host"]}"#;

#[tokio::test]
async fn a_layout_is_saved_listed_and_reset_and_each_change_is_in_the_audit_log() {
    let server = start().await;
    let put = request("PUT", LAYOUT, &[JSON], BODY);
    let reply = send(server.address, put).await;
    assert_eq!(
        (reply.status, reply.json()["data"].clone()),
        (200, json!({"id": "own"}))
    );
    let dashboard = get(server.address, "/api/v1/dashboards/own", &[])
        .await
        .json();
    assert_eq!(dashboard["data"]["changed"], true);
    let reply = send(server.address, request("DELETE", LAYOUT, &[], "")).await;
    assert_eq!(reply.status, 200);
    let history = get(server.address, "/api/v1/dashboards/own/history", &[])
        .await
        .json();
    let versions = history["data"]["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 2);
    assert_eq!(versions[0]["layout"], json!(null));
    assert_eq!(versions[1]["layout"]["items"][0]["w"], 12);
    let list = get(server.address, "/api/v1/dashboards", &[]).await.json();
    let expected = json!({"dashboards": [{"name": "own", "title": "Own", "changed": false}]});
    assert_eq!(list["data"], expected);
    let entries = server.backend.entries.lock();
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| (entry.action, &*entry.what, &entry.outcome))
        .collect();
    assert_eq!(
        entries,
        [
            ("layout", "layout of dashboard own", &AuditOutcome::Done),
            ("layout", "reset of dashboard own", &AuditOutcome::Done),
        ]
    );
}

#[tokio::test]
async fn invalid_layouts_and_unknown_dashboards_change_nothing() {
    let server = start().await;
    for (path, body, status, expected) in [
        (LAYOUT, "{", 400, "EOF"),
        (
            LAYOUT,
            r#"{"items": [{"id": "load", "x": 0, "y": 0, "w": 99, "h": 4}]}"#,
            400,
            "not on a grid",
        ),
        (LAYOUT, r#"{"item": []}"#, 400, "did you mean"),
        ("/api/v1/dashboards/other/layout", BODY, 404, "no dashboard"),
    ] {
        let reply = send(server.address, request("PUT", path, &[JSON], body)).await;
        assert_eq!(reply.status, status, "{body}: {}", reply.text());
        assert!(reply.text().contains(expected), "{body}: {}", reply.text());
    }
    for path in [
        "/api/v1/dashboards/other",
        "/api/v1/dashboards/other/export",
    ] {
        assert_eq!(get(server.address, path, &[]).await.status, 404, "{path}");
    }
    let export = "/api/v1/dashboards/own/export?format=pdf";
    assert_eq!(get(server.address, export, &[]).await.status, 400);
    assert_eq!(server.backend.layouts.lock().len(), 0);
}
