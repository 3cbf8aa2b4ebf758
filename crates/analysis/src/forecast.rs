//! What comes next: when a thing that fills reaches a value, and how a thing with days and weeks
//! goes on.

mod autoregression;
mod course;
mod horizon;
mod line;
mod linear;
mod season;
#[cfg(test)]
mod tests;
mod words;

pub use horizon::{Days, Horizon, Outlook};
pub(super) use line::{Line, median};
pub use linear::{Direction, NoForecast, Reach, Target, linear};
pub(super) use linear::{Frame, confidence, finite};
pub use season::{NoSeason, Season, continue_hours, last_day, seasonal};
pub use words::span;
