//! The fuzz targets: each takes any bytes, and must neither panic, hang nor grow without a limit.
//!
//! `make fuzz` runs them with libFuzzer, and `tests/fuzz.rs` for a short time over the corpora with fixed seeds.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bellwether::convert::{self, FORMATS, SourceFile};
use bellwether_collector::{Memory, TimedHistory};
use bellwether_collectors::application::{Statsd, StatsdDialect, record_json, record_packet};
use bellwether_collectors::{CollectorType, receiver};
use bellwether_compat::RuleFile;
use bellwether_config::{self as config, Plan, Source};
use bellwether_core::{
    Batch, LabelSet, MetricDef, MetricId, MonoMillis, Now, Origin, Rejected, SeriesBatch,
    SeriesFamily, SeriesLimits, UnixMillis,
};
use bellwether_exposition::{Format, Renderer, SeriesParser};
use bellwether_promql::{Guard, Queryable};
use bellwether_recorder::{RecordedMetric, Recorder};
use bellwether_schema::Diagnostics;
use bellwether_tsdb::history::History;
use bellwether_tsdb::store::{self, Store};
use bellwether_tsdb::transfer::Import;
use hyper::Request;
use hyper::body::Bytes;
use minijinja::context;

/// A name, which is also that of its corpus, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: &[Target] = &[
    ("configuration", configuration),
    ("expansion", expansion),
    ("exposition", exposition),
    ("promql", promql),
    ("import", import),
    ("record", record),
    ("statsd", statsd),
    ("statsd_lines", statsd_lines),
    ("graphite", graphite),
    ("mapping_file", mapping_file),
    ("otlp", otlp),
    ("remote_write", remote_write),
    ("influx", influx),
    ("protobuf", protobuf),
    ("alertmanager", alertmanager),
    ("rule_file", rule_file),
    ("template", template),
    ("log", log),
    ("block", block),
    ("convert", convert),
];

/// A configuration file: read, and checked as `bellwether check` does.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    check(text);
}

/// `${NAME:-default}` in a value.
pub fn expansion(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // A string of JSON is one of YAML.
    let Ok(quoted) = serde_json::to_string(text) else {
        return;
    };
    check(&format!(
        "performance_monitor: {{prometheus: {{default_labels: {{a: {quoted}}}}}}}\n"
    ));
}

fn check(text: &str) {
    let environment = |name: &str| (name.len() < 5).then(|| "${VALUE}".into());
    config::plan(config::decode(&Source::Embedded, text, &environment)).ok();
}

/// A configuration of another program, as each format: an error, or a configuration that is valid.
pub fn convert(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let file = SourceFile {
        name: "a".into(),
        path: "/a".into(),
        text: text.to_owned(),
    };
    for format in [None].into_iter().chain(FORMATS.iter().map(Some)) {
        if let Ok(converted) = convert::convert(std::slice::from_ref(&file), format) {
            let invalid = &converted.invalid;
            assert!(invalid.is_empty(), "{invalid:?}\n{}", converted.text);
        }
    }
}

/// A page of metrics in protocol buffers.
pub fn protobuf(bytes: &[u8]) {
    let mut batch = SeriesBatch::default();
    SeriesParser::default()
        .parse_protobuf(bytes, &mut batch)
        .ok();
    assert!(batch.lines().count() == batch.len());
}

/// A page of metrics, in both formats.
pub fn exposition(bytes: &[u8]) {
    let mut batch = SeriesBatch::default();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    for format in [Format::Text, Format::OpenMetrics] {
        bellwether_exposition::parse(text, format).ok();
        SeriesParser::default().parse(text, format, &mut batch).ok();
    }
}

/// A query: read, printed, and asked over a few series.
pub fn promql(bytes: &[u8]) {
    static HISTORY: OnceLock<History> = OnceLock::new();
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let Ok(query) = bellwether_promql::parse(text) else {
        return;
    };
    let history = HISTORY.get_or_init(|| {
        let history = History::in_memory(10);
        for (job, step) in [("a", 1.0), ("b", -0.5)] {
            let labels = LabelSet::new([("__name__", "up"), ("job", job), ("le", "1")]);
            let Some(series) = history.series_id(&labels) else {
                continue;
            };
            (0..20).for_each(|at| {
                history.append(UnixMillis(at * 15_000), &[(series, at as f64 * step)])
            });
        }
        history
    });
    assert!(!query.to_string().is_empty());
    let options = bellwether_promql::Options::default();
    query
        .instant(history, UnixMillis(300_000), &options, &guard())
        .ok();
    let step = Duration::from_secs(30);
    query
        .range(
            history,
            UnixMillis(0),
            UnixMillis(300_000),
            step,
            &options,
            &guard(),
        )
        .ok();
}

/// Limits of a query as a server has them, but that nobody ends it when its time is over.
fn guard() -> Guard {
    Guard::within(100_000, 16 << 20, Arc::default())
}

/// A file to import: OpenMetrics, a dump of promtool, or lines of JSON.
pub fn import(bytes: &[u8]) {
    let mut import = Import::new(None, true, 10_000);
    import.read(&mut &bytes[..], &mut |_| {}).ok();
}

/// A body of `POST /api/v1/record`.
pub fn record(bytes: &[u8]) {
    let recording = Recording::get();
    let recorder = Recorder::new(recording.application.iter().cloned());
    record_json(&recorder, bytes).ok();
    recording.is_shown(&recorder);
}

/// A packet of `StatsD`, in every dialect.
pub fn statsd(bytes: &[u8]) {
    let recording = Recording::get();
    for settings in &recording.statsd {
        let recorder = Recorder::new(recording.application.iter().cloned());
        let lines = record_packet(settings, &recorder, UnixMillis(1_700_000_000_000), bytes);
        assert!(lines <= bytes.split(|byte| *byte == b'\n').count() as u64);
        recording.is_shown(&recorder);
    }
}

/// Mappings as statsd_exporter documents them.
const MAPPINGS: &str = r#"
defaults: {observer_type: histogram, histogram_options: {buckets: [0.1, 1]}, ttl: 10m}
mappings:
  - {match: "web.*.*.hits", name: hits_total, labels: {site: $1, code: "${2}x"}}
  - {match: "*.timer", name: took_seconds, observer_type: summary, match_metric_type: observer, honor_labels: true, labels: {a: $1}}
  - {match: "scaled.*", name: "scaled_$1", scale: 0.5, help: Scaled.}
  - {match: '^re\.(?P<who>[a-z]+)\.(\d+)$', match_type: regex, name: "re_${who}", labels: {number: $2, all: $0}}
  - {match: "noise.*", action: drop, name: noise}
"#;

/// A packet of `StatsD` whose names are mapped.
pub fn statsd_lines(bytes: &[u8]) {
    let batch = bellwether_collectors::statsd_series(MAPPINGS, bytes, NOW);
    assert_series(&batch.expect("mappings without errors"));
}

/// A packet of Graphite whose names are mapped.
pub fn graphite(bytes: &[u8]) {
    let batch = bellwether_collectors::graphite_series(MAPPINGS, bytes, NOW);
    assert_series(&batch.expect("mappings without errors"));
}

/// A mapping file, with names that it may map.
pub fn mapping_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let packet = b"web.a.200.hits:1|c\na.timer:5|ms|#a:x\nscaled.x:-1e9|g\nre.abc.12:1|c\nnoise.x:1|h\n.:1|c";
    if let Some(batch) = bellwether_collectors::statsd_series(text, packet, NOW) {
        assert_series(&batch);
    }
    let lines = b"web.a.200.hits 1 -1\nscaled.x -1e9 1700000000\nre.abc.12;a=b 1 -1\n";
    if let Some(batch) = bellwether_collectors::graphite_series(text, lines, NOW) {
        assert_series(&batch);
    }
}

const NOW: Now = Now {
    mono: MonoMillis(1_000_000),
    wall: UnixMillis(1_700_000_000_000),
};

/// Each sample has labels that can be read, and a name of a metric.
fn assert_series(batch: &SeriesBatch) {
    for (labels, _) in batch.families().flat_map(SeriesFamily::samples) {
        let labels = LabelSet::from_packed(labels).expect("packed labels");
        assert!(bellwether_core::is_metric_name(labels.name()), "{labels}");
    }
}

/// A request of OTLP, in protocol buffers and in JSON.
pub fn otlp(bytes: &[u8]) {
    for media in ["application/x-protobuf", "application/json"] {
        post(
            CollectorType::Otlp,
            "/v1/metrics",
            &[("content-type", media)],
            bytes,
        );
    }
}

/// A request of remote write, 1.0 and 2.0: as it comes, and as the message that Snappy decompresses.
pub fn remote_write(bytes: &[u8]) {
    let compressed = snap::raw::Encoder::new().compress_vec(bytes);
    for message in ["prometheus.WriteRequest", "io.prometheus.write.v2.Request"] {
        let media = format!("application/x-protobuf;proto={message}");
        let headers = [("content-type", media.as_str())];
        post(CollectorType::RemoteWrite, "/api/v1/write", &headers, bytes);
        if let Ok(compressed) = &compressed {
            post(
                CollectorType::RemoteWrite,
                "/api/v1/write",
                &headers,
                compressed,
            );
        }
    }
}

/// Points in the line protocol of `InfluxDB`, in two precisions.
pub fn influx(bytes: &[u8]) {
    post(CollectorType::Influx, "/write", &[], bytes);
    post(
        CollectorType::Influx,
        "/api/v2/write?precision=s",
        &[],
        bytes,
    );
}

/// Posts a body, which is accepted or the fault of the client.
fn post(kind: CollectorType, target: &str, headers: &[(&str, &str)], body: &[u8]) {
    let request = headers
        .iter()
        .fold(Request::post(target), |request, (name, value)| {
            request.header(*name, *value)
        });
    let request = request
        .body(Bytes::copy_from_slice(body))
        .expect("a request");
    let receiver = receiver(&receivers().collectors, kind).expect("the collector");
    let history = Some(received() as &dyn TimedHistory);
    let response = receiver.receive(&Memory::default(), history, &request, NOW);
    let status = response.status().as_u16();
    assert!(matches!(status, 200 | 204 | 400 | 413), "{status}");
}

/// Store with a history that receivers append to.
struct Received(Store);

impl TimedHistory for Received {
    fn append(&self, source: Origin, batch: &SeriesBatch, now: Now) -> Rejected {
        let limits = SeriesLimits::of_series(100);
        self.0.append_timed(source, batch, limits, now)
    }

    fn sync(&self) {}
}

fn received() -> &'static Received {
    static RECEIVED: OnceLock<Received> = OnceLock::new();
    RECEIVED.get_or_init(|| {
        let options = store::Options {
            history: Some(Arc::new(History::in_memory(1000))),
            ..store::Options::default()
        };
        Received(Store::new(Arc::default(), options))
    })
}

fn receivers() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    PLAN.get_or_init(|| {
        let plan = config::plan(config::decode(&Source::Embedded, RECEIVERS, &|_| None));
        plan.expect("a configuration without problems")
    })
}

/// A collector of each type that takes requests.
const RECEIVERS: &str = "
performance_monitor:
  enabled_collectors: []
  collectors:
    - {name: otlp, type: otlp, accept: ['a.*', target_info], promote_resource_attributes: [b], promote_scope_metadata: true}
    - {name: remote_write, type: remote_write, accept: ['.*']}
    - {name: influx, type: influx, accept: ['.*']}
";

/// Application metrics of every kind, and StatsD mappings of names.
const STATSD: &str = "
performance_monitor:
  enabled_collectors: [application]
  application_metrics:
    - {name: c, type: counter, labels: [a, b]}
    - {name: g, type: gauge}
    - {name: h, type: histogram, buckets: [0.1, 1]}
    - {name: s, type: summary, labels: [a]}
  application:
    statsd:
      ignored_tags: [env]
      mappings:
        - {match: m.*.*, metric: c, labels: {a: '$1', b: 'x-${2}$$'}}
        - {match: t.*, metric: s, labels: {a: $1}, scale: 1000}
";

struct Recording {
    metrics: Arc<[MetricDef]>,
    application: Vec<(MetricId, RecordedMetric)>,
    statsd: Vec<Statsd>,
}

impl Recording {
    fn get() -> &'static Self {
        static RECORDING: OnceLock<Recording> = OnceLock::new();
        RECORDING.get_or_init(|| {
            let plan = config::plan(config::decode(&Source::Embedded, STATSD, &|_| None));
            let plan = plan.expect("a configuration without problems");
            let settings = plan.statsd().expect("the section above");
            let dialects = [
                StatsdDialect::Auto,
                StatsdDialect::Statsd,
                StatsdDialect::Dogstatsd,
            ];
            let statsd = dialects.map(|dialect| Statsd {
                dialect,
                ..settings.clone()
            });
            let application = plan.recorded().to_vec();
            Self {
                metrics: plan.metrics.clone(),
                application,
                statsd: statsd.into(),
            }
        })
    }

    /// Whatever was recorded makes a page that can be read.
    fn is_shown(&self, recorder: &Recorder) {
        let mut batch = Batch::default();
        recorder.fill(&mut batch);
        let store = Store::new(Arc::clone(&self.metrics), store::Options::default());
        store.commit(&batch, Now::default());
        for format in [Format::Text, Format::OpenMetrics] {
            let (mut page, mut bytes) = (Renderer::new(store.snapshot(), format), Vec::new());
            while page.next_chunk(&mut bytes) {}
            let text = std::str::from_utf8(&bytes).expect("a page of text");
            bellwether_exposition::parse(text, format).expect("a page that its own parser takes");
        }
    }
}

/// A configuration of Alertmanager.
pub fn alertmanager(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let no_files = |_: &Path| Ok(Vec::new());
    let mut problems = Diagnostics::default();
    bellwether_compat::alertmanager(
        Path::new("alertmanager.yml"),
        text,
        &no_files,
        &mut problems,
    );
}

/// A rule file of Prometheus, its templates among it.
pub fn rule_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let file = RuleFile {
        path: PathBuf::from("rules.yml"),
        text: text.to_owned(),
    };
    bellwether_compat::import(&[file], std::iter::empty(), &mut Diagnostics::default());
}

/// A template of a message.
pub fn template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let environment = bellwether_template::environment();
    let labels = std::collections::BTreeMap::from([("job", "a")]);
    let facts = context! { labels => labels, value => 0.5 };
    bellwether_template::parsed(&environment, text, |one| {
        bellwether_template::rendered(one, facts, 1 << 15).ok()
    })
    .ok();
}

/// A segment of history's write-ahead log.
pub fn log(bytes: &[u8]) {
    history_file("0000000001.wal", bytes);
}

/// A block of history.
pub fn block(bytes: &[u8]) {
    history_file("1-00000001.block", bytes);
}

fn history_file(name: &str, bytes: &[u8]) {
    let Ok(folder) = tempfile::tempdir() else {
        return;
    };
    if std::fs::write(folder.path().join(name), bytes).is_err() {
        return;
    }
    let (history, _) = History::open_read_only(folder.path());
    history
        .select(&[], UnixMillis(i64::MIN), UnixMillis(i64::MAX), &guard())
        .ok();
}
