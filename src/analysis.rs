//! What samples over time tell: pure functions over windows, and their settings.

mod settings;

pub use settings::{Algorithm, AnomalyDetection};
