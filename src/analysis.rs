//! What samples over time tell: pure functions over windows, and their settings.

pub mod anomaly;
pub mod forecast;
mod settings;

pub use settings::{Algorithm, AnomalyDetection, Deviation, Direction};
