//! The collector: probes the server, starts due statements, delivers the results of finished ones.
//!
//! The probe decides whether Neo4j is up before any statement is sent. After a rejected password no
//! statement is sent until the backoff has passed, so that Bellwether does not lock the account.

use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Collecting, Collector, UNSEEN};
use bellwether_core::{Batch, Failure, LabelValues, MetricId, Now};
use bellwether_schema::format_duration;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::durations::{Durations, quantile};
use super::error::{Kind, Neo4jError};
use super::jobs::Jobs;
use super::known_servers::KnownServers;
use super::plan::Plan;
use super::pool::Pool;
use super::statement::Statement;
use crate::neo4j::catalogue::Source;
use crate::neo4j::settings::Neo4jMetrics;
use crate::neo4j::stats::QueryStats;
use crate::queries::Backoff;

/// Collects from one Neo4j server.
pub struct Neo4jCollector {
    pool: Arc<Pool>,
    jobs: Jobs,
    databases: Vec<Database>,
    local: Vec<(MetricId, Source)>,
    labelled: bool,
    collection_interval: Duration,
    /// Longest duration of a collection.
    budget: Duration,
    probe_timeout: Duration,
    durations: Durations,
    backoff: Backoff,
    /// Number of rejected passwords at the last authentication error.
    rejections: u64,
    /// Last authentication error, until a connection succeeds.
    auth_error: Option<Neo4jError>,
    /// Servers that ever answered; `None`: a missing server is a failure from the start.
    known_servers: Option<KnownServers>,
}

struct Database {
    name: Arc<str>,
    up: bool,
}

impl Neo4jCollector {
    /// Creates the collector without a connection. `plan` is that of `settings`; its metrics have ids
    /// from `first` on. A collection ends within four fifths of the plan's interval. Runs and skipped
    /// rows are counted in `stats`.
    #[must_use]
    pub fn new(
        settings: &Neo4jMetrics,
        plan: Plan,
        first: MetricId,
        stats: Arc<QueryStats>,
    ) -> Self {
        let (connect, query) = (
            settings.connect_timeout.value.0,
            settings.query_timeout.value.0,
        );
        let longest = plan
            .jobs
            .iter()
            .map(|job| job.timeout)
            .fold(connect.max(query), Duration::max);
        let database = plan.databases.first().map_or("neo4j", |name| name);
        let local = plan
            .local
            .iter()
            .map(|(index, source)| (MetricId(first.0 + *index as u32), *source));
        let budget = (connect + query).min(plan.longest_run());
        Self {
            pool: Arc::new(Pool::new(settings, database, longest)),
            local: local.collect(),
            labelled: plan.labelled,
            collection_interval: plan.interval,
            budget,
            probe_timeout: connect.min(budget),
            durations: Durations::default(),
            backoff: Backoff::default(),
            rejections: 0,
            auth_error: None,
            known_servers: None,
            databases: plan
                .databases
                .into_iter()
                .map(|name| Database { name, up: false })
                .collect(),
            jobs: Jobs::new(plan.jobs, first, settings.row_limit.value as usize, stats),
        }
    }

    /// Sets the known servers: a server that is not among them is not down but not installed yet.
    #[must_use]
    pub fn with_known_servers(self, known_servers: KnownServers) -> Self {
        Self {
            known_servers: Some(known_servers),
            ..self
        }
    }

    /// Returns whether the server never answered since installation.
    fn is_unknown_server(&self) -> bool {
        self.known_servers
            .as_ref()
            .is_some_and(|servers| !servers.contains(self.pool.uri()))
    }

    /// Saves that the server has answered.
    fn remember_server(&self) {
        let known_servers = self.known_servers.clone();
        let Some(known_servers) = known_servers.filter(|servers| servers.add(self.pool.uri()))
        else {
            return;
        };
        tokio::task::spawn_blocking(move || {
            if let Err(error) = known_servers.save() {
                warn!(%error, "cannot save the known Neo4j servers; after a restart a missing one is no failure");
            }
        });
    }

    async fn collect_now(&mut self, batch: &mut Batch, now: Now) -> Result<(), Failure> {
        let deadline = Instant::now() + self.budget;
        let result = match self.probe(deadline, now).await {
            Ok(down) => {
                self.remember_server();
                let names: Vec<Arc<str>> = self.down().collect();
                self.jobs
                    .start(&self.pool, now.mono, self.collection_interval, &names);
                let (jobs, durations) = (&mut self.jobs, &mut self.durations);
                jobs.deliver(deadline, now.mono, batch, durations).await;
                self.check_auth_errors(now);
                self.failure(down)
            }
            Err(error) => {
                self.disconnect();
                let silent = matches!(error.kind, Kind::Connect | Kind::Timeout);
                match silent && self.is_unknown_server() {
                    true => Err(Failure::new(UNSEEN, self.server_failure(&error).detail)),
                    false => {
                        if error.kind == Kind::Auth {
                            self.remember_server();
                        }
                        Err(self.server_failure(&error))
                    }
                }
            }
        };
        self.fill_local(batch, now);
        result
    }

    /// Probes every database, and returns the errors of single databases.
    ///
    /// # Errors
    /// Returns an error if the server as a whole does not answer.
    async fn probe(&mut self, deadline: Instant, now: Now) -> Result<Vec<String>, Neo4jError> {
        if self.backoff.is_ready(now.mono) {
            self.pool.allow_retry().await;
        }
        let mut down = Vec::new();
        for index in 0..self.databases.len() {
            match self.probe_one(index, deadline).await {
                Ok(took) => {
                    // As for other statements, the duration of the first one after an outage does not count.
                    if std::mem::replace(&mut self.databases[index].up, true) {
                        self.durations.record(now.mono, took);
                    }
                }
                // All connections are busy with statements that were sent when it was up.
                Err(error) if error.kind == Kind::Busy => {}
                Err(error) if error.is_answer() => {
                    let database = &mut self.databases[index];
                    database.up = false;
                    down.push(format!("database {}: {}", database.name, error.text));
                }
                Err(error) if error.kind == Kind::Auth => {
                    return Err(self.record_auth_error(error, now));
                }
                Err(error) => return Err(error),
            }
        }
        self.backoff.reset();
        self.auth_error = None;
        Ok(down)
    }

    async fn probe_one(&self, index: usize, deadline: Instant) -> Result<Duration, Neo4jError> {
        let database = &*self.databases[index].name;
        let timeout = self.probe_timeout;
        let limit = deadline.min(Instant::now() + timeout);
        let probe = Statement {
            cypher: "RETURN 1",
            database,
            timeout,
            row_limit: 1,
        };
        match timeout_at(limit, probe.run(&self.pool)).await {
            Ok((Ok(_), took)) => Ok(took.unwrap_or_default()),
            // The system database rejects plain statements, and a rejection is an answer.
            Ok((Err(error), took)) if error.text.starts_with("Neo.ClientError.Statement.") => {
                Ok(took.unwrap_or_default())
            }
            Ok((Err(error), _)) => Err(error),
            Err(_) => {
                let text = format!("no answer within {}", format_duration(timeout));
                Err(Neo4jError::new(Kind::Timeout, text))
            }
        }
    }

    /// Adds the time of the next attempt to an authentication error. For the error of a password that
    /// the pool did not try again, the previous error is returned.
    fn record_auth_error(&mut self, error: Neo4jError, now: Now) -> Neo4jError {
        let rejections = self.pool.rejections();
        if self.rejections == rejections
            && let Some(previous) = &self.auth_error
        {
            return previous.clone();
        }
        self.rejections = rejections;
        let wait = format_duration(self.backoff.rejected(now.mono));
        let error = Neo4jError {
            text: format!(
                "{}; next attempt after {wait}",
                error.text.trim_end_matches('.')
            ),
            ..error
        };
        self.auth_error = Some(error.clone());
        error
    }

    /// Handles the authentication error of a statement that opened a connection, which happens after
    /// the password was changed.
    fn check_auth_errors(&mut self, now: Now) {
        if let Some(error) = self.jobs.auth_error().cloned() {
            self.record_auth_error(error, now);
            self.pool.clear();
            self.jobs.clear_errors(Kind::Auth);
        }
    }

    fn disconnect(&mut self) {
        self.pool.clear();
        self.jobs.abort();
        self.jobs.clear_errors(Kind::Connect);
        for database in &mut self.databases {
            database.up = false;
        }
    }

    fn down(&self) -> impl Iterator<Item = Arc<str>> {
        self.databases
            .iter()
            .filter(|database| !database.up)
            .map(|database| database.name.clone())
    }

    fn failure(&self, down: Vec<String>) -> Result<(), Failure> {
        let failing: Vec<String> = self
            .jobs
            .errors()
            .map(|(name, error)| format!("{name}: {}", error.text))
            .collect();
        let reason = match (&self.auth_error, down.is_empty(), failing.is_empty()) {
            (Some(error), ..) => return Err(self.server_failure(error)),
            (None, true, true) => return Ok(()),
            (None, _, false) => "query",
            (None, false, true) => "connect",
        };
        Err(Failure::new(
            reason,
            down.into_iter()
                .chain(failing)
                .collect::<Vec<_>>()
                .join("; "),
        ))
    }

    /// Converts an error of the server as a whole to a failure with its address.
    fn server_failure(&self, error: &Neo4jError) -> Failure {
        Failure::new(
            error.reason(),
            format!("{}: {}", self.pool.uri(), error.text),
        )
    }

    /// Adds the metrics that need no statement.
    fn fill_local(&mut self, batch: &mut Batch, now: Now) {
        let sorted = self.durations.sorted(now.mono);
        let (open, idle) = self.pool.connections();
        for (metric, source) in &self.local {
            let value = match source {
                Source::Duration(share) => quantile(&sorted, *share),
                Source::PoolTotal => Some(open as f64),
                Source::PoolIdle => Some(idle as f64),
                Source::Up if self.is_unknown_server() => None,
                Source::Up => {
                    for database in &self.databases {
                        let label = if self.labelled {
                            vec![&*database.name]
                        } else {
                            Vec::new()
                        };
                        let up = f64::from(u8::from(database.up));
                        batch.push_packed(*metric, LabelValues::new(&label).packed(), &[up]);
                    }
                    None
                }
                Source::Rows(..) => None,
            };
            if let Some(value) = value {
                batch.push(*metric, &[], value);
            }
        }
    }
}

impl Collector for Neo4jCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(self.collect_now(batch, now))
    }

    fn notes(&self) -> Vec<String> {
        let empty: Vec<&str> = self.jobs.empty().collect();
        match empty.as_slice() {
            [] => Vec::new(),
            empty => vec![format!("no rows since the start: {}", empty.join(", "))],
        }
    }
}

#[cfg(test)]
mod tests {
    use bellwether_collector::MetricDefaults;
    use bellwether_core::Origin;
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

    use super::*;

    /// Collects from a port without a listener; returns whether `neo4j_up` is there, and the reason.
    async fn collect(known_servers: Option<KnownServers>) -> (bool, &'static str) {
        let mut problems = Diagnostics::default();
        let node = parse("uri: bolt://127.0.0.1:1").unwrap();
        let settings =
            Neo4jMetrics::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
        let plan = settings.plan(MetricDefaults {
            origin: Origin::new("neo4j"),
            prefix: "",
            interval: Duration::from_secs(5),
        });
        let mut collector = Neo4jCollector::new(&settings, plan, MetricId(0), Arc::default());
        if let Some(servers) = known_servers {
            collector = collector.with_known_servers(servers);
        }
        let mut batch = Batch::default();
        let failure = collector
            .collect(&mut batch, Now::default())
            .await
            .unwrap_err();
        (batch.len() == 1, failure.reason)
    }

    #[tokio::test]
    async fn a_server_that_never_answered_is_not_down() {
        let seen = KnownServers::default();
        assert_eq!(collect(Some(seen.clone())).await, (false, UNSEEN));
        assert!(seen.add("bolt://127.0.0.1:1"));
        assert_eq!(collect(Some(seen)).await, (true, "connect"));
        assert_eq!(collect(None).await, (true, "connect"));
    }
}
