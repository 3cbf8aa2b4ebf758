//! A real Prometheus that scrapes what a test asks for.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::agent::request;
use super::{free_port, poll};

/// A running Prometheus; killed when dropped.
pub struct Prometheus {
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    /// Starts with this `scrape_configs:` list, its data below `folder`, and waits until it is
    /// ready.
    pub fn start(folder: &Path, scrape_configs: &str) -> Self {
        let config = folder.join("prometheus.yml");
        fs::write(&config, format!("scrape_configs:\n{scrape_configs}")).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                folder.join("prometheus").display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--query.lookback-delta=1m")
            .arg("--web.enable-remote-write-receiver")
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("prometheus.log")).unwrap())
            .spawn()
            .expect("prometheus is needed: apt-get install prometheus");
        let started = Self { child, address };
        poll("Prometheus is ready", Duration::from_secs(60), || {
            request(address, "GET", "/-/ready", &[], "")
                .ok()
                .filter(|(status, _)| *status == 200)
        });
        started
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// An answer of its API.
    pub fn ask(&self, path: &str) -> (u16, Value) {
        let (status, body) = request(self.address, "GET", path, &[], "").unwrap();
        (status, serde_json::from_str(&body).unwrap())
    }

    /// The `data` of an answer of its API.
    pub fn api(&self, path: &str) -> Value {
        let (status, answer) = self.ask(path);
        assert_eq!(
            (status, &answer["status"]),
            (200, &Value::from("success")),
            "{path}: {answer}"
        );
        answer["data"].clone()
    }

    /// Status and body of an answer to any request.
    pub fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        request(self.address, method, path, headers, body).unwrap()
    }

    /// Address that it listens on.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The result of an instant query.
    pub fn query(&self, expression: &str) -> Vec<Value> {
        let encoded: String = expression
            .bytes()
            .map(|byte| format!("%{byte:02X}"))
            .collect();
        let data = self.api(&format!("/api/v1/query?query={encoded}"));
        data["result"].as_array().unwrap().clone()
    }

    /// Waits until a query has a result and returns it.
    pub fn wait_for(&self, expression: &str) -> Vec<Value> {
        poll(
            &format!("a result of {expression}"),
            Duration::from_secs(60),
            || Some(self.query(expression)).filter(|result| !result.is_empty()),
        )
    }

    /// Returns the error of each target that is down.
    pub fn failures(&self) -> Vec<String> {
        let data = self.api("/api/v1/targets");
        let targets = data["activeTargets"].as_array().unwrap().iter();
        targets
            .filter(|target| target["health"] == "down")
            .map(|target| target["lastError"].as_str().unwrap_or_default().to_owned())
            .collect()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
