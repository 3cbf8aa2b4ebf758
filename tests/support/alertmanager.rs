//! A real Alertmanager.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::agent::request;
use super::{free_port, poll};

/// A running Alertmanager; killed when dropped.
pub struct Alertmanager {
    child: Child,
    address: SocketAddr,
}

impl Alertmanager {
    /// Starts with a receiver that does nothing, its data below `folder`, and waits until it is
    /// ready. `options` go to its command line.
    pub fn start(folder: &Path, options: &[&str]) -> Self {
        Self::start_at(folder, free_port(), options)
    }

    /// The same on a port that is known.
    pub fn start_at(folder: &Path, port: u16, options: &[&str]) -> Self {
        let config = folder.join("alertmanager.yml");
        fs::write(
            &config,
            "route: {receiver: none}\nreceivers: [{name: none}]\n",
        )
        .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let child = Command::new("prometheus-alertmanager")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!(
                "--storage.path={}",
                folder.join(format!("alertmanager-{port}")).display()
            ))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=")
            .args(options)
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join(format!("alertmanager-{port}.log"))).unwrap())
            .spawn()
            .expect("prometheus-alertmanager is needed: apt-get install prometheus-alertmanager");
        let started = Self { child, address };
        poll("Alertmanager listens", Duration::from_secs(60), || {
            std::net::TcpStream::connect(address).ok()
        });
        started
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The alerts that it holds as firing, below `prefix`.
    pub fn alerts(&self, prefix: &str) -> Vec<Value> {
        let path = format!("{prefix}/api/v2/alerts");
        let Ok((200, body)) = request(self.address, "GET", &path, &[], "") else {
            return vec![];
        };
        serde_json::from_str(&body).unwrap()
    }

    /// Returns its count of `alertmanager_alerts_received_total` for a status.
    pub fn received(&self, status: &str) -> f64 {
        let (_, text) = request(self.address, "GET", "/metrics", &[], "").unwrap();
        let wanted = format!("status=\"{status}\"");
        let lines = text.lines().filter(|line| {
            line.starts_with("alertmanager_alerts_received_total{")
                && line.contains(&wanted)
                && line.contains("version=\"v2\"")
        });
        lines
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
