//! A scraper beside 1,000 clients that loop: how many of its scrapes are answered, whole and within a second.
//!
//! `cargo bench --bench attack [-- NAME...]`, all on 127.0.0.0/8. Each kind of client runs twice: all from one address, with
//! a second scraper from that address too, and each from an address of its own. `ATTACK_SCRAPES` and
//! `ATTACK_INTERVAL_MS` say for how long; `BELLWETHER=FILE` measures another binary. The agent, the clients (one thread) and
//! the scrapers share the machine's cores.

#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout)]

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

const CLIENTS: u32 = 1000;
/// Timeout of a scraper with an interval of a second.
const LIMIT: Duration = Duration::from_secs(1);
const OWN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const SHARED: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// Series of /metrics, and of history, where each has a sample every 15 s for two hours.
const SERIES: usize = 1000;
const SAMPLES: u64 = 480;

const CONFIGURATION: &str = "
performance_monitor:
  collection_interval: 5
  enabled_collectors: [system, application]
  system_metrics: [{name: cpu_percent, type: gauge}, {name: memory_percent, type: gauge}]
  application_metrics:
    - {name: made, type: gauge, help: A figure., labels: [host, path]}
  alerting:
    rules:
      - {name: high, metric: made, condition: '>', threshold: 500, severity: warning}
  prometheus: {host: 127.0.0.1, port: {port}, web_config_file: {web}}
";

/// Behaviour of a client on its connections.
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// A request a connection, and all of its answer.
    Loops,
    /// One request after the other, as long as the connection is kept.
    Keeps,
    /// The request, and then nothing; it reads nothing either.
    Hangs,
    /// A byte of the request now and then.
    Dribbles,
}

/// A kind of client: its name, what it sends, how.
type Kind = (&'static str, fn() -> Vec<u8>, Way);

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

fn post(path: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn range(query: &str) -> Vec<u8> {
    let now = seconds();
    get(&format!(
        "/api/v1/query_range?query={query}&start={}&end={now}&step=15",
        now - 7200
    ))
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
}

const KINDS: &[Kind] = &[
    ("metrics", || get("/metrics"), Way::Loops),
    ("metrics unread", || get("/metrics"), Way::Hangs),
    ("healthy", || get("/-/healthy"), Way::Loops),
    ("healthy kept alive", || get("/-/healthy"), Way::Keeps),
    ("not found", || get("/nowhere"), Way::Loops),
    ("not found kept alive", || get("/nowhere"), Way::Keeps),
    ("landing", || get("/"), Way::Loops),
    (
        "query_range, rates",
        || range("sum(rate(past[5m]))by(path)"),
        Way::Loops,
    ),
    (
        "query_range, subquery",
        || range("max_over_time(rate(past[5m])[1h:15s])"),
        Way::Loops,
    ),
    (
        "query, regular expressions",
        || get("/api/v1/query?query={__name__=~%22.*a.*%22,host=~%22(h|.*1.*)%2b%22}"),
        Way::Loops,
    ),
    ("query_range unread", || range("past"), Way::Hangs),
    (
        "series",
        || get("/api/v1/series?match[]={host=~%22.*[13579].*%22}"),
        Way::Loops,
    ),
    ("labels", || get("/api/v1/labels"), Way::Loops),
    (
        "label values",
        || get("/api/v1/label/host/values"),
        Way::Loops,
    ),
    ("alerts", || get("/api/v1/alerts"), Way::Loops),
    ("alerts unread", || get("/api/v1/alerts"), Way::Hangs),
    (
        "alert history",
        || get("/api/v1/alerts/history"),
        Way::Loops,
    ),
    ("rules", || get("/api/v1/rules"), Way::Loops),
    (
        "metrics as JSON",
        || get("/api/v1/metrics?limit=1000"),
        Way::Loops,
    ),
    (
        "trends",
        || get("/api/v1/trends?metric=past&window=2h"),
        Way::Loops,
    ),
    ("config", || get("/api/v1/status/config"), Way::Loops),
    ("reload", || post("/-/reload", 0, b""), Way::Loops),
    (
        "silences",
        || post("/api/v1/silences", 2, b"{}"),
        Way::Loops,
    ),
    (
        "record, 1 MB",
        || post("/api/v1/record", 1 << 20, &records()),
        Way::Loops,
    ),
    (
        "record, too large",
        || post("/api/v1/record", 1 << 30, &[b' '; 65_536]),
        Way::Loops,
    ),
    (
        "body that does not come",
        || post("/api/v1/record", 1000, b"["),
        Way::Hangs,
    ),
    (
        "head that does not end",
        || b"GET /metrics HTTP/1.1\r\nx: ".to_vec(),
        Way::Hangs,
    ),
    (
        "head byte by byte",
        || get(&format!("/metrics?{}", "x".repeat(4000))),
        Way::Dribbles,
    ),
    ("connection and nothing", Vec::new, Way::Hangs),
    ("no HTTP", || vec![b'\x16'; 16_384], Way::Loops),
    (
        "wrong password",
        || {
            b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nauthorization: Basic cHJvbWV0aGV1czp3cm9uZw==\r\n\r\n".to_vec()
        },
        Way::Loops,
    ),
];

/// A megabyte of records.
fn records() -> Vec<u8> {
    let mut body = b"[".to_vec();
    for index in (0..SERIES).cycle() {
        let record = record(index, 900);
        if body.len() + record.len() + 2 > 1 << 20 {
            break;
        }
        body.extend_from_slice(record.as_bytes());
        body.push(b',');
    }
    body.pop();
    body.push(b']');
    body.resize(1 << 20, b' ');
    body
}

fn record(index: usize, value: usize) -> String {
    format!(
        r#"{{"metric":"made","labels":{{"host":"h{index}","path":"/p{}"}},"set":{value}}}"#,
        index % 10
    )
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

fn binary() -> String {
    std::env::var("BELLWETHER").unwrap_or_else(|_| env!("CARGO_BIN_EXE_bellwether").to_owned())
}

/// Two hours of history up to now.
fn remember(folder: &Path) {
    let mut text = String::from("# TYPE past unknown\n");
    let start = seconds() - SAMPLES * 15;
    for index in 0..SERIES {
        for sample in 0..SAMPLES {
            let (value, at) = (sample * (index as u64 % 7 + 1), start + sample * 15);
            text += &format!(
                "past{{host=\"h{index}\",path=\"/p{}\"}} {value} {at}\n",
                index % 10
            );
        }
    }
    text += "# EOF\n";
    let file = folder.join("past.txt");
    std::fs::write(&file, text).unwrap();
    let history = folder.join("history");
    std::fs::create_dir_all(&history).unwrap();
    let mut import = Command::new(binary());
    import
        .arg("import")
        .arg(&file)
        .arg("--history")
        .arg(&history);
    assert!(
        import
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .unwrap()
            .success()
    );
}

impl Agent {
    async fn start(folder: &Path, passwords: bool) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let (file, web) = (folder.join("b.yaml"), folder.join("web.yml"));
        let users = match passwords {
            true => format!(
                "basic_auth_users: {{prometheus: {}}}\n",
                bcrypt::hash("s3cret", 10).unwrap()
            ),
            false => "{}\n".to_owned(),
        };
        std::fs::write(&web, users).unwrap();
        let yaml = CONFIGURATION.replace("{port}", &port.to_string());
        std::fs::write(&file, yaml.replace("{web}", &web.display().to_string())).unwrap();
        let mut command = Command::new(binary());
        command
            .arg("run")
            .arg("--config")
            .arg(&file)
            .env("STATE_DIRECTORY", folder);
        let process = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let agent = Self {
            process,
            address: SocketAddr::from(([127, 0, 0, 1], port)),
        };
        let deadline = Instant::now() + Duration::from_secs(30);
        while scrape(agent.address, OWN).await.is_err() {
            assert!(Instant::now() < deadline, "{} does not answer", binary());
            sleep(Duration::from_millis(20)).await;
        }
        let all: Vec<String> = (0..SERIES).map(|index| record(index, index)).collect();
        let body = format!("[{}]", all.join(","));
        if !passwords {
            let request = post("/api/v1/record", body.len(), body.as_bytes());
            let mut stream = connect(agent.address, OWN).await.unwrap();
            stream.write_all(&request).await.unwrap();
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 200");
        }
        agent
    }

    /// Seconds of CPU so far, and MiB of memory now: from `/proc`.
    fn cost(&self) -> (f64, f64) {
        let read = |name| std::fs::read_to_string(format!("/proc/{}/{name}", self.process.id()));
        let stat = read("stat").unwrap();
        let (_, fields) = stat.rsplit_once(')').unwrap();
        let ticks = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<f64>().unwrap());
        let status = read("status").unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kib: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        (ticks.sum::<f64>() / 100.0, kib / 1024.0)
    }
}

async fn connect(address: SocketAddr, source: Ipv4Addr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(IpAddr::V4(source), 0))?;
    socket.connect(address).await
}

/// One complete scrape on a connection of its own.
async fn scrape(address: SocketAddr, source: Ipv4Addr) -> Result<(), String> {
    const SCRAPE: &[u8] = b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        authorization: Basic cHJvbWV0aGV1czpzM2NyZXQ=\r\n\r\n";
    let asked = async {
        let mut stream = connect(address, source).await?;
        stream.write_all(SCRAPE).await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok::<_, io::Error>(bytes)
    };
    let bytes = timeout(Duration::from_secs(5), asked)
        .await
        .map_err(|_| "no answer".to_owned())?;
    let bytes = bytes.map_err(|error| error.to_string())?;
    // A response that was cut has no last chunk.
    if bytes.starts_with(b"HTTP/1.1 200") && bytes.ends_with(b"0\r\n\r\n") {
        return Ok(());
    }
    let head: String = String::from_utf8_lossy(&bytes).chars().take(60).collect();
    Err(format!("{} bytes: {head:?}", bytes.len()))
}

/// One client, until its task ends; counts its answers.
async fn client(
    address: SocketAddr,
    source: Ipv4Addr,
    request: Arc<Vec<u8>>,
    way: Way,
    answers: Arc<AtomicU64>,
) {
    loop {
        let Ok(mut stream) = connect(address, source).await else {
            sleep(Duration::from_millis(1)).await;
            continue;
        };
        let mut bytes = [0; 16_384];
        match way {
            Way::Loops => {
                stream.write_all(&request).await.ok();
                let mut any = false;
                while matches!(stream.read(&mut bytes).await, Ok(1..)) {
                    any = true;
                }
                answers.fetch_add(any.into(), Relaxed);
            }
            Way::Keeps => {
                while stream.write_all(&request).await.is_ok()
                    && matches!(stream.read(&mut bytes).await, Ok(1..))
                {
                    answers.fetch_add(1, Relaxed);
                }
            }
            Way::Hangs => {
                stream.write_all(&request).await.ok();
                gone(&stream).await;
            }
            Way::Dribbles => {
                for byte in request.iter() {
                    if stream.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// The request, with the wish that the connection ends with its answer.
fn closing(request: &[u8]) -> Vec<u8> {
    const HOST: &[u8] = b"host: localhost\r\n";
    let at = request.windows(HOST.len()).position(|part| part == HOST);
    let Some(end) = at.map(|at| at + HOST.len()) else {
        return request.to_vec();
    };
    [&request[..end], b"connection: close\r\n", &request[end..]].concat()
}

/// Returns once the server has had enough.
async fn gone(stream: &TcpStream) {
    let mut byte = [0];
    while !matches!(stream.peek(&mut byte).await, Ok(0) | Err(_)) {
        sleep(Duration::from_millis(50)).await;
    }
}

/// The clients, on a thread and a runtime of their own.
struct Crowd {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
}

impl Crowd {
    fn gather(address: SocketAddr, request: Vec<u8>, way: Way, apart: bool) -> Self {
        let request = if way == Way::Loops {
            closing(&request)
        } else {
            request
        };
        let (stop, answers) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answers));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let request = Arc::new(request);
            runtime.block_on(async {
                for number in 0..CLIENTS {
                    let address_of_its_own =
                        Ipv4Addr::from_bits(Ipv4Addr::new(127, 1, 0, 1).to_bits() + number);
                    let source = if apart { address_of_its_own } else { SHARED };
                    tokio::spawn(client(
                        address,
                        source,
                        Arc::clone(&request),
                        way,
                        Arc::clone(&counted),
                    ));
                }
                while !stopped.load(Relaxed) {
                    sleep(Duration::from_millis(50)).await;
                }
            });
        });
        Self {
            thread: Some(thread),
            stop,
            answers,
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn number(name: &str, default: u32) -> u32 {
    std::env::var(name)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

/// Scrapes at their interval, on a thread of its own: how long each took, or why it failed.
fn scraper(address: SocketAddr, source: Ipv4Addr) -> JoinHandle<Vec<Result<Duration, String>>> {
    let interval = Duration::from_millis(number("ATTACK_INTERVAL_MS", 250).into());
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut done = Vec::new();
            for _ in 0..number("ATTACK_SCRAPES", 20) {
                let start = Instant::now();
                let scraped = scrape(address, source).await.map(|()| start.elapsed());
                done.push(scraped);
                sleep(interval.saturating_sub(start.elapsed())).await;
            }
            done
        })
    })
}

/// `100 of 100 | median | greatest`, and the first failure.
fn summary(done: &[Result<Duration, String>]) -> String {
    let mut times: Vec<Duration> = done.iter().flatten().copied().collect();
    times.sort_unstable();
    let good = times.iter().filter(|time| **time <= LIMIT).count();
    let millis = |time: Option<&Duration>| {
        time.map_or("-".into(), |time| {
            format!("{:.0}", time.as_secs_f64() * 1e3)
        })
    };
    let failed = done.iter().find_map(|done| done.as_ref().err());
    let failed = failed.map_or(String::new(), |failed| format!(" ({failed})"));
    format!(
        "{good} of {}{failed} | {} / {}",
        done.len(),
        millis(times.get(times.len() / 2)),
        millis(times.last())
    )
}

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with('-'))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    remember(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    println!(
        "| clients | from | scrapes within 1 s | median / greatest, ms | answers a second | agent's CPU, cores | MiB |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (name, request, way) in KINDS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        for apart in [false, true] {
            let agent = runtime.block_on(Agent::start(folder.path(), *name == "wrong password"));
            let crowd = Crowd::gather(agent.address, request(), *way, apart);
            // The crowd comes together.
            thread::sleep(Duration::from_millis(500));
            let (start, (cpu, _), answers) =
                (Instant::now(), agent.cost(), crowd.answers.load(Relaxed));
            let own = scraper(agent.address, OWN);
            let shared = (!apart).then(|| scraper(agent.address, SHARED));
            let own = own.join().unwrap();
            let shared = shared.map(|shared| shared.join().unwrap());
            let (elapsed, (after, memory)) = (start.elapsed().as_secs_f64(), agent.cost());
            let rate = (crowd.answers.load(Relaxed) - answers) as f64 / elapsed;
            let rest = format!("{rate:.0} | {:.2} | {memory:.0} |", (after - cpu) / elapsed);
            drop(crowd);
            let from = if apart {
                "1,000 addresses"
            } else {
                "one address"
            };
            println!("| {name} | {from} | {} | {rest}", summary(&own));
            if let Some(shared) = shared {
                println!(
                    "| {name} | the scraper's address | {} | |",
                    summary(&shared)
                );
            }
        }
    }
}
