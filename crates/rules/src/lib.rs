//! Rules: what is judged, when it counts, and what changes.
//!
//! Settings are compiled once against the declared metrics ([`compile`]); judging a value is pure,
//! so is the state machine of one alert. This room reads the store and tells transitions; it
//! knows neither channels nor clocks.

mod aggregate;
mod asked;
mod carry;
mod compile;
mod condition;
mod detail;
mod engine;
mod expr;
#[cfg(test)]
mod fixture;
mod histogram;
mod index;
mod input;
mod instance;
mod join;
mod judging;
mod levels;
mod limit;
mod matcher;
mod memory;
mod names;
mod pace;
mod query;
mod question;
mod reading;
mod reason;
mod recording;
mod round;
mod rule;
mod saved;
mod settings;
mod state_file;
mod step;
mod template;

pub use aggregate::{Aggregate, Aggregation};
pub use carry::RestoredRule;
pub use compile::{Declared, compile};
pub use condition::Condition;
pub use engine::{Counts, Engine, Evaluation, RecordingStatus, RuleStatus, Tick};
pub use matcher::Matcher;
pub use memory::{NoLimits, QueryLimiter, RecordingOverlay, SampleStorage};
pub use pace::Schedule;
pub use recording::Recording;
pub use round::{QueryBatch, QueryResults};
pub use rule::{Rule, RuleSet};
pub use settings::{
    Anomaly, Forecast, NoDataPolicy, RecordingSettings, RuleSettings, Thresholds, Wording,
};
pub use state_file::{StateFile, roundtrip};
pub use template::{External, Facts, Templates, Text};
