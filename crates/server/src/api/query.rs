//! Queries of history, in the form of Prometheus's HTTP API.
//!
//! Owns the path of such a request: its parameters, the [`Jobs`] that do the work on blocking
//! threads within limits, and the text of the response. Evaluation is up to `promql`.
//!
//! A new endpoint is a function that makes a [`Reply`] of a [`HistoryRequest`] and a source of
//! samples, and a row in the table of endpoints.

mod counting;
pub(crate) mod expression;
mod jobs;
pub(crate) mod labels;
mod number;
mod params;
pub(crate) mod promql;
mod request;
mod respond;
mod settings;
mod stats;
mod text;
pub(crate) mod tsdb;

pub(crate) use jobs::{Jobs, Limits as JobLimits};
pub(crate) use number::{push_time, push_value};
pub(crate) use params::{Parameters, bad_data, invalid};
pub(crate) use request::{HistoryRequest, Reply, query_error};
pub(crate) use respond::{TIMEOUT, no_history, respond, respond_with_job, run_job};
pub use settings::QueryLimits;
pub use stats::QueryStats;
pub(crate) use text::push_string;

/// Serializes an answer in the form of Prometheus's API, as JSON.
#[must_use]
pub fn answer_json(answer: bellwether_promql::Answer) -> Vec<u8> {
    text::Text::answer(answer).into_bytes()
}
