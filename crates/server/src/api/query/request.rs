//! Requests that are answered from history, their replies and errors.

use std::sync::Arc;
use std::time::Duration;

use bellwether_core::UnixMillis;
use bellwether_promql::{Guard, Options, Query, QueryError, Stopped, parse_within};
use hyper::StatusCode;

use super::params::{Parameters, invalid};
use super::text::Text;
use crate::api::response::ApiError;
use crate::backend::Backend;

/// Warning of Prometheus.
pub(super) const TRUNCATED: &str = "results truncated due to limit";

/// Parsed request.
pub(crate) struct HistoryRequest {
    pub(crate) parameters: Parameters,
    /// Value of the placeholder in the path.
    pub(crate) path_parameter: String,
    pub(crate) now: UnixMillis,
    pub(crate) lookback: Duration,
    pub(crate) backend: Arc<dyn Backend>,
}

impl HistoryRequest {
    /// Parses the expression in `query`.
    ///
    /// # Errors
    /// It is invalid or needs too much memory.
    pub(super) fn query(&self, guard: &Guard) -> Result<Query, ApiError> {
        parse_within(self.parameters.text("query"), guard).map_err(|error| match error {
            QueryError::BadData(why) => invalid("query", &why),
            error => query_error(error),
        })
    }

    /// Options of an evaluation.
    ///
    /// # Errors
    /// `lookback_delta` is not a duration.
    pub(super) fn options(&self) -> Result<Options, ApiError> {
        let lookback = self
            .parameters
            .duration("lookback_delta")?
            .unwrap_or(self.lookback);
        Ok(Options {
            lookback,
            ..Options::default()
        })
    }
}

/// Body of a response.
pub(crate) enum Reply {
    Short(Vec<u8>),
    Long(Text),
}

impl From<Text> for Reply {
    fn from(text: Text) -> Self {
        if text.is_small() {
            Self::Short(text.into_bytes())
        } else {
            Self::Long(text)
        }
    }
}

impl Reply {
    /// Returns `data` of the envelope.
    ///
    /// # Errors
    /// It is no JSON.
    pub(crate) fn into_data(self) -> serde_json::Result<serde_json::Value> {
        let text = match self {
            Self::Short(text) => text,
            Self::Long(text) => text.into_bytes(),
        };
        let mut envelope: serde_json::Value = serde_json::from_slice(&text)?;
        Ok(envelope["data"].take())
    }

    /// Wraps `data` in Prometheus's envelope.
    pub(crate) fn json(data: &serde_json::Value) -> Self {
        let envelope = serde_json::json!({"status": "success", "data": data});
        Self::Short(envelope.to_string().into_bytes())
    }
}

/// Maps the error of a query to Prometheus's status and message.
pub(crate) fn query_error(error: QueryError) -> ApiError {
    let status = match &error {
        QueryError::BadData(_) => StatusCode::BAD_REQUEST,
        QueryError::Execution(_) => StatusCode::UNPROCESSABLE_ENTITY,
        QueryError::Stopped(stopped) if stopped.is_limit() => StatusCode::UNPROCESSABLE_ENTITY,
        QueryError::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
        QueryError::Storage(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let api_error = ApiError::with_kind(status, error.kind(), error.to_string());
    match error {
        QueryError::Stopped(Stopped::TooManySamples(_)) => {
            api_error.hint("ask for less, or raise prometheus.query.max_samples")
        }
        QueryError::Stopped(Stopped::TooManyBytes(_)) => {
            api_error.hint("ask for less, or raise prometheus.query.max_memory")
        }
        QueryError::Stopped(Stopped::TooManyTogether(_)) => {
            api_error.hint("retry later, or raise prometheus.query.max_total_memory")
        }
        _ => api_error,
    }
}
