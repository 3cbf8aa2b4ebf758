//! Access: TLS, users, roles, sessions, rate limits.
//!
//! Owns every decision about a client. Does not know what a request does once it is allowed.

pub(crate) mod access;
pub(crate) mod control;
pub(crate) mod cors;
pub(crate) mod identity;
pub(crate) mod network;
pub(crate) mod proxy;
mod rate;
pub(crate) mod reader;
pub(crate) mod role;
pub(crate) mod session;
pub(crate) mod users;
pub(crate) mod web;
