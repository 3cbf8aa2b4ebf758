//! What samples over time tell: pure functions over windows, and their settings.

pub mod anomaly;
pub mod correlation;
pub mod forecast;
mod settings;
mod statistics;

pub use settings::{Algorithm, AnomalyDetection, Deviation, Direction};
