//! Endpoints: `/metrics`, health checks, and the HTTP API.
//!
//! Owns the table of endpoints, the parameters of each, and the JSON of their responses. Reads and
//! changes the rest of the program only through [`Backend`](crate::Backend).

pub(crate) mod alert_history;
pub(crate) mod alerting;
mod alerts;
pub(crate) mod analysis;
mod dead_letters;
mod endpoints;
mod form;
pub(crate) mod handler;
mod health;
mod json;
mod landing;
mod metadata;
mod metrics;
pub(crate) mod query;
mod record;
pub(crate) mod response;
mod rules;
mod status;
#[cfg(test)]
mod testing;
