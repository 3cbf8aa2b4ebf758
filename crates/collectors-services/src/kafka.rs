//! Brokers, topics and consumer groups of Kafka, under the metric names of kafka_exporter.
//!
//! The questions are few, so they are sent by this module rather than by librdkafka. Its safe interface has no way to
//! the offsets of another group than a client for each of them, with threads and connections of its own, and one round
//! trip for each partition. Here a broker has one connection and answers for all partitions and groups at once, in every
//! build.

mod broker;
mod collector;
mod connection;
mod error;
mod families;
mod messages;
mod scram;
mod wire;

use std::sync::Arc;

use bellwether_collector::{Build, EntryContext, EntryType, Globs};
use bellwether_kafka::{KafkaSecurity, check_brokers};
use bellwether_schema::{Spanned, section};

use self::collector::{Cluster, KafkaCollector};
use self::connection::Access;

section! {
    /// Collector of type `kafka`: brokers, topics and consumer groups with their lag, under the metric names of
    /// kafka_exporter. It needs Kafka 1.0 or newer, and the ACL operation `Describe` on the cluster, topics and
    /// groups where there are ACLs.
    pub struct Kafka {
        /// Brokers to start from: `host:port`, several separated by commas. The others are found by them.
        pub brokers: Spanned<String> = Spanned::nowhere("127.0.0.1:9092".into()),
        /// Encryption and authentication. They need no further feature of the build here.
        pub security: KafkaSecurity,
        /// Topics that are collected.
        pub topics: KafkaNames,
        /// Consumer groups that are collected.
        pub groups: KafkaNames,
    }
}

section! {
    /// Names that are collected.
    pub struct KafkaNames {
        /// Glob or globs of names. Default: all that `exclude` leaves.
        pub include: Option<Globs>,
        /// Glob or globs of names that are left out. Default: none.
        pub exclude: Option<Globs>,
    }
}

impl KafkaNames {
    fn select(&self, name: &str) -> bool {
        let matches = |globs: &Option<Globs>| globs.as_ref().map(|globs| globs.matches(name));
        matches(&self.include).unwrap_or(true) && !matches(&self.exclude).unwrap_or(false)
    }
}

impl EntryType for Kafka {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let before = context.problems.len();
        let brokers = check_brokers(&self.brokers, context.problems);
        self.security.check(context.at, context.problems);
        if self.security.key_password.is_some() {
            context
                .problems
                .error(context.at, "a key with a password cannot be read here")
                .hint("write it without: openssl pkcs8 -in KEY -out KEY.plain, readable by Bellwether alone");
        }
        if context.problems.len() > before {
            return None;
        }
        let access = Access {
            security: self.security.clone(),
            limit: context.limits.bytes.0,
        };
        let cluster = Arc::new(Cluster {
            brokers,
            access: Arc::new(access),
            topics: self.topics.clone(),
            groups: self.groups.clone(),
            limit: context.limits.series,
            timeout: context.request_timeout(),
        });
        context.build(move |_| KafkaCollector::new(cluster.clone()))
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
