//! What holds the host or an application back: which figure, how much, where, and what to do.
//!
//! Each bottleneck is a PromQL expression with two marks, declared or shipped. Whoever holds the
//! samples evaluates it; here its values become impacts.

mod resolve;
mod settings;
mod shipped;
#[cfg(test)]
mod tests;

use bellwether_core::LabelSet;
pub use resolve::resolve;
pub use settings::{BottleneckSettings, Resource};

/// Impact at the first mark, and how much more it is at the second.
const AT_WARNING: f64 = 25.0;
const TO_CRITICAL: f64 = 50.0;

/// One place to look at.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottleneck {
    /// Its name.
    pub name: String,
    /// What is short.
    pub resource: Resource,
    /// PromQL over the names of the page; each series of the result is judged on its own.
    pub promql: String,
    /// Where it begins.
    pub warning: f64,
    /// Where it is critical; below `warning` where little is bad.
    pub critical: f64,
    /// Unit of the values, for people.
    pub unit: &'static str,
    /// Where it is.
    pub component: String,
    /// What to do.
    pub advice: String,
}

/// What a bottleneck showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding<'a> {
    /// Which.
    pub bottleneck: &'a Bottleneck,
    /// Of which series; without a name.
    pub labels: LabelSet,
    /// What it had.
    pub value: f64,
    /// 0 to 100: 0 below the first mark, 25 at it, 75 at the second, straight in between and on.
    pub impact: f64,
}

impl Bottleneck {
    /// The impact of `value`; `None` if that is no number.
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

    /// What `samples`, the result of its expression, show; the worst first.
    #[must_use]
    pub fn judge(&self, samples: impl IntoIterator<Item = (LabelSet, f64)>) -> Vec<Finding<'_>> {
        let finding = |(labels, value)| {
            let impact = self.impact(value)?;
            Some(Finding {
                bottleneck: self,
                labels,
                value,
                impact,
            })
        };
        let mut findings: Vec<Finding<'_>> = samples.into_iter().filter_map(finding).collect();
        sort(&mut findings);
        findings
    }
}

/// The worst first; of equal ones by name and labels, so that the order is always the same.
pub fn sort(findings: &mut [Finding<'_>]) {
    findings.sort_by(|a, b| {
        (b.impact.total_cmp(&a.impact))
            .then_with(|| a.bottleneck.name.cmp(&b.bottleneck.name))
            .then_with(|| a.labels.cmp(&b.labels))
    });
}
