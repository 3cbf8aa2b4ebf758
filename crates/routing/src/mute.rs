//! Mute reasons: silences, inhibition, time intervals and acknowledgements.

pub(crate) mod acknowledge;
pub(crate) mod context;
pub(crate) mod inhibit;
pub(crate) mod reason;
pub(crate) mod silence;
pub(crate) mod time_interval;
