//! Alerting and recording rules: compilation, evaluation and the states of alerts.
//!
//! Settings are compiled once against the configured metrics ([`compile()`]). The comparison of a
//! value is pure, so is the state machine of one alert. This crate reads the store and history and
//! returns transitions; it knows neither channels nor clocks.

mod alert;
mod compile;
mod eval;
mod expr;
mod query;
mod rule;
mod settings;
mod state;
#[cfg(test)]
mod testing;

pub use alert::template::TemplateData;
pub use alert::template::{External, Templates, Text};
pub use compile::{CompileInput, compile};
pub use eval::aggregate::{Aggregate, Aggregation};
pub use eval::condition::Condition;
pub use eval::engine::status::{RecordingStatus, RuleStatus};
pub use eval::engine::{Counts, Engine, Evaluation, SELF_METRICS, Tick};
pub use eval::schedule::Schedule;
pub use query::promql::NotPromql;
pub use query::query_batch::{QueryBatch, QueryResults};
pub use query::recording::Recording;
pub use query::sample_storage::{NoLimits, QueryLimiter, RecordingOverlay, SampleStorage};
pub use rule::{Rule, RuleSet};
pub use settings::matcher::Matcher;
pub use settings::{
    Anomaly, Forecast, NoDataPolicy, RecordingSettings, RuleSettings, TextTemplate, Thresholds,
};
pub use state::restore::RestoredRule;
pub use state::saved::{SavedAlerts, roundtrip};
