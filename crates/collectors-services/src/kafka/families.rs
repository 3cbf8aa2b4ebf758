//! Series of what brokers answered, under the metric names of kafka_exporter (<https://github.com/danielqsj/kafka_exporter>).
//!
//! Groups and sums come before partitions, which are many: a limit of series costs these first.

use std::collections::BTreeMap;

use bellwether_core::{Kind, SeriesBatch};

use super::broker::{Answers, Group};
use super::messages::Offsets;
use super::messages::cluster::{Broker, Metadata, Partition};
use super::messages::groups::GroupState;

/// Metrics of the state of a partition.
type PartitionMetric = (&'static str, &'static str, fn(&Partition) -> f64);

const PARTITION_METRICS: [PartitionMetric; 5] = [
    (
        "kafka_topic_partition_leader",
        "Id of the broker that leads a partition; -1: none does.",
        |partition| partition.leader.into(),
    ),
    (
        "kafka_topic_partition_replicas",
        "Replicas of a partition.",
        |partition| partition.replicas.len() as f64,
    ),
    (
        "kafka_topic_partition_in_sync_replica",
        "Replicas of a partition that are in sync.",
        |partition| partition.in_sync.len() as f64,
    ),
    (
        "kafka_topic_partition_leader_is_preferred",
        "1 if the preferred broker leads a partition.",
        |partition| number(partition.replicas.first() == Some(&partition.leader)),
    ),
    (
        "kafka_topic_partition_under_replicated_partition",
        "1 if replicas of a partition are not in sync.",
        |partition| number(partition.in_sync.len() < partition.replicas.len()),
    ),
];

fn number(is_true: bool) -> f64 {
    f64::from(u8::from(is_true))
}

/// Labels of a series; those that are empty are left out.
#[derive(Default)]
struct Labels<'a> {
    group: &'a str,
    topic: &'a str,
    partition: Option<i32>,
}

/// Appends a gauge.
fn gauge<'a>(
    metric: &str,
    help: &str,
    series: impl Iterator<Item = (Labels<'a>, f64)>,
    out: &mut SeriesBatch,
) {
    out.begin(metric, Some(Kind::Gauge), help);
    for (labels, value) in series {
        let partition = labels.partition.map_or(String::new(), |id| id.to_string());
        let labels = [
            ("consumergroup", labels.group),
            ("topic", labels.topic),
            ("partition", &partition),
        ];
        out.push(&labels, value);
    }
}

/// Appends the series of a cluster.
pub(super) fn fill(cluster: &Metadata, answers: &Answers, out: &mut SeriesBatch) {
    fill_brokers(&cluster.brokers, out);
    let topics = cluster.topics.iter().map(|topic| {
        let labels = Labels {
            topic: &topic.name,
            ..Labels::default()
        };
        (labels, topic.partitions.len() as f64)
    });
    let help = "Partitions of a topic.";
    gauge("kafka_topic_partitions", help, topics, out);
    fill_groups(&answers.groups, &answers.newest, out);
    let help = "Offset of the next message of a partition, up to which consumers may read.";
    let newest = by_partition("", &answers.newest);
    gauge("kafka_topic_partition_current_offset", help, newest, out);
    let help = "Offset of the oldest message of a partition.";
    let oldest = by_partition("", &answers.oldest);
    gauge("kafka_topic_partition_oldest_offset", help, oldest, out);
    for (metric, help, value) in PARTITION_METRICS {
        let series = cluster.topics.iter().flat_map(|topic| {
            topic.partitions.iter().map(move |partition| {
                let labels = Labels {
                    topic: &topic.name,
                    partition: Some(partition.id),
                    ..Labels::default()
                };
                (labels, value(partition))
            })
        });
        gauge(metric, help, series, out);
    }
}

fn fill_brokers(brokers: &[Broker], out: &mut SeriesBatch) {
    let help = "Brokers that are in the cluster now.";
    out.gauge("kafka_brokers", help, &[], brokers.len() as f64);
    let help = "Id and address of a broker.";
    out.begin("kafka_broker_info", Some(Kind::Gauge), help);
    for broker in brokers {
        let id = broker.id.to_string();
        out.push(
            &[("id", &id), ("address", &broker.address.to_string())],
            1.0,
        );
    }
}

fn by_partition<'a>(
    group: &'a str,
    offsets: &'a Offsets,
) -> impl Iterator<Item = (Labels<'a>, f64)> {
    offsets.iter().flat_map(move |(topic, partitions)| {
        partitions.iter().map(move |(partition, offset)| {
            let labels = Labels {
                group,
                topic,
                partition: Some(*partition),
            };
            (labels, *offset as f64)
        })
    })
}

/// Returns the sum for each topic.
fn by_topic<'a>(group: &'a str, offsets: &'a Offsets) -> impl Iterator<Item = (Labels<'a>, f64)> {
    offsets.iter().map(move |(topic, partitions)| {
        let labels = Labels {
            group,
            topic,
            partition: None,
        };
        // The sum of two offsets may be too large for one.
        let sum: i128 = partitions.values().copied().map(i128::from).sum();
        (labels, sum as f64)
    })
}

fn fill_groups(groups: &[Group], newest: &Offsets, out: &mut SeriesBatch) {
    let members = groups.iter().filter_map(|group| {
        let labels = Labels {
            group: &group.name,
            ..Labels::default()
        };
        Some((labels, group.state.as_ref()?.members as f64))
    });
    let help = "Members of a group.";
    gauge("kafka_consumergroup_members", help, members, out);
    let help = "State of a group: 1 for the one that it is in.";
    out.begin("kafka_consumergroup_state", Some(Kind::Gauge), help);
    for group in groups {
        if let Some(GroupState { state, .. }) = &group.state {
            out.push(&[("consumergroup", &group.name), ("state", state)], 1.0);
        }
    }

    let lags: Vec<Offsets> = groups.iter().map(|group| lag(group, newest)).collect();
    let lags = || groups.iter().zip(&lags);
    let sums = lags().flat_map(|(group, lag)| {
        let count = |offsets: &Offsets, topic| offsets.get(topic).map(BTreeMap::len);
        let sums = by_topic(&group.name, lag);
        // A sum of a part would be too low.
        sums.filter(move |(labels, _)| {
            count(lag, labels.topic) == count(&group.committed, labels.topic)
        })
    });
    let help = "Messages of a topic that a group has not committed; left out while the leader of a partition is not known.";
    gauge("kafka_consumergroup_lag_sum", help, sums, out);
    let sums = groups
        .iter()
        .flat_map(|group| by_topic(&group.name, &group.committed));
    let help = "Sum of the offsets of a topic that a group committed.";
    gauge("kafka_consumergroup_current_offset_sum", help, sums, out);
    let each = lags().flat_map(|(group, lag)| by_partition(&group.name, lag));
    let help = "Messages of a partition that a group has not committed.";
    gauge("kafka_consumergroup_lag", help, each, out);
    let each = groups
        .iter()
        .flat_map(|group| by_partition(&group.name, &group.committed));
    let help = "Offset that a group committed: that of the next message it reads.";
    gauge("kafka_consumergroup_current_offset", help, each, out);
}

/// Returns the lag of a group in each partition whose end is known.
fn lag(group: &Group, newest: &Offsets) -> Offsets {
    let topics = group.committed.iter().map(|(topic, committed)| {
        let ends = newest.get(topic);
        let lags = committed.iter().filter_map(|(partition, offset)| {
            let end = ends?.get(partition)?;
            // A topic that was made anew may end before what was committed.
            Some((*partition, end.saturating_sub(*offset).max(0)))
        });
        (topic.clone(), lags.collect())
    });
    topics.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::messages::cluster::Topic;

    fn offsets(topic: &str, offsets: &[(i32, i64)]) -> Offsets {
        Offsets::from([(topic.to_owned(), offsets.iter().copied().collect())])
    }

    fn partition(id: i32, leader: i32, replicas: &[i32], in_sync: &[i32]) -> Partition {
        Partition {
            id,
            leader,
            replicas: replicas.to_vec(),
            in_sync: in_sync.to_vec(),
        }
    }

    fn lines(cluster: &Metadata, answers: &Answers, metric: &str) -> Vec<String> {
        let mut out = SeriesBatch::default();
        fill(cluster, answers, &mut out);
        let lines = out.lines().filter(|line| line.starts_with(metric));
        lines.collect()
    }

    fn group(committed: Offsets) -> Group {
        let state = GroupState {
            state: "Stable".to_owned(),
            members: 2,
        };
        Group {
            name: "g".to_owned(),
            state: Some(state),
            committed,
        }
    }

    #[test]
    fn lag_is_what_is_not_committed() {
        let answers = Answers {
            groups: vec![group(offsets("a", &[(0, 40), (1, 100)]))],
            newest: offsets("a", &[(0, 50), (1, 90), (2, 7)]),
            ..Answers::default()
        };
        let lines = lines(&Metadata::default(), &answers, "kafka_consumergroup");
        let expected = [
            "kafka_consumergroup_members{consumergroup=\"g\"} 2",
            "kafka_consumergroup_state{consumergroup=\"g\", state=\"Stable\"} 1",
            "kafka_consumergroup_lag_sum{consumergroup=\"g\", topic=\"a\"} 10",
            "kafka_consumergroup_current_offset_sum{consumergroup=\"g\", topic=\"a\"} 140",
            "kafka_consumergroup_lag{consumergroup=\"g\", partition=\"0\", topic=\"a\"} 10",
            "kafka_consumergroup_lag{consumergroup=\"g\", partition=\"1\", topic=\"a\"} 0",
            "kafka_consumergroup_current_offset{consumergroup=\"g\", partition=\"0\", topic=\"a\"} 40",
            "kafka_consumergroup_current_offset{consumergroup=\"g\", partition=\"1\", topic=\"a\"} 100",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_partition_without_a_known_end_has_no_lag_and_its_topic_no_sum() {
        let answers = Answers {
            groups: vec![group(offsets("a", &[(0, 40), (1, 100)]))],
            newest: offsets("a", &[(0, 50)]),
            ..Answers::default()
        };
        let lines = lines(&Metadata::default(), &answers, "kafka_consumergroup_lag");
        let expected =
            ["kafka_consumergroup_lag{consumergroup=\"g\", partition=\"0\", topic=\"a\"} 10"];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_group_that_could_not_be_described_has_its_offsets_alone() {
        let group = Group {
            state: None,
            ..group(offsets("a", &[(0, 40)]))
        };
        let answers = Answers {
            groups: vec![group],
            ..Answers::default()
        };
        let lines = lines(&Metadata::default(), &answers, "kafka_consumergroup");
        let expected = [
            "kafka_consumergroup_current_offset_sum{consumergroup=\"g\", topic=\"a\"} 40",
            "kafka_consumergroup_current_offset{consumergroup=\"g\", partition=\"0\", topic=\"a\"} 40",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_sum_of_huge_offsets_does_not_overflow() {
        let answers = Answers {
            groups: vec![group(offsets("a", &[(0, i64::MAX), (1, i64::MAX)]))],
            ..Answers::default()
        };
        let metric = "kafka_consumergroup_current_offset_sum";
        let lines = lines(&Metadata::default(), &answers, metric);
        let expected = format!("{metric}{{consumergroup=\"g\", topic=\"a\"}} ");
        let sum = lines[0].strip_prefix(&expected).unwrap();
        assert_eq!(sum.parse(), Ok(2.0 * i64::MAX as f64));
    }

    #[test]
    fn partitions_have_their_state() {
        let topic = Topic {
            name: "a".to_owned(),
            partitions: vec![
                partition(0, 1, &[1, 2], &[1, 2]),
                partition(1, -1, &[2, 1], &[]),
            ],
        };
        let cluster = Metadata {
            brokers: Vec::new(),
            topics: vec![topic],
        };
        let lines = |metric: &str| lines(&cluster, &Answers::default(), metric);
        assert_eq!(
            lines("kafka_topic_partitions"),
            ["kafka_topic_partitions{topic=\"a\"} 2"]
        );
        for (metric, values) in [
            ("leader{", ["1", "-1"]),
            ("replicas", ["2", "2"]),
            ("in_sync_replica", ["2", "0"]),
            ("leader_is_preferred", ["1", "0"]),
            ("under_replicated_partition", ["0", "1"]),
        ] {
            let lines = lines(&format!("kafka_topic_partition_{metric}"));
            let found: Vec<&str> = lines
                .iter()
                .filter_map(|line| line.rsplit(' ').next())
                .collect();
            assert_eq!(found, values, "{metric}");
        }
    }
}
