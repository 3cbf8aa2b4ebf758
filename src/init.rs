//! A first configuration for this host: facts ([`probe`]) to findings and text, both pure.

mod facts;
mod findings;
mod probe;
mod text;

pub(crate) use facts::PRESETS;
pub use facts::{FileSystem, HostFacts, ListeningSocket, Neo4jConfig, Protocol};
pub use findings::findings;
pub use probe::probe;
pub use text::configuration;
