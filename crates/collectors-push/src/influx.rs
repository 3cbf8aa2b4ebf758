//! Points in InfluxDB's line protocol, as influxdb_exporter takes them
//! (<https://github.com/prometheus/influxdb_exporter>).

mod points;
mod protocol;

use bellwether_collector::{Build, EntryContext, EntryType, Memory, Receiver, TimedHistory};
use bellwether_core::Now;
use bellwether_schema::section;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode, Uri};
use points::{Precision, Reader};
use serde_json::json;

use crate::pushed::{Intake, PushSettings};
use crate::request::{RequestError, inflated};

section! {
    /// Collector of type `influx`: points in InfluxDB's line protocol, which Telegraf and clients of InfluxDB send to
    /// `/write` (1.x) or `/api/v2/write` (2.x). The newest value of each field is collected. Only one collector has this
    /// type.
    pub struct Influx {
        #[serde(flatten)]
        pub push: PushSettings,
    }
}

impl EntryType for Influx {
    fn resolve(&self, context: &mut EntryContext<'_>) -> Option<Build> {
        let intake = self.push.resolve(context)?;
        context.receive(InfluxReceiver {
            intake: intake.clone(),
        });
        context.build(move |memory| intake.collector(memory))
    }
}

struct InfluxReceiver {
    intake: Intake,
}

impl Receiver for InfluxReceiver {
    fn receive(
        &self,
        memory: &Memory,
        _: Option<&dyn TimedHistory>,
        request: &Request<Bytes>,
        now: Now,
    ) -> Response<Vec<u8>> {
        match request.uri().path() {
            // Clients of 1.x create their database before they write.
            "/query" => return answer(StatusCode::OK, &json!({"results": [{"statement_id": 0}]})),
            "/ping" => return pong(),
            _ => {}
        }
        let is_v2 = request.uri().path() == "/api/v2/write";
        match self.write(memory, request, now) {
            Ok(()) => pong(),
            Err(RequestError { status, message }) if is_v2 => {
                let code = match status {
                    StatusCode::PAYLOAD_TOO_LARGE => "request too large",
                    _ => "invalid",
                };
                answer(status, &json!({"code": code, "message": message}))
            }
            Err(RequestError { status, message }) => answer(status, &json!({"error": message})),
        }
    }
}

impl InfluxReceiver {
    /// Takes the points of a request. Those that can be read are taken even if others cannot.
    fn write(
        &self,
        memory: &Memory,
        request: &Request<Bytes>,
        now: Now,
    ) -> Result<(), RequestError> {
        let precision = precision(request.uri())?;
        let limit = self.intake.limits().bytes.0;
        let body = inflated(request.headers(), request.body(), limit)?;
        let body = str::from_utf8(&body)
            .map_err(|error| RequestError::new(StatusCode::BAD_REQUEST, error.to_string()))?;
        let mut reader = Reader::new(
            precision,
            self.intake.ttl(),
            self.intake.limits().bytes.0,
            now.wall,
        );
        let error = reader.read(body);
        self.intake.push(memory, reader.batch(), now);
        match error {
            None => Ok(()),
            Some(error) => {
                let message = format!("partial write: {error}");
                Err(RequestError::new(StatusCode::BAD_REQUEST, message))
            }
        }
    }
}

/// Reads the precision of timestamps in the query of a request.
fn precision(uri: &Uri) -> Result<Precision, RequestError> {
    let pairs = uri.query().unwrap_or_default().split('&');
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    let word = pairs.find(|(key, _)| *key == "precision");
    let word = word.map_or("", |(_, word)| word);
    Precision::parse(word).ok_or_else(|| {
        let message = format!("invalid precision: {word:?}; hint: ns, us, ms, s, m or h");
        RequestError::new(StatusCode::BAD_REQUEST, message)
    })
}

/// Answers that it was done.
fn pong() -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    // Clients look whether the server is of version 1 or 2.
    let version = HeaderValue::from_static("1.8.10");
    response.headers_mut().insert("x-influxdb-version", version);
    response
}

fn answer(status: StatusCode, body: &serde_json::Value) -> Response<Vec<u8>> {
    let mut response = Response::new(body.to_string().into_bytes());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests;
