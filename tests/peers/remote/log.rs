//! A log in memory, in the place of history's.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bellwether_core::LabelSet;
use bellwether_promql::SampledSeries;
use bellwether_remote_write::{Log, Pending, Tail};
use bellwether_tsdb::history::{Cursor, TailBatch};

/// Collections, each a record of the log.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    records: Vec<Vec<SampledSeries>>,
    held: BTreeMap<String, Cursor>,
}

impl Memory {
    /// Appends what was collected at `at`: names with their values.
    pub fn collect(&self, at: i64, samples: &[(&str, f64)]) {
        let record = samples
            .iter()
            .map(|(name, value)| SampledSeries {
                labels: LabelSet::new([("__name__", *name), ("instance", "a")]),
                times: vec![at],
                values: vec![*value],
            })
            .collect();
        self.0.lock().unwrap().records.push(record);
    }

    /// Positions up to which readers need the log.
    pub fn held(&self) -> BTreeMap<String, u64> {
        let held = self.0.lock().unwrap().held.clone();
        held.into_iter()
            .map(|(name, cursor)| (name, cursor.offset))
            .collect()
    }
}

impl Log for Memory {
    fn open(&self, from: Cursor) -> Box<dyn Tail> {
        Box::new(Reader {
            log: self.clone(),
            at: from.offset,
        })
    }

    fn end(&self) -> Cursor {
        Cursor {
            offset: self.0.lock().unwrap().records.len() as u64,
            ..Cursor::default()
        }
    }

    fn pending(&self, from: Cursor) -> Pending {
        Pending {
            samples: self.end().offset - from.offset,
            bytes: 0,
        }
    }

    fn hold(&self, name: &str, from: Cursor) {
        self.0.lock().unwrap().held.insert(name.to_owned(), from);
    }

    fn release(&self, name: &str) {
        self.0.lock().unwrap().held.remove(name);
    }
}

struct Reader {
    log: Memory,
    at: u64,
}

impl Tail for Reader {
    fn next(&mut self, _most: usize) -> Option<TailBatch> {
        let series = self
            .log
            .0
            .lock()
            .unwrap()
            .records
            .get(self.at as usize)?
            .clone();
        self.at += 1;
        Some(TailBatch {
            series,
            after: Cursor {
                offset: self.at,
                ..Cursor::default()
            },
            lost: 0,
        })
    }
}
