//! Requests to brokers, and their answers (<https://kafka.apache.org/protocol#protocol_messages>).
//!
//! Versions are the oldest that the brokers of Kafka 4 still know, which those since 1.0 know too.

use std::collections::BTreeMap;

use bellwether_kafka::BrokerAddress;

use super::error::AnswerError;
use super::wire::{Reader, Writer};

/// A kind of request, in the version that is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Api {
    pub(super) name: &'static str,
    pub(super) key: i16,
    pub(super) version: i16,
}

const fn api(name: &'static str, key: i16, version: i16) -> Api {
    Api { name, key, version }
}

const LIST_OFFSETS: Api = api("ListOffsets", 2, 1);
const METADATA: Api = api("Metadata", 3, 1);
const OFFSET_FETCH: Api = api("OffsetFetch", 9, 2);
const DESCRIBE_GROUPS: Api = api("DescribeGroups", 15, 0);
const LIST_GROUPS: Api = api("ListGroups", 16, 0);
const SASL_HANDSHAKE: Api = api("SaslHandshake", 17, 1);
const API_VERSIONS: Api = api("ApiVersions", 18, 0);
const SASL_AUTHENTICATE: Api = api("SaslAuthenticate", 36, 0);
/// Of groups with the protocol of KIP-848, since Kafka 3.7.
pub(super) const CONSUMER_GROUP_DESCRIBE: Api = api("ConsumerGroupDescribe", 69, 0);

/// Requests that every broker must know.
pub(super) const REQUIRED: [&Api; 5] = [
    &METADATA,
    &LIST_OFFSETS,
    &OFFSET_FETCH,
    &DESCRIBE_GROUPS,
    &LIST_GROUPS,
];

type Answer<T> = Result<T, AnswerError>;

/// A request, and the way to read its answer.
pub(super) struct Request<T> {
    pub(super) api: Api,
    pub(super) body: Vec<u8>,
    pub(super) read: fn(&mut Reader<'_>) -> Answer<T>,
}

fn request<T>(
    api: Api,
    write: impl FnOnce(&mut Writer),
    read: fn(&mut Reader<'_>) -> Answer<T>,
) -> Request<T> {
    let mut writer = Writer::default();
    write(&mut writer);
    let body = writer.into_bytes();
    Request { api, body, read }
}

/// Offsets by topic and partition.
pub(super) type Offsets = BTreeMap<String, BTreeMap<i32, i64>>;

/// Partitions by topic.
pub(super) type Partitions = BTreeMap<String, Vec<i32>>;

/// Brokers and topics of a cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Metadata {
    pub(super) brokers: Vec<Broker>,
    pub(super) topics: Vec<Topic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) address: BrokerAddress,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Topic {
    pub(super) name: String,
    pub(super) partitions: Vec<Partition>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Partition {
    pub(super) id: i32,
    /// Id of the broker; -1: none.
    pub(super) leader: i32,
    /// Ids of brokers, the preferred leader first.
    pub(super) replicas: Vec<i32>,
    pub(super) in_sync: Vec<i32>,
}

/// Requests brokers and topics. No topic is created by it.
pub(super) fn metadata() -> Request<Metadata> {
    request(METADATA, Writer::everything, |reader| {
        let brokers = reader.array(|reader| {
            let (id, host, port) = (reader.i32()?, reader.string()?, reader.i32()?);
            let _rack = reader.nullable_string()?;
            let port = u16::try_from(port).map_err(|_| AnswerError::Malformed)?;
            let address = BrokerAddress { host, port };
            Ok(Broker { id, address })
        })?;
        let _controller = reader.i32()?;
        let topics = reader.array(|reader| {
            // A topic with an error, such as one that is being created, has no partitions.
            let _code = reader.i16()?;
            let name = reader.string()?;
            let _is_internal = reader.skip(1)?;
            let partitions = reader.array(partition)?;
            Ok(Topic { name, partitions })
        })?;
        Ok(Metadata { brokers, topics })
    })
}

fn partition(reader: &mut Reader<'_>) -> Answer<Partition> {
    // The leader says whether there is one.
    let _code = reader.i16()?;
    Ok(Partition {
        id: reader.i32()?,
        leader: reader.i32()?,
        replicas: reader.array(Reader::i32)?,
        in_sync: reader.array(Reader::i32)?,
    })
}

/// End of a partition.
#[derive(Clone, Copy)]
pub(super) enum End {
    Oldest,
    /// The next offset that is written, up to which consumers may read.
    Newest,
}

/// Requests offsets of partitions, from their leader. Those that it does not lead any more are left out.
pub(super) fn list_offsets(partitions: &Partitions, end: End) -> Request<Offsets> {
    let timestamp = match end {
        End::Oldest => -2,
        End::Newest => -1,
    };
    let write = |writer: &mut Writer| {
        // Replica -1 is a client.
        writer.i32(-1);
        writer.array(partitions.iter(), |writer, (topic, partitions)| {
            writer.string(topic);
            writer.array(partitions.iter(), |writer, partition| {
                writer.i32(*partition);
                writer.i64(timestamp);
            });
        });
    };
    request(LIST_OFFSETS, write, |reader| {
        offsets(reader, |reader| {
            let (partition, code) = (reader.i32()?, reader.i16()?);
            let _timestamp = reader.i64()?;
            let offset = reader.i64()?;
            Ok((code == 0).then_some((partition, offset)))
        })
    })
}

/// Requests the committed offsets of a group, from its coordinator.
pub(super) fn offset_fetch(group: &str) -> Request<Offsets> {
    let write = |writer: &mut Writer| {
        writer.string(group);
        writer.everything();
    };
    request(OFFSET_FETCH, write, |reader| {
        let committed = offsets(reader, |reader| {
            let (partition, offset) = (reader.i32()?, reader.i64()?);
            let _metadata = reader.nullable_string()?;
            let code = reader.i16()?;
            Ok((code == 0 && offset >= 0).then_some((partition, offset)))
        })?;
        reader.code()?;
        Ok(committed)
    })
}

fn offsets(
    reader: &mut Reader<'_>,
    partition: fn(&mut Reader<'_>) -> Answer<Option<(i32, i64)>>,
) -> Answer<Offsets> {
    let topics = reader.array(|reader| {
        let topic = reader.string()?;
        let partitions = reader.array(partition)?;
        Ok((topic, partitions.into_iter().flatten().collect()))
    })?;
    Ok(topics.into_iter().collect())
}

/// Requests the names of the groups that a broker coordinates.
pub(super) fn list_groups() -> Request<Vec<String>> {
    request(
        LIST_GROUPS,
        |_| {},
        |reader| {
            reader.code()?;
            reader.array(|reader| {
                let name = reader.string()?;
                let _protocol_type = reader.string()?;
                Ok(name)
            })
        },
    )
}

/// State of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GroupState {
    pub(super) name: String,
    /// `Stable`, `Empty`, `Dead`, ...; empty if it may not be seen.
    pub(super) state: String,
    /// Number of members.
    pub(super) members: usize,
}

/// Requests the states of groups.
pub(super) fn describe_groups(names: &[&str]) -> Request<Vec<GroupState>> {
    let write = |writer: &mut Writer| {
        writer.array(names.iter(), |writer, name| writer.string(name));
    };
    request(DESCRIBE_GROUPS, write, |reader| {
        reader.array(|reader| {
            let _code = reader.i16()?;
            let (name, state) = (reader.string()?, reader.string()?);
            let _protocol_type = reader.string()?;
            let _protocol = reader.string()?;
            let members = reader.array(|reader| {
                for _ in ["id", "client id", "client host"] {
                    reader.string()?;
                }
                reader.bytes()?;
                reader.bytes().map(drop)
            })?;
            Ok(GroupState {
                name,
                state,
                members: members.len(),
            })
        })
    })
}

/// Requests the states of groups with the protocol of KIP-848; those of others are left out.
pub(super) fn describe_consumer_groups(names: &[&str]) -> Request<Vec<GroupState>> {
    let write = |writer: &mut Writer| {
        // The header of a flexible version ends with tagged fields.
        writer.no_tags();
        writer.compact_strings(names);
        writer.byte(0);
        writer.no_tags();
    };
    request(CONSUMER_GROUP_DESCRIBE, write, |reader| {
        reader.tags()?;
        let _throttle_ms = reader.i32()?;
        let groups = reader.compact_array(consumer_group)?;
        Ok(groups.into_iter().flatten().collect())
    })
}

fn consumer_group(reader: &mut Reader<'_>) -> Answer<Option<GroupState>> {
    let code = reader.i16()?;
    let _message = reader.compact_string()?;
    let (name, state) = (reader.compact_string()?, reader.compact_string()?);
    let _epochs = (reader.i32()?, reader.i32()?);
    let _assignor = reader.compact_string()?;
    let members = reader.compact_array(consumer)?;
    let _operations = reader.i32()?;
    reader.tags()?;
    Ok((code == 0).then_some(GroupState {
        name,
        state,
        members: members.len(),
    }))
}

fn consumer(reader: &mut Reader<'_>) -> Answer<()> {
    for _ in ["id", "instance id", "rack"] {
        reader.compact_string()?;
    }
    let _epoch = reader.i32()?;
    for _ in ["client id", "client host"] {
        reader.compact_string()?;
    }
    reader.compact_array(Reader::compact_string)?;
    let _regex = reader.compact_string()?;
    for _ in ["assignment", "target assignment"] {
        reader.compact_array(|reader| {
            // A UUID of the topic before its name.
            reader.skip(16)?;
            reader.compact_string()?;
            reader.compact_array(Reader::i32)?;
            reader.tags()
        })?;
        reader.tags()?;
    }
    reader.tags()
}

/// Newest version that a broker knows of each request, by its key, with the oldest.
pub(super) type Versions = BTreeMap<i16, (i16, i16)>;

/// Requests the versions of requests that a broker knows.
pub(super) fn api_versions() -> Request<Versions> {
    request(
        API_VERSIONS,
        |_| {},
        |reader| {
            reader.code()?;
            let versions =
                reader.array(|reader| Ok((reader.i16()?, (reader.i16()?, reader.i16()?))))?;
            Ok(versions.into_iter().collect())
        },
    )
}

/// Requests an authentication. The answer has the mechanisms of the broker, if this one is not among them.
pub(super) fn sasl_handshake(mechanism: &str) -> Request<Option<Vec<String>>> {
    request(
        SASL_HANDSHAKE,
        |writer| writer.string(mechanism),
        |reader| {
            let code = reader.i16()?;
            let mechanisms = reader.array(Reader::string)?;
            Ok((code != 0).then_some(mechanisms))
        },
    )
}

/// Requests a step of an authentication. The answer is the broker's step, or its reason not to.
pub(super) fn sasl_authenticate(step: &[u8]) -> Request<Result<Vec<u8>, String>> {
    request(
        SASL_AUTHENTICATE,
        |writer| writer.bytes(step),
        |reader| {
            let code = reader.i16()?;
            let message = reader.nullable_string()?.unwrap_or_default();
            let step = reader.bytes()?;
            Ok(match code {
                0 => Ok(step.to_vec()),
                _ => Err(message),
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(request: &Request<T>, write: impl FnOnce(&mut Writer)) -> Answer<T> {
        let mut writer = Writer::default();
        write(&mut writer);
        (request.read)(&mut Reader::new(&writer.into_bytes()))
    }

    #[test]
    fn a_partition_that_moved_and_an_offset_that_was_not_committed_are_left_out() {
        let partitions = Partitions::from([("a".to_owned(), vec![0, 1])]);
        let moved = 6;
        let found = read(&list_offsets(&partitions, End::Newest), |writer| {
            writer.array([()].into_iter(), |writer, ()| {
                writer.string("a");
                writer.array([(0, 0), (1, moved)].into_iter(), |writer, (id, code)| {
                    writer.i32(id);
                    writer.i16(code);
                    writer.i64(-1);
                    writer.i64(42);
                });
            });
        });
        let expected = Offsets::from([("a".to_owned(), [(0, 42)].into())]);
        assert_eq!(found, Ok(expected));

        let found = read(&offset_fetch("g"), |writer| {
            writer.array([()].into_iter(), |writer, ()| {
                writer.string("a");
                writer.array([(0, 7), (1, -1)].into_iter(), |writer, (id, offset)| {
                    writer.i32(id);
                    writer.i64(offset);
                    writer.i16(-1);
                    writer.i16(0);
                });
            });
            writer.i16(0);
        });
        let expected = Offsets::from([("a".to_owned(), [(0, 7)].into())]);
        assert_eq!(found, Ok(expected));
    }

    #[test]
    fn errors_of_a_broker_are_named() {
        let found = read(&list_groups(), |writer| writer.i16(31));
        let error = found.unwrap_err().to_string();
        assert_eq!(error, "not authorized to describe the cluster");
        let found = read(&list_groups(), |writer| writer.i16(99));
        assert!(
            found
                .unwrap_err()
                .to_string()
                .starts_with("error 99 of https://")
        );
        let found = read(&list_groups(), |writer| writer.i32(7));
        assert_eq!(found, Err(AnswerError::Malformed));
    }

    #[test]
    fn every_cut_of_an_answer_is_an_error_and_no_panic() {
        let mut writer = Writer::default();
        writer.array([()].into_iter(), |writer, ()| {
            writer.i32(1);
            writer.string("host");
            writer.i32(9092);
            writer.i16(-1);
        });
        writer.i32(1);
        writer.array([()].into_iter(), |writer, ()| {
            writer.i16(0);
            writer.string("topic");
            writer.byte(0);
            writer.array([()].into_iter(), |writer, ()| {
                writer.i16(0);
                writer.i32(0);
                writer.i32(1);
                writer.array([1, 2].into_iter(), Writer::i32);
                writer.array([1].into_iter(), Writer::i32);
            });
        });
        let whole = writer.into_bytes();
        let read = |bytes: &[u8]| (metadata().read)(&mut Reader::new(bytes));
        let found = read(&whole).unwrap();
        assert_eq!((found.brokers.len(), found.topics.len()), (1, 1));
        assert_eq!(found.topics[0].partitions[0].replicas, [1, 2]);
        for end in 0..whole.len() {
            assert_eq!(read(&whole[..end]), Err(AnswerError::Malformed), "{end}");
        }
    }
}
