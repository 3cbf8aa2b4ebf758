//! Real servers that take remote write: Prometheus and VictoriaMetrics.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::agent::request;
use super::{free_port, poll};

/// Samples by series: name and labels as JSON, then time in milliseconds and value.
pub type Samples = BTreeMap<String, BTreeMap<i64, f64>>;

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Prometheus,
    VictoriaMetrics,
}

/// A server that can go away and come back; killed when dropped.
pub struct Storage {
    kind: Kind,
    address: SocketAddr,
    folder: PathBuf,
    child: Option<Child>,
}

impl Storage {
    /// A Prometheus that scrapes nothing, its data in `folder`.
    pub fn prometheus(folder: &Path) -> Self {
        Self::new(Kind::Prometheus, folder)
    }

    /// A VictoriaMetrics, its data in `folder`.
    pub fn victoria_metrics(folder: &Path) -> Self {
        Self::new(Kind::VictoriaMetrics, folder)
    }

    fn new(kind: Kind, folder: &Path) -> Self {
        fs::create_dir_all(folder).unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let mut storage = Self {
            kind,
            address,
            folder: folder.to_owned(),
            child: None,
        };
        storage.start();
        storage
    }

    /// URL for remote write.
    pub fn write_url(&self) -> String {
        format!("http://{}/api/v1/write", self.address)
    }

    /// Starts it, again at the same port, and waits until it is ready.
    pub fn start(&mut self) {
        let mut command = match self.kind {
            Kind::Prometheus => {
                fs::write(self.folder.join("prometheus.yml"), "scrape_configs: []\n").unwrap();
                let mut command = Command::new("prometheus");
                command
                    .arg(format!(
                        "--config.file={}",
                        self.folder.join("prometheus.yml").display()
                    ))
                    .arg(format!(
                        "--storage.tsdb.path={}",
                        self.folder.join("data").display()
                    ))
                    .arg("--storage.tsdb.retention.time=100y")
                    .arg(format!("--web.listen-address={}", self.address))
                    .arg("--web.enable-remote-write-receiver");
                command
            }
            Kind::VictoriaMetrics => {
                let mut command = Command::new("victoria-metrics");
                command
                    .arg(format!(
                        "-storageDataPath={}",
                        self.folder.join("data").display()
                    ))
                    .arg(format!("-httpListenAddr={}", self.address))
                    .arg("-retentionPeriod=100y");
                command
            }
        };
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("log"));
        let child = command.stdout(Stdio::null()).stderr(log.unwrap()).spawn();
        let name = command.get_program().to_string_lossy().into_owned();
        let child = child.unwrap_or_else(|error| panic!("{name} is needed: {error}"));
        self.child = Some(child);
        let ready = if self.kind == Kind::Prometheus {
            "/-/ready"
        } else {
            "/health"
        };
        poll(&format!("{name} is ready"), Duration::from_secs(60), || {
            request(self.address, "GET", ready, &[], "")
                .ok()
                .filter(|(status, _)| *status == 200)
        });
    }

    /// Ends it with a signal by name, and waits until it is gone.
    pub fn end(&mut self, signal: &str) {
        let mut child = self.child.take().expect("it runs");
        let killed = Command::new("kill")
            .args(["-s", signal, &child.id().to_string()])
            .status();
        assert!(killed.unwrap().success());
        child.wait().unwrap();
    }

    /// Relative error of its values.
    pub fn rounding(&self) -> f64 {
        if self.kind == Kind::VictoriaMetrics {
            1e-11
        } else {
            0.0
        }
    }

    /// Everything it holds, but staleness markers.
    pub fn samples(&self) -> Samples {
        match self.kind {
            Kind::Prometheus => self.range_vector(),
            Kind::VictoriaMetrics => {
                self.get("/internal/force_flush");
                lines(&self.get("/api/v1/export?match%5B%5D=%7B__name__!%3D%22%22%7D"))
            }
        }
    }

    fn get(&self, path: &str) -> String {
        let (status, body) = request(self.address, "GET", path, &[], "").unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    fn range_vector(&self) -> Samples {
        let query = "%7B__name__%3D~%22.%2B%22%7D%5B3000d%5D";
        let answer: Value =
            serde_json::from_str(&self.get(&format!("/api/v1/query?query={query}"))).unwrap();
        let result = answer["data"]["result"].as_array().expect("a matrix");
        let series = result.iter().map(|series| {
            let values = series["values"].as_array().unwrap().iter().map(|pair| {
                let at = (pair[0].as_f64().unwrap() * 1000.0).round() as i64;
                (at, pair[1].as_str().unwrap().parse().unwrap())
            });
            (series["metric"].to_string(), values.collect())
        });
        series.collect()
    }

    /// POSTs to it.
    pub fn post(&self, path: &str, body: &str) {
        let (status, answer) = request(self.address, "POST", path, &[], body).unwrap();
        assert!((200..300).contains(&status), "{path}: {status}: {answer}");
    }
}

/// Samples of JSON lines, but staleness markers.
pub fn lines(text: &str) -> Samples {
    let mut samples = Samples::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let series = samples.entry(line["metric"].to_string()).or_default();
        let times = line["timestamps"].as_array().unwrap();
        for (at, value) in times.iter().zip(line["values"].as_array().unwrap()) {
            let value = match value {
                Value::Null => continue,
                Value::String(word) => word.parse().unwrap(),
                number => number.as_f64().unwrap(),
            };
            series.insert(at.as_i64().unwrap(), value);
        }
    }
    samples.retain(|_, series| !series.is_empty());
    samples
}

/// Returns the differences in words, at most a few lines. Both are NaN, or bit by bit the same; or
/// off by `rounding` of the value: VictoriaMetrics keeps about twelve digits of some.
pub fn difference(ours: &Samples, theirs: &Samples, rounding: f64) -> Vec<String> {
    let mut found = Vec::new();
    let names: std::collections::BTreeSet<&String> = ours.keys().chain(theirs.keys()).collect();
    let none = BTreeMap::new();
    for name in names {
        let (ours, theirs) = (
            ours.get(name).unwrap_or(&none),
            theirs.get(name).unwrap_or(&none),
        );
        let times: std::collections::BTreeSet<&i64> = ours.keys().chain(theirs.keys()).collect();
        for at in times {
            let same = match (ours.get(at), theirs.get(at)) {
                (Some(a), Some(b)) => {
                    a.to_bits() == b.to_bits()
                        || (a.is_nan() && b.is_nan())
                        || (a - b).abs() <= rounding * a.abs()
                }
                (a, b) => a.is_none() && b.is_none(),
            };
            if !same && found.len() < 5 {
                found.push(format!(
                    "{name} {at}: {:?}, there {:?}",
                    ours.get(at),
                    theirs.get(at)
                ));
            }
        }
    }
    found
}

impl Drop for Storage {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "end of its log:\n{}",
                lines[lines.len().saturating_sub(10)..].join("\n")
            );
        }
    }
}
