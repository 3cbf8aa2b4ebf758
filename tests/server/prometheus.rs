//! A real Prometheus that scrapes over TLS with a password.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;
use tempfile::TempDir;

use super::support::{PATIENCE, TestBackend, get, run, settings};
use super::web_config::{Pki, hash};

struct Scraper {
    process: Child,
    address: std::net::SocketAddr,
    _data: TempDir,
}

impl Drop for Scraper {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

impl Scraper {
    fn start(config: &std::path::Path) -> Self {
        let data = TempDir::new().unwrap();
        let mut process = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.path().display()))
            .arg("--web.listen-address=127.0.0.1:0")
            .stderr(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .expect("prometheus is installed");
        let log = BufReader::new(process.stderr.take().unwrap());
        let (sender, addresses) = mpsc::channel();
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let address = line
                    .split_once("msg=\"Listening on\" address=")
                    .and_then(|(_, address)| address.trim().parse().ok());
                if let Some(address) = address {
                    sender.send(address).ok();
                }
            }
        });
        let address = addresses
            .recv_timeout(PATIENCE)
            .expect("prometheus listens");
        Self {
            process,
            address,
            _data: data,
        }
    }

    /// Answer of the API; null while there is none.
    async fn ask(&self, path: &str) -> Value {
        let reply = get(self.address, path, &[]).await;
        if reply.status == 200 {
            reply.json()["data"].clone()
        } else {
            Value::Null
        }
    }

    /// Health and last error of the target of `job`.
    async fn target(&self, job: &str) -> (String, String) {
        let targets = self.ask("/api/v1/targets").await["activeTargets"].clone();
        let of_job = |target: &&Value| target["labels"]["job"] == job;
        let target = targets
            .as_array()
            .and_then(|all| all.iter().find(of_job))
            .cloned();
        let target = target.unwrap_or_default();
        let text = |key: &str| target[key].as_str().unwrap_or_default().to_owned();
        (text("health"), text("lastError"))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scrapes_over_tls_with_a_password_and_a_certificate() {
    let pki = Pki::new();
    pki.issue("scraper", &["scraper.example"], true);
    pki.issue("stranger", &["scraper.example"], false);
    let users = format!("basic_auth_users: {{prometheus: {}}}\n", hash("s3cret"));
    let web = pki.tls(&format!(
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
         client_allowed_sans: [scraper.example]\n{users}"
    ));
    let settings = settings(|settings| settings.web_config_file = Some(web.into()));
    let server = run(settings, TestBackend::new(50)).await;

    let job = |name: &str, scheme: &str, password: &str, certificate: &str| {
        let directory = pki.directory.path().display();
        format!(
            "  - job_name: {name}\n    scheme: {scheme}\n    \
             basic_auth: {{username: prometheus, password: {password}}}\n    \
             tls_config: {{ca_file: {directory}/ca.pem, cert_file: {directory}/{certificate}.pem, \
             key_file: {directory}/{certificate}.key}}\n    \
             static_configs: [{{targets: [\"{}\"]}}]\n",
            server.address
        )
    };
    let config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n".to_owned()
        + &job("right", "https", "s3cret", "scraper")
        + &job("password", "https", "wrong", "scraper")
        + &job("certificate", "https", "s3cret", "stranger")
        + &job("plain", "http", "s3cret", "scraper");
    let scraper = Scraper::start(&pki.write("prometheus.yml", &config));

    for (job, health, error) in [
        ("right", "up", ""),
        (
            "password",
            "down",
            "server returned HTTP status 401 Unauthorized",
        ),
        ("certificate", "down", "tls"),
        ("plain", "down", ""),
    ] {
        // A busy machine may cost a scrape its deadline; the next one shows it.
        let mut seen = Default::default();
        for _ in 0..400 {
            seen = scraper.target(job).await;
            if seen.0 == health && seen.1.contains(error) {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(
            (seen.0.as_str(), seen.1.contains(error)),
            (health, true),
            "{job}: {}",
            seen.1
        );
    }
    let result = scraper.ask("/api/v1/query?query=count(test_load)").await;
    assert_eq!(result["result"][0]["value"][1], "50");
    let types = scraper
        .ask("/api/v1/metadata?metric=test_took_seconds")
        .await;
    assert_eq!(types["test_took_seconds"][0]["type"], "histogram");
    assert!(server.stats.requests()[&("metrics", 200)].count > 0);
}
