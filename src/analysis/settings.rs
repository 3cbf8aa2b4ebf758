//! How anomalies are found, as the YAML file declares it.

use crate::declare::{choices, section};

choices! {
    /// How anomalies are found.
    pub enum Algorithm {
        /// Distance from the mean in standard deviations.
        ZScore = "zscore",
        /// Distance from the quartiles.
        Iqr = "iqr",
    }
}

section! {
    /// How anomalies are found.
    pub struct AnomalyDetection {
        /// Whether they are looked for.
        pub enabled: bool = true,
        /// How.
        pub algorithm: Algorithm = Algorithm::ZScore,
        /// How far off is odd, in the algorithm's own measure.
        pub sensitivity: f64 = 2.0,
        /// Fewest samples to judge by.
        pub min_samples: u32 = 100,
    }
}
