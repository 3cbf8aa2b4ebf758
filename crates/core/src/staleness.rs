//! The value that ends a series.

/// Bits of the NaN that marks a series as stale, as in Prometheus (model/value/value.go).
pub const STALENESS_MARKER: u64 = 0x7ff0_0000_0000_0002;

/// Returns a staleness marker.
#[must_use]
pub fn staleness_marker() -> f64 {
    f64::from_bits(STALENESS_MARKER)
}

/// Returns whether `value` is a staleness marker; any other NaN is a value.
#[must_use]
pub fn is_staleness_marker(value: f64) -> bool {
    value.to_bits() == STALENESS_MARKER
}
