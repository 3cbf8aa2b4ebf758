//! Statistics over samples: anomalies, trends, forecasts, correlation, bottlenecks and health. Pure
//! functions over windows, and their settings.

pub mod anomaly;
pub mod bottleneck;
pub mod correlation;
pub mod forecast;
pub mod health;
pub mod monitor;
pub mod recommend;
pub mod report;
mod settings;
mod statistics;
pub mod trend;

pub use settings::{Algorithm, AnomalyDetection, Deviation, Direction};
