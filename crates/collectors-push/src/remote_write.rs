//! Samples that Prometheus and its agents send by remote write, 1.0 and 2.0
//! (<https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/>).

mod message;
mod read;

use bellwether_collector::{
    Build, EntryContext, EntryType, Memory, Receiver, Relabeler, TimedHistory,
};
use bellwether_core::{Now, Rejected, Rejection, SeriesBatch};
use bellwether_schema::section;
use hyper::body::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName};
use hyper::{Request, Response, StatusCode};
use message::{REQUEST_V1, REQUEST_V2};
use parking_lot::Mutex;
use read::{Metadata, OLDEST, Reader, Written};

use crate::pushed::{Intake, PushSettings};
use crate::request::{RequestError, answer, header};

section! {
    /// Collector of type `remote_write`: samples that Prometheus, agents and other Bellwethers send to `/api/v1/write`
    /// by remote write 1.0 or 2.0. History has all samples at their times, up to 24 hours late; the newest one of each series is
    /// collected. Only one collector has this type.
    pub struct RemoteWriteReceiver {
        #[serde(flatten)]
        pub push: PushSettings,
    }
}

impl EntryType for RemoteWriteReceiver {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let intake = self.push.resolve(context)?.with_times();
        let relabeler = Relabeler::new(context.relabeling.clone());
        context.receive(SampleReceiver {
            intake: intake.clone(),
            relabeler: Mutex::new(relabeler),
        });
        context.build(move |memory| intake.collector(memory))
    }
}

struct SampleReceiver {
    intake: Intake,
    /// For history. What is collected is relabeled later.
    relabeler: Mutex<Relabeler>,
}

/// Content of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Version {
    V1,
    V2,
}

impl Receiver for SampleReceiver {
    fn receive(
        &self,
        memory: &Memory,
        history: Option<&dyn TimedHistory>,
        request: &Request<Bytes>,
        now: Now,
    ) -> Response<Vec<u8>> {
        let limit = self.intake.limits().bytes.0;
        let version = match version(request.headers()) {
            Ok(version) => version,
            Err(error) => return answer(StatusCode::UNSUPPORTED_MEDIA_TYPE, error),
        };
        let body = match decompressed(request.body(), limit) {
            Ok(body) => body,
            Err(error) => return answer(error.status, error.message),
        };
        let oldest = history.map_or(self.intake.ttl(), |_| OLDEST);
        let mut reader = Reader::new(oldest, limit, now.wall);
        let read = match version {
            Version::V1 => REQUEST_V1.check(&body).map(|request| {
                let metadata = memory.get::<Metadata>(self.intake.origin());
                reader.read_v1(request, &metadata, &self.intake);
            }),
            Version::V2 => REQUEST_V2
                .check(&body)
                .map(|request| reader.read_v2(request)),
        };
        if let Err(error) = read {
            let message = format!("not a message of remote write: {error}");
            return answer(StatusCode::BAD_REQUEST, message);
        }
        let push = |batch: &SeriesBatch| self.push(memory, history, batch, now);
        let (samples, histograms) = (push(&reader.samples), push(&reader.histograms));
        if let Some(history) = history
            && !(reader.samples.is_empty() && reader.histograms.is_empty())
        {
            history.sync();
        }
        let written = reader.written.without(&samples, &histograms);
        let mut rejected = samples;
        rejected.extend(&histograms);
        let response = outcome(&rejected);
        match version {
            Version::V1 => response,
            Version::V2 => with_written(response, &written),
        }
    }
}

impl SampleReceiver {
    /// Takes over the samples of a request, and returns those that are rejected.
    fn push(
        &self,
        memory: &Memory,
        history: Option<&dyn TimedHistory>,
        batch: &SeriesBatch,
        now: Now,
    ) -> Rejected {
        let (mut rejected, mut admitted) = self.intake.push_timed(memory, batch, now);
        let Some(history) = history.filter(|_| !admitted.is_empty()) else {
            return rejected;
        };
        let expected = self.intake.limits().series;
        self.relabeler.lock().relabel(&mut admitted, expected);
        let by_history = history.append(self.intake.origin(), &admitted, now);
        self.intake.reject(memory, &by_history);
        rejected.extend(&by_history);
        rejected
    }
}

/// Returns the version of the message.
fn version(headers: &HeaderMap) -> Result<Version, String> {
    let encoding = header(headers, &CONTENT_ENCODING);
    if !["", "snappy"].contains(&encoding) {
        return Err(format!(
            "unknown content encoding: {encoding:?}; hint: send snappy"
        ));
    }
    let content_type = header(headers, &CONTENT_TYPE);
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    let message = parts.find_map(|part| part.strip_prefix("proto="));
    match (media, message.map(|name| name.trim_matches('"'))) {
        // The first clients sent no type.
        ("", None) | ("application/x-protobuf", None | Some("prometheus.WriteRequest")) => {
            Ok(Version::V1)
        }
        ("application/x-protobuf", Some("io.prometheus.write.v2.Request")) => Ok(Version::V2),
        _ => Err(format!(
            "unknown content type: {content_type:?}; hint: send application/x-protobuf, with proto=prometheus.WriteRequest \
             or proto=io.prometheus.write.v2.Request"
        )),
    }
}

/// Returns the message in a body, which may have at most `limit` bytes.
fn decompressed(body: &[u8], limit: u64) -> Result<Vec<u8>, RequestError> {
    let invalid = |error: snap::Error| {
        RequestError::new(StatusCode::BAD_REQUEST, format!("not snappy: {error}"))
    };
    let length = snap::raw::decompress_len(body).map_err(invalid)?;
    if length as u64 > limit {
        return Err(RequestError::too_large(limit));
    }
    snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(invalid)
}

/// Answers what became of the samples. What the configuration leaves out and what is of no interest any more is no error
/// of the client, which would log and count each of its requests as failed.
fn outcome(rejected: &Rejected) -> Response<Vec<u8>> {
    let silent = [Rejection::NotAccepted, Rejection::TooOld];
    match rejected.iter().all(|(reason, ..)| silent.contains(&reason)) {
        true => answer(StatusCode::NO_CONTENT, String::new()),
        false => answer(StatusCode::BAD_REQUEST, rejected.notes().join("; ")),
    }
}

fn with_written(mut response: Response<Vec<u8>>, written: &Written) -> Response<Vec<u8>> {
    let headers = response.headers_mut();
    for (name, count) in [
        ("x-prometheus-remote-write-samples-written", written.samples),
        (
            "x-prometheus-remote-write-histograms-written",
            written.histograms,
        ),
        ("x-prometheus-remote-write-exemplars-written", 0),
    ] {
        headers.insert(HeaderName::from_static(name), count.into());
    }
    response
}

#[cfg(test)]
mod tests;
