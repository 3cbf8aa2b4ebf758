//! Requests for brokers, topics and the ends of partitions.

use bellwether_kafka::BrokerAddress;

use super::{Answer, Api, Offsets, Partitions, Request, api, offsets, request};
use crate::kafka::error::AnswerError;
use crate::kafka::wire::{Reader, Writer};

pub(super) const LIST_OFFSETS: Api = api("ListOffsets", 2, 1);
pub(super) const METADATA: Api = api("Metadata", 3, 1);

/// Brokers and topics of a cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::kafka) struct Metadata {
    pub(in crate::kafka) brokers: Vec<Broker>,
    pub(in crate::kafka) topics: Vec<Topic>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Broker {
    pub(in crate::kafka) id: i32,
    pub(in crate::kafka) address: BrokerAddress,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Topic {
    pub(in crate::kafka) name: String,
    pub(in crate::kafka) partitions: Vec<Partition>,
}

#[derive(Debug, PartialEq, Eq)]
pub(in crate::kafka) struct Partition {
    pub(in crate::kafka) id: i32,
    /// Id of the broker; -1: none.
    pub(in crate::kafka) leader: i32,
    /// Ids of brokers, the preferred leader first.
    pub(in crate::kafka) replicas: Vec<i32>,
    pub(in crate::kafka) in_sync: Vec<i32>,
}

/// Requests brokers and topics. No topic is created by it.
pub(in crate::kafka) fn metadata() -> Request<Metadata> {
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
            // Whether it is internal.
            reader.skip(1)?;
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
pub(in crate::kafka) enum End {
    Oldest,
    /// The next offset that is written, up to which consumers may read.
    Newest,
}

/// Requests offsets of partitions, from their leader. Those that it does not lead any more are left out.
pub(in crate::kafka) fn list_offsets(partitions: &Partitions, end: End) -> Request<Offsets> {
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

#[cfg(test)]
mod tests {
    use super::super::testing::read;
    use super::*;

    #[test]
    fn a_partition_that_moved_is_left_out() {
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
