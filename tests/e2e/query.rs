//! History asked in PromQL: by promtool, by what Grafana sends, at the shell, and compared with a
//! Prometheus that has the same samples.

use std::fmt::Write as _;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::agent::{Agent, request};
use crate::support::prometheus::Prometheus;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// An agent and a Prometheus with the same samples: 12 queues in two zones, a counter that is
/// reset, a histogram, three hours up to ten minutes ago.
struct Both {
    agent: Agent,
    prometheus: Prometheus,
    /// The end of the samples, a multiple of 15 s that no sample is at.
    end: i64,
    folder: TempDir,
}

fn samples(end: i64) -> String {
    let mut text = String::new();
    let steps = || (0..720_i64).map(|step| (step, (end - 3 * 3600 + step * 15 + 7) as f64));
    text += "# TYPE queue_length gauge\n";
    for queue in 0..12 {
        let zone = if queue % 2 == 0 { "north" } else { "south" };
        for (step, at) in steps() {
            let value = ((step * (queue + 3)) % 97) as f64 / 4.0 - 3.0;
            writeln!(
                text,
                "queue_length{{queue=\"q{queue}\",zone=\"{zone}\"}} {value} {at}"
            )
            .unwrap();
        }
    }
    text += "# TYPE jobs counter\n";
    for queue in 0..3 {
        for (step, at) in steps() {
            let value = (step % 300) * (queue + 1) * 2;
            writeln!(text, "jobs_total{{queue=\"q{queue}\"}} {value} {at}").unwrap();
        }
    }
    text += "# TYPE took histogram\n";
    for (bound, share) in [("0.1", 2), ("1.0", 7), ("+Inf", 9)] {
        for (step, at) in steps() {
            writeln!(text, "took_bucket{{le=\"{bound}\"}} {} {at}", step * share).unwrap();
        }
    }
    text + "# EOF\n"
}

fn ok(command: &mut Command) -> String {
    let done = command.output().unwrap();
    let text = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{command:?}: {text}");
    String::from_utf8(done.stdout).unwrap()
}

fn bellwether() -> Command {
    Command::new(env!("CARGO_BIN_EXE_bellwether"))
}

impl Both {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs() as i64;
        let end = (now - 600) / 60 * 60;
        let file = folder.path().join("samples.om");
        std::fs::write(&file, samples(end)).unwrap();
        let history = folder.path().join("state/history");
        std::fs::create_dir_all(&history).unwrap();
        ok(bellwether()
            .args(["import", "--history"])
            .arg(&history)
            .arg(&file));
        let tsdb = folder.path().join("prometheus");
        ok(Command::new("promtool")
            .args(["tsdb", "create-blocks-from", "openmetrics"])
            .args([&file, &tsdb]));
        let yaml = "performance_monitor:\n  enabled_collectors: [application]\n  \
                    prometheus: {query: {lookback: 1m}}\n";
        let agent = Agent::start(folder.path(), yaml);
        let prometheus = Prometheus::start(folder.path(), "  []\n");
        Self {
            agent,
            prometheus,
            end,
            folder,
        }
    }

    /// The same request to both.
    fn ask(&self, method: &str, path: &str, body: &str) -> [(u16, Value); 2] {
        let headers = if body.is_empty() {
            &[][..]
        } else {
            &[FORM][..]
        };
        let ours = request(self.agent.address(), method, path, headers, body).unwrap();
        let theirs = self.prometheus.send(method, path, headers, body);
        [ours, theirs].map(|(status, body)| {
            let json = serde_json::from_str(&body);
            (
                status,
                json.unwrap_or_else(|_| panic!("{path}: {status}: {body}")),
            )
        })
    }

    /// Asks both, and that they answer the same but for the order of a vector.
    fn same(&self, method: &str, path: &str, body: &str) -> Value {
        let [(status, mut ours), (their_status, mut theirs)] = self.ask(method, path, body);
        assert_eq!(
            (status, their_status),
            (200, 200),
            "{path} {body}: {ours} {theirs}"
        );
        // What Prometheus 2.42 does not know yet.
        ours.as_object_mut().unwrap().remove("infos");
        for answer in [&mut ours, &mut theirs] {
            sort(&mut answer["data"]);
        }
        if let Some(difference) = difference(&ours, &theirs, "") {
            panic!("{path} {body}: {difference}");
        }
        ours
    }
}

fn sort(data: &mut Value) {
    if let Some(Value::String(kind)) = data.get("resultType")
        && kind == "vector"
        && let Some(result) = data["result"].as_array_mut()
    {
        result.sort_by_key(|sample| sample["metric"].to_string());
    }
}

/// Paths at which two documents differ; texts that are numbers may differ in the last digits, which depend
/// on the order of a sum.
fn difference(ours: &Value, theirs: &Value, at: &str) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(one), Value::Object(other)) => {
            let keys = |object: &serde_json::Map<String, Value>| -> Vec<String> {
                object.keys().cloned().collect()
            };
            if keys(one) != keys(other) {
                return Some(format!("{at}: {:?} is not {:?}", keys(one), keys(other)));
            }
            one.iter()
                .find_map(|(key, value)| difference(value, &other[key], &format!("{at}.{key}")))
        }
        (Value::Array(one), Value::Array(other)) => {
            if one.len() != other.len() {
                return Some(format!(
                    "{at}: {} entries are not {}",
                    one.len(),
                    other.len()
                ));
            }
            let mut pairs = one.iter().zip(other).enumerate();
            pairs
                .find_map(|(index, (one, other))| difference(one, other, &format!("{at}[{index}]")))
        }
        (Value::String(one), Value::String(other)) if one != other => {
            let close = match (one.parse::<f64>(), other.parse::<f64>()) {
                (Ok(a), Ok(b)) => (a - b).abs() <= 1e-12 * a.abs().max(b.abs()),
                _ => false,
            };
            (!close).then(|| format!("{at}: {one:?} is not {other:?}"))
        }
        _ => (ours != theirs).then(|| format!("{at}: {ours} is not {theirs}")),
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Kept to what Prometheus 2.42 and 3 agree on.
const QUERIES: &[&str] = &[
    "queue_length",
    "queue_length{zone=\"north\"}",
    "queue_length{queue=~\"q1.*\",zone!=\"north\"}",
    "{__name__=~\"jobs.*\"}",
    "sum(queue_length)",
    "sum by (zone) (queue_length)",
    "avg without (queue) (queue_length)",
    "count(queue_length > 5)",
    "topk(3, queue_length)",
    "quantile(0.9, queue_length)",
    "stddev by (zone) (queue_length)",
    "count_values(\"length\", round(queue_length))",
    "rate(jobs_total[5m])",
    "increase(jobs_total[1h])",
    "irate(jobs_total[1m])",
    "resets(jobs_total[3h])",
    "max_over_time(queue_length[10m]) - min_over_time(queue_length[10m])",
    "avg_over_time(queue_length[30m:1m])",
    "quantile_over_time(0.5, queue_length[10m])",
    "deriv(queue_length[10m])",
    "predict_linear(queue_length[10m], 3600)",
    "histogram_quantile(0.9, rate(took_bucket[5m]))",
    "jobs_total / on (queue) group_left (zone) queue_length{queue!=\"q1\"}",
    "queue_length and on (queue) jobs_total",
    "jobs_total or queue_length",
    "queue_length unless on (queue) jobs_total",
    "queue_length > bool 3",
    "queue_length offset 20m",
    "absent(nothing)",
    "absent(queue_length)",
    "nothing",
    "label_replace(jobs_total, \"n\", \"$1\", \"queue\", \"q(.)\")",
    "clamp(queue_length, 0, 5)",
    "abs(queue_length) ^ 0.5",
    "-queue_length / 0",
    "0 * (queue_length / 0)",
    "1 + 1",
    "scalar(sum(queue_length)) * 1e-9",
    "1e21",
    "time()",
    "vector(time())",
    "hour()",
    "timestamp(jobs_total)",
];

/// Only for one time: a text, a range, an order.
const INSTANT: &[&str] = &[
    "\"a \\\"text\\\"\"",
    "jobs_total[1m]",
    "queue_length{zone=\"south\"}[2m:30s]",
    "Inf",
    "-0",
];

#[test]
fn answers_are_those_of_a_prometheus_with_the_same_samples() {
    let both = Both::start();
    let end = both.end;
    let mut asked = 0;
    for query in QUERIES.iter().chain(INSTANT) {
        for at in [end - 3600, end - 7200, end + 40] {
            let path = format!("/api/v1/query?query={}&time={at}.500", encoded(query));
            both.same("GET", &path, "");
            asked += 1;
        }
    }
    for query in QUERIES {
        let query = encoded(query);
        let span = format!("query={query}&start={}.25&end={}", end - 5396, end + 120);
        for step in ["60", "13.5", "5m"] {
            both.same(
                "GET",
                &format!("/api/v1/query_range?{span}&step={step}"),
                "",
            );
            asked += 1;
        }
        both.same("POST", "/api/v1/query_range", &format!("{span}&step=300"));
    }
    println!("{asked} queries answered as Prometheus does");
    let in_time = format!("start={}&end={end}", end - 3600);
    for path in [
        format!("series?match[]=queue_length&match[]=jobs_total&{in_time}"),
        format!("series?match[]=%7Bzone%3D%22north%22%7D&{in_time}"),
        format!("series?match[]=nothing&{in_time}"),
        format!("labels?match[]=queue_length&{in_time}"),
        format!("label/zone/values?{in_time}&match[]=queue_length"),
        format!("label/nothing/values?{in_time}"),
        format!("query_exemplars?query=queue_length&{in_time}"),
    ] {
        both.same("GET", &format!("/api/v1/{path}"), "");
    }
}

/// The requests that Grafana's Prometheus data source makes: "save and test" (1+1, then buildinfo),
/// its query builder, Explore. Sources: grafana/grafana, pkg/promlib/healthcheck.go, heuristics.go,
/// client/client.go and packages/grafana-prometheus/src/language_provider.ts.
#[test]
fn what_grafana_asks_is_answered_as_a_prometheus_does() {
    let both = Both::start();
    let (start, end) = (both.end - 3600, both.end);
    both.same("POST", "/api/v1/query", "query=1%2B1&time=4");
    let [(status, ours), (_, theirs)] = both.ask("GET", "/api/v1/status/buildinfo", "");
    assert_eq!(status, 200);
    for key in theirs["data"].as_object().unwrap().keys() {
        assert!(ours["data"][key].is_string(), "{key}: {ours}");
    }
    assert_eq!(
        ours["data"]["features"],
        Value::Null,
        "with features it would be a Mimir"
    );

    let named = encoded("{__name__=~\"queue.*|jobs.*|took.*\"}");
    let names = format!("/api/v1/label/__name__/values?start={start}&end={end}&match[]={named}");
    let names = both.same("GET", &names, "");
    assert_eq!(
        names["data"],
        json!(["jobs_total", "queue_length", "took_bucket"])
    );
    let match_one = encoded("queue_length{queue=\"q1\"}");
    both.same(
        "POST",
        "/api/v1/labels",
        &format!("start={start}&end={end}&match[]={match_one}"),
    );
    both.same(
        "POST",
        "/api/v1/series",
        &format!("start={start}&end={end}&match[]={match_one}&limit=40000"),
    );
    both.same(
        "GET",
        &format!("/api/v1/label/zone/values?start={start}&end={end}&match[]={match_one}"),
        "",
    );
    let expr = encoded("sum by (zone) (rate(jobs_total{queue=~\".+\"}[1m0s]))");
    both.same(
        "POST",
        "/api/v1/query_range",
        &format!("query={expr}&start={start}&end={end}&step=15"),
    );
    both.same(
        "POST",
        "/api/v1/query",
        &format!("query={expr}&time={end}.123"),
    );
    both.same(
        "POST",
        "/api/v1/query_exemplars",
        &format!("query={expr}&start={start}&end={end}"),
    );
    let [(status, rules), _] = both.ask("GET", "/api/v1/rules", "");
    assert!(
        status == 200 && rules["data"]["groups"].is_array(),
        "{rules}"
    );
    let [(_, ours), (_, theirs)] = both.ask("GET", "/api/v1/metadata?limit=1", "");
    assert_eq!(theirs["data"], json!({}), "it scrapes nothing");
    let (_, metric) = ours["data"].as_object().unwrap().iter().next().unwrap();
    let keys: Vec<_> = metric[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["help", "type", "unit"]);
}

#[test]
fn errors_are_those_of_prometheus() {
    let both = Both::start();
    let same_text = [
        "query?query=up&time=soon",
        "query?query=up&timeout=x",
        "query_range?query=up&end=1&step=1",
        "query_range?query=up&start=1&step=1",
        "query_range?query=up&start=2&end=1&step=1",
        "query_range?query=up&start=1&end=2",
        "query_range?query=up&start=1&end=2&step=x",
        "query_range?query=up&start=1&end=2&step=0",
        "query_range?query=up&start=1&end=2&step=-1",
        "query_range?query=up&start=0&end=11001&step=1",
        "series",
    ];
    let same_kind = [
        "query_range?query=up%5B5m%5D&start=0&end=1&step=1",
        "query_range?query=%22a%22&start=0&end=1&step=1",
        "query?query=",
        "query?query=sum(",
        "query?query=sum(up",
        "query?query=up%7Ba%3D%22",
        "query?query=up%5B5m",
        "query?query=rate(up)",
        "query?query=nothing_such(up)",
        "query?query=%FF%FE",
        "query?query=up%7Ba%3D~%22(%22%7D",
        "query?query=1%20%2B%20%22a%22",
        "series?match[]=%7B%7D",
        "series?match[]=sum(up)",
        "labels?match[]=%7B",
        "label/zone/values?match[]=%7Ba%3D~%22.*%22%7D",
        "labels?start=x",
    ];
    let end = both.end;
    let twice = encoded("queue_length + on (zone) queue_length");
    let execution = format!("query?query={twice}&time={end}");
    for (path, text) in same_text.into_iter().map(|path| (path, true)).chain(
        same_kind
            .into_iter()
            .chain([&*execution])
            .map(|path| (path, false)),
    ) {
        let [(status, ours), (their_status, theirs)] =
            both.ask("GET", &format!("/api/v1/{path}"), "");
        println!("{path}\n  {}\n  {}", ours["error"], theirs["error"]);
        assert_eq!(
            (status, &ours["errorType"]),
            (their_status, &theirs["errorType"]),
            "{path}"
        );
        assert_eq!(ours["status"], "error");
        if text {
            assert_eq!(ours["error"], theirs["error"], "{path}");
        }
    }
}

#[test]
fn promtool_takes_it_for_a_prometheus() {
    let both = Both::start();
    let [ours, theirs] = [both.agent.address(), both.prometheus.address()]
        .map(|address| format!("http://{address}"));
    let (start, end) = (both.end - 600, both.end);
    let times = [format!("--start={start}"), format!("--end={end}")];
    let at = format!("--time={end}");
    let promtool = |url: &str, kind: &str, options: &[&str], what: &str| {
        let mut command = Command::new("promtool");
        let text = ok(command
            .args(["query", kind])
            .args(options)
            .args([url, what]));
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if kind == "instant" {
            lines.sort();
        }
        assert!(!lines.is_empty(), "{kind} {what}");
        lines
    };
    let range = [&*times[0], &*times[1], "--step=60s"];
    for (kind, options, what) in [
        ("instant", &[&*at][..], "sum by (zone) (queue_length)"),
        ("instant", &[&*at], "jobs_total[1m]"),
        ("range", &range, "rate(jobs_total[5m])"),
        ("labels", &[&*times[0], &*times[1]], "zone"),
    ] {
        let (ours, theirs) = (
            promtool(&ours, kind, options, what),
            promtool(&theirs, kind, options, what),
        );
        assert_eq!(ours, theirs, "{kind} {what}");
    }
    let series = |url: &str| {
        let mut command = Command::new("promtool");
        command.args([
            "query",
            "series",
            "--match=jobs_total",
            "--match=queue_length",
        ]);
        ok(command.args(&times).arg(url))
    };
    assert_eq!(series(&ours), series(&theirs));
    assert_eq!(series(&ours).lines().count(), 15);
}

#[test]
fn the_shell_asks_a_server_or_a_folder() {
    let both = Both::start();
    let end = both.end.to_string();
    let url = format!("http://{}", both.agent.address());
    let query = |from: &[&str], arguments: &[&str]| {
        ok(bellwether().arg("query").args(from).args(arguments))
    };
    let folder = both.folder.path().join("state/history");
    let (server, folder) = (
        ["--url", &url],
        ["--history", &folder.display().to_string()],
    );
    let sum = "sum by (zone) (queue_length)";
    for arguments in [
        &["--at", &end, sum][..],
        &["--at", &end, "--format", "csv", sum],
        &["--at", &end, "--format", "json", sum],
        &["--to", &end, "--step", "1m", sum],
        &["--to", &end, "--format", "chart", "rate(jobs_total[5m])"],
        &["--to", &end, "--format", "csv", "jobs_total"],
        &["--at", &end, "scalar(sum(queue_length))"],
    ] {
        let (one, other) = (query(&server, arguments), query(&folder, arguments));
        assert_eq!(one, other, "{arguments:?}");
        assert!(
            !one.is_empty() && !one.contains("no series"),
            "{arguments:?}: {one}"
        );
    }
    let chart = query(
        &server,
        &["--to", &end, "--format", "chart", "rate(jobs_total[5m])"],
    );
    assert!(
        chart.contains("a {queue=\"q0\"}") && chart.contains("cccc"),
        "{chart}"
    );
    let failed = |arguments: &[&str]| {
        let done = bellwether().arg("query").args(arguments).output().unwrap();
        assert_eq!(done.status.code(), Some(1), "{arguments:?}");
        String::from_utf8(done.stderr).unwrap()
    };
    assert!(failed(&["--url", &url, "sum("]).contains("parse error"));
    assert!(failed(&["--history", "nowhere", "up"]).contains("no such directory"));
    let nobody = format!("http://127.0.0.1:{}", crate::support::free_port());
    assert!(failed(&["--url", &nobody, "up"]).contains("is it running?"));
}
