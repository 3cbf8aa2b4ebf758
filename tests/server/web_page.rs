//! The web page over a real socket: documents, files, their headers.

use super::support::{Reply, Running, get, start};

const BROWSER: &str = "accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn document(server: &Running, path: &str) -> Reply {
    let reply = get(server.address, path, &[BROWSER]).await;
    assert_eq!(reply.status, 200, "{path}");
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    reply
}

/// Names below `assets/` that a document loads.
fn assets(document: &Reply) -> Vec<String> {
    let text = document.text();
    let parts = text.split('"').filter(|part| part.starts_with("assets/"));
    parts.map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn a_browser_gets_the_page_and_others_the_list_of_endpoints() {
    let server = start().await;
    assert!(
        document(&server, "/")
            .await
            .text()
            .contains("<base href=\"./\">")
    );
    for accept in [&[][..], &["accept: */*"]] {
        let reply = get(server.address, "/", accept).await;
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        assert!(reply.text().contains("\n/metrics  "));
    }
}

#[tokio::test]
async fn documents_of_all_views_lead_to_one_base() {
    let server = start().await;
    for (path, base) in [
        ("/alerts", "./"),
        ("/metrics-list", "./"),
        ("/alerts/0a1b", "../"),
        ("/dashboards/host%20a", "../"),
    ] {
        let page = document(&server, path).await;
        assert!(
            page.text().contains(&format!("<base href=\"{base}\">")),
            "{path}"
        );
    }
    for path in ["/alerts/0a1b/more", "/nothing", "/alerts/"] {
        let reply = get(server.address, path, &[BROWSER]).await;
        assert_eq!(reply.status, 404, "{path}");
    }
}

#[tokio::test]
async fn documents_allow_this_server_alone_and_are_asked_for_each_time() {
    let server = start().await;
    let page = document(&server, "/alerts").await;
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"));
    assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"));
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "same-origin");
    assert_eq!(page.header("cache-control"), "no-cache");
    let etag = page.header("etag").to_owned();
    for (tag, status) in [
        (etag.as_str(), 304),
        ("\"x\", *", 304),
        ("W/\"other\"", 200),
    ] {
        let condition = format!("if-none-match: {tag}");
        let reply = get(server.address, "/alerts", &[BROWSER, &condition]).await;
        assert_eq!(
            (reply.status, reply.header("etag")),
            (status, etag.as_str()),
            "{tag}"
        );
        assert_eq!(reply.body.is_empty(), status == 304);
    }
}

#[tokio::test]
async fn files_of_a_document_are_there_for_good_in_each_coding() {
    let server = start().await;
    let names = assets(&document(&server, "/").await);
    assert!(
        names.iter().any(|name| name.ends_with(".js")) && names.len() > 3,
        "{names:?}"
    );
    for name in &names {
        let path = format!("/{name}");
        let plain = get(server.address, &path, &[]).await;
        assert_eq!(plain.status, 200, "{name}");
        assert_eq!(
            plain.header("cache-control"),
            "public, max-age=31536000, immutable"
        );
        assert!(!plain.header("content-type").contains("html"));
        let gzip = get(server.address, &path, &["accept-encoding: gzip"]).await;
        let body = match gzip.header("content-encoding") {
            "gzip" => super::page::gunzip(&gzip.body),
            _ => gzip.body,
        };
        assert!(body == plain.body, "{name}");
    }
    let reply = get(server.address, "/assets/main-OLD.js", &[]).await;
    assert_eq!(
        (reply.status, reply.header("cache-control")),
        (404, "no-store")
    );
}
