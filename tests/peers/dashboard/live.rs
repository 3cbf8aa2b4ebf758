//! Every query of every panel on three data sources: a Prometheus that scrapes a live Bellwether with the shipped
//! configuration, a Prometheus that it writes to, and Bellwether itself; under load from all three collectors.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bellwether_config::EMBEDDED;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{dashboard, expressions, panels, selectors, text};
use crate::support::agent::{Agent, request};
use crate::support::poll;
use crate::support::prometheus::Prometheus;
use crate::support::servers::{PASSWORD, Server};

/// The result of an instant query.
type Ask<'a> = &'a dyn Fn(&str) -> Vec<Value>;

/// Metrics that not every machine has: virtual ones hide the frequency of their processors.
const HARDWARE: &[&str] = &["multi_agent_system_cpu_freq_current"];

#[test]
fn every_query_of_every_panel_gives_data() {
    let neo4j = Server::neo4j_with_monitor();
    let address = format!("bolt://{}", neo4j.address());
    fill(&address);
    let folder = TempDir::new().expect("folder");
    let receiver_folder = TempDir::new().expect("folder");
    let receiver = Prometheus::start(receiver_folder.path(), "  []\n");
    let remote_write = format!(
        "\nremote_write:\n  - url: {}/api/v1/write\n",
        receiver.url()
    );
    let agent = Agent::start(folder.path(), &(configuration(&address) + &remote_write));
    let _load = Load::start(&agent);
    let prometheus = Prometheus::start(folder.path(), &scrape(&agent));
    let own = |query: &str| {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let (status, body) = agent.get(&format!("/api/v1/query?query={encoded}"));
        assert_eq!(status, 200, "{query}: {body}");
        let answer: Value = serde_json::from_str(&body).expect("JSON");
        answer["data"]["result"]
            .as_array()
            .expect("a vector")
            .clone()
    };
    let sources: [(&str, &str, Ask<'_>); 3] = [
        ("scraped by Prometheus", "bellwether", &|query| {
            prometheus.query(query)
        }),
        ("written to Prometheus", ".*", &|query| {
            receiver.query(query)
        }),
        ("Bellwether", ".*", &own),
    ];

    let up = "bellwether_build_info{job=~\"bellwether\", instance=~\".*\"}";
    assert_eq!(
        prometheus.wait_for(up).len(),
        1,
        "the series that the variables of the dashboard list"
    );
    for panel in panels(&dashboard(EMBEDDED)) {
        for expression in expressions(panel) {
            let (_, exposition) = agent.get("/metrics");
            let exported = |name: &str| exposition.lines().any(|line| line.starts_with(name));
            let hidden = |name: &str| HARDWARE.contains(&name) && !exported(name);
            if selectors(expression)
                .iter()
                .any(|(_, names)| names.iter().any(|name| hidden(name)))
            {
                continue;
            }
            for (source, job, ask) in &sources {
                let query = expression
                    .replace("$job", job)
                    .replace("$instance", ".*")
                    .replace("$__rate_interval", "5s")
                    .replace("$__range", "30s");
                let what = format!("{source}: {}: numbers from {query}", text(&panel["title"]));
                poll(&what, Duration::from_secs(60), || numbers(&ask(&query)));
            }
        }
    }
}

/// The shipped configuration, with this Neo4j and faster than anyone would run it.
fn configuration(neo4j: &str) -> String {
    let changed = [
        (
            "collection_interval: 30\n",
            "collection_interval: 500ms\n".to_owned(),
        ),
        ("${NEO4J_URI:-bolt://localhost:7687}", neo4j.to_owned()),
        ("${NEO4J_PASSWORD:-password}", PASSWORD.to_owned()),
    ];
    changed
        .iter()
        .fold(EMBEDDED.to_owned(), |yaml, (from, to)| {
            assert!(
                yaml.contains(from),
                "the shipped configuration has no {from}"
            );
            yaml.replace(from, to)
        })
}

fn scrape(agent: &Agent) -> String {
    format!(
        "- {{job_name: bellwether, honor_labels: true, scrape_interval: 1s, \
         static_configs: [{{targets: ['{}']}}]}}\n",
        agent.address()
    )
}

/// A graph with labels and relationship types.
fn fill(address: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("runtime");
    runtime.block_on(async {
        let graph = neo4rs::Graph::new(address, "neo4j", PASSWORD).expect("client");
        let create = "CREATE (:Camera)-[:SEES]->(:Person)-[:KNOWS]->(:Person)";
        graph.run(neo4rs::query(create)).await.expect("created");
    });
}

/// All values, if there is one and each is a number.
fn numbers(result: &[Value]) -> Option<()> {
    let number = |series: &Value| {
        text(&series["value"][1])
            .parse::<f64>()
            .is_ok_and(f64::is_finite)
    };
    (!result.is_empty() && result.iter().all(number)).then_some(())
}

/// Applications that record every metric of the shipped configuration until dropped.
struct Load {
    ending: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Load {
    fn start(agent: &Agent) -> Self {
        let ending = Arc::new(AtomicBool::new(false));
        let (end, address) = (ending.clone(), agent.address());
        let body = records().to_string();
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let json = [("content-type", "application/json")];
                let (status, answer) =
                    request(address, "POST", "/api/v1/record", &json, &body).expect("an answer");
                assert!(
                    status == 200 && answer.contains("\"rejected\":[]"),
                    "{status}: {answer}"
                );
                thread::park_timeout(Duration::from_millis(50));
            }
        });
        Self {
            ending,
            thread: Some(thread),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(thread::JoinHandle::join);
        assert!(
            thread::panicking() || matches!(ended, Some(Ok(()))),
            "a record was rejected"
        );
    }
}

fn records() -> Value {
    let agent = json!({"agent_name": "cv", "status": "success"});
    let request = json!({"endpoint": "/orders", "method": "GET", "status": "200"});
    let queue = json!({"queue_name": "mail"});
    let entity = json!({"entity_type": "Camera", "operation": "create"});
    let cache = json!({"cache_name": "entities"});
    json!([
        {"metric": "agent_execution_time", "labels": agent, "observe": 2.5},
        {"metric": "agent_execution_count", "labels": agent, "inc": 1},
        {"metric": "agent_error_count", "labels": {"agent_name": "cv", "error_type": "timeout"}, "inc": 1},
        {"metric": "api_request_duration", "labels": request, "observe": 0.12},
        {"metric": "api_request_count", "labels": request, "inc": 1},
        {"metric": "api_error_count",
         "labels": {"endpoint": "/orders", "method": "GET", "error_type": "500"}, "inc": 1},
        {"metric": "queue_length", "labels": queue, "set": 42},
        {"metric": "queue_items_processed", "labels": queue, "inc": 1},
        {"metric": "queue_processing_time", "labels": queue, "observe": 0.3},
        {"metric": "entities_processed_total", "labels": entity, "inc": 1},
        {"metric": "entities_processing_time", "labels": entity, "observe": 0.02},
        {"metric": "cache_hits", "labels": cache, "inc": 3},
        {"metric": "cache_misses", "labels": cache, "inc": 1},
        {"metric": "cache_size", "labels": cache, "set": 150},
    ])
}
