//! Names of configured metrics and of generated series, which ingested series may not have, or only with other labels.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{Kind, LabelSet, Labels, METRIC_NAME, MetricDef};

/// Names of the series of configured metrics.
pub(in crate::store) type Taken = HashMap<String, TakenName>;

/// Use of a name by a configured metric.
#[derive(Debug, PartialEq)]
pub(in crate::store) enum TakenName {
    /// The name of a counter or a gauge. Ingested series of the same type, or of an unknown one, may have it, if they have
    /// other labels: then none of them is one of the metric's.
    Shared {
        /// Type of the metric.
        kind: Kind,
        /// Label names, sorted, default labels left out.
        labels: Vec<Arc<str>>,
    },
    /// The name of series that are in history alone, and have exactly these labels, sorted, default labels left out.
    /// Ingested series with other labels may have it.
    Generated(Vec<Arc<str>>),
    /// A name of several series, or one that OpenMetrics reserves.
    Reserved,
}

/// Name of series that something else appends to history, and that are not in the exposition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedName {
    /// Name.
    pub name: Arc<str>,
    /// Label names, sorted; `None`: any labels.
    pub labels: Option<Vec<Arc<str>>>,
}

impl TakenName {
    /// Returns the type of ingested series of this name, if there is one. A series of an unknown type takes it.
    pub(super) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Shared { kind, .. } => Some(*kind),
            Self::Generated(_) | Self::Reserved => None,
        }
    }

    /// Returns whether `kind` is another type than that of ingested series of this name. An unknown type is none: remote
    /// write 1.0 says the type later than the samples.
    pub(super) fn has_other_kind(&self, kind: Option<Kind>) -> bool {
        self.kind().zip(kind).is_some_and(|(own, kind)| own != kind)
    }

    /// Returns whether ingested series with these labels may have the name.
    pub(super) fn allows(&self, labels: &LabelSet, kind: Option<Kind>, defaults: &Labels) -> bool {
        let names = match self {
            Self::Shared { labels, .. } | Self::Generated(labels) => labels,
            Self::Reserved => return false,
        };
        let others = labels
            .iter()
            .map(|(name, _)| name)
            .filter(|name| *name != METRIC_NAME && !defaults.contains_key(*name));
        !self.has_other_kind(kind) && !others.eq(names.iter().map(|name| &**name))
    }
}

/// Returns the names that the series of `metrics` have in any format, and those in `generated`.
pub(in crate::store) fn taken_names(
    metrics: &[MetricDef],
    generated: &[GeneratedName],
    defaults: &Labels,
) -> Taken {
    let mut taken = Taken::new();
    for GeneratedName { name, labels } in generated {
        let taken_name = labels
            .clone()
            .map_or(TakenName::Reserved, TakenName::Generated);
        taken.insert(name.to_string(), taken_name);
    }
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
