//! HTTP clients: TLS, authorization, redirects, retries, bounded responses and error responses.
//!
//! Shared by all crates that send. Owns no queue and decides on no retry. A URL may hold
//! credentials, so no message shows more of one than scheme, host and port.

mod access;
mod authorization;
mod client;
mod client_settings;
mod error;
mod fetch;
mod response;
mod retry;
mod tls;

pub use access::Access;
pub use authorization::{Authorization, BasicAuth, read_secret, reread_secret};
pub use client::{Client, SendError, same_host};
pub use client_settings::{ClientSettings, Connection, parse_url};
pub use error::HttpError;
pub use fetch::{Fetched, Server, fetch};
pub use response::{
    ErrorResponse, body_bytes, body_text, error_chain, read_error_response, redacted,
};
pub use retry::{next_delay, parse_retry_after};
pub use tls::{client_config, read_client_config, system_config};
