//! The HTTP side: listener, limits, routes, page and API, TLS and access control.
//!
//! Owns sockets and the wire. What the routes show and do is behind [`Backend`], which `app`
//! implements: this room knows neither collectors nor rules nor channels.

mod access;
mod activity;
mod alert_history;
mod analysis;
mod answer;
mod api;
mod backend;
mod body;
mod compress;
mod control;
mod cors;
mod dead_letters;
mod desk;
mod form;
mod handler;
mod landing;
mod listener;
mod metadata;
mod metrics_view;
mod negotiate;
mod network;
mod peer;
mod permits;
mod query;
mod registry;
mod request_line;
mod routes;
mod rules_view;
mod secret;
mod settings;
mod socket;
mod stats;
mod status;
mod stream;
mod watched;
mod web;

pub use access::Access;
pub use activity::Cut;
pub use alert_history::{alert_history_data, alert_history_query};
pub use analysis::Judgement;
pub use backend::{
    AlertHistoryHealth, Backend, ChannelHealth, CollectorHealth, ConfigurationHealth, Health,
    HistoryHealth, ReloadHealth, RemoteHealth, Resent, RuleGroup, RuleView, StateHealth,
};
pub use control::read_token;
pub use desk::route_match_view;
pub use listener::{BindError, Handle, OpenSocket, Server};
pub use network::Network;
pub use query::{QueryLimits, QueryStats, answer_json};
pub use settings::{Control, Limits, LocalSocket, Prometheus};
pub use stats::{Requests, Stats};
pub use web::WebConfig;
