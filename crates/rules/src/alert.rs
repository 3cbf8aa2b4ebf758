//! Alerts of a rule: state machine, labels, reasons and texts.
//!
//! Pure: knows neither the store nor history.

pub(crate) mod active_alert;
pub(crate) mod alert_labels;
pub(crate) mod detail;
pub(crate) mod limit;
pub(crate) mod reason;
pub(crate) mod state_machine;
pub(crate) mod template;
