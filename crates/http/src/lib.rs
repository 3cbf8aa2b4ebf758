//! How this process speaks HTTP to others: clients with their TLS, who it says it is, and what an
//! answer means.
//!
//! Shared by all that send. Owns no queue and decides on no retry; a URL may hold credentials, so
//! no message shows more of one than scheme, host and port.

mod access;
mod answer;
mod redirect;
mod retry;
mod trust;

pub use access::{Access, BasicAuth, parse_url, read_secret};
pub use answer::{Refusal, body_text, reasons, refusal};
pub use redirect::{Client, SendError};
pub use retry::{next_delay, parse_retry_after};
pub use trust::{client_config, system_config};
