//! The questions to one broker: its groups, and the offsets of the partitions that it leads.

use std::collections::BTreeMap;

use super::KafkaNames;
use super::connection::Connection;
use super::error::BrokerError;
use super::messages::cluster::{End, list_offsets};
use super::messages::groups::{
    CONSUMER_GROUP_DESCRIBE, GroupState, GroupStates, describe_consumer_groups, describe_groups,
    list_groups, offset_fetch,
};
use super::messages::{Offsets, Partitions, Request};

/// Requests that are sent before the answer to the first is read. A broker handles those of a connection one by one.
const PIPELINE: usize = 32;

/// Groups that are described by one request: the answer has all members with their partitions.
const DESCRIBED: usize = 100;

/// Maximum number of groups of a broker whose errors are reported.
const REPORTED: usize = 3;

/// Longest name of a group in an error, in bytes.
const LONGEST_NAME: usize = 100;

/// State of a group that its broker does not know, or that has the protocol of KIP-848.
const DEAD: &str = "Dead";

/// Part of the collection that is asked of one broker.
pub(super) struct Questions {
    /// Partitions that it leads.
    pub(super) led: Partitions,
    pub(super) groups: KafkaNames,
    pub(super) topics: KafkaNames,
    /// Maximum number of committed offsets.
    pub(super) limit: usize,
}

/// Answers of one broker, or of several.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) groups: Vec<Group>,
    pub(super) oldest: Offsets,
    pub(super) newest: Offsets,
    /// Reasons why a part is left out.
    pub(super) errors: Vec<String>,
}

/// A consumer group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// `None` if its broker could not describe it.
    pub(super) state: Option<GroupState>,
    pub(super) committed: Offsets,
}

impl Answers {
    /// Adds the answers of another broker.
    pub(super) fn add(&mut self, other: Self) {
        self.groups.extend(other.groups);
        self.errors.extend(other.errors);
        for (offsets, others) in [
            (&mut self.oldest, other.oldest),
            (&mut self.newest, other.newest),
        ] {
            for (topic, partitions) in others {
                offsets.entry(topic).or_default().extend(partitions);
            }
        }
    }
}

impl Questions {
    /// Asks a broker. Committed offsets come first, so that what is written meanwhile counts as lag.
    ///
    /// # Errors
    /// The connection cannot go on. An error code costs its part of the answers.
    pub(super) async fn ask(&self, broker: &mut Connection) -> Result<Answers, BrokerError> {
        let mut answers = Answers::default();
        match broker.call(&list_groups()).await {
            Ok(mut names) => {
                names.retain(|name| self.groups.select(name));
                self.ask_groups(&names, broker, &mut answers).await?;
            }
            Err(error) if error.is_code() => answers.errors.push(error.to_string()),
            Err(error) => return Err(error),
        }
        if !self.led.is_empty() {
            answers.oldest = broker.call(&list_offsets(&self.led, End::Oldest)).await?;
            answers.newest = broker.call(&list_offsets(&self.led, End::Newest)).await?;
        }
        Ok(answers)
    }

    async fn ask_groups(
        &self,
        names: &[String],
        broker: &mut Connection,
        answers: &mut Answers,
    ) -> Result<(), BrokerError> {
        let mut states = states(names, broker).await?;
        let (mut free, mut failed) = (self.limit, Vec::new());
        for names in names.chunks(PIPELINE) {
            let requests: Vec<Request<Offsets>> =
                names.iter().map(|name| offset_fetch(name)).collect();
            for request in &requests {
                broker.send(request).await?;
            }
            // All of them are read: the connection goes on.
            for (name, request) in names.iter().zip(&requests) {
                let committed = match broker.receive(request).await {
                    Ok(committed) => self.keep(committed, &mut free),
                    Err(error) if error.is_code() => Err(error),
                    Err(error) => return Err(error),
                };
                let committed = committed.unwrap_or_else(|error| {
                    failed.push((name, error));
                    Offsets::new()
                });
                answers.groups.push(Group {
                    name: name.clone(),
                    state: states.remove(name),
                    committed,
                });
            }
        }
        for (name, error) in failed.iter().take(REPORTED) {
            let name = &name[..name.floor_char_boundary(LONGEST_NAME)];
            answers.errors.push(format!("group {name}: {error}"));
        }
        let more = failed.len().saturating_sub(REPORTED);
        if more > 0 {
            answers.errors.push(format!("errors of {more} more groups"));
        }
        Ok(())
    }

    /// Returns the committed offsets of the collected topics, and takes them from those that are still `free`.
    fn keep(&self, mut committed: Offsets, free: &mut usize) -> Result<Offsets, BrokerError> {
        committed.retain(|topic, _| self.topics.select(topic));
        let count = committed.values().map(BTreeMap::len).sum();
        let rest = free.checked_sub(count);
        *free = rest.ok_or(BrokerError::TooManyOffsets(self.limit))?;
        Ok(committed)
    }
}

/// Returns the states of groups.
async fn states(names: &[String], broker: &mut Connection) -> Result<GroupStates, BrokerError> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut states = GroupStates::new();
    for names in names.chunks(DESCRIBED) {
        states.extend(broker.call(&describe_groups(names)).await?);
    }
    if !broker.knows(&CONSUMER_GROUP_DESCRIBE) {
        return Ok(states);
    }
    let is_dead = |name: &&str| states.get(*name).is_some_and(|group| group.state == DEAD);
    let dead: Vec<&str> = names.into_iter().filter(is_dead).collect();
    for names in dead.chunks(DESCRIBED) {
        states.extend(broker.call(&describe_consumer_groups(names)).await?);
    }
    Ok(states)
}
