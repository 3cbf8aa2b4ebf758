//! Parts that ask drivers, on a thread of their own: one that hangs costs itself.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bellwether_core::{Now, SeriesBatch};
use parking_lot::Mutex;

use super::part::{Part, PartError, ProcFile, Run, Shared};
use super::registry::NodeCollector;
use crate::system::{Outcome, Prober};

/// Result of a part.
pub(super) struct Collected {
    pub(super) series: SeriesBatch,
    pub(super) duration: Duration,
    pub(super) result: Result<(), PartError>,
}

pub(super) struct Guarded {
    parts: Vec<NodeCollector>,
    /// Time of the collection, for the parts.
    now: Arc<Mutex<Now>>,
    prober: Prober<Collected>,
}

impl Guarded {
    /// Creates the thread with its parts. Each has `timeout` for a collection.
    pub(super) fn new(parts: Vec<(NodeCollector, Box<dyn Part>)>, timeout: Duration) -> Self {
        let names = parts.iter().map(|(collector, _)| *collector).collect();
        let now = Arc::new(Mutex::new(Now::default()));
        let shared = Arc::clone(&now);
        let parts: HashMap<&str, Mutex<Box<dyn Part>>> = parts
            .into_iter()
            .map(|(collector, part)| (collector.as_str(), Mutex::new(part)))
            .collect();
        let probe = move |path: &Path| {
            let part = path.to_str().and_then(|word| parts.get(word));
            let part = part.ok_or(io::ErrorKind::NotFound)?;
            // Unlocked at once: the part may hang.
            let now = *shared.lock();
            Ok(collect(&mut **part.lock(), now))
        };
        Self {
            parts: names,
            now,
            prober: Prober::new(Arc::new(probe), timeout),
        }
    }

    /// Collects all parts. `None`: the part did not answer in time, now or earlier.
    pub(super) fn collect(
        &mut self,
        now: Now,
        mut report: impl FnMut(NodeCollector, Option<Collected>),
    ) {
        *self.now.lock() = now;
        let paths = self
            .parts
            .iter()
            .map(|part| Path::new(part.as_str()).into());
        self.prober.probe_all(paths, |index, outcome| {
            let collected = match outcome {
                Outcome::Answered(answer) => answer.ok(),
                Outcome::Unanswered => None,
            };
            report(self.parts[index], collected);
        });
    }
}

fn collect(part: &mut dyn Part, now: Now) -> Collected {
    let started = Instant::now();
    let mut series = SeriesBatch::default();
    let result = part.collect(&mut Run {
        now,
        out: &mut series,
        stat: &mut Shared::new(ProcFile::new("/proc/stat".into())),
    });
    Collected {
        series,
        duration: started.elapsed(),
        result,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    struct Hangs(Arc<Barrier>);

    impl Part for Hangs {
        fn collect(&mut self, _: &mut Run<'_>) -> Result<(), PartError> {
            self.0.wait();
            Ok(())
        }
    }

    struct Answers;

    impl Part for Answers {
        fn collect(&mut self, run: &mut Run<'_>) -> Result<(), PartError> {
            run.out.gauge("answers", "", &[], 1.0);
            Err(PartError::NoData)
        }
    }

    #[test]
    fn a_part_that_hangs_costs_itself_until_it_answers() {
        let release = Arc::new(Barrier::new(2));
        let parts: Vec<(NodeCollector, Box<dyn Part>)> = vec![
            (NodeCollector::Hwmon, Box::new(Hangs(Arc::clone(&release)))),
            (NodeCollector::ThermalZone, Box::new(Answers)),
        ];
        let mut guarded = Guarded::new(parts, Duration::from_secs(3));
        for _ in 0..2 {
            let mut found = Vec::new();
            guarded.collect(Now::default(), |collector, collected| {
                let series = collected.map(|collected| (collected.series.len(), collected.result));
                found.push((collector, series));
            });
            assert_eq!(
                found,
                [
                    (NodeCollector::Hwmon, None),
                    (
                        NodeCollector::ThermalZone,
                        Some((1, Err(PartError::NoData)))
                    ),
                ]
            );
        }
        release.wait();
    }
}
