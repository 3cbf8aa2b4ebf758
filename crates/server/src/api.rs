//! Endpoints: `/metrics`, health checks, and the HTTP API.
//!
//! Owns the path of a request from its head to its response, the table of endpoints, the parameters
//! of each, and the JSON of their responses. Reads and changes the rest of the program only through
//! [`Backend`](crate::Backend).
//!
//! - [`dispatch`] checks a request and calls the handler that the table [`endpoints`] names.
//! - [`ask`] answers the process itself, without a connection.
//! - [`request`] is a request as a handler gets it, with what a handler may take from the server.
//! - `alerts`, `analysis`, `configuration`, `dashboards`, `live`, `metrics`, `process` and `query` have the handlers,
//!   a file each.

pub(crate) mod alerts;
pub(crate) mod analysis;
mod ask;
mod configuration;
mod dashboards;
mod dispatch;
mod endpoints;
mod json;
pub(crate) mod live;
mod metrics;
pub(crate) mod process;
pub(crate) mod query;
mod request;
pub(crate) mod response;
pub(crate) mod shared;
mod simple;
#[cfg(test)]
mod testing;
pub(crate) mod threads;
pub(crate) mod view;

pub use endpoints::reference::{endpoint_reference, role_reference};
pub use endpoints::{AnswerError, check_answer};

/// Version of Bellwether in responses.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
