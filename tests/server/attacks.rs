//! A scraper beside many clients that mean no good: every scrape is answered, whole.
//!
//! The clients come from 127.0.0.1 and the scraper from 127.0.0.2; where the attack is on another
//! path than /metrics, a second scraper has the address of the clients.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{LabelSet, UnixMillis};
use bellwether_server::Prometheus;
use bellwether_tsdb::history::History;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::support::{Reply, Running, TestBackend, request, run, settings};
use super::web_config::hash;

/// Clients of an attack: more than there are places.
const CLIENTS: usize = 300;
/// Places, and clients, where each answer costs much in a debug build.
const FEW_PLACES: u32 = 32;
const FEW_CLIENTS: usize = 48;
/// Scrapes that must be answered.
const SCRAPES: usize = 10;
/// Timeout of a scrape. A tenth of it is usual even in a debug build on a busy machine.
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);

async fn connect_from(source: &str, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(format!("{source}:0").parse().unwrap())?;
    socket.connect(address).await
}

/// One scrape as a scraper of `source` does it: a connection, the request, all of the answer.
async fn scrape_from(source: &str, address: SocketAddr, extra: &[&str]) -> Result<(), String> {
    let scrape = async {
        let mut stream = connect_from(source, address).await?;
        stream
            .write_all(request("GET", "/metrics", extra, "").as_bytes())
            .await?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = timeout(SCRAPE_TIMEOUT, scrape)
        .await
        .map_err(|_| "no answer in time".to_owned())?;
    let bytes = bytes.map_err(|error| error.to_string())?;
    if bytes.is_empty() {
        return Err("closed without an answer".into());
    }
    // A response that was cut has no last chunk.
    let reply =
        std::panic::catch_unwind(|| Reply::parse(&bytes).0).map_err(|_| "cut".to_owned())?;
    let whole = reply.text().contains("test_took_seconds_count 3\n");
    (reply.status == 200 && whole)
        .then_some(())
        .ok_or(reply.head)
}

/// Sends `request` on new connections, again and again, and reads what comes.
async fn loops(address: SocketAddr, request: Arc<Vec<u8>>) {
    loop {
        let Ok(mut stream) = connect_from("127.0.0.1", address).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        if stream.write_all(&request).await.is_ok() {
            tokio::io::copy(&mut stream, &mut tokio::io::sink())
                .await
                .ok();
        }
    }
}

/// Sends `request` on one connection as long as it is kept, reading each answer.
async fn keeps_alive(address: SocketAddr, request: Arc<Vec<u8>>) {
    loop {
        let Ok(mut stream) = connect_from("127.0.0.1", address).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        let mut bytes = vec![0; 4096];
        while stream.write_all(&request).await.is_ok()
            && matches!(stream.read(&mut bytes).await, Ok(count) if count > 0)
        {}
    }
}

/// Sends `request` and then nothing, and reads nothing, on as many connections as it gets.
async fn hangs(address: SocketAddr, request: Arc<Vec<u8>>) {
    loop {
        let Ok(mut stream) = connect_from("127.0.0.1", address).await else {
            tokio::time::sleep(Duration::from_millis(1)).await;
            continue;
        };
        stream.write_all(&request).await.ok();
        // Until the server has had enough.
        let mut gone = [0];
        while !matches!(stream.peek(&mut gone).await, Ok(0) | Err(_)) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Scrapes beside `CLIENTS` clients; `own_address` too from the address that these have.
async fn survives<F: Future<Output = ()> + Send + 'static>(
    server: &Attacked,
    request: impl Into<Vec<u8>>,
    own_address: bool,
    extra: &[&str],
    client: fn(SocketAddr, Arc<Vec<u8>>) -> F,
) {
    let few = server.few_places;
    let request = Arc::new(request.into());
    let mut clients = JoinSet::new();
    for _ in 0..if few { FEW_CLIENTS } else { CLIENTS } {
        clients.spawn(client(server.address, Arc::clone(&request)));
    }
    // So many that all places are taken.
    let most = if few {
        u64::from(FEW_PLACES) * 3 / 4
    } else {
        200
    };
    super::support::until("the attack", || server.stats.connections() > most).await;
    let sources: &[&str] = if own_address {
        &["127.0.0.2", "127.0.0.1"]
    } else {
        &["127.0.0.2"]
    };
    for source in sources {
        for number in 1..=SCRAPES {
            let scraped = scrape_from(source, server.address, extra).await;
            assert_eq!(scraped, Ok(()), "scrape {number} from {source}");
        }
    }
    clients.shutdown().await;
}

/// A server, and whether it has few places.
struct Attacked {
    running: Running,
    few_places: bool,
}

impl std::ops::Deref for Attacked {
    type Target = Running;
    fn deref(&self) -> &Running {
        &self.running
    }
}

async fn attacked(series: usize, change: impl FnOnce(&mut Prometheus)) -> Attacked {
    Attacked {
        running: run(settings(change), TestBackend::new(series)).await,
        few_places: false,
    }
}

async fn attacked_with(backend: TestBackend) -> Attacked {
    Attacked {
        running: run(settings(|_| {}), backend).await,
        few_places: false,
    }
}

/// For answers of megabytes.
async fn attacked_with_few_places(series: usize) -> Attacked {
    let few = |settings: &mut Prometheus| {
        settings.limits.max_connections = FEW_PLACES.into();
        settings.limits.max_concurrent_requests = 4.into();
    };
    Attacked {
        running: run(settings(few), TestBackend::new(series)).await,
        few_places: true,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_connect_again_and_again() {
    let server = attacked(100, |_| {}).await;
    survives(
        &server,
        request("GET", "/-/healthy", &[], ""),
        true,
        &[],
        loops,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_keep_their_connection_busy() {
    let server = attacked(100, |_| {}).await;
    let request = "GET /-/healthy HTTP/1.1\r\nhost: localhost\r\n\r\n";
    survives(&server, request, true, &[], keeps_alive).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_the_api() {
    let server = attacked(100, |_| {}).await;
    survives(
        &server,
        request("GET", "/api/v1/metrics", &[], ""),
        true,
        &[],
        loops,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_a_path_that_is_not_there() {
    let server = attacked(100, |_| {}).await;
    survives(
        &server,
        request("GET", "/nowhere", &[], ""),
        true,
        &[],
        loops,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_query_history() {
    let history = History::in_memory(100);
    let labels = LabelSet::new([("__name__", "load")]);
    let series = history.series_id(&labels).unwrap();
    for step in 0..1000 {
        history.append(UnixMillis(step * 1000), &[(series, step as f64)]);
    }
    let mut backend = TestBackend::new(100);
    backend.history = Some(Arc::new(history));
    let server = attacked_with(backend).await;
    let path = "/api/v1/query_range?query=avg_over_time(load[5m])&start=0&end=1000&step=1";
    survives(&server, request("GET", path, &[], ""), true, &[], loops).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_reload() {
    let server = attacked(100, |_| {}).await;
    survives(
        &server,
        request("POST", "/-/reload", &[], ""),
        true,
        &[],
        loops,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_whose_reloads_hang() {
    let mut backend = TestBackend::new(100);
    backend.reload_gate = tokio::sync::Semaphore::new(0);
    let server = attacked_with(backend).await;
    survives(
        &server,
        request("POST", "/-/reload", &[], ""),
        true,
        &[],
        loops,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_ask_for_an_exposition_of_megabytes() {
    let server = attacked_with_few_places(40_000).await;
    survives(
        &server,
        request("GET", "/metrics", &[], ""),
        false,
        &[],
        loops,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_the_exposition() {
    let server = attacked_with_few_places(40_000).await;
    survives(
        &server,
        request("GET", "/metrics", &[], ""),
        false,
        &[],
        hangs,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_do_not_read_the_api() {
    let server = attacked_with_few_places(20_000).await;
    let request = request("GET", "/api/v1/metrics?limit=10000", &[], "");
    survives(&server, request, true, &[], hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_whose_head_does_not_end() {
    let server = attacked(100, |_| {}).await;
    survives(
        &server,
        "GET /metrics HTTP/1.1\r\nx-slow: ",
        true,
        &[],
        hangs,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_whose_body_does_not_come() {
    let server = attacked(100, |_| {}).await;
    let request = "POST /api/v1/record HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\ncontent-length: 1000\r\n\r\n[";
    survives(&server, request, true, &[], hangs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_guess_passwords() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("web.yml");
    let users = format!("basic_auth_users: {{prometheus: {}}}\n", hash("s3cret"));
    std::fs::write(&file, users).unwrap();
    let server = attacked(100, |settings| settings.web_config_file = Some(file.into())).await;
    let right = "authorization: Basic cHJvbWV0aGV1czpzM2NyZXQ=";
    let wrong = request(
        "GET",
        "/metrics",
        &["authorization: Basic cHJvbWV0aGV1czp3cm9uZw=="],
        "",
    );
    survives(&server, wrong, false, &[right], loops).await;
}
