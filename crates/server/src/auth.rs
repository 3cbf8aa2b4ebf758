//! Access: TLS, users, rate limits, and the rules for requests that change state.
//!
//! Owns every decision about a client. Does not know what a request does once it is allowed.

pub(crate) mod access;
pub(crate) mod control;
pub(crate) mod cors;
pub(crate) mod network;
mod rate;
mod secret;
pub(crate) mod users;
pub(crate) mod web;
