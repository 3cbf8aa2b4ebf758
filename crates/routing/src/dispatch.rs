//! The dispatcher: tracks alerts, sorts them into groups and decides which notifications to send.

pub(crate) mod command;
pub(crate) mod dispatcher;
pub(crate) mod explain;
mod fallback;
pub(crate) mod flapping;
mod flush;
mod group;
mod grouping;
pub(crate) mod heartbeat;
mod member;
pub(crate) mod tracked;
mod uninhibited;
