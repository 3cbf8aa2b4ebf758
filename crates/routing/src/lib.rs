//! Routing: who is told of which alerts, and when.
//!
//! Transitions become notifications for channels: a tree of routes picks receivers, groups gather
//! what is told together, gates keep back what must not be told now, and steps of escalation tell
//! others. Pure but for `state_file`: knows neither channels nor rules, sends nothing, and time is an
//! argument.

mod acknowledge;
mod dispatcher;
mod explain;
mod fallback;
mod flapping;
mod gate;
mod gates;
mod group;
mod heartbeat;
mod inhibit;
mod matchers;
mod order;
mod plan;
#[cfg(test)]
mod samples;
mod settings;
mod silence;
mod state_file;
mod telling;
mod time_interval;
mod tracked;
mod tree;
mod uninhibited;
mod view;

pub use acknowledge::{Acknowledgement, Acknowledgements};
pub use dispatcher::{Advance, Dispatcher, Feedback, LastTold, Muted};
pub use explain::{Explanation, GroupStatus, RouteMatch, Suppression};
pub use flapping::FlappingSettings;
pub use gate::MuteReason;
pub use inhibit::InhibitRuleSettings;
pub use matchers::Matchers;
pub use order::{Command, CommandError};
pub use plan::{Declared, Routing};
pub use settings::{
    EscalationSettings, HeartbeatSettings, ReceiverSettings, RouteSettings, Routes,
};
pub use silence::{
    MaintenanceSettings, NO_END, Recurs, Silence, SilenceDraft, SilenceError, SilenceSpec,
    SilenceState, Silences, read_silences,
};
pub use state_file::{State, StateFile};
pub use time_interval::{TimeInterval, TimeIntervalSettings, TimeIntervals};
pub use tree::{Channels, Receiver, Route, RuleTraits, Traits, Tree};
pub use view::View;
