//! `bellwether demo`: what a newcomer meets, and what reports say about it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::agent::request;
use crate::support::{free_port, poll};

/// A build without optimization makes two weeks of data in less than this.
const START: Duration = Duration::from_secs(300);
const DEADLINE: Duration = Duration::from_secs(60);

struct Demo {
    child: Child,
    address: SocketAddr,
    home: TempDir,
}

impl Demo {
    fn start() -> Self {
        let home = TempDir::new().unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = bellwether(home.path())
            .args(["demo", "--listen", &address.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let demo = Self {
            child,
            address,
            home,
        };
        poll("the demo serves", START, || {
            let (status, _) = request(address, "GET", "/-/ready", &[], "").ok()?;
            (status == 200).then_some(())
        });
        demo
    }

    fn get(&self, path: &str) -> Value {
        let (_, body) = request(self.address, "GET", path, &[], "").unwrap();
        serde_json::from_str::<Value>(&body).unwrap()["data"].take()
    }

    fn post(&self, path: &str, body: &Value) -> u16 {
        let headers = [("content-type", "application/json")];
        request(self.address, "POST", path, &headers, &body.to_string())
            .unwrap()
            .0
    }

    fn call(&self, arguments: &[&str]) -> Output {
        let url = ["--url", &self.address.to_string()].map(str::to_owned);
        bellwether(self.home.path())
            .args(arguments)
            .args(url)
            .output()
            .unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn bellwether(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bellwether"));
    command
        .env("HOME", home)
        .env_remove("XDG_STATE_HOME")
        .current_dir(home);
    command
}

fn states(demo: &Demo) -> Vec<(String, String)> {
    let alerts = demo.get("/api/v1/alerts");
    let alerts = alerts["alerts"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    alerts
        .iter()
        .map(|alert| (text(&alert["rule"]), text(&alert["state"])))
        .collect()
}

#[test]
fn everything_is_there_and_can_be_changed_and_nothing_is_left() {
    let demo = Demo::start();
    let states = states(&demo);
    for (rule, state) in [
        ("disk_full_soon", "firing"),
        ("disk_almost_full", "firing"),
        ("queue_backlog", "firing"),
        ("low_cache_hit_rate", "firing"),
        ("high_memory_usage", "pending"),
    ] {
        assert!(
            states.contains(&(rule.to_owned(), state.to_owned())),
            "{rule} {states:?}"
        );
    }
    let alerts = demo.get("/api/v1/alerts").to_string();
    assert!(
        alerts.contains("silencedBy") && alerts.contains("acknowledgedBy"),
        "{alerts}"
    );
    for event in ["resolved", "delivered", "failed", "rejected", "muted"] {
        let page = demo.get(&format!("/api/v1/alerts/history?event={event}&limit=1"));
        assert_eq!(page["records"].as_array().unwrap().len(), 1, "{event}");
    }
    for metric in ["shop_cpu_percent", "bellwether_alerts", "bellwether_series"] {
        let path = format!("/api/v1/query?query=count_over_time({metric}[1d]+offset+13d)");
        let oldest = demo.get(&path);
        assert!(!oldest["result"].as_array().unwrap().is_empty(), "{metric}");
    }

    let silence = json!({"matchers": "alertname=\"disk_almost_full\"", "duration": "1h", "created_by": "ada"});
    assert_eq!(demo.post("/api/v1/silences", &silence), 200);
    let letters = demo.get("/api/v1/dead-letters");
    let id = letters["deadLetters"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(
        demo.post(&format!("/api/v1/dead-letters?id={id}"), &json!({})),
        200
    );
    poll("the dead letter is delivered", DEADLINE, || {
        let page = demo.get("/api/v1/alerts/history?event=delivered&channel=tickets&limit=1");
        let newest = page["records"][0]["cause"] == "resend";
        newest.then_some(())
    });
    let value =
        || demo.get("/api/v1/query?query=shop_cpu_percent")["result"][0]["value"][1].clone();
    let first = value();
    poll("a new value", DEADLINE, || (value() != first).then_some(()));

    reports(&demo);
    let left: Vec<_> = std::fs::read_dir(demo.home.path()).unwrap().collect();
    assert_eq!(left.len(), 4, "{left:?}");
}

/// Writes all formats, and prints the page with a browser.
fn reports(demo: &Demo) {
    let output = demo.call(&[
        "report",
        "--from",
        "-7d",
        "--format",
        "html,json,csv,markdown",
        "--output",
        "week",
    ]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = |name: &str| std::fs::read_to_string(demo.home.path().join(name)).unwrap();
    let report: Value = serde_json::from_str(&read("week.json")).unwrap();
    let length = |key: &str| report[key].as_array().unwrap().len();
    for part in [
        "alerts",
        "trends",
        "bottlenecks",
        "forecasts",
        "capacity",
        "metrics",
    ] {
        assert!(length(part) > 0, "{part}");
    }
    assert_eq!(report["missing"], json!([]));
    assert_eq!(report["host"], "shop-1");
    let deployment = report["alerts"].as_array().unwrap().iter();
    let deployment = deployment.filter(|alert| alert["alertname"] == "high_cpu_usage");
    assert!(
        deployment.clone().count() >= 1
            && deployment
                .clone()
                .all(|alert| !alert["resolvedAt"].is_null())
    );
    let page = read("week.html");
    assert!(
        page.contains("<svg") && !page.contains("<script") && !page.contains("http"),
        "{page}"
    );
    assert!(read("week.md").contains("## Capacity") && read("week.csv").starts_with("section,"));
    prints(demo.home.path());
}

/// Prints the page as a PDF.
fn prints(folder: &Path) {
    let profile = TempDir::new().unwrap();
    let pdf = profile.path().join("week.pdf");
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-pdf-header-footer",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--print-to-pdf={}", pdf.display()))
        .arg(format!("file://{}", folder.join("week.html").display()))
        .output()
        .expect("chromium is needed: apt-get install chromium");
    let pdf = std::fs::read(&pdf).unwrap_or_default();
    assert!(
        pdf.starts_with(b"%PDF-"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let pages = String::from_utf8_lossy(&pdf)
        .matches("/Type /Page\n")
        .count();
    assert!((2..12).contains(&pages), "{pages} pages");
}
