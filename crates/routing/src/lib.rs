//! Alert routing: transitions in, notifications for channels out.
//!
//! - `route`: the tree of routes, its receivers and matchers.
//! - `dispatch`: the dispatcher, which sorts alerts into groups and flushes them.
//! - `mute`: silences, inhibition, time intervals and acknowledgements.
//! - `state`: what outlives a restart.
//!
//! Pure: the crate sends nothing, knows neither channels nor rules, and takes the time as an argument.

mod dispatch;
mod mute;
mod route;
mod routing;
mod state;
#[cfg(test)]
mod testing;

pub use dispatch::command::{Command, CommandError};
pub use dispatch::dispatcher::{Advance, Dispatcher, Feedback, LastNotified, MuteChange};
pub use dispatch::explain::{Explanation, GroupStatus, RouteMatch, Suppression};
pub use dispatch::flapping::FlappingSettings;
pub use mute::acknowledge::{Acknowledgement, Acknowledgements};
pub use mute::inhibit::InhibitRuleSettings;
pub use mute::reason::MuteReason;
pub use mute::silence::{
    MaintenanceSettings, NO_END, Recurs, Silence, SilenceDraft, SilenceError, SilenceSpec,
    SilenceState, Silences, read_silences,
};
pub use mute::time_interval::{TimeInterval, TimeIntervalSettings, TimeIntervals};
pub use route::matchers::{Matchers, MatchersError};
pub use route::settings::{
    EscalationSettings, HeartbeatSettings, ReceiverSettings, RouteSettings, Routes,
};
pub use route::tree::{Channels, Receiver, Route, Tree};
pub use route::view::View;
pub use routing::{Routing, RoutingSettings, RuleTraits, Traits};
pub use state::State;
