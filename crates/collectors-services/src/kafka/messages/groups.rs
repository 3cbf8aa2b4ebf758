//! Requests for consumer groups, which their coordinator answers.

use std::collections::BTreeMap;

use super::{Answer, Api, Offsets, Request, api, offsets, request};
use crate::kafka::wire::{Reader, Writer};

pub(super) const OFFSET_FETCH: Api = api("OffsetFetch", 9, 2);
pub(super) const DESCRIBE_GROUPS: Api = api("DescribeGroups", 15, 0);
pub(super) const LIST_GROUPS: Api = api("ListGroups", 16, 0);
/// Of groups with the protocol of KIP-848, since Kafka 3.7.
pub(in crate::kafka) const CONSUMER_GROUP_DESCRIBE: Api = api("ConsumerGroupDescribe", 69, 0);

/// Type of groups that share the messages of a partition (KIP-932). They have no committed offsets.
const SHARE: &str = "share";

/// Requests the names of the groups that a broker coordinates, without share groups.
pub(in crate::kafka) fn list_groups() -> Request<Vec<String>> {
    request(
        LIST_GROUPS,
        |_| {},
        |reader| {
            reader.code()?;
            let names = reader.array(|reader| {
                let name = reader.string()?;
                let protocol_type = reader.string()?;
                Ok((protocol_type != SHARE).then_some(name))
            })?;
            Ok(names.into_iter().flatten().collect())
        },
    )
}

/// State of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct GroupState {
    /// `Stable`, `Empty`, `Dead`, ...
    pub(in crate::kafka) state: String,
    /// Number of members.
    pub(in crate::kafka) members: usize,
}

/// States of groups by their names. A group that the broker could not describe is left out.
pub(in crate::kafka) type GroupStates = BTreeMap<String, GroupState>;

/// Requests the states of groups.
pub(in crate::kafka) fn describe_groups(names: &[&str]) -> Request<GroupStates> {
    let write = |writer: &mut Writer| {
        writer.array(names.iter(), |writer, name| writer.string(name));
    };
    request(DESCRIBE_GROUPS, write, |reader| {
        let groups = reader.array(|reader| {
            let code = reader.i16()?;
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
            let members = members.len();
            Ok((code == 0).then_some((name, GroupState { state, members })))
        })?;
        Ok(groups.into_iter().flatten().collect())
    })
}

/// Requests the states of groups with the protocol of KIP-848; those of others are left out.
pub(in crate::kafka) fn describe_consumer_groups(names: &[&str]) -> Request<GroupStates> {
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

fn consumer_group(reader: &mut Reader<'_>) -> Answer<Option<(String, GroupState)>> {
    let code = reader.i16()?;
    let _message = reader.compact_string()?;
    let (name, state) = (reader.compact_string()?, reader.compact_string()?);
    let _epochs = (reader.i32()?, reader.i32()?);
    let _assignor = reader.compact_string()?;
    let members = reader.compact_array(consumer)?.len();
    let _operations = reader.i32()?;
    reader.tags()?;
    Ok((code == 0).then_some((name, GroupState { state, members })))
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

/// Requests the committed offsets of a group, from its coordinator.
pub(in crate::kafka) fn offset_fetch(group: &str) -> Request<Offsets> {
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

#[cfg(test)]
mod tests {
    use super::super::testing::read;
    use super::*;
    use crate::kafka::error::AnswerError;

    #[test]
    fn an_offset_that_was_not_committed_is_left_out() {
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
    fn a_share_group_is_left_out() {
        let names = read(&list_groups(), |writer| {
            writer.i16(0);
            let groups = [("a", "consumer"), ("b", "share"), ("c", "")];
            writer.array(groups.into_iter(), |writer, (name, protocol_type)| {
                writer.string(name);
                writer.string(protocol_type);
            });
        });
        assert_eq!(names, Ok(vec!["a".to_owned(), "c".to_owned()]));
    }

    #[test]
    fn a_group_that_could_not_be_described_has_no_state() {
        let states = read(&describe_groups(&["a", "b"]), |writer| {
            let groups = [(0, "a", "Empty"), (30, "b", "")];
            writer.array(groups.into_iter(), |writer, (code, name, state)| {
                writer.i16(code);
                for text in [name, state, "consumer", ""] {
                    writer.string(text);
                }
                writer.array([(); 0].into_iter(), |_, ()| {});
            });
        });
        let empty = GroupState {
            state: "Empty".to_owned(),
            members: 0,
        };
        assert_eq!(states, Ok(GroupStates::from([("a".to_owned(), empty)])));
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
}
