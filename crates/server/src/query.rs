//! What is answered from history, in the form of Prometheus's HTTP API.
//!
//! Owns the way of such a request: its parameters, the [`Jobs`] that do the work on blocking
//! threads within limits, and the text of the answer. What is calculated is `promql`'s business.
//!
//! A new endpoint is a [`Past`] in the table of routes and a function in `views` that makes a
//! [`Reply`] of a [`Question`] and a source of samples.

mod ask;
mod counting;
mod jobs;
mod number;
mod params;
mod settings;
mod stats;
mod text;
mod tsdb;
mod views;

pub(super) use jobs::Jobs;
pub(super) use params::{Parameters, bad_data, invalid};
pub use settings::QueryLimits;
pub use stats::QueryStats;
pub(super) use views::{Past, Reply, trouble};

/// An answer in the form of Prometheus's API, as JSON text.
#[must_use]
pub fn answer_json(answer: bellwether_promql::Answer) -> Vec<u8> {
    text::Text::answer(answer).whole()
}
