//! A collector made from YAML, a graph that all tests read, and what was collected as text.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use bellwether_collector::{Collector, MetricDefaults};
use bellwether_collectors::neo4j::{Neo4jCollector, Neo4jMetrics, Plan, QueryStats, Run};
use bellwether_core::{Batch, Failure, LabelValues, MetricId, Now, Origin};
use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};
use neo4rs::{ConfigBuilder, Graph, query};

use crate::support::servers::{PASSWORD, Server};

/// Content of the shared graph.
const GRAPH: &str = "CREATE (a:Person:Admin {name: 'ada', age: 36}), (b:Person {name: 'bob'}), \
     (c:City {name: 'Köln'}), (d), (a)-[:KNOWS]->(b), (a)-[:LIVES_IN]->(c), (b)-[:LIVES_IN]->(c)";

/// Timeouts for a busy machine.
pub const PATIENT: &str = "connect_timeout: 20s\nquery_timeout: 20s";

/// The server that most tests share, for one of them at a time. It ends with the last of them.
pub struct Shared {
    // Dropped in this order: the next test finds the server alive.
    _turn: MutexGuard<'static, ()>,
    server: Arc<Server>,
}

impl std::ops::Deref for Shared {
    type Target = Server;
    fn deref(&self) -> &Server {
        &self.server
    }
}

/// A Neo4j with `apoc.monitor` and the shared graph, which nobody changes.
pub fn shared() -> Shared {
    static SERVER: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    static TURN: Mutex<()> = Mutex::new(());
    let server = {
        let mut slot = SERVER.lock().unwrap_or_else(PoisonError::into_inner);
        slot.upgrade().unwrap_or_else(|| {
            let server = Arc::new(Server::neo4j_with_monitor());
            *slot = Arc::downgrade(&server);
            block_on(async { client(&server).run(GRAPH).await.expect("the graph") });
            server
        })
    };
    Shared {
        server,
        _turn: TURN.lock().unwrap_or_else(PoisonError::into_inner),
    }
}

/// Runs one future on a runtime of its own.
pub fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    std::thread::scope(|scope| {
        let run = || {
            tokio::runtime::Runtime::new()
                .expect("a runtime")
                .block_on(future)
        };
        scope
            .spawn(run)
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A client beside the collector.
pub fn client(server: &Server) -> Graph {
    let config = ConfigBuilder::new()
        .uri(format!("bolt://{}", server.address()))
        .user("neo4j")
        .password(PASSWORD)
        .build();
    Graph::connect(config.expect("a configuration")).expect("a client")
}

/// Number that `cypher` gives as `n`.
pub async fn ask(server: &Server, cypher: &str) -> i64 {
    let mut rows = client(server)
        .execute(query(cypher))
        .await
        .expect("an answer");
    rows.next()
        .await
        .expect("a row")
        .expect("a row")
        .get("n")
        .expect("a number n")
}

/// A collector and its virtual time.
pub struct Agent {
    collector: Neo4jCollector,
    plan: Plan,
    stats: Arc<QueryStats>,
    now: Now,
}

/// Result of one collection.
#[derive(Debug)]
pub struct Collected {
    /// `name` or `name{label="value",...}` to value.
    pub values: BTreeMap<String, f64>,
    pub failure: Option<Failure>,
}

impl Agent {
    /// Asks `server`, with `section` below `neo4j_metrics`, and is patient: the first statements of
    /// a server just started can take seconds on a busy machine.
    pub fn of(server: &Server, section: &str) -> Self {
        let address = server.address();
        Self::new(&format!(
            "uri: bolt://{address}\npassword: {PASSWORD}\n{PATIENT}\n{section}"
        ))
    }

    /// From the whole of `neo4j_metrics`; the collection interval is 30 s.
    pub fn new(section: &str) -> Self {
        let mut problems = Diagnostics::default();
        let tree = parse(section).expect("YAML");
        let settings =
            Neo4jMetrics::decode(&tree, &mut DecodeContext::new(&mut problems, &|_| None));
        if let Some(settings) = &settings {
            settings.check(&mut problems);
        }
        assert!(problems.is_empty(), "{problems:?}");
        let settings = settings.expect("settings");
        let plan = settings.plan(MetricDefaults {
            origin: Origin::new("neo4j"),
            prefix: "",
            interval: Duration::from_secs(30),
        });
        // Not zero, to see that ids are counted from there.
        let stats = Arc::new(QueryStats::default());
        let collector = Neo4jCollector::new(&settings, plan.clone(), MetricId(100), stats.clone());
        Self {
            collector,
            plan,
            stats,
            now: Now::default().after(Duration::from_secs(3600)),
        }
    }

    /// Rows that were left out, by reason.
    pub fn skipped(&self) -> Vec<(&'static str, u64)> {
        self.stats
            .skipped()
            .filter(|(_, count)| *count > 0)
            .collect()
    }

    /// Last run of a query.
    pub fn last_run(&self, query: &str) -> Option<Run> {
        self.stats.last_run(query)
    }

    /// Notes, which are no failures.
    pub fn notes(&self) -> Vec<String> {
        self.collector.notes()
    }

    /// Collects, 30 s of virtual time after the last time.
    pub async fn collect(&mut self) -> Collected {
        self.collect_after(Duration::from_secs(30)).await
    }

    /// Collects, `span` of virtual time after the last time.
    pub async fn collect_after(&mut self, span: Duration) -> Collected {
        self.now = self.now.after(span);
        let mut batch = Batch::default();
        let result = self.collector.collect(&mut batch, self.now).await;
        let mut values = BTreeMap::new();
        for sample in batch.iter() {
            let def = &self.plan.metrics[(sample.metric.0 - 100) as usize];
            let packed = LabelValues::from_packed(sample.labels);
            let labels: Vec<String> = def
                .labels
                .iter()
                .zip(packed.iter())
                .map(|(k, v)| format!("{k}={v:?}"))
                .collect();
            assert_eq!(packed.iter().count(), def.labels.len(), "{}", def.name);
            let key = match labels.is_empty() {
                true => def.name.to_string(),
                false => format!("{}{{{}}}", def.name, labels.join(",")),
            };
            assert!(
                values.insert(key.clone(), sample.values[0]).is_none(),
                "{key} twice"
            );
        }
        Collected {
            values,
            failure: result.err(),
        }
    }
}

impl Collected {
    /// The value of one series.
    pub fn get(&self, series: &str) -> Option<f64> {
        self.values.get(series).copied()
    }

    /// The values of all series but `neo4j_up`, which is 1; there is no failure.
    pub fn good(self) -> Vec<(String, f64)> {
        assert_eq!(self.failure, None, "{:?}", self.values);
        self.others()
    }

    /// The values of all series but `neo4j_up`, which is 1.
    pub fn others(mut self) -> Vec<(String, f64)> {
        assert_eq!(
            self.values.remove("neo4j_up"),
            Some(1.0),
            "{:?}",
            self.failure
        );
        self.values.into_iter().collect()
    }

    /// Reason and detail of the failure.
    pub fn failed(&self) -> (&'static str, &str) {
        let failure = self.failure.as_ref().expect("a failure");
        (failure.reason, &failure.detail)
    }
}

/// Series and values, to compare with.
pub fn series(expect: &[(&str, f64)]) -> Vec<(String, f64)> {
    expect
        .iter()
        .map(|(series, value)| ((*series).to_owned(), *value))
        .collect()
}
