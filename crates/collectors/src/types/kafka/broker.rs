//! The questions to one broker: its groups, and the offsets of the partitions that it leads.

use std::collections::BTreeMap;

use super::KafkaNames;
use super::connection::Connection;
use super::error::BrokerError;
use super::messages::cluster::{End, list_offsets};
use super::messages::groups::{
    CONSUMER_GROUP_DESCRIBE, GroupState, describe_consumer_groups, describe_groups, list_groups,
    offset_fetch,
};
use super::messages::{Offsets, Partitions, Request};

/// Requests that are sent before the answer to the first is read. A broker handles those of a connection one by one.
const PIPELINE: usize = 32;

/// Groups that are described by one request: the answer has all members with their partitions.
const DESCRIBED: usize = 100;

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
}

/// A consumer group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) state: GroupState,
    pub(super) committed: Offsets,
}

impl Answers {
    /// Adds the answers of another broker.
    pub(super) fn add(&mut self, other: Self) {
        self.groups.extend(other.groups);
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
    pub(super) async fn ask(&self, broker: &mut Connection) -> Result<Answers, BrokerError> {
        let mut names = broker.call(&list_groups()).await?;
        names.retain(|name| self.groups.select(name));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let groups = match names.is_empty() {
            true => Vec::new(),
            false => self.groups(&names, broker).await?,
        };
        if self.led.is_empty() {
            let offsets = Offsets::new();
            return Ok(Answers {
                groups,
                oldest: offsets.clone(),
                newest: offsets,
            });
        }
        Ok(Answers {
            groups,
            oldest: broker.call(&list_offsets(&self.led, End::Oldest)).await?,
            newest: broker.call(&list_offsets(&self.led, End::Newest)).await?,
        })
    }

    async fn groups(
        &self,
        names: &[&str],
        broker: &mut Connection,
    ) -> Result<Vec<Group>, BrokerError> {
        let states = states(names, broker).await?;
        let mut groups = Vec::with_capacity(states.len());
        let mut kept = 0;
        for states in states.chunks(PIPELINE) {
            let requests: Vec<Request<Offsets>> = states
                .iter()
                .map(|state| offset_fetch(&state.name))
                .collect();
            for request in &requests {
                broker.send(request).await?;
            }
            for (state, request) in states.iter().zip(&requests) {
                let mut committed = broker.receive(request).await?;
                committed.retain(|topic, _| self.topics.select(topic));
                kept += committed.values().map(BTreeMap::len).sum::<usize>();
                if kept > self.limit {
                    return Err(BrokerError::TooManyOffsets(self.limit));
                }
                let state = state.clone();
                groups.push(Group { state, committed });
            }
        }
        Ok(groups)
    }
}

/// Returns the states of groups.
async fn states(names: &[&str], broker: &mut Connection) -> Result<Vec<GroupState>, BrokerError> {
    let mut states = Vec::with_capacity(names.len());
    for names in names.chunks(DESCRIBED) {
        states.extend(broker.call(&describe_groups(names)).await?);
    }
    let dead: Vec<&str> = states
        .iter()
        .filter(|group| group.state == DEAD)
        .map(|group| group.name.as_str())
        .collect();
    if dead.is_empty() || !broker.knows(&CONSUMER_GROUP_DESCRIBE) {
        return Ok(states);
    }
    let mut by_name = BTreeMap::<String, GroupState>::new();
    for names in dead.chunks(DESCRIBED) {
        let groups = broker.call(&describe_consumer_groups(names)).await?;
        by_name.extend(groups.into_iter().map(|group| (group.name.clone(), group)));
    }
    for state in &mut states {
        if let Some(found) = by_name.remove(&state.name) {
            *state = found;
        }
    }
    Ok(states)
}
