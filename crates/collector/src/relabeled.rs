//! Labels and relabeling steps of a collector in the list, on what it brings.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{Batch, Kind, LabelSet, Labels, Now, SeriesBatch, UnixMillis};
use bellwether_relabel::Relabel;

use crate::{Build, Changed, Collecting, Collector, Memory};

/// Relabeled series by their labels before; `None`: dropped.
type Cache = HashMap<Box<[u8]>, Option<LabelSet>>;

/// Labels and relabeling steps of the series of a collector.
#[derive(Debug, Default)]
pub struct Relabeling {
    labels: Labels,
    relabel: Relabel,
}

impl Relabeling {
    pub fn new(labels: Labels, relabel: Relabel) -> Self {
        Self { labels, relabel }
    }

    fn is_empty(&self) -> bool {
        self.labels.is_empty() && self.relabel.is_empty()
    }

    /// Returns the labels of a series that has `set`; `None` if a step drops it.
    #[must_use]
    pub fn apply(&self, set: &LabelSet) -> Option<LabelSet> {
        self.relabel.apply(&self.labeled(set))
    }

    /// Returns `set` with the labels that it has not.
    #[must_use]
    pub fn labeled(&self, set: &LabelSet) -> LabelSet {
        set.with_defaults(&self.labels)
    }
}

/// Gives series labels and relabels them; remembers each one.
#[derive(Debug, Default)]
pub struct Relabeler {
    relabeling: Arc<Relabeling>,
    cache: Cache,
    relabeled: SeriesBatch,
}

/// A collector whose series get labels and are relabeled.
pub struct Relabeled {
    inner: Box<dyn Collector>,
    relabeler: Relabeler,
}

impl Relabeled {
    /// Wraps the collectors that `build` creates, if there is something to do.
    pub fn wrap(build: Build, relabeling: Arc<Relabeling>) -> Build {
        if relabeling.is_empty() {
            return build;
        }
        Arc::new(move |memory: &Memory| {
            Box::new(Self {
                inner: build(memory),
                relabeler: Relabeler::new(relabeling.clone()),
            }) as Box<dyn Collector>
        })
    }
}

impl Relabeler {
    pub fn new(relabeling: Arc<Relabeling>) -> Self {
        Self {
            relabeling,
            ..Self::default()
        }
    }

    /// Relabels the series of `series`. It forgets all once it knows more than twice `expected` ones, and some.
    pub fn relabel(&mut self, series: &mut SeriesBatch, expected: usize) {
        let Self {
            relabeling,
            cache,
            relabeled,
        } = self;
        if relabeling.is_empty() {
            return;
        }
        relabeled.clear();
        relabeled.reject(series.rejected());
        set_time(relabeled, series.time());
        if cache.len() > 2 * expected + 1000 {
            cache.clear();
        }
        for family in series.families() {
            relabeled.begin(family.name, family.kind, family.help);
            let mut renamed: Vec<(&[u8], Option<UnixMillis>, f64)> = Vec::new();
            for (packed, time, value) in family.timed_samples() {
                if !cache.contains_key(packed) {
                    let set = LabelSet::from_packed(packed).unwrap_or_default();
                    cache.insert(packed.into(), relabeling.apply(&set));
                }
                match cache.get(packed) {
                    Some(Some(set)) if set.name().starts_with(family.name) => {
                        set_time(relabeled, time);
                        relabeled.push_packed(set.packed(), value);
                    }
                    Some(Some(_)) => renamed.push((packed, time, value)),
                    _ => {}
                }
            }
            let simple = family
                .kind
                .filter(|kind| matches!(kind, Kind::Counter | Kind::Gauge));
            let mut begun = None;
            for (packed, time, value) in renamed {
                let Some(Some(set)) = cache.get(packed) else {
                    continue;
                };
                if begun != Some(packed) {
                    relabeled.begin(set.name(), simple, family.help);
                    begun = Some(packed);
                }
                set_time(relabeled, time);
                relabeled.push_packed(set.packed(), value);
            }
        }
        std::mem::swap(relabeled, series);
    }
}

fn set_time(batch: &mut SeriesBatch, time: Option<UnixMillis>) {
    if let Some(time) = time {
        batch.set_time(time);
    }
}

impl Collector for Relabeled {
    fn collect<'a>(&'a mut self, batch: &'a mut Batch, now: Now) -> Collecting<'a> {
        Box::pin(async move {
            let result = self.inner.collect(batch, now).await;
            let expected = batch.series.len();
            self.relabeler.relabel(&mut batch.series, expected);
            result
        })
    }

    fn changed(&mut self) -> Changed<'_> {
        self.inner.changed()
    }

    fn notes(&self) -> Vec<String> {
        self.inner.notes()
    }
}

#[cfg(test)]
mod tests {
    use bellwether_core::SeriesFamily;
    use bellwether_relabel::{RelabelAction, RelabelConfig};
    use bellwether_schema::{Decode, DecodeContext, Diagnostics, Literal, parse};

    use super::*;

    struct Two;

    impl Collector for Two {
        fn collect<'a>(&'a mut self, batch: &'a mut Batch, _: Now) -> Collecting<'a> {
            batch
                .series
                .begin("jobs_total", Some(Kind::Counter), "Jobs.");
            batch.series.push(&[("queue", "a")], 1.0);
            batch.series.push(&[("queue", "b"), ("team", "own")], 2.0);
            Box::pin(async { Ok(()) })
        }
    }

    fn step(yaml: &str) -> RelabelConfig {
        let mut problems = Diagnostics::default();
        let mut context = DecodeContext::new(&mut problems, &|_| None);
        RelabelConfig::decode(&parse(yaml).unwrap(), &mut context).unwrap()
    }

    async fn collect(steps: &[RelabelConfig]) -> Vec<String> {
        let labels = Labels::from([("team".to_owned(), "db".to_owned())]);
        let build: Build = Arc::new(|_: &Memory| Box::new(Two));
        let build = Relabeled::wrap(
            build,
            Arc::new(Relabeling::new(labels, Relabel::new(steps).unwrap())),
        );
        let (mut collector, mut batch) = (build(&Memory::default()), Batch::default());
        collector.collect(&mut batch, Now::default()).await.unwrap();
        let families = batch.series.families();
        let lines = families.flat_map(|family| {
            SeriesFamily::samples(family).map(move |(packed, value)| {
                let set = LabelSet::from_packed(packed).unwrap();
                format!("{} {set} {value}", family.name)
            })
        });
        lines.collect()
    }

    #[tokio::test]
    async fn a_label_of_the_series_takes_precedence() {
        assert_eq!(
            collect(&[]).await,
            [
                "jobs_total jobs_total{queue=\"a\", team=\"db\"} 1",
                "jobs_total jobs_total{queue=\"b\", team=\"own\"} 2"
            ]
        );
    }

    #[tokio::test]
    async fn a_renamed_series_has_a_family_of_its_own_and_others_are_dropped() {
        let rename = step(
            "{source_labels: [queue], regex: a, target_label: __name__, replacement: work_total}",
        );
        let drop = RelabelConfig {
            action: RelabelAction::Drop,
            replacement: Literal("$1".into()),
            ..step("{source_labels: [queue], regex: b}")
        };
        assert_eq!(
            collect(&[rename, drop]).await,
            ["work_total work_total{queue=\"a\", team=\"db\"} 1"]
        );
    }
}
