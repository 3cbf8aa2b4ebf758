//! Paths of the server whose requests collectors take, and the receivers that answer them.

use std::sync::Arc;

use bellwether_collector::{CollectorPlan, Receiver};

use crate::CollectorType;

impl CollectorType {
    /// Returns the path of the server whose requests a collector of this type gets, if there is one.
    pub(crate) fn endpoint(self) -> Option<&'static str> {
        match self {
            Self::Pushgateway => Some("/metrics/job/NAME"),
            Self::Otlp => Some("/v1/metrics"),
            Self::RemoteWrite => Some("/api/v1/write"),
            Self::Influx => Some("/write"),
            _ => None,
        }
    }
}

/// Returns the receiver of the collector of a type among `plans`.
#[must_use]
pub fn receiver(plans: &[CollectorPlan], of: CollectorType) -> Option<Arc<dyn Receiver>> {
    let mut receivers = plans.iter().filter_map(|plan| plan.receiver.as_ref());
    let found = receivers.find(|(word, _)| *word == of.as_str());
    found.map(|(_, receiver)| Arc::clone(receiver))
}
