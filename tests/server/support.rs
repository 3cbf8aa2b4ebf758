//! A running server with a backend made for tests, and a client that speaks raw HTTP.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use bellwether_alert_history::AlertHistory;
use bellwether_core::{
    Alert, AlertState, Batch, DeadLetter, Fingerprint, Kind, LabelSet, Labels, MetricDef, MetricId,
    Now, Origin, Recorded, RejectedRecord, Severity, UnixMillis,
};
use bellwether_dashboards::{Dashboard, DashboardSettings, SavedLayout};
use bellwether_matcher::LabelMatcher;
use bellwether_promql::{Guard, Queryable, SampledSeries, StorageError};
use bellwether_routing::{Command, CommandError, Explanation, RouteMatch, Silence, Suppression};
use bellwether_runtime::Clock;
use bellwether_schema::Spanned;
use bellwether_server::{
    Access, AlertBackend, AnalysisSettings, AuditBackend, AuditEntry, Backend, BackendError,
    Backtest, ChannelBackend, ConfigApplied, ConfigDraft, ConfigError, ConfigFiles, ConfigReport,
    ConfigurationBackend, DashboardBackend, DashboardFormat, DeadLetterBackend, Handle, Health,
    LifecycleBackend, LiveBackend, LiveFeed, MetricsBackend, Prometheus, PushChange, PushProtocol,
    Resent, RuleBackend, RuleTests, RuleView, Server, Stats, StatusBackend, TestResult,
};
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::{Options, Store};
use hyper::body::Bytes;
use hyper::{Request, Response};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Deadline of every wait of a test.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct TestBackend {
    clock: Clock,
    /// Series of `load`.
    series: usize,
    store: Arc<Store>,
    pub history: Option<Arc<dyn Queryable>>,
    pub ready: AtomicBool,
    pub refreshed: AtomicU64,
    /// Reloads begun and ended.
    pub reloads_begun: AtomicU64,
    pub reloads: AtomicU64,
    /// A reload takes one of these; none are there at first when it shall hang.
    pub reload_gate: Semaphore,
    pub entries: Mutex<Vec<AuditEntry>>,
    pub reload_result: Result<String, BackendError>,
    pub live: LiveFeed,
    /// Reads of history.
    pub selects: Arc<AtomicU64>,
    /// While it is set, reads with a matcher on the value `gated` do not end.
    pub gate: Arc<AtomicBool>,
    /// Versions of the layout of the dashboard `own`.
    pub layouts: Mutex<Vec<SavedLayout>>,
}

fn definition(name: &str, kind: Kind, labels: &[&str]) -> MetricDef {
    MetricDef {
        name: name.into(),
        exported: format!("test_{name}").into(),
        help: "Help.".into(),
        kind,
        labels: labels.iter().map(|label| Arc::from(*label)).collect(),
        buckets: if kind == Kind::Histogram {
            [0.1, 1.0].into()
        } else {
            [].into()
        },
        quantiles: [].into(),
        origin: Origin::APPLICATION,
        interval: Duration::from_secs(30),
    }
}

impl TestBackend {
    pub fn new(series: usize) -> Self {
        let metrics = [
            definition("load", Kind::Gauge, &["host"]),
            definition("took_seconds", Kind::Histogram, &[]),
            definition("scrapes_total", Kind::Counter, &[]),
        ];
        let clock = Clock::start();
        let store = Store::new(metrics.into(), Options::default());
        let mut batch = Batch::default();
        for index in 0..series {
            batch.push(MetricId(0), &[&host(index)], index as f64 + 0.25);
        }
        batch.push_values(MetricId(1), &[], &[1.0, 2.0, 3.0, 4.5]);
        store.commit(&batch, clock.now());
        Self {
            clock,
            series,
            store: Arc::new(store),
            history: None,
            ready: AtomicBool::new(true),
            refreshed: AtomicU64::new(0),
            reloads_begun: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            reload_gate: Semaphore::new(Semaphore::MAX_PERMITS),
            entries: Mutex::default(),
            reload_result: Ok("reloaded".into()),
            live: LiveFeed::default(),
            selects: Arc::default(),
            gate: Arc::default(),
            layouts: Mutex::default(),
        }
    }

    /// A backend whose collections go to history too, with `series` series of `load`.
    pub fn with_history(series: usize) -> Self {
        let history = Arc::new(History::in_memory(10_000));
        let mut backend = Self::new(series);
        let options = Options {
            history: Some(Arc::clone(&history)),
            ..Options::default()
        };
        let store = Store::new(Arc::clone(backend.store.metrics()), options);
        store.adopt(&backend.store);
        backend.store = Arc::new(store);
        backend.series = series;
        backend.history = Some(Arc::new(CountedReads {
            history,
            count: Arc::clone(&backend.selects),
            gate: Arc::clone(&backend.gate),
        }));
        backend.store_load(|index| index as f64 + 0.25);
        backend
    }

    /// Collects `value` for all series of `load`.
    pub fn commit(&self, value: f64) {
        let now = self.store_load(|_| value);
        self.live.collected(Origin::APPLICATION, now.wall);
    }

    fn store_load(&self, value: impl Fn(usize) -> f64) -> Now {
        let mut batch = Batch::default();
        for index in 0..self.series {
            batch.push(MetricId(0), &[&host(index)], value(index));
        }
        let now = self.clock.now();
        self.store.commit(&batch, now);
        now
    }
}

fn host(index: usize) -> String {
    format!("host-{index:06}")
}

/// History that counts how often it is read, and can be made slow.
struct CountedReads {
    history: Arc<History>,
    count: Arc<AtomicU64>,
    gate: Arc<AtomicBool>,
}

impl Queryable for CountedReads {
    fn select(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<SampledSeries>, StorageError> {
        self.count.fetch_add(1, SeqCst);
        let is_gated = matchers.iter().any(|one| one.test.operand() == "gated");
        while is_gated && self.gate.load(SeqCst) {
            guard.check()?;
            std::thread::yield_now();
        }
        self.history.select(matchers, from, to, guard)
    }

    fn series(
        &self,
        matchers: &[LabelMatcher],
        from: UnixMillis,
        to: UnixMillis,
        guard: &Guard,
    ) -> Result<Vec<LabelSet>, StorageError> {
        self.history.series(matchers, from, to, guard)
    }
}

pub fn alert() -> Arc<Alert> {
    Arc::new(Alert {
        fingerprint: Fingerprint(7),
        rule: "too_hot".into(),
        severity: Severity::Critical,
        labels: Labels::from([("host".to_owned(), "a".to_owned())]),
        annotations: Labels::new(),
        message: "a is too hot".into(),
        value: Some(91.0),
        fired_value: Some(91.0),
        peak: Some(91.0),
        threshold: Some(85.0),
        state: AlertState::Firing,
        active_at: UnixMillis(1_700_000_000_000),
        fired_at: Some(UnixMillis(1_700_000_300_000)),
        resolved_at: None,
    })
}

impl MetricsBackend for TestBackend {
    fn now(&self) -> Now {
        self.clock.now()
    }

    fn store(&self) -> Arc<Store> {
        Arc::clone(&self.store)
    }

    fn history(&self) -> Option<Arc<dyn Queryable>> {
        self.history.clone()
    }

    fn refresh(&self) {
        let count = self.refreshed.fetch_add(1, SeqCst) + 1;
        let mut batch = Batch::default();
        batch.push(MetricId(2), &[], count as f64);
        self.store.refresh(&batch, self.now());
    }

    /// Accepts the numbers of an array and rejects all else.
    fn record(&self, body: &[u8]) -> Result<Recorded, BackendError> {
        let records: Vec<serde_json::Value> = serde_json::from_slice(body)
            .map_err(|error| BackendError::Invalid(format!("not a JSON array: {error}")))?;
        let mut recorded = Recorded::default();
        for (index, record) in records.iter().enumerate() {
            if record.is_number() {
                recorded.accepted += 1;
            } else {
                let message = format!("no number: {record}");
                recorded.rejected_total += 1;
                recorded.rejected.push(RejectedRecord {
                    index: index as u64,
                    reason: "wrong_kind",
                    message,
                });
            }
        }
        Ok(recorded)
    }

    fn push(&self, _: Labels, _: PushChange) -> Result<(), BackendError> {
        Ok(())
    }

    fn receive(
        &self,
        _: PushProtocol,
        _: &Request<Bytes>,
    ) -> Result<Response<Vec<u8>>, BackendError> {
        Ok(Response::new(Vec::new()))
    }
}

impl LifecycleBackend for TestBackend {
    fn is_ready(&self) -> bool {
        self.ready.load(SeqCst)
    }

    fn reload(&self) -> Pin<Box<dyn Future<Output = Result<String, BackendError>> + Send + '_>> {
        Box::pin(async {
            self.reloads_begun.fetch_add(1, SeqCst);
            self.reload_gate.acquire().await.unwrap().forget();
            self.reloads.fetch_add(1, SeqCst);
            self.reload_result.clone()
        })
    }
}

impl AuditBackend for TestBackend {
    fn audit(&self, entry: AuditEntry) {
        self.entries.lock().push(entry);
    }
}

impl LiveBackend for TestBackend {
    fn live(&self) -> &LiveFeed {
        &self.live
    }
}

impl AlertBackend for TestBackend {
    fn alert_history(&self) -> Option<AlertHistory> {
        None
    }

    fn alerts(&self) -> Vec<Arc<Alert>> {
        vec![alert()]
    }

    fn suppressions(&self) -> HashMap<Fingerprint, Suppression> {
        HashMap::new()
    }

    fn silences(&self) -> Vec<Silence> {
        Vec::new()
    }

    fn execute(
        &self,
        command: Command,
    ) -> Pin<Box<dyn Future<Output = Result<String, CommandError>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(format!("{command:?}"))))
    }
}

impl DeadLetterBackend for TestBackend {
    fn dead_letters(&self) -> Vec<DeadLetter> {
        Vec::new()
    }

    fn resend(&self, _: HashSet<String>) -> Pin<Box<dyn Future<Output = Resent> + Send + '_>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn discard(
        &self,
        _: HashSet<String>,
    ) -> Pin<Box<dyn Future<Output = Vec<DeadLetter>> + Send + '_>> {
        Box::pin(std::future::ready(Vec::new()))
    }
}

impl RuleBackend for TestBackend {
    fn explain(&self, _: Fingerprint) -> Option<Explanation> {
        None
    }

    fn backtest(&self, _: &Backtest, _: &Guard) -> Result<serde_json::Value, BackendError> {
        Err(BackendError::Failed("history is disabled".into()))
    }

    fn test_rules(&self, _: &RuleTests, _: &Guard) -> Result<serde_json::Value, BackendError> {
        Err(BackendError::Failed("no rules are configured".into()))
    }

    fn matching_routes(&self, _: Labels, _: UnixMillis) -> Vec<RouteMatch> {
        Vec::new()
    }

    fn rules(&self) -> Vec<RuleView> {
        vec![RuleView {
            name: "too_hot".into(),
            query: "load > 85".into(),
            metric: Some("load".into()),
            state: AlertState::Firing,
            duration: Duration::from_secs(300),
            severity: Severity::Critical,
            alerts: vec![alert()],
            last_evaluation: Some(UnixMillis(1_700_000_000_000)),
            evaluation_time: Duration::from_micros(3),
            ..RuleView::default()
        }]
    }
}

impl ChannelBackend for TestBackend {
    fn test_channel(
        &self,
        name: String,
        _: Severity,
        _: bool,
    ) -> Pin<Box<dyn Future<Output = Result<Vec<TestResult>, BackendError>> + Send + '_>> {
        let error = BackendError::Invalid(format!("there is no channel {name:?}"));
        Box::pin(std::future::ready(Err(error)))
    }
}

impl ConfigurationBackend for TestBackend {
    fn config_files(&self) -> Result<ConfigFiles, BackendError> {
        Ok(ConfigFiles::default())
    }

    fn check_config(&self, _: Vec<ConfigDraft>) -> Result<ConfigReport, ConfigError> {
        Ok(ConfigReport::default())
    }

    fn apply_config(
        &self,
        _: Vec<ConfigDraft>,
    ) -> Pin<Box<dyn Future<Output = Result<ConfigApplied, ConfigError>> + Send + '_>> {
        Box::pin(std::future::ready(Ok(ConfigApplied::default())))
    }
}

impl StatusBackend for TestBackend {
    fn configuration(&self) -> Result<String, BackendError> {
        Ok("performance_monitor:\n  prometheus: {}\n".into())
    }

    fn configuration_schema(&self) -> serde_json::Value {
        serde_json::json!({"type": "object"})
    }

    fn flags(&self) -> BTreeMap<&'static str, String> {
        BTreeMap::from([("storage.tsdb.retention.time", "15d".to_owned())])
    }

    fn alertmanagers(&self) -> Vec<String> {
        vec!["http://alertmanager:9093/api/v2/alerts".into()]
    }

    fn analysis_settings(&self) -> Arc<AnalysisSettings> {
        Arc::default()
    }

    fn health(&self) -> Health {
        Health {
            started: self.now(),
            ..Health::default()
        }
    }
}

impl DashboardBackend for TestBackend {
    fn dashboards(&self) -> Vec<(String, String)> {
        vec![("own".into(), "Own".into())]
    }

    fn dashboard(&self, name: &str) -> Option<Dashboard> {
        let settings: DashboardSettings = bellwether_schema::from_json(
            br#"{"name": "own", "title": "Own", "rows": [{"title": "Host", "widgets": [
                {"title": "Load", "query": "load", "thresholds": [{"above": 5}], "words": {"0": "none"}}
            ]}]}"#,
        )
        .unwrap();
        (name == "own").then(|| settings.resolve(&|_| Vec::new()))
    }

    fn layouts(&self, _: &str) -> Vec<SavedLayout> {
        self.layouts.lock().iter().rev().cloned().collect()
    }

    fn export_dashboard(
        &self,
        name: &str,
        format: DashboardFormat,
    ) -> Option<Result<String, BackendError>> {
        self.dashboard(name)?;
        Some(Ok(format!("{format:?}")))
    }

    fn save_layout(
        &self,
        _: String,
        version: SavedLayout,
    ) -> Pin<Box<dyn Future<Output = Result<(), BackendError>> + Send + '_>> {
        self.layouts.lock().push(version);
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Settings for tests: an ephemeral port on loopback, the rest as `change` makes it.
pub fn settings(change: impl FnOnce(&mut Prometheus)) -> Prometheus {
    let host = Spanned::nowhere("127.0.0.1".to_owned());
    let mut settings = Prometheus {
        host,
        port: 0,
        ..Prometheus::default()
    };
    change(&mut settings);
    settings
}

/// A server that answers until it is dropped.
pub struct Running {
    pub address: SocketAddr,
    pub backend: Arc<TestBackend>,
    pub stats: Arc<Stats>,
    pub handle: Handle,
    pub stop: CancellationToken,
    pub task: JoinHandle<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub async fn run(settings: Prometheus, backend: TestBackend) -> Running {
    run_with_drain(settings, backend, Duration::from_secs(5)).await
}

pub async fn run_with_drain(
    settings: Prometheus,
    backend: TestBackend,
    drain: Duration,
) -> Running {
    let backend = Arc::new(backend);
    let stats = Arc::new(Stats::default());
    let access = Access::load(&settings).unwrap();
    let as_backend: Arc<dyn Backend> = Arc::clone(&backend) as _;
    let server = Server::bind(&settings, access, as_backend, Arc::clone(&stats))
        .await
        .unwrap();
    let (address, handle) = (server.local_addr().unwrap(), server.handle());
    let stop = CancellationToken::new();
    let task = tokio::spawn(server.run(stop.clone(), drain));
    Running {
        address,
        backend,
        stats,
        handle,
        stop,
        task,
    }
}

/// The default server with a few series.
pub async fn start() -> Running {
    run(settings(|_| {}), TestBackend::new(3)).await
}

/// An answer as it came.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The value of a header, empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map_or("", |(_, value)| value)
    }

    /// The first answer in `bytes`, and what follows it.
    pub fn parse(bytes: &[u8]) -> (Reply, &[u8]) {
        let end = bytes
            .windows(4)
            .position(|window| window == b"\r\n\r\n")
            .unwrap_or_else(|| {
                panic!(
                    "no head in {:?}",
                    String::from_utf8_lossy(&bytes[..bytes.len().min(300)])
                )
            });
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let mut reply = Reply {
            status,
            head,
            body: Vec::new(),
        };
        let mut rest = &bytes[end + 4..];
        if reply.header("transfer-encoding") == "chunked" {
            loop {
                let line = rest
                    .windows(2)
                    .position(|window| window == b"\r\n")
                    .expect("a chunk");
                let size = std::str::from_utf8(&rest[..line]).unwrap();
                let size = usize::from_str_radix(size, 16).unwrap();
                reply
                    .body
                    .extend_from_slice(&rest[line + 2..line + 2 + size]);
                rest = &rest[line + size + 4..];
                if size == 0 {
                    break;
                }
            }
        } else if let Ok(length) = reply.header("content-length").parse::<usize>() {
            let length = length.min(rest.len());
            reply.body = rest[..length].to_vec();
            rest = &rest[length..];
        } else {
            reply.body = rest.to_vec();
            rest = &[];
        }
        (reply, rest)
    }
}

/// Within [`PATIENCE`], or the test fails.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("waited for {what}"))
}

/// Until `condition` holds.
pub async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    soon(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

pub async fn connect(address: SocketAddr) -> TcpStream {
    soon("a connection", TcpStream::connect(address))
        .await
        .unwrap()
}

/// Everything the server sends until it closes; a reset counts as that.
pub async fn read_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    soon("the end", stream.read_to_end(&mut bytes)).await.ok();
    bytes
}

/// Sends `request` on a connection of its own and reads the answer to the end.
pub async fn send(address: SocketAddr, request: impl AsRef<[u8]>) -> Reply {
    let mut stream = connect(address).await;
    stream.write_all(request.as_ref()).await.ok();
    Reply::parse(&read_all(&mut stream).await).0
}

/// A request with the headers every request needs, and `extra` lines.
pub fn request(method: &str, path: &str, extra: &[&str], body: &str) -> String {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    if !extra.iter().any(|line| line.starts_with("host:")) {
        text += "host: localhost\r\n";
    }
    for line in extra {
        text += &format!("{line}\r\n");
    }
    if !body.is_empty() {
        text += &format!("content-length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

pub async fn get(address: SocketAddr, path: &str, extra: &[&str]) -> Reply {
    send(address, request("GET", path, extra, "")).await
}

/// A scrape as Prometheus does it, and that it was complete.
pub async fn scrape(address: SocketAddr) -> Reply {
    let reply = get(address, "/metrics", &[]).await;
    assert_eq!(reply.status, 200, "{}", reply.head);
    assert!(
        reply.text().contains("test_took_seconds_count 3\n"),
        "{}",
        reply.text()
    );
    reply
}
