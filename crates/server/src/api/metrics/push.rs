//! `/metrics/job...`: groups of metrics that batch jobs push, as to a Pushgateway
//! (<https://github.com/prometheus/pushgateway#api>).

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bellwether_core::{Labels, SeriesBatch, is_label_name};
use bellwether_exposition::{Format, SeriesParser, parse_protobuf};
use hyper::header::CONTENT_TYPE;
use hyper::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;

use crate::api::endpoints::parameter::{Parameter, text};
use crate::api::request::{RequestContext, blocking};
use crate::api::response::{self, ApiError, HttpResponse};
use crate::backend::PushChange;

pub(crate) const GROUP: &[Parameter] = &[text(
    "group",
    "grouping key: `/<job>`, then `/<label>/<value>` for each further label; a name that ends in `@base64` has an encoded value",
)
.in_path()];

/// Base64 in the alphabet for URLs, with or without padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Replaces the metrics of a group (PUT), or those of the same names (POST).
///
/// # Errors
/// The grouping key or the body is invalid, or nothing receives pushed metrics.
pub(crate) async fn push(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let group = grouping_key(request.path_parameter()).map_err(bad_request)?;
    let format = format(&request.parts.headers);
    let body = request.read_body().await?;
    let permit = request.permit().await?;
    let (backend, replaces) = (request.backend(), request.method() == Method::PUT);
    let pushed = blocking(move || {
        let _permit = permit;
        let batch = match parse(&body, format) {
            Ok(batch) => batch,
            Err(error) => {
                backend.push(group, PushChange::Fail)?;
                return Err(bad_request(error));
            }
        };
        let change = match replaces {
            true => PushChange::Replace(batch),
            false => PushChange::Update(batch),
        };
        Ok(backend.push(group, change)?)
    });
    pushed.await??;
    Ok(response::text(StatusCode::OK, ""))
}

/// Deletes the metrics of a group.
///
/// # Errors
/// The grouping key is invalid, or nothing receives pushed metrics.
pub(crate) async fn delete(request: &mut RequestContext<'_>) -> Result<HttpResponse, ApiError> {
    let group = grouping_key(request.path_parameter()).map_err(bad_request)?;
    let permit = request.permit().await?;
    let backend = request.backend();
    let deleted = blocking(move || {
        let _permit = permit;
        Ok::<(), ApiError>(backend.push(group, PushChange::Delete)?)
    });
    deleted.await??;
    Ok(response::text(StatusCode::ACCEPTED, ""))
}

fn bad_request(message: String) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, message)
}

/// Reads the path behind `/metrics/job`: `/backup/instance/a`, or `@base64/YmFja3Vw/instance/a`.
fn grouping_key(path: &str) -> Result<Labels, String> {
    if !path.starts_with(['/', '@']) {
        return Err(format!(
            "not a grouping key: job{path}; hint: /metrics/job/NAME"
        ));
    }
    let path = format!("job{path}");
    let parts: Vec<&str> = path.strip_suffix('/').unwrap_or(&path).split('/').collect();
    let mut group = Labels::new();
    for pair in parts.chunks(2) {
        let [name, value] = pair else {
            return Err(format!(
                "the label {:?} has no value; hint: /metrics/job/NAME/LABEL/VALUE",
                pair[0]
            ));
        };
        let (name, encoded) = match name.strip_suffix("@base64") {
            Some(name) => (name, true),
            None => (*name, false),
        };
        if !is_label_name(name) {
            return Err(format!("not a label name: {name:?}"));
        }
        let value = match encoded {
            true => decode(value)?,
            false => percent_decode_str(value).decode_utf8_lossy().into_owned(),
        };
        if name == "job" && value.is_empty() {
            return Err("the job has no name".into());
        }
        if group.insert(name.to_owned(), value).is_some() {
            return Err(format!("the label {name:?} is there twice"));
        }
    }
    Ok(group)
}

/// Decodes a value; `=` alone is the empty one.
fn decode(value: &str) -> Result<String, String> {
    let value = match value {
        "=" => "",
        value => value,
    };
    let bytes = BASE64.decode(value);
    let text = bytes.ok().and_then(|bytes| String::from_utf8(bytes).ok());
    text.ok_or_else(|| format!("not base64 of a text: {value:?}"))
}

/// Returns the format of the body, `None` for protocol buffers. Clients that say nothing send text.
fn format(headers: &HeaderMap) -> Option<Format> {
    let value = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    Format::from_content_type(value.unwrap_or_default())
}

fn parse(body: &[u8], format: Option<Format>) -> Result<SeriesBatch, String> {
    let mut batch = SeriesBatch::default();
    match format {
        Some(format) => {
            let text =
                str::from_utf8(body).map_err(|error| format!("the body is not UTF-8: {error}"))?;
            let parsed = SeriesParser::default().parse(text, format, &mut batch);
            parsed.map_err(|error| error.to_string())?;
        }
        None => {
            parse_protobuf(body, &mut batch).map_err(|error| error.to_string())?;
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(path: &str) -> Result<Vec<(String, String)>, String> {
        grouping_key(path).map(|group| group.into_iter().collect())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    /// The examples with `@base64` are those of Pushgateway's README.
    #[test]
    fn the_path_is_the_grouping_key() {
        assert_eq!(key("/backup"), Ok(vec![pair("job", "backup")]));
        assert_eq!(
            key("/backup%20all/instance/a/"),
            Ok(vec![pair("instance", "a"), pair("job", "backup all")])
        );
        assert_eq!(
            key("/directory_cleaner/path@base64/L3Zhci90bXA"),
            Ok(vec![
                pair("job", "directory_cleaner"),
                pair("path", "/var/tmp")
            ])
        );
        assert_eq!(
            key("/titan/name@base64/zqDPgc6_zrzOt864zrXPjc-C"),
            Ok(vec![pair("job", "titan"), pair("name", "Προμηθεύς")])
        );
        assert_eq!(
            key("@base64/YQ==/first_label@base64/="),
            Ok(vec![pair("first_label", ""), pair("job", "a")])
        );
    }

    #[test]
    fn an_invalid_grouping_key_is_an_error() {
        for (path, error) in [
            ("/", "the label \"job\" has no value"),
            ("@base64/=", "the job has no name"),
            ("/a/instance", "the label \"instance\" has no value"),
            ("/a/0/b", "not a label name: \"0\""),
            ("/a/job/b", "the label \"job\" is there twice"),
            ("s/a", "not a grouping key: jobs/a"),
            ("@base64/*", "not base64 of a text: \"*\""),
        ] {
            let found = key(path).unwrap_err();
            assert!(found.contains(error), "{path}: {found}");
        }
    }
}
