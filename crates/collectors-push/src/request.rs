//! Requests of clients: their bodies without compression, and answers.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use hyper::header::{CONTENT_ENCODING, HeaderMap, HeaderName};
use hyper::{Response, StatusCode};

/// Returns an answer of text.
pub(crate) fn answer(status: StatusCode, text: String) -> Response<Vec<u8>> {
    let mut response = Response::new(text.into_bytes());
    *response.status_mut() = status;
    response
}

/// Returns the value of a header; empty if there is none.
pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().trim()
}

/// Error of a request, with its status.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RequestError {
    pub(crate) status: StatusCode,
    pub(crate) message: String,
}

impl RequestError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { status, message }
    }

    /// Returns the error for a body with more than `limit` bytes.
    pub(crate) fn too_large(limit: u64) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!(
                "the body is larger than {limit} bytes; hint: send less in a request, or raise limits.bytes of the collector"
            ),
        )
    }
}

/// Returns the body of a request, of at most `limit` bytes, without gzip.
///
/// # Errors
/// It is larger, no valid gzip, or in another encoding.
pub(crate) fn inflated<'a>(
    headers: &HeaderMap,
    body: &'a [u8],
    limit: u64,
) -> Result<Cow<'a, [u8]>, RequestError> {
    let body = match header(headers, &CONTENT_ENCODING) {
        "" | "identity" => Cow::Borrowed(body),
        "gzip" => Cow::Owned(gunzipped(body, limit)?),
        other => {
            let message = format!("unknown content encoding: {other:?}; hint: send gzip or none");
            return Err(RequestError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                message,
            ));
        }
    };
    match body.len() as u64 > limit {
        true => Err(RequestError::too_large(limit)),
        false => Ok(body),
    }
}

/// Largest factor by which a compressed body may grow. Metrics grow by less than 50; what grows by more takes much memory
/// once it is decoded, however small the request is.
const GROWTH: u64 = 200;
/// Size to which any body may grow.
const SMALL: u64 = 1 << 20;

/// Decompresses gzip, up to one byte more than `limit`.
pub(crate) fn gunzipped(body: &[u8], limit: u64) -> Result<Vec<u8>, RequestError> {
    let grown = SMALL.max(GROWTH * body.len() as u64);
    let mut bytes = Vec::new();
    let read = MultiGzDecoder::new(body)
        .take(limit.min(grown).saturating_add(1))
        .read_to_end(&mut bytes);
    read.map_err(|error| {
        RequestError::new(StatusCode::BAD_REQUEST, format!("invalid gzip: {error}"))
    })?;
    match bytes.len() as u64 > grown {
        true => {
            let message = format!("the body grows to more than {GROWTH} times its size");
            Err(RequestError::new(StatusCode::PAYLOAD_TOO_LARGE, message))
        }
        false => Ok(bytes),
    }
}

#[cfg(test)]
pub(crate) mod testing {
    use std::cell::RefCell;

    use bellwether_collector::TimedHistory;
    use bellwether_core::{LabelSet, Now, Origin, Rejected, SeriesBatch, SeriesFamily, UnixMillis};

    /// History that has the samples in the order in which they came: series, time and value.
    #[derive(Default)]
    pub(crate) struct Samples(pub(crate) RefCell<Vec<(String, UnixMillis, f64)>>);

    impl TimedHistory for Samples {
        fn append(&self, _: Origin, batch: &SeriesBatch, _: Now) -> Rejected {
            let samples = batch.families().flat_map(SeriesFamily::timed_samples);
            let samples = samples.map(|(packed, time, value)| {
                let labels = LabelSet::from_packed(packed).unwrap();
                (labels.to_string(), time.unwrap(), value)
            });
            self.0.borrow_mut().extend(samples);
            Rejected::default()
        }

        fn sync(&self) {}
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_body_may_grow_to_a_megabyte_or_by_a_factor() {
        let megabyte = gzip(&vec![0; 1 << 20]);
        assert_eq!(gunzipped(&megabyte, 10 << 20).unwrap().len(), 1 << 20);
        let error = gunzipped(&gzip(&vec![0; 9 << 20]), 10 << 20).unwrap_err();
        let expected = (
            StatusCode::PAYLOAD_TOO_LARGE,
            "the body grows to more than 200 times its size",
        );
        assert_eq!((error.status, error.message.as_str()), expected);
        let lines: String = (0..200_000_u32)
            .map(|line| {
                format!(
                    "metric_{} {}\n",
                    line % 1000,
                    line.wrapping_mul(2_654_435_761)
                )
            })
            .collect();
        let text = gunzipped(&gzip(lines.as_bytes()), 10 << 20).unwrap();
        assert!(text.len() > 3 << 20 && text == lines.as_bytes());
        // The callers report what exceeds the limit.
        assert_eq!(gunzipped(&megabyte, 100).unwrap().len(), 101);
    }
}
