//! Live updates over WebSockets.
//!
//! Owns clients, their subscriptions and the messages. Knows no collector, rule or channel: the
//! application says through [`LiveFeed`] that something was collected or happened.
//!
//! - [`feed`] is the way in. It costs nothing while no client is connected.
//! - [`topic`] is a distinct subscription with its newest result, which all its clients share.
//! - [`rounds`] evaluates, after a collection, each topic that it concerns, once for all clients.
//! - [`session`] serves one client. It sends the newest results when the client has taken the ones
//!   before, so there is no backlog, and a slow client delays nobody.
//! - [`hub`] has the clients and topics of one server.
//! - [`message`] has the form of all messages, and [`initial`] the first one.

mod catalog;
mod clients;
mod evaluation;
mod feed;
mod hub;
mod initial;
mod message;
mod message_type;
mod rounds;
mod session;
mod settings;
mod stats;
mod topic;

pub use feed::LiveFeed;
pub(crate) use hub::{Hub, JOBS};
pub(crate) use rounds::run;
pub(crate) use session::Session;
pub use settings::LiveLimits;
pub(crate) use stats::LiveStats;
