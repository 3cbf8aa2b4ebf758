//! One collection: probe, start what is due, deliver what has ended.
//!
//! The probe says whether Neo4j is up before anything else is asked. After a refused password
//! nothing is asked until a wait is over, so the account is not locked by this agent.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::{Batch, Failure, LabelValues, MetricId, Now};
use bellwether_schema::format_duration;
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::catalogue::Source;
use super::durations::{Durations, quantile};
use super::jobs::Jobs;
use super::plan::Plan;
use super::pool::Pool;
use super::schedule::Backoff;
use super::seen::Seen;
use super::settings::Neo4jMetrics;
use super::skipped::SkippedRows;
use super::statement::Statement;
use super::trouble::{Kind, Trouble};
use crate::{Collecting, Collector, UNSEEN};

/// Collects from one Neo4j server.
pub struct Neo4jCollector {
    pool: Arc<Pool>,
    jobs: Jobs,
    databases: Vec<Database>,
    own: Vec<(MetricId, Source)>,
    labelled: bool,
    tick: Duration,
    /// Longest that one collection takes.
    budget: Duration,
    probe_timeout: Duration,
    durations: Durations,
    backoff: Backoff,
    /// Refused passwords that were told.
    refusals: u64,
    /// What is told of the last one until a connection is good.
    refused: Option<Trouble>,
    /// The servers that ever answered; `None`: this one is missed from the start.
    seen: Option<Seen>,
}

struct Database {
    name: Arc<str>,
    up: bool,
}

impl Neo4jCollector {
    /// Connects to nothing yet. `plan` was made from `settings`; its metrics have ids from `first`
    /// on. A collection ends within four fifths of the plan's interval.
    /// Rows that have to be left out are counted in `skipped`.
    #[must_use]
    pub fn new(
        settings: &Neo4jMetrics,
        plan: Plan,
        first: MetricId,
        skipped: Arc<SkippedRows>,
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
        let own = plan
            .own
            .iter()
            .map(|(index, source)| (MetricId(first.0 + *index as u32), *source));
        let budget = (connect + query).min(plan.longest_run());
        Self {
            pool: Arc::new(Pool::new(settings, database, longest)),
            own: own.collect(),
            labelled: plan.labelled,
            tick: plan.interval,
            budget,
            probe_timeout: connect.min(budget),
            durations: Durations::default(),
            backoff: Backoff::default(),
            refusals: 0,
            refused: None,
            seen: None,
            databases: plan
                .databases
                .into_iter()
                .map(|name| Database { name, up: false })
                .collect(),
            jobs: Jobs::new(plan.jobs, first, settings.row_limit.value as usize, skipped),
        }
    }

    /// The collector, to which a server that is not among `seen` is not down but not there yet.
    #[must_use]
    pub fn remembering(self, seen: Seen) -> Self {
        Self {
            seen: Some(seen),
            ..self
        }
    }

    /// Whether the server never answered since installation.
    fn is_unseen(&self) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|seen| !seen.contains(self.pool.uri()))
    }

    /// Notes that the server answered.
    fn note_seen(&self) {
        let Some(seen) = self.seen.clone().filter(|seen| seen.add(self.pool.uri())) else {
            return;
        };
        tokio::task::spawn_blocking(move || {
            if let Err(error) = seen.save() {
                warn!(%error, "cannot save which Neo4j answered; after a restart it is not missed");
            }
        });
    }

    async fn collect_now(&mut self, batch: &mut Batch, now: Now) -> Result<(), Failure> {
        let deadline = Instant::now() + self.budget;
        let result = match self.probe(deadline, now).await {
            Ok(down) => {
                self.note_seen();
                let names: Vec<Arc<str>> = self.down().collect();
                self.jobs.start(&self.pool, now.mono, self.tick, &names);
                let (jobs, durations) = (&mut self.jobs, &mut self.durations);
                jobs.deliver(deadline, now.mono, batch, durations).await;
                self.note_refusal(now);
                self.failure(down)
            }
            Err(trouble) => {
                self.lose();
                let silent = matches!(trouble.kind, Kind::Connect | Kind::Timeout);
                match silent && self.is_unseen() {
                    true => Err(Failure::new(UNSEEN, self.told(&trouble).detail)),
                    false => {
                        if trouble.kind == Kind::Auth {
                            self.note_seen();
                        }
                        Err(self.told(&trouble))
                    }
                }
            }
        };
        self.fill_own(batch, now);
        result
    }

    /// Asks every database for a sign of life. What single databases answer instead is returned.
    ///
    /// # Errors
    /// What keeps the server as a whole from answering.
    async fn probe(&mut self, deadline: Instant, now: Now) -> Result<Vec<String>, Trouble> {
        if self.backoff.ready(now.mono) {
            self.pool.try_again().await;
        }
        let mut down = Vec::new();
        for index in 0..self.databases.len() {
            match self.probe_one(index, deadline).await {
                Ok(took) => {
                    // As for other statements, the first one after an outage does not count.
                    if std::mem::replace(&mut self.databases[index].up, true) {
                        self.durations.record(now.mono, took);
                    }
                }
                // All connections are busy with statements that were sent when it was up.
                Err(trouble) if trouble.kind == Kind::Busy => {}
                Err(trouble) if trouble.answered() => {
                    let database = &mut self.databases[index];
                    database.up = false;
                    down.push(format!("database {}: {}", database.name, trouble.text));
                }
                Err(trouble) if trouble.kind == Kind::Auth => {
                    return Err(self.tell_refusal(trouble, now));
                }
                Err(trouble) => return Err(trouble),
            }
        }
        self.backoff.reset();
        self.refused = None;
        Ok(down)
    }

    async fn probe_one(&self, index: usize, deadline: Instant) -> Result<Duration, Trouble> {
        let database = &*self.databases[index].name;
        let timeout = self.probe_timeout;
        let limit = deadline.min(Instant::now() + timeout);
        let probe = Statement {
            cypher: "RETURN 1",
            database,
            timeout,
            row_limit: 1,
        };
        match timeout_at(limit, probe.ask(&self.pool)).await {
            Ok((Ok(_), took)) => Ok(took.unwrap_or_default()),
            // The system database answers no plain statement, but it answers.
            Ok((Err(trouble), took)) if trouble.text.starts_with("Neo.ClientError.Statement.") => {
                Ok(took.unwrap_or_default())
            }
            Ok((Err(trouble), _)) => Err(trouble),
            Err(_) => {
                let text = format!("no answer within {}", format_duration(timeout));
                Err(Trouble::new(Kind::Timeout, text))
            }
        }
    }

    /// Adds when the next attempt comes. A refusal that the pool remembered tells the same again.
    fn tell_refusal(&mut self, trouble: Trouble, now: Now) -> Trouble {
        let refusals = self.pool.refusals();
        if self.refusals == refusals
            && let Some(told) = &self.refused
        {
            return told.clone();
        }
        self.refusals = refusals;
        let wait = format_duration(self.backoff.refused(now.mono));
        let told = Trouble {
            text: format!(
                "{}; next attempt after {wait}",
                trouble.text.trim_end_matches('.')
            ),
            ..trouble
        };
        self.refused = Some(told.clone());
        told
    }

    /// A password that was changed while connected shows when a statement opens a connection.
    fn note_refusal(&mut self, now: Now) {
        if let Some(trouble) = self.jobs.refused().cloned() {
            self.tell_refusal(trouble, now);
            self.pool.clear();
            self.jobs.forgive(Kind::Auth);
        }
    }

    fn lose(&mut self) {
        self.pool.clear();
        self.jobs.lose();
        self.jobs.forgive(Kind::Connect);
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
            .troubles()
            .map(|(name, trouble)| format!("{name}: {}", trouble.text))
            .collect();
        let reason = match (&self.refused, down.is_empty(), failing.is_empty()) {
            (Some(trouble), ..) => return Err(self.told(trouble)),
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

    /// Trouble with the server as a whole, with its address.
    fn told(&self, trouble: &Trouble) -> Failure {
        Failure::new(
            trouble.reason(),
            format!("{}: {}", self.pool.uri(), trouble.text),
        )
    }

    /// What needs no statement.
    fn fill_own(&mut self, batch: &mut Batch, now: Now) {
        let sorted = self.durations.sorted(now.mono);
        let (open, idle) = self.pool.figures();
        for (metric, source) in &self.own {
            let value = match source {
                Source::Duration(share) => quantile(&sorted, *share),
                Source::PoolTotal => Some(open as f64),
                Source::PoolIdle => Some(idle as f64),
                Source::Up if self.is_unseen() => None,
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
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, parse};

    use super::*;

    /// Whether there is a `neo4j_up` in a collection, and why it failed. Nobody listens.
    async fn collect(seen: Option<Seen>) -> (bool, &'static str) {
        let mut problems = Diagnostics::default();
        let node = parse("uri: bolt://127.0.0.1:1").unwrap();
        let settings =
            Neo4jMetrics::decode(&node, &mut DecodeContext::new(&mut problems, &|_| None)).unwrap();
        let plan = settings.plan("", Duration::from_secs(5));
        let mut collector = Neo4jCollector::new(&settings, plan, MetricId(0), Arc::default());
        if let Some(seen) = seen {
            collector = collector.remembering(seen);
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
        let seen = Seen::default();
        assert_eq!(collect(Some(seen.clone())).await, (false, UNSEEN));
        assert!(seen.add("bolt://127.0.0.1:1"));
        assert_eq!(collect(Some(seen)).await, (true, "connect"));
        assert_eq!(collect(None).await, (true, "connect"));
    }
}
