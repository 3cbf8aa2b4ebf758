//! Names of the configured metrics, and the collectors that fill them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use bellwether_core::{METRIC_NAME, MetricId, Origin};
use bellwether_promql::Query;
use bellwether_tsdb::store::Store;

/// Suffixes of the series of histograms and summaries.
const SUFFIXES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// Collections that may change the result of a subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sources {
    /// Those of these collectors.
    Origins(BTreeSet<Origin>),
    /// Any: the names of its series are not those of metrics, such as those of recording rules.
    Unknown,
}

/// Metrics of one store by name.
pub(super) struct Catalog {
    store: Arc<Store>,
    ids: HashMap<Arc<str>, MetricId>,
}

impl Catalog {
    pub(super) fn new(store: Arc<Store>) -> Self {
        let metrics = store.metrics().iter().enumerate();
        let ids = metrics.flat_map(|(index, def)| {
            let id = MetricId(u32::try_from(index).unwrap_or(u32::MAX));
            [(def.name.clone(), id), (def.exported.clone(), id)]
        });
        let ids = ids.collect();
        Self { store, ids }
    }

    pub(super) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Metric with this configured or exported name.
    pub(super) fn metric(&self, name: &str) -> Option<MetricId> {
        self.ids.get(name).copied()
    }

    /// Collector of a metric.
    pub(super) fn origin(&self, metric: MetricId) -> Option<Origin> {
        let def = self.store.metrics().get(metric.0 as usize);
        def.map(|def| def.origin)
    }

    /// Collections that may change the result of `query`.
    pub(super) fn sources(&self, query: &Query) -> Sources {
        let selectors = query.selectors();
        let origins = selectors.iter().map(|selector| {
            let mut matchers = selector.matchers.iter();
            let name = matchers.find(|matcher| &*matcher.name == METRIC_NAME)?;
            self.origin_of_series(name.test.exact()?)
        });
        match origins.collect::<Option<BTreeSet<Origin>>>() {
            Some(origins) if !origins.is_empty() => Sources::Origins(origins),
            _ => Sources::Unknown,
        }
    }

    fn origin_of_series(&self, name: &str) -> Option<Origin> {
        let stems = SUFFIXES
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix));
        let metric = [name]
            .into_iter()
            .chain(stems)
            .find_map(|name| self.metric(name))?;
        self.origin(metric)
    }
}
