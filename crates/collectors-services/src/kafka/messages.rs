//! Requests to brokers, and their answers (<https://kafka.apache.org/protocol#protocol_messages>).
//!
//! Versions are the oldest that the brokers of Kafka 4 still know, which those since 1.0 know too.

pub(super) mod cluster;
pub(super) mod groups;

use std::collections::BTreeMap;

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

const SASL_HANDSHAKE: Api = api("SaslHandshake", 17, 1);
const API_VERSIONS: Api = api("ApiVersions", 18, 0);
const SASL_AUTHENTICATE: Api = api("SaslAuthenticate", 36, 0);

/// Requests that every broker must know.
pub(super) const REQUIRED: [&Api; 5] = [
    &cluster::METADATA,
    &cluster::LIST_OFFSETS,
    &groups::OFFSET_FETCH,
    &groups::DESCRIBE_GROUPS,
    &groups::LIST_GROUPS,
];

type Answer<T> = Result<T, AnswerError>;

/// Reads an answer, or a part of it.
type Read<T> = fn(&mut Reader<'_>) -> Answer<T>;

/// A request, and the way to read its answer.
pub(super) struct Request<T> {
    pub(super) api: Api,
    pub(super) body: Vec<u8>,
    pub(super) read: Read<T>,
}

fn request<T>(api: Api, write: impl FnOnce(&mut Writer), read: Read<T>) -> Request<T> {
    let mut writer = Writer::default();
    write(&mut writer);
    let body = writer.into_bytes();
    Request { api, body, read }
}

/// Offsets by topic and partition.
pub(super) type Offsets = BTreeMap<String, BTreeMap<i32, i64>>;

/// Partitions by topic.
pub(super) type Partitions = BTreeMap<String, Vec<i32>>;

fn offsets(reader: &mut Reader<'_>, partition: Read<Option<(i32, i64)>>) -> Answer<Offsets> {
    let topics = reader.array(|reader| {
        let topic = reader.string()?;
        let partitions = reader.array(partition)?;
        Ok((topic, partitions.into_iter().flatten().collect()))
    })?;
    Ok(topics.into_iter().collect())
}

/// Oldest and newest version that a broker knows of each request, by its key.
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
mod testing {
    use super::*;

    /// Reads an answer that `write` writes.
    pub(super) fn read<T>(request: &Request<T>, write: impl FnOnce(&mut Writer)) -> Answer<T> {
        let mut writer = Writer::default();
        write(&mut writer);
        (request.read)(&mut Reader::new(&writer.into_bytes()))
    }
}
