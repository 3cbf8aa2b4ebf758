//! Queries of rules over history, and recording rules.
//!
//! Knows no state of alerts.

pub(crate) mod history_query;
pub(crate) mod promql;
pub(crate) mod query_batch;
pub(crate) mod recording;
pub(crate) mod rendered_text;
pub(crate) mod sample_storage;
