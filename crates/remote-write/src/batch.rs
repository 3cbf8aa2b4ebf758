//! Samples of the tail, relabelled and cut into the requests that carry them: pure.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::LabelSet;

use super::family::{Counting, Families, Family};
use super::relabel::Relabel;
use super::starts::Starts;
use super::tail::TailSample;

/// A series of one request, its samples in the order in which they were appended.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Series {
    pub(super) labels: LabelSet,
    pub(super) samples: Vec<Point>,
    pub(super) family: Option<Family>,
}

/// One sample of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    /// Milliseconds since the epoch.
    pub(super) at: i64,
    pub(super) value: f64,
    /// Since when its counter counts; 0 where nobody knows.
    pub(super) since: i64,
}

/// What one request carries.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Chunk {
    pub(super) series: Vec<Series>,
    pub(super) samples: usize,
    /// The latest time in it, milliseconds since the epoch.
    pub(super) newest: i64,
}

/// What a series becomes on its way out.
#[derive(Clone)]
struct Outward {
    labels: LabelSet,
    family: Option<Family>,
    counting: Option<Counting>,
}

/// Cuts samples into requests. The same samples always give the same requests, but for starts, so
/// that a receiver takes one that comes again for what it is.
pub(super) struct Cutter {
    relabel: Relabel,
    families: Arc<Families>,
    largest: usize,
    /// Relabelling costs far more than a look-up.
    known: HashMap<LabelSet, Option<Outward>>,
}

/// Most series remembered; beyond it all are looked at anew.
const MOST_KNOWN: usize = 100_000;

impl Cutter {
    /// Requests hold at most `largest` samples.
    pub(super) fn new(relabel: Relabel, families: Arc<Families>, largest: usize) -> Self {
        Self {
            relabel,
            families,
            largest,
            known: HashMap::new(),
        }
    }

    /// The requests for `samples`, and how many of those no request carries because relabelling
    /// dropped their series. `starts` tells since when counters count, where that is sent.
    pub(super) fn cut(
        &mut self,
        samples: &[TailSample],
        mut starts: Option<&mut Starts>,
    ) -> (Vec<Chunk>, u64) {
        let (mut chunks, mut dropped) = (Vec::new(), 0);
        let mut chunk = Chunk::default();
        let mut places: HashMap<LabelSet, usize> = HashMap::new();
        for sample in samples {
            let Some(Outward {
                labels,
                family,
                counting,
            }) = self.outward(&sample.labels)
            else {
                dropped += 1;
                continue;
            };
            if chunk.samples == self.largest {
                chunks.push(std::mem::take(&mut chunk));
                places.clear();
            }
            if chunk.samples == 0 {
                chunk.newest = sample.at;
            }
            let place = *places.entry(labels).or_insert_with_key(|labels| {
                let labels = labels.clone();
                chunk.series.push(Series {
                    labels,
                    samples: Vec::new(),
                    family,
                });
                chunk.series.len() - 1
            });
            let since = match (&mut starts, counting) {
                (Some(starts), Some(counting)) => starts.of(sample, counting),
                _ => 0,
            };
            let point = Point {
                at: sample.at,
                value: sample.value,
                since,
            };
            chunk.series[place].samples.push(point);
            chunk.samples += 1;
            chunk.newest = chunk.newest.max(sample.at);
        }
        if chunk.samples > 0 {
            chunks.push(chunk);
        }
        (chunks, dropped)
    }

    fn outward(&mut self, labels: &LabelSet) -> Option<Outward> {
        if let Some(known) = self.known.get(labels) {
            return known.clone();
        }
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        let family = self.families.of(labels.name()).cloned();
        let counting = self.families.counting(labels.name());
        let outward = self.relabel.apply(labels);
        let outward = outward.map(|labels| Outward {
            labels,
            family,
            counting,
        });
        self.known.insert(labels.clone(), outward.clone());
        outward
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
        let step = super::super::relabel::RelabelConfig {
            source_labels: vec!["__name__".into()],
            regex: bellwether_schema::Literal("gone".into()).into(),
            modulus: 0,
            separator: ";".into(),
            target_label: bellwether_schema::Literal::default(),
            replacement: bellwether_schema::Literal("$1".into()),
            action: super::super::relabel::RelabelAction::Drop,
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
        let told: Vec<String> = chunks
            .iter()
            .map(|chunk| {
                let series = chunk.series.iter();
                let series = series.map(|one| {
                    let samples: Vec<_> = one.samples.iter().map(|p| (p.at, p.value)).collect();
                    format!("{}{samples:?}", one.labels.name())
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
            told,
            ["3 2 a[(1, 1.0), (2, 2.0)]b[(1, 1.0)]", "1 2 b[(2, 2.0)]"]
        );
        assert_eq!(cutter.cut(&samples, None).0, chunks);
    }
}
