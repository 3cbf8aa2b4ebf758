//! Names of configured metrics, which ingested series may not have, or only with other labels.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{Kind, LabelSet, Labels, METRIC_NAME, MetricDef};

/// Names of the series of configured metrics.
pub(in crate::store) type Taken = HashMap<String, TakenName>;

/// Use of a name by a configured metric.
#[derive(Debug, PartialEq)]
pub(in crate::store) enum TakenName {
    /// The name of a counter or a gauge. Ingested series of the same type may have it, if they have other labels: then
    /// none of them is one of the metric's.
    Shared {
        /// Type of the metric.
        kind: Kind,
        /// Label names, sorted, default labels left out.
        labels: Vec<Arc<str>>,
    },
    /// A name of several series, or one that OpenMetrics reserves.
    Reserved,
}

impl TakenName {
    /// Returns whether ingested series with these labels may have the name.
    pub(super) fn allows(&self, labels: &LabelSet, kind: Option<Kind>, defaults: &Labels) -> bool {
        let Self::Shared {
            kind: own,
            labels: names,
        } = self
        else {
            return false;
        };
        let others = labels
            .iter()
            .map(|(name, _)| name)
            .filter(|name| *name != METRIC_NAME && !defaults.contains_key(*name));
        kind == Some(*own) && !others.eq(names.iter().map(|name| &**name))
    }
}

/// Returns the names that the series of `metrics` have in any format.
pub(in crate::store) fn taken_names(metrics: &[MetricDef], defaults: &Labels) -> Taken {
    let mut taken = Taken::new();
    for def in metrics {
        taken.extend(def.taken_names().map(|name| (name, TakenName::Reserved)));
        if matches!(def.kind, Kind::Gauge | Kind::Counter) {
            let mut labels: Vec<Arc<str>> = def.labels.to_vec();
            labels.retain(|label| !defaults.contains_key(&**label));
            labels.sort_unstable();
            let kind = def.kind;
            taken.insert(def.exported.to_string(), TakenName::Shared { kind, labels });
        }
    }
    taken
}
