//! Buckets of histograms, as settings have them.

use bellwether_core::Kind;
use bellwether_schema::{Diagnostics, Spanned};

/// Buckets of Prometheus's client libraries.
pub const DEFAULT_BUCKETS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Reports buckets that do not ascend, and those of a metric of another type.
pub fn check_buckets(kind: Kind, buckets: Option<&Spanned<Vec<f64>>>, problems: &mut Diagnostics) {
    let Some(buckets) = buckets else { return };
    if kind != Kind::Histogram {
        let message = format!("a {} has no buckets", kind.as_str());
        problems.error(&buckets.at, message).hint("type: histogram");
    }
    if buckets.is_empty() {
        problems.error(&buckets.at, "at least one bucket is needed");
    }
    for pair in buckets.windows(2).filter(|pair| pair[0] >= pair[1]) {
        let message = format!("buckets must ascend: {} comes before {}", pair[0], pair[1]);
        problems.error(&buckets.at, message);
    }
}
