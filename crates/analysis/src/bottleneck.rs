//! Bottlenecks of the host or an application: metric, impact, component and recommendation.
//!
//! Each bottleneck is a PromQL expression with two thresholds, configured or shipped. The caller
//! evaluates it; here its values become impacts.

mod resolve;
mod settings;
mod shipped;
#[cfg(test)]
mod tests;

use bellwether_core::LabelSet;
pub use resolve::resolve;
pub use settings::{BottleneckSettings, Resource};

/// Impact at the first threshold, and difference to that at the second.
const AT_WARNING: f64 = 25.0;
const TO_CRITICAL: f64 = 50.0;

/// A possible bottleneck.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    pub name: String,
    /// Scarce resource.
    pub resource: Resource,
    /// PromQL over exported names; each series of the result is evaluated on its own.
    pub promql: String,
    /// Threshold of a warning.
    pub warning: f64,
    /// Threshold of the critical level; below `warning` if low values are bad.
    pub critical: f64,
    /// Unit of the values, for people.
    pub unit: &'static str,
    /// Component.
    pub component: String,
    /// Recommendation.
    pub advice: String,
}

/// A bottleneck that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    /// Name of the bottleneck.
    pub bottleneck: &'a Bottleneck,
    /// Labels of the series, without the name.
    pub labels: LabelSet,
    /// Value of the series.
    pub value: f64,
    /// Impact, 0 to 100: 0 below the first threshold, 25 at it, 75 at the second, linear in between
    /// and above.
    pub impact: f64,
}

impl Bottleneck {
    /// Returns the impact of `value`; `None` for NaN.
    #[must_use]
    pub fn impact(&self, value: f64) -> Option<f64> {
        if value.is_nan() {
            return None;
        }
        let progress = (value - self.warning) / (self.critical - self.warning);
        let impact = AT_WARNING + TO_CRITICAL * progress;
        Some(if progress < 0.0 {
            0.0
        } else {
            impact.min(100.0)
        })
    }

    /// Evaluates `samples`, the result of the expression. Sorted by impact, highest first.
    #[must_use]
    pub fn evaluate(&self, samples: impl IntoIterator<Item = (LabelSet, f64)>) -> Vec<Finding<'_>> {
        let mut findings: Vec<Finding<'_>> = samples
            .into_iter()
            .filter_map(|(labels, value)| {
                let impact = self.impact(value)?;
                Some(Finding {
                    bottleneck: self,
                    labels,
                    value,
                    impact,
                })
            })
            .collect();
        sort(&mut findings);
        findings
    }
}

/// Sorts by impact, highest first, then by name and labels.
pub fn sort(findings: &mut [Finding<'_>]) {
    findings.sort_by(|a, b| {
        (b.impact.total_cmp(&a.impact))
            .then_with(|| a.bottleneck.name.cmp(&b.bottleneck.name))
            .then_with(|| a.labels.cmp(&b.labels))
    });
}
