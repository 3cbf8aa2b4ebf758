//! Plans: the metrics of the configuration, and the statements that fill them.
//!
//! Pure. Built-ins with the same statement share one job.

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::MetricDefaults;
use bellwether_core::{Kind, MetricDef};

use crate::neo4j::catalogue::{self, Call, Source, UP};
use crate::neo4j::settings::{DATABASE_LABEL, Enabled, Neo4jMetrics, Neo4jQuery};

/// Metrics and statements of a configuration.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The metrics.
    pub metrics: Vec<MetricDef>,
    /// Interval of collections: the collection interval, or the shortest interval of a query.
    pub interval: Duration,
    /// Databases that are probed; the first one represents the server.
    pub(super) databases: Vec<Arc<str>>,
    /// Set if metrics have the database's name as their last label.
    pub(super) labelled: bool,
    /// Metrics that need no statement, as indexes into `metrics`.
    pub(super) local: Vec<(usize, Source)>,
    /// Statements to run.
    pub(super) jobs: Vec<Job>,
}

/// One statement on one database, and the metrics that its rows fill.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) cypher: Arc<str>,
    pub(super) database: Arc<str>,
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    /// Set if a server that does not support the statement is no failure.
    pub(super) auto: bool,
    pub(super) readings: Vec<Reading>,
    /// The built-in statement, by which jobs are shared.
    call: Option<Call>,
}

impl Job {
    /// Returns true if `other` runs the same built-in statement in the same way.
    fn has_same_call(&self, other: &Self) -> bool {
        self.call.is_some()
            && self.call == other.call
            && self.database == other.database
            && self.interval == other.interval
            && self.timeout == other.timeout
            && self.auto == other.auto
    }
}

/// Columns and rows that one metric is read from.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Reading {
    /// Index into the plan's metrics.
    pub(super) metric: usize,
    /// The metric's name, for messages.
    pub(super) name: Arc<str>,
    /// Value of the column `what` in its rows; `None`: all rows.
    pub(super) what: Option<&'static str>,
    /// Columns of the labels, in the order of the metric's labels.
    pub(super) labels: Vec<Arc<str>>,
    /// Set for a counter, which is never negative.
    pub(super) counter: bool,
    /// Column of the value, if it is configured.
    pub(super) value: Option<Arc<str>>,
    /// Value of the label `database`, which comes last.
    pub(super) database: Option<Arc<str>>,
}

impl Neo4jMetrics {
    /// Builds the plan. A query runs at the interval of `defaults` if it has none of its own. Expects settings that [`Neo4jMetrics::check`] accepted.
    #[must_use]
    pub fn plan(&self, defaults: MetricDefaults<'_>) -> Plan {
        let labelled = self.databases.as_ref();
        let databases = match labelled {
            Some(databases) => databases.iter().map(|name| name.as_str().into()).collect(),
            None => vec![self.database.as_str().into()],
        };
        let enabled = || {
            self.queries
                .iter()
                .filter(|query| query.enabled != Enabled::No)
        };
        let intervals =
            enabled().filter_map(|query| query.interval.as_ref().map(|span| span.value.0));
        let mut plan = Plan {
            metrics: Vec::new(),
            interval: intervals.fold(defaults.interval, Duration::min),
            databases,
            labelled: labelled.is_some(),
            local: Vec::new(),
            jobs: Vec::new(),
        };
        if !self
            .queries
            .iter()
            .any(|query| query.built_in().is_some_and(|b| b.source == Source::Up))
        {
            plan.add_up(defaults);
        }
        for query in enabled() {
            plan.add(query, defaults, self.query_timeout.value.0);
        }
        plan
    }
}

impl Plan {
    /// Returns the longest duration of a collection, whatever the timeouts are.
    #[must_use]
    pub fn longest_run(&self) -> Duration {
        self.interval * 4 / 5
    }

    fn add_up(&mut self, defaults: MetricDefaults<'_>) {
        if let Some(up) = catalogue::find(UP) {
            let labels = self.labels(&[], true);
            self.local.push((self.metrics.len(), up.source));
            self.metrics.push(MetricDef {
                help: up.help.into(),
                labels,
                interval: self.interval,
                ..defaults.define(up.name, up.kind)
            });
        }
    }

    fn labels(&self, names: &[Arc<str>], per_database: bool) -> Arc<[Arc<str>]> {
        let database = (self.labelled && per_database).then(|| Arc::from(DATABASE_LABEL));
        names.iter().cloned().chain(database).collect()
    }

    /// Adds the definition of the query's metric. Returns its type.
    fn define(
        &mut self,
        query: &Neo4jQuery,
        names: &[Arc<str>],
        interval: Duration,
        defaults: MetricDefaults<'_>,
    ) -> Kind {
        let built_in = query.built_in();
        let labels = self.labels(names, built_in.is_none_or(|b| b.source.is_per_database()));
        let kind = query
            .r#type
            .map(Kind::from)
            .or(built_in.map(|b| b.kind))
            .unwrap_or(Kind::Gauge);
        let help = query
            .help
            .as_deref()
            .or(built_in.map(|b| b.help))
            .unwrap_or("Queried from Neo4j.");
        self.metrics.push(MetricDef {
            help: help.into(),
            labels,
            interval,
            ..defaults.define(&query.name, kind)
        });
        kind
    }

    fn add(&mut self, query: &Neo4jQuery, defaults: MetricDefaults<'_>, timeout: Duration) {
        let interval = query
            .interval
            .as_ref()
            .map_or(defaults.interval, |span| span.value.0);
        let timeout = query.timeout.as_ref().map_or(timeout, |span| span.value.0);
        let metric = self.metrics.len();
        let names = label_names(query);
        let kind = self.define(query, &names, interval, defaults);
        let (cypher, call, reading) = match statement_of(query, metric, names) {
            Ok(statement) => statement,
            Err(source) => {
                self.metrics[metric].interval = self.interval;
                return self.local.push((metric, source));
            }
        };
        let counter = kind == Kind::Counter;
        let databases = match &query.database {
            Some(database) => vec![database.as_str().into()],
            None => self.databases.clone(),
        };
        for database in databases {
            let label = self.labelled.then(|| database.clone());
            let reading = Reading {
                database: label,
                counter,
                ..reading.clone()
            };
            self.add_job(Job {
                cypher: cypher.clone(),
                database,
                interval,
                timeout,
                auto: query.enabled == Enabled::Auto,
                readings: vec![reading],
                call,
            });
        }
    }

    /// Adds the job's readings to a job with the same statement, or adds the job.
    fn add_job(&mut self, job: Job) {
        let mut others = self.jobs.iter_mut();
        match others.find(|other| other.has_same_call(&job)) {
            Some(other) => other.readings.extend(job.readings),
            None => self.jobs.push(job),
        }
    }
}

/// Returns the label names of a query, without that of the database.
fn label_names(query: &Neo4jQuery) -> Vec<Arc<str>> {
    match (&query.labels, query.built_in()) {
        (_, Some(built_in)) => built_in
            .labels
            .iter()
            .map(|name| Arc::from(*name))
            .collect(),
        (Some(labels), None) => labels.iter().map(|name| Arc::from(name.as_str())).collect(),
        (None, None) => Vec::new(),
    }
}

/// Returns the statement of a query and how to read its rows; or, as `Err`, its source if it needs
/// no statement.
fn statement_of(
    query: &Neo4jQuery,
    metric: usize,
    labels: Vec<Arc<str>>,
) -> Result<(Arc<str>, Option<Call>, Reading), Source> {
    let reading = Reading {
        metric,
        name: query.name.as_str().into(),
        ..Reading::default()
    };
    match (
        &query.query,
        query.built_in().map(|built_in| built_in.source),
    ) {
        (None, Some(Source::Rows(call, selection))) => {
            let labels = selection
                .labels
                .iter()
                .map(|column| Arc::from(*column))
                .collect();
            let value = Some(selection.value.into());
            let reading = Reading {
                what: selection.what,
                labels,
                value,
                ..reading
            };
            Ok((call.cypher().into(), Some(call), reading))
        }
        (None, Some(source)) => Err(source),
        (cypher, _) => {
            let cypher = cypher.as_ref().map_or("", |cypher| &cypher.value);
            let value = query.value.as_ref().map(|column| column.as_str().into());
            Ok((
                cypher.into(),
                None,
                Reading {
                    labels,
                    value,
                    ..reading
                },
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::Origin;
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

    use super::*;

    fn plan(text: &str) -> Plan {
        let mut problems = Diagnostics::default();
        let node = parse(text).unwrap();
        let settings =
            Neo4jMetrics::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
        settings.check(&mut problems);
        assert!(problems.is_empty(), "{problems:?}");
        settings.plan(MetricDefaults {
            origin: Origin::new("neo4j"),
            prefix: "app",
            interval: Duration::from_secs(30),
        })
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.metrics.iter().map(|metric| &*metric.name).collect()
    }

    #[test]
    fn up_is_always_there_and_only_once() {
        let up = plan("{}");
        assert_eq!(
            (names(&up), &*up.metrics[0].exported),
            (vec![UP], "app_neo4j_up")
        );
        assert_eq!(names(&plan("queries: [{name: a, query: x}]")), [UP, "a"]);
        assert_eq!(
            names(&plan("queries: [{name: n, source: neo4j_up}]")),
            ["n"]
        );
    }

    #[test]
    fn built_ins_of_one_statement_share_a_job() {
        let plan = plan(
            "queries: [{name: neo4j_node_count}, {name: neo4j_label_count}, \
             {name: neo4j_relationship_count, interval: 5m}, {name: neo4j_transactions_committed}, \
             {name: neo4j_connection_pool_idle}, {name: off, query: x, enabled: false}]",
        );
        let jobs: Vec<Vec<&str>> = plan
            .jobs
            .iter()
            .map(|job| job.readings.iter().map(|r| &*r.name).collect())
            .collect();
        assert_eq!(
            jobs,
            [
                vec!["neo4j_node_count", "neo4j_label_count"],
                vec!["neo4j_relationship_count"],
                vec!["neo4j_transactions_committed"]
            ]
        );
        assert_eq!(plan.local, [(0, Source::Up), (5, Source::PoolIdle)]);
        assert_eq!(plan.metrics[4].kind, Kind::Counter);
        assert_eq!(*plan.metrics[2].labels, [Arc::from("label")]);
        assert_eq!(plan.metrics[3].interval, Duration::from_secs(300));
        assert_eq!(plan.interval, Duration::from_secs(30));
    }

    #[test]
    fn several_databases_are_distinguished_by_a_label() {
        let plan = plan(
            "databases: [a, b]\nqueries: [{name: q, query: x, labels: [l]}, \
             {name: p, query: x, database: c}, {name: neo4j_connection_pool_total}]",
        );
        let labels: Vec<String> = plan.metrics.iter().map(|m| m.labels.join(",")).collect();
        assert_eq!(labels, ["database", "l,database", "database", ""]);
        let asked: Vec<(&str, &str)> = plan
            .jobs
            .iter()
            .map(|job| (&*job.database, job.readings[0].database.as_deref().unwrap()))
            .collect();
        assert_eq!(asked, [("a", "a"), ("b", "b"), ("c", "c")]);
    }

    #[test]
    fn the_shortest_interval_sets_the_pace() {
        let plan =
            plan("queries: [{name: a, query: x, interval: 5s, timeout: 2s}, {name: b, query: x}]");
        assert_eq!(plan.interval, Duration::from_secs(5));
        let of: Vec<_> = plan
            .jobs
            .iter()
            .map(|job| (job.interval.as_secs(), job.timeout.as_secs()))
            .collect();
        assert_eq!(of, [(5, 2), (30, 10)]);
    }
}
