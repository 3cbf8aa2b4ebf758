//! What samples over time tell: pure functions over windows, and their settings.

pub mod advise;
pub mod anomaly;
pub mod bottleneck;
pub mod correlation;
pub mod forecast;
pub mod health;
pub mod lookout;
pub mod report;
mod settings;
mod statistics;
pub mod trend;

pub use settings::{Algorithm, AnomalyDetection, Deviation, Direction};
