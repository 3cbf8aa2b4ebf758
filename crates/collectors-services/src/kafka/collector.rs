//! A collection: the cluster by one broker, then each broker by itself.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bellwether_collector::{Collecting, Collector};
use bellwether_core::{Batch, Failure, Now};
use bellwether_kafka::BrokerAddress;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::KafkaNames;
use super::broker::{Answers, Questions};
use super::connection::{Access, Connection};
use super::error::BrokerError;
use super::families;
use super::messages::Partitions;
use super::messages::cluster::{Broker, Metadata, metadata};
use crate::status_page::push_up;

/// Maximum number of brokers that are asked.
const MAX_BROKERS: usize = 1000;

/// A cluster, as it is configured.
pub(super) struct Cluster {
    /// Brokers to start from.
    pub(super) brokers: Vec<BrokerAddress>,
    pub(super) access: Arc<Access>,
    pub(super) topics: KafkaNames,
    pub(super) groups: KafkaNames,
    /// Maximum number of committed offsets of a broker's groups.
    pub(super) limit: usize,
    /// Longest duration of all requests of a collection.
    pub(super) timeout: Duration,
}

/// Collector of a cluster. Connections are kept.
pub(super) struct KafkaCollector {
    cluster: Arc<Cluster>,
    /// Connection that is asked for the brokers and topics.
    start: Option<Connection>,
    /// Index of the broker to start from that answered last.
    first: usize,
    /// Brokers of the last answer, for when none to start from answers.
    others: Vec<BrokerAddress>,
    connections: BTreeMap<i32, Connection>,
}

/// Result of asking a broker.
type Asked = (Broker, Result<(Connection, Answers), String>);

impl KafkaCollector {
    pub(super) fn new(cluster: Arc<Cluster>) -> Self {
        Self {
            cluster,
            start: None,
            first: 0,
            others: Vec::new(),
            connections: BTreeMap::new(),
        }
    }

    /// Returns brokers and topics. A broker that hangs leaves half of the time to the next one.
    async fn metadata(&mut self, deadline: Instant) -> Result<Metadata, String> {
        if let Some(mut start) = self.start.take()
            && let Ok(Ok(metadata)) =
                timeout_at(half_until(deadline), start.call(&metadata())).await
        {
            self.start = Some(start);
            return Ok(metadata);
        }
        let cluster = self.cluster.clone();
        let mut errors = Vec::new();
        for address in self.addresses() {
            let asking = async {
                let mut start = Connection::open(&cluster.access, &address).await?;
                let metadata = start.call(&metadata()).await?;
                Ok::<_, BrokerError>((start, metadata))
            };
            match timeout_at(half_until(deadline), asking).await {
                Ok(Ok((start, metadata))) => {
                    self.start = Some(start);
                    let index = cluster.brokers.iter().position(|broker| *broker == address);
                    self.first = index.unwrap_or(self.first);
                    return Ok(metadata);
                }
                Ok(Err(error)) => errors.push(format!("{address}: {error}")),
                Err(_) => errors.push(format!("{address}: no answer in time")),
            }
        }
        Err(errors.join("; "))
    }

    /// Returns the brokers to start from, first the one that answered last, and then the others.
    fn addresses(&self) -> Vec<BrokerAddress> {
        let brokers = &self.cluster.brokers;
        let (before, first) = brokers.split_at(self.first);
        let others = self.others.iter();
        let others = others.filter(|address| !brokers.contains(address));
        first.iter().chain(before).chain(others).cloned().collect()
    }

    /// Asks all brokers at once. Errors name the broker, which costs its own answers alone.
    async fn ask(&mut self, metadata: &Metadata, deadline: Instant) -> Answers {
        let mut led = leaders(metadata);
        let mut asking = JoinSet::new();
        for broker in metadata.brokers.iter().take(MAX_BROKERS) {
            let questions = Questions {
                led: led.remove(&broker.id).unwrap_or_default(),
                groups: self.cluster.groups.clone(),
                topics: self.cluster.topics.clone(),
                limit: self.cluster.limit,
            };
            let kept = self.connections.remove(&broker.id);
            let (access, broker) = (self.cluster.access.clone(), broker.clone());
            asking.spawn(async move {
                let asking = ask(&access, &broker, &questions, kept, deadline);
                let asked = match timeout_at(deadline, asking).await {
                    Ok(asked) => asked.map_err(|error| error.to_string()),
                    Err(_) => Err("no answer in time".to_owned()),
                };
                (broker, asked)
            });
        }
        // Those of brokers that left the cluster.
        self.connections.clear();
        let mut asked: Vec<Asked> = asking.join_all().await;
        asked.sort_by_key(|(broker, _)| broker.id);
        let mut answers = Answers::default();
        for (broker, asked) in asked {
            let name_broker =
                |error: String| format!("broker {} ({}): {error}", broker.id, broker.address);
            match asked {
                Ok((connection, mut of_broker)) => {
                    of_broker.errors = of_broker.errors.into_iter().map(name_broker).collect();
                    answers.add(of_broker);
                    self.connections.insert(broker.id, connection);
                }
                Err(error) => answers.errors.push(name_broker(error)),
            }
        }
        answers
    }
}

/// Returns the time at which half of the rest until the deadline is over.
fn half_until(deadline: Instant) -> Instant {
    let now = Instant::now();
    now + deadline.saturating_duration_since(now) / 2
}

/// Asks a broker. A kept connection may have been closed or cut meanwhile, so a new one follows. That has half of the
/// time.
async fn ask(
    access: &Arc<Access>,
    broker: &Broker,
    questions: &Questions,
    kept: Option<Connection>,
    deadline: Instant,
) -> Result<(Connection, Answers), BrokerError> {
    if let Some(mut connection) = kept {
        match timeout_at(half_until(deadline), questions.ask(&mut connection)).await {
            Ok(Ok(answers)) => return Ok((connection, answers)),
            Ok(Err(BrokerError::Io(_))) | Err(_) => {}
            Ok(Err(error)) => return Err(error),
        }
    }
    let mut connection = Connection::open(access, &broker.address).await?;
    let answers = questions.ask(&mut connection).await?;
    Ok((connection, answers))
}

/// Returns the partitions that each broker leads.
fn leaders(metadata: &Metadata) -> BTreeMap<i32, Partitions> {
    let mut leaders = BTreeMap::<i32, Partitions>::new();
    for topic in &metadata.topics {
        for partition in &topic.partitions {
            let led = leaders.entry(partition.leader).or_default();
            match led.get_mut(&topic.name) {
                Some(partitions) => partitions.push(partition.id),
                None => drop(led.insert(topic.name.clone(), vec![partition.id])),
            }
        }
    }
    leaders
}

impl Collector for KafkaCollector {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
        Box::pin(async move {
            let deadline = Instant::now() + self.cluster.timeout;
            let metadata = self.metadata(deadline).await;
            push_up("kafka_up", metadata.is_ok(), &mut batch.series);
            let mut metadata = metadata.map_err(|error| Failure::new("connection", error))?;
            let brokers = metadata.brokers.iter().take(MAX_BROKERS);
            self.others = brokers.map(|broker| broker.address.clone()).collect();
            let is_collected = |name: &str| self.cluster.topics.select(name);
            metadata
                .topics
                .retain(|topic| !topic.partitions.is_empty() && is_collected(&topic.name));
            let mut answers = self.ask(&metadata, deadline).await;
            if metadata.brokers.len() > MAX_BROKERS {
                let error = format!("more than {MAX_BROKERS} brokers");
                answers.errors.push(error);
            }
            families::fill(&metadata, &answers, &mut batch.series);
            match answers.errors.is_empty() {
                true => Ok(()),
                false => Err(Failure::new("broker", answers.errors.join("; "))),
            }
        })
    }
}
