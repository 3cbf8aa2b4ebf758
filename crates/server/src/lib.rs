//! The HTTP side: listener, limits, endpoints, access control and TLS.
//!
//! Owns sockets and the wire. The endpoints read and change the rest of the program through
//! [`Backend`], which the application implements: this crate knows neither collectors nor rules
//! nor channels.

mod api;
mod audit;
mod auth;
mod backend;
mod live;
mod net;
mod settings;
mod stats;

pub use api::alerts::explain::route_match_view;
pub use api::alerts::history::{alert_history_data, alert_history_query};
pub use api::analysis::AnalysisSettings;
pub use api::live::websocket_accept;
pub use api::query::{QueryLimits, QueryStats, answer_json};
pub use api::response::ApiError;
pub use api::{AnswerError, check_answer, endpoint_reference, role_reference};
pub use audit::{Actor, AuditEntry, AuditOutcome};
pub use auth::access::{Access, AccessLoadError};
pub use auth::control::{TokenError, TokenErrorReason, read_token};
pub use auth::network::{Network, NetworkError};
pub use auth::role::Role;
pub use auth::web::WebConfig;
pub use backend::{
    AlertBackend, AlertHistoryHealth, AuditBackend, Backend, BackendError, Backtest,
    ChannelBackend, ChannelHealth, CollectorHealth, ConfigApplied, ConfigChanges, ConfigDraft,
    ConfigError, ConfigFile, ConfigFiles, ConfigProblem, ConfigReport, ConfigurationBackend,
    ConfigurationHealth, DashboardBackend, DashboardFormat, DeadLetterBackend, Difference, Health,
    HistoryHealth, LifecycleBackend, LiveBackend, MetricsBackend, PushChange, PushProtocol,
    ReloadHealth, RemoteHealth, ReportHealth, Resent, RuleBackend, RuleGroup, RuleTests, RuleView,
    StateHealth, StatusBackend, TestResult,
};
pub use live::{LiveFeed, LiveLimits};
pub use net::activity::CloseReason;
pub use net::listener::{BindError, Handle, OpenSocket, Server};
pub use settings::{Control, ControlToken, Limits, LocalSocket, Prometheus};
pub use stats::{Requests, SELF_METRICS, Stats};
