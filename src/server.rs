//! The HTTP side: listener, limits, routes, page and API, TLS and access control.

mod network;
mod settings;

pub use network::Network;
pub use settings::{Control, Limits, Prometheus};
