//! The dispatcher: tracks alerts, sorts them into groups and decides which notifications to send.

pub(crate) mod command;
pub(crate) mod dispatcher;
pub(crate) mod explain;
mod fallback;
pub(crate) mod flapping;
mod flush;
mod group;
pub(crate) mod heartbeat;
pub(crate) mod tracked;
mod uninhibited;
