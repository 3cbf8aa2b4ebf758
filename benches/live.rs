//! 1,000 clients of live updates, 50 of which read nothing: time from a collection to its clients,
//! memory and CPU of the agent, and what its scraper notices.
//!
//! `cargo bench --bench live`, on 127.0.0.1. `LIVE_CLIENTS`, `LIVE_SLOW` and `LIVE_SECONDS` set other
//! numbers; `BELLWETHER=FILE` measures another binary. The agent collects each second; each client has
//! four subscriptions: a metric, a selector and two queries. The agent, the clients (one thread) and
//! the scraper share the machine's cores, so the time of a client includes that of the clients
//! before it on that thread.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_websockets::{ClientBuilder, Message, WebSocketStream};

const CONFIGURATION: &str = "
performance_monitor:
  collection_interval: 1
  enabled_collectors: [system]
  system_metrics:
    - {name: cpu_percent, type: gauge}
    - {name: memory_percent, type: gauge}
    - {name: load_average_1m, type: gauge}
    - {name: disk_usage_percent, type: gauge}
    - {name: network_bytes_recv, type: counter}
    - {name: network_bytes_sent, type: counter}
  prometheus: {host: 127.0.0.1, port: {port}, live: {max_clients: {clients}}}
";

const SUBSCRIPTIONS: [(&str, &str); 4] = [
    ("metric_name", "cpu_percent"),
    ("selector", "{__name__=~\"memory_percent|load_average_1m\"}"),
    ("query", "sum(rate(network_bytes_recv[1m]))"),
    ("query", "avg_over_time(cpu_percent[1m])"),
];

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).unwrap_or_default();
    text.parse().unwrap_or(default)
}

/// The agent, running.
struct Agent {
    process: Child,
    address: SocketAddr,
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// CPU in seconds so far, and resident memory in MiB.
#[derive(Clone, Copy)]
struct Cost {
    cpu: f64,
    resident: f64,
}

impl Agent {
    async fn start(folder: &Path, clients: usize) -> Self {
        let probe = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = probe.local_addr().unwrap();
        drop(probe);
        let file = folder.join("b.yaml");
        let yaml = CONFIGURATION.replace("{port}", &address.port().to_string());
        std::fs::write(&file, yaml.replace("{clients}", &clients.to_string())).unwrap();
        let binary = std::env::var("BELLWETHER")
            .unwrap_or_else(|_| env!("CARGO_BIN_EXE_bellwether").to_owned());
        let process = Command::new(&binary)
            .args(["run", "--config"])
            .arg(&file)
            .env("STATE_DIRECTORY", folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self { process, address };
        let deadline = Instant::now() + Duration::from_secs(30);
        while scrape(address).await.is_none() {
            assert!(Instant::now() < deadline, "{binary} does not answer");
            sleep(Duration::from_millis(20)).await;
        }
        agent
    }

    /// From `/proc`.
    fn cost(&self) -> Cost {
        let read = |name| std::fs::read_to_string(format!("/proc/{}/{name}", self.process.id()));
        let stat = read("stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.map(|ticks| ticks.parse::<f64>().unwrap()).sum();
        let status = read("status").unwrap();
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        Cost {
            cpu: ticks / 100.0,
            resident: kib / 1024.0,
        }
    }

    /// Value of a self-metric without labels.
    async fn metric(&self, name: &str) -> f64 {
        let page = scrape(self.address).await.unwrap().1;
        let mut lines = page.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or(f64::NAN)
    }
}

/// Time and text of a complete scrape on a connection of its own.
async fn scrape(address: SocketAddr) -> Option<(Duration, String)> {
    const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let began = Instant::now();
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(SCRAPE).await.ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await.ok()?;
    text.starts_with("HTTP/1.1 200")
        .then(|| (began.elapsed(), text))
}

async fn connect(address: SocketAddr) -> WebSocketStream<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let stream = socket.connect(address).await.unwrap();
    let builder = ClientBuilder::new()
        .uri("ws://localhost/api/v1/live")
        .unwrap();
    let (mut client, _) = builder.connect_on(stream).await.unwrap();
    for (index, (key, text)) in SUBSCRIPTIONS.iter().enumerate() {
        let message = json!({"type": "subscribe", "id": index.to_string(), *key: text});
        client
            .send(Message::text(message.to_string()))
            .await
            .unwrap();
    }
    client
}

/// Notes how old each update is when it comes.
async fn follow(mut client: WebSocketStream<TcpStream>, ages: Arc<Mutex<Vec<f64>>>) {
    while let Some(Ok(message)) = client.next().await {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs_f64();
        let Some(text) = message.as_text() else {
            continue;
        };
        if !text.starts_with("{\"type\":\"metrics_update\"") {
            continue;
        }
        let update: Value = serde_json::from_str(text).unwrap();
        let at = update["data"]["timestamp"].as_f64().unwrap();
        ages.lock().unwrap().push((now - at) * 1_000.0);
    }
}

/// Times of scrapes for `seconds`, ten a second, in ms.
async fn scrapes(address: SocketAddr, seconds: usize) -> Vec<f64> {
    let mut times = Vec::new();
    for _ in 0..seconds * 10 {
        let answered = timeout(Duration::from_secs(1), scrape(address)).await;
        let time = answered
            .ok()
            .flatten()
            .map(|(time, _)| time.as_secs_f64() * 1_000.0);
        times.push(time.unwrap_or(f64::INFINITY));
        sleep(Duration::from_millis(100)).await;
    }
    times
}

/// Median, 99th percentile and maximum.
fn quantiles(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize];
    match values.is_empty() {
        true => "none".into(),
        false => format!("{:.1} / {:.1} / {:.1}", at(0.5), at(0.99), at(1.0)),
    }
}

async fn measure() {
    let clients = number("LIVE_CLIENTS", 1_000);
    let slow = number("LIVE_SLOW", clients / 20).min(clients);
    let seconds = number("LIVE_SECONDS", 30);
    let folder = tempfile::tempdir().unwrap();
    let agent = Agent::start(folder.path(), clients).await;
    sleep(Duration::from_secs(3)).await;
    let alone = scrapes(agent.address, seconds.min(10)).await;
    let before = agent.cost();

    let ages = Arc::new(Mutex::new(Vec::new()));
    let mut unread = Vec::new();
    for index in 0..clients {
        let client = connect(agent.address).await;
        if index < slow {
            unread.push(client);
        } else {
            tokio::spawn(follow(client, ages.clone()));
        }
    }
    sleep(Duration::from_secs(3)).await;
    ages.lock().unwrap().clear();
    let start = agent.cost();
    let began = Instant::now();
    let beside = scrapes(agent.address, seconds).await;
    let took = began.elapsed().as_secs_f64();
    let end = agent.cost();
    let ages = std::mem::take(&mut *ages.lock().unwrap());
    let per_second = ages.len() as f64 / took;
    let dropped = agent.metric("bellwether_live_results_dropped_total").await;

    println!("{clients} clients, {slow} of them read nothing, for {took:.0} s\n");
    println!("| what | figure |\n|---|---|");
    println!("| updates received | {per_second:.0} a second |");
    println!(
        "| from collection to client, p50 / p99 / max | {} ms |",
        quantiles(ages)
    );
    let grown = end.resident - before.resident;
    println!(
        "| resident memory, before / with them | {:.1} / {:.1} MiB, {grown:.1} more |",
        before.resident, end.resident
    );
    let cpu = (end.cpu - start.cpu) / took * 100.0;
    println!("| CPU of the agent, scrapes included | {cpu:.1} % of a core |");
    println!(
        "| scrape without clients, p50 / p99 / max | {} ms |",
        quantiles(alone)
    );
    println!(
        "| scrape beside them, p50 / p99 / max | {} ms |",
        quantiles(beside)
    );
    println!("| results that slow clients did not get | {dropped} |");
}

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(measure());
}
