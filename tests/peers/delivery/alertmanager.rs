//! Real Alertmanagers: what they hold while we live, after our end, and while one of them is away.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bellwether_core::UnixMillis;
use serde_json::Value;
use tempfile::TempDir;

use super::notifier::{Send, firing, open_today, resolved, until};
use crate::support::alertmanager::Alertmanager;
use crate::support::certificates::Certificates;
use crate::support::{free_port, poll};

const PATIENCE: Duration = Duration::from_secs(60);

fn channel(urls: &[String], more: &str) -> String {
    format!(
        "[{{type: alertmanager, urls: [{}], resend_delay: 1s, \
         retry: {{initial: 20ms, max: 200ms}}{more}}}]",
        urls.join(", ")
    )
}

fn labels(alert: &Value) -> Vec<String> {
    let labels = alert["labels"].as_object().unwrap().iter();
    labels
        .map(|(name, value)| format!("{name}={}", value.as_str().unwrap()))
        .collect()
}

/// Waits until it holds so many.
fn holds(alertmanager: &Alertmanager, count: usize) -> Vec<Value> {
    poll(&format!("{count} alerts in Alertmanager"), PATIENCE, || {
        Some(alertmanager.alerts("")).filter(|alerts| alerts.len() == count)
    })
}

/// Waits until it got so many more firing alerts.
fn reminded(alertmanager: &Alertmanager, times: f64) {
    let before = alertmanager.received("firing");
    poll("reminders", PATIENCE, || {
        (alertmanager.received("firing") >= before + times).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_fires_there_as_long_as_we_live_and_over_our_kill() {
    let folder = TempDir::new().unwrap();
    let alertmanager = Alertmanager::start(folder.path(), &[]);
    let channels = channel(&[alertmanager.url()], "");
    let notifier = open_today(folder.path(), &channels).await;
    notifier
        .notify(&[firing("disk", "/a", 0), firing("disk", "/b", 0)])
        .await;
    let alerts = holds(&alertmanager, 2);
    let expected = [
        "alertname=disk",
        "instance=host-1",
        "mount=/a",
        "severity=warning",
    ];
    assert!(
        alerts.iter().any(|alert| labels(alert) == expected),
        "{alerts:#?}"
    );
    assert_eq!(alerts[0]["startsAt"], "2026-11-21T04:00:00.000Z");
    assert!(
        alerts[0]["annotations"]["summary"]
            .as_str()
            .unwrap()
            .starts_with("disk of /")
    );
    assert_eq!(
        alerts[0]["generatorURL"],
        "http://host-1:9091/api/v1/alerts"
    );

    // Longer than the resolved that was sent first: two alerts, more than four times.
    reminded(&alertmanager, 12.0);
    assert_eq!(alertmanager.alerts("").len(), 2);
    notifier.notify(&[resolved("disk", "/b", 0)]).await;
    holds(&alertmanager, 1);
    // The resolved is sent again, and nothing brings the alert back.
    poll("resolved alerts that are sent again", PATIENCE, || {
        (alertmanager.received("resolved") >= 3.0).then_some(())
    });
    assert_eq!(alertmanager.alerts("").len(), 1);

    // As after kill -9: nothing is drained, nothing is sent. Firing alerts are sent at the start.
    drop(notifier);
    let notifier = open_today(folder.path(), &channels).await;
    reminded(&alertmanager, 6.0);
    let alerts = holds(&alertmanager, 1);
    assert_eq!(alerts[0]["startsAt"], "2026-11-21T04:00:00.000Z");

    // What ended while nobody watched is resolved.
    notifier
        .reconcile(
            &std::collections::HashSet::new(),
            UnixMillis(1_795_240_000_000),
        )
        .await;
    holds(&alertmanager, 0);

    // And when we are gone for good, it resolves by itself.
    notifier.notify(&[firing("disk", "/c", 0)]).await;
    holds(&alertmanager, 1);
    drop(notifier);
    holds(&alertmanager, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_of_two_is_enough_and_the_other_is_reported_when_it_comes() {
    let folder = TempDir::new().unwrap();
    let here = Alertmanager::start(folder.path(), &[]);
    let port = free_port();
    let urls = [format!("http://127.0.0.1:{port}"), here.url()];
    let notifier = open_today(folder.path(), &channel(&urls, "")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "alertmanager", |stats| stats.sent == 1).await;
    assert_eq!(stats.failed, 0);
    holds(&here, 1);
    let late = Alertmanager::start_at(folder.path(), port, &[]);
    holds(&late, 1);

    // Without any, it waits.
    drop((here, late));
    notifier.notify(&[resolved("disk", "/a", 0)]).await;
    let stats = until(&notifier, "alertmanager", |stats| stats.failed > 0).await;
    assert_eq!((stats.queued, stats.sent), (1, 1));
    let error = stats.last_error.unwrap();
    assert!(
        error.contains(&format!("127.0.0.1:{port}")) && error.contains("; "),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_stays() {
    let folder = TempDir::new().unwrap();
    let alertmanager = Alertmanager::start(folder.path(), &[]);
    let url = format!("--alertmanager.url={}", alertmanager.url());
    let silenced = Command::new("amtool")
        .args([
            &url,
            "silence",
            "add",
            "--comment=test",
            "--author=test",
            "alertname=disk",
        ])
        .output()
        .unwrap();
    assert!(silenced.status.success(), "{silenced:?}");
    let notifier = open_today(folder.path(), &channel(&[alertmanager.url()], "")).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let state = || {
        alertmanager
            .alerts("")
            .first()
            .map(|alert| alert["status"]["state"].clone())
    };
    poll("the alert is silenced", PATIENCE, || {
        state().filter(|state| *state == "suppressed")
    });
    reminded(&alertmanager, 6.0);
    assert_eq!(state(), Some("suppressed".into()));
}

/// Files for Alertmanager's `--web.config.file`, and the authority's certificate.
fn web_config(folder: &Path) -> (String, String) {
    let files = Certificates::write(folder, "web");
    let password = bcrypt::hash("sesame", 4).unwrap();
    let config = format!(
        "tls_server_config: {{cert_file: {}, key_file: {}}}\nbasic_auth_users: {{bellwether: '{password}'}}\n",
        files.certificate, files.key,
    );
    let path = folder.join("web.yml");
    fs::write(&path, config).unwrap();
    (path.display().to_string(), files.authority)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn below_a_prefix_with_tls_and_a_password() {
    let folder = TempDir::new().unwrap();
    let (config, authority) = web_config(folder.path());
    let options = [
        format!("--web.config.file={config}"),
        "--web.route-prefix=/am".to_owned(),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let alertmanager = Alertmanager::start(folder.path(), &options);
    let url = format!("https://127.0.0.1:{}", alertmanager.port());
    let good = format!(
        ", path_prefix: /am, ca_file: {authority}, basic_auth: {{username: bellwether, password: sesame}}"
    );
    let notifier = open_today(folder.path(), &channel(std::slice::from_ref(&url), &good)).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    until(&notifier, "alertmanager", |stats| stats.sent == 1).await;

    let state = TempDir::new().unwrap();
    let bad = good.replace("sesame", "hunter2");
    let notifier = open_today(state.path(), &channel(&[url], &bad)).await;
    notifier.notify(&[firing("disk", "/a", 0)]).await;
    let stats = until(&notifier, "alertmanager", |stats| stats.failed > 0).await;
    let error = stats.last_error.unwrap();
    assert!(
        error.contains("answered 401") && !error.contains("hunter2"),
        "{error}"
    );
}
