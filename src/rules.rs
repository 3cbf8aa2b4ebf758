//! Rules: what is judged, when it counts, and what changes.
//!
//! Settings are compiled once against the declared metrics ([`compile`]); judging a value is pure,
//! so is the state machine of one alert. This room reads the store and tells transitions; it
//! knows neither channels nor clocks.

mod aggregate;
mod compile;
pub mod condition;
pub mod expr;
#[cfg(test)]
mod fixture;
mod histogram;
mod humanize;
pub mod input;
mod levels;
mod matcher;
mod reading;
mod rule;
mod settings;
pub mod step;
mod template;

pub use aggregate::{Aggregate, Aggregation};
pub use compile::compile;
pub use condition::Condition;
pub use matcher::Matcher;
pub use rule::{Rule, RuleSet};
pub use settings::{Otherwise, RuleSettings, Thresholds};
pub use template::{Facts, Templates, Text};
