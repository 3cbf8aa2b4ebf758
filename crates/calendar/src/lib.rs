//! Schedules as in crontab and time zones, as values of the configuration.

#![warn(missing_docs)]

mod cron;
mod location;

pub use cron::Cron;
pub use location::Location;
