//! Relabels samples of the tail and cuts them into requests. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::LabelSet;

use super::family::{Counting, Families, Family};
use super::start_times::StartTimes;
use super::tail::TailSample;
use bellwether_relabel::Relabel;

/// A series of one request, its samples in the order in which they were appended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) labels: LabelSet,
    pub(super) samples: Vec<ChunkSample>,
    pub(super) family: Option<Family>,
}

/// One sample of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ChunkSample {
    /// Milliseconds since the epoch.
    pub(super) at: i64,
    pub(super) value: f64,
    /// Start of its counter, milliseconds since the epoch; 0 where it is unknown.
    pub(super) start: i64,
}

/// Content of one request.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chunk {
    pub(super) series: Vec<Series>,
    pub(super) samples: usize,
    /// Latest sample time, milliseconds since the epoch.
    pub(super) newest: i64,
}

/// A series after relabeling.
#[derive(Clone)]
struct Relabeled {
    labels: LabelSet,
    family: Option<Family>,
    counting: Option<Counting>,
}

/// Cuts samples into requests. The same samples always give the same requests, except for start
/// times, so that a receiver recognizes duplicates.
pub(super) struct Cutter {
    relabel: Relabel,
    families: Arc<Families>,
    max_samples: usize,
    /// Relabeled series, since relabeling costs far more than a lookup; `None`: dropped.
    cache: HashMap<LabelSet, Option<Relabeled>>,
}

/// Longest time between the samples of a request, in milliseconds. A receiver rejects a whole request for a sample that is too
/// old, and those that clients brought late may be.
const SPAN: i64 = 30 * 60_000;

/// Limit of cached series; beyond it the cache is cleared.
const MAX_CACHED: usize = 100_000;

/// A chunk that is being filled.
#[derive(Default)]
struct Filling {
    chunk: Chunk,
    /// Indices of its series.
    indices: HashMap<LabelSet, usize>,
}

impl Filling {
    fn push(&mut self, series: Relabeled, sample: ChunkSample) {
        let chunk = &mut self.chunk;
        chunk.newest = match chunk.samples {
            0 => sample.at,
            _ => chunk.newest.max(sample.at),
        };
        chunk.samples += 1;
        let Relabeled { labels, family, .. } = series;
        let index = *self.indices.entry(labels).or_insert_with_key(|labels| {
            chunk.series.push(Series {
                labels: labels.clone(),
                samples: Vec::new(),
                family,
            });
            chunk.series.len() - 1
        });
        chunk.series[index].samples.push(sample);
    }
}

impl Cutter {
    /// Creates a cutter of requests with at most `max_samples` samples.
    pub(super) fn new(relabel: Relabel, families: Arc<Families>, max_samples: usize) -> Self {
        Self {
            relabel,
            families,
            max_samples,
            cache: HashMap::new(),
        }
    }

    /// Returns the requests for `samples`, the oldest first, and the number of samples of series that relabeling
    /// dropped. `start_times` is given if start times are sent.
    pub(super) fn cut(
        &mut self,
        samples: &[TailSample],
        mut start_times: Option<&mut StartTimes>,
    ) -> (Vec<Chunk>, u64) {
        let (mut chunks, mut dropped) = (Vec::new(), 0);
        let mut filling = Filling::default();
        let span = |at: i64| at.div_euclid(SPAN);
        let mut sorted: Vec<&TailSample> = samples.iter().collect();
        sorted.sort_by_key(|sample| span(sample.at));
        for sample in sorted {
            let Some(series) = self.relabeled(&sample.labels) else {
                dropped += 1;
                continue;
            };
            let Chunk {
                samples, newest, ..
            } = filling.chunk;
            if samples == self.max_samples || samples > 0 && span(newest) != span(sample.at) {
                chunks.push(std::mem::take(&mut filling).chunk);
            }
            let start = match (&mut start_times, series.counting) {
                (Some(start_times), Some(counting)) => start_times.start(sample, counting),
                _ => 0,
            };
            let sample = ChunkSample {
                at: sample.at,
                value: sample.value,
                start,
            };
            filling.push(series, sample);
        }
        if filling.chunk.samples > 0 {
            chunks.push(filling.chunk);
        }
        (chunks, dropped)
    }

    fn relabeled(&mut self, labels: &LabelSet) -> Option<Relabeled> {
        if let Some(cached) = self.cache.get(labels) {
            return cached.clone();
        }
        if self.cache.len() >= MAX_CACHED {
            self.cache.clear();
        }
        let family = self.families.get(labels.name()).cloned();
        let counting = self.families.counting(labels.name());
        let relabeled = self.relabel.apply(labels).map(|labels| Relabeled {
            labels,
            family,
            counting,
        });
        self.cache.insert(labels.clone(), relabeled.clone());
        relabeled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(name: &str, at: i64) -> TailSample {
        let labels = LabelSet::new([("__name__", name), ("job", "x")]);
        TailSample {
            labels,
            at,
            value: at as f64,
        }
    }

    #[test]
    fn requests_are_full_and_keep_the_order_of_each_series() {
        let step = bellwether_relabel::RelabelConfig {
            source_labels: vec!["__name__".into()],
            regex: bellwether_schema::Literal("gone".into()).into(),
            modulus: 0,
            separator: ";".into(),
            target_label: bellwether_schema::Literal::default(),
            replacement: bellwether_schema::Literal("$1".into()),
            action: bellwether_relabel::RelabelAction::Drop,
        };
        let relabel = Relabel::new([&step]).unwrap();
        let mut cutter = Cutter::new(relabel, Arc::default(), 3);
        let samples = [
            sample("a", 1),
            sample("gone", 1),
            sample("b", 1),
            sample("a", 2),
            sample("b", 2),
        ];
        let (chunks, dropped) = cutter.cut(&samples, None);
        assert_eq!(dropped, 1);
        let formatted: Vec<String> = chunks
            .iter()
            .map(|chunk| {
                let series = chunk.series.iter().map(|series| {
                    let samples: Vec<_> = series.samples.iter().map(|s| (s.at, s.value)).collect();
                    format!("{}{samples:?}", series.labels.name())
                });
                format!(
                    "{} {} {}",
                    chunk.samples,
                    chunk.newest,
                    series.collect::<String>()
                )
            })
            .collect();
        assert_eq!(
            formatted,
            ["3 2 a[(1, 1.0), (2, 2.0)]b[(1, 1.0)]", "1 2 b[(2, 2.0)]"]
        );
        assert_eq!(cutter.cut(&samples, None).0, chunks);
    }

    #[test]
    fn samples_that_came_late_share_no_request_with_others() {
        const NOW: i64 = 1_000 * SPAN;
        let mut cutter = Cutter::new(Relabel::default(), Arc::default(), 3);
        let samples = [
            sample("a", NOW),
            sample("b", NOW - 8 * SPAN),
            sample("a", NOW + 1),
            sample("b", NOW - 8 * SPAN + 1),
        ];
        let (chunks, _) = cutter.cut(&samples, None);
        let chunks = chunks.iter();
        let newest = chunks.map(|chunk| (chunk.samples, chunk.newest - NOW));
        assert_eq!(newest.collect::<Vec<_>>(), [(2, 1 - 8 * SPAN), (2, 1)]);
    }
}
