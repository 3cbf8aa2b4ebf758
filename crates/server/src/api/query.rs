//! Queries of history, in the form of Prometheus's HTTP API.
//!
//! Owns the path of such a request: its parameters, the [`Jobs`] that do the work on blocking
//! threads within limits, and the text of the response. Evaluation is up to `promql`.
//!
//! A new endpoint is a [`HistoryEndpoint`] in the table of endpoints, and a function in `views`
//! that makes a [`Reply`] of a request and a source of samples.

mod counting;
mod jobs;
mod number;
mod params;
mod respond;
mod settings;
mod stats;
mod text;
mod tsdb;
mod views;

pub(crate) use jobs::Jobs;
pub(crate) use params::{Parameters, bad_data, invalid};
pub use settings::QueryLimits;
pub use stats::QueryStats;
pub(crate) use views::{HistoryEndpoint, Reply, query_error};

/// Serializes an answer in the form of Prometheus's API, as JSON.
#[must_use]
pub fn answer_json(answer: bellwether_promql::Answer) -> Vec<u8> {
    text::Text::answer(answer).into_bytes()
}
