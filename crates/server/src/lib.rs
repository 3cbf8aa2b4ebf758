//! The HTTP side: listener, limits, endpoints, access control and TLS.
//!
//! Owns sockets and the wire. The endpoints read and change the rest of the program through
//! [`Backend`], which the application implements: this crate knows neither collectors nor rules
//! nor channels.

mod api;
mod auth;
mod backend;
mod net;
mod settings;
mod stats;

pub use api::alert_history::{alert_history_data, alert_history_query};
pub use api::alerting::route_match_view;
pub use api::analysis::AnalysisSettings;
pub use api::query::{QueryLimits, QueryStats, answer_json};
pub use auth::access::Access;
pub use auth::control::read_token;
pub use auth::network::Network;
pub use auth::web::WebConfig;
pub use backend::{
    AlertBackend, AlertHistoryHealth, Backend, ChannelHealth, CollectorHealth, ConfigurationHealth,
    DeadLetterBackend, Health, HistoryHealth, LifecycleBackend, MetricsBackend, ReloadHealth,
    RemoteHealth, Resent, RuleBackend, RuleGroup, RuleView, StateHealth, StatusBackend,
};
pub use net::activity::CloseReason;
pub use net::listener::{BindError, Handle, OpenSocket, Server};
pub use settings::{Control, Limits, LocalSocket, Prometheus};
pub use stats::{Requests, SELF_METRICS, Stats};
