//! Forecasts: the time at which a metric reaches a value, and the next hours of a metric with daily
//! and weekly seasonality.

mod autoregression;
mod horizon;
mod line;
mod linear;
mod profile;
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
