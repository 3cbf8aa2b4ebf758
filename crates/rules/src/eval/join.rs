//! Rows of a rule: the series of its inputs, joined on shared labels.
//!
//! Owns the join and its cache, which lasts until a series is added or removed. Computes no values.

use std::collections::HashMap;
use std::sync::Arc;

use bellwether_core::{LabelSet, LabelValues, MonoMillis};
use bellwether_tsdb::store::Reader;

use crate::eval::index::Index;
use crate::eval::input::{Elements, Input};

/// Maximum number of rows of an expression; metrics without shared labels multiply.
const MAX_ROWS: usize = 10_000;

/// Rows of one rule, for certain generations of its metrics.
#[derive(Debug, Default)]
pub struct Selection {
    generations: Vec<u64>,
    elements: Vec<Elements>,
    /// `None`: one input, whose elements are the rows.
    joined: Option<Vec<Row>>,
    /// Labels of rows, computed on demand.
    keys: Vec<Option<LabelSet>>,
}

#[derive(Clone, Debug)]
struct Row {
    key: LabelValues,
    /// Element of each input.
    at: Box<[u32]>,
}

/// Row while joining: the values of the labels so far, and the element of each input so far.
struct Partial {
    values: Vec<String>,
    at: Vec<u32>,
}

impl Selection {
    /// Joins again if a series was added or removed. `labels` are the labels of the rows.
    ///
    /// # Errors
    /// If the join has more rows than a rule may have.
    pub fn refresh(
        &mut self,
        inputs: &[Input],
        labels: &[Arc<str>],
        reader: &Reader<'_>,
        index: &mut Index,
    ) -> Result<(), String> {
        let current = inputs
            .iter()
            .map(|input| reader.family(input.metric).generation());
        if self.generations.len() == inputs.len() && self.generations.iter().copied().eq(current) {
            return Ok(());
        }
        self.generations.clear();
        self.elements = inputs
            .iter()
            .map(|input| input.select(reader.family(input.metric), index))
            .collect();
        self.joined = match inputs {
            [_] => None,
            _ => Some(self.join(inputs, labels, reader)?),
        };
        self.keys.clear();
        self.keys.resize(self.len(), None);
        let current = inputs
            .iter()
            .map(|input| reader.family(input.metric).generation());
        self.generations.extend(current);
        Ok(())
    }

    fn join(
        &self,
        inputs: &[Input],
        labels: &[Arc<str>],
        reader: &Reader<'_>,
    ) -> Result<Vec<Row>, String> {
        let mut names: Vec<&Arc<str>> = Vec::new();
        let mut rows = vec![Partial {
            values: Vec::new(),
            at: Vec::new(),
        }];
        for (input, elements) in inputs.iter().zip(&self.elements) {
            rows = extend(&rows, &names, input, elements, reader)?;
            for label in &input.labels {
                if !names.contains(&label) {
                    names.push(label);
                }
            }
        }
        let order: Vec<usize> = labels
            .iter()
            .filter_map(|label| names.iter().position(|name| **name == *label))
            .collect();
        let row = |row: Partial| {
            let values: Vec<&str> = order
                .iter()
                .map(|index| row.values[*index].as_str())
                .collect();
            Row {
                key: LabelValues::new(&values),
                at: row.at.into(),
            }
        };
        Ok(rows.into_iter().map(row).collect())
    }

    #[must_use]
    pub fn len(&self) -> usize {
        match &self.joined {
            Some(rows) => rows.len(),
            None => self.elements.first().map_or(0, Elements::len),
        }
    }

    /// Returns the labels of one row, with the names `labels`; computed once.
    pub fn key(
        &mut self,
        inputs: &[Input],
        labels: &[Arc<str>],
        reader: &Reader<'_>,
        row: usize,
    ) -> LabelSet {
        if let Some(key) = &self.keys[row] {
            return key.clone();
        }
        let pairs = |values: &LabelValues| LabelSet::new(labels.iter().zip(values.iter()));
        let key = match (&self.joined, inputs) {
            (Some(rows), _) => pairs(&rows[row].key),
            (None, [input, ..]) => {
                pairs(&input.key(reader.family(input.metric), &self.elements[0], row))
            }
            (None, []) => LabelSet::default(),
        };
        self.keys[row] = Some(key.clone());
        key
    }

    /// Reads the inputs of one row into `values`. Returns the time of the latest sample.
    pub fn read(
        &self,
        inputs: &[Input],
        reader: &Reader<'_>,
        row: usize,
        now: MonoMillis,
        values: &mut Vec<f64>,
    ) -> MonoMillis {
        values.clear();
        let mut latest = MonoMillis::default();
        for (number, (input, elements)) in inputs.iter().zip(&self.elements).enumerate() {
            let element = match &self.joined {
                Some(rows) => rows[row].at[number] as usize,
                None => row,
            };
            let (value, at) = input.read(reader.family(input.metric), elements, element, now);
            values.push(value);
            latest = latest.max(at);
        }
        latest
    }
}

/// Elements with the values of the labels that the rows do not have.
type OwnValues = Vec<(u32, Vec<String>)>;

/// Returns the elements of `input` by the values of the labels that have a position in the rows.
fn by_shared_values(
    positions: &[Option<usize>],
    input: &Input,
    elements: &Elements,
    reader: &Reader<'_>,
) -> HashMap<Vec<String>, OwnValues> {
    let family = reader.family(input.metric);
    let mut by_shared: HashMap<Vec<String>, OwnValues> = HashMap::new();
    for element in 0..elements.len() {
        let key = input.key(family, elements, element);
        let (mut shared, mut own) = (Vec::new(), Vec::new());
        for (value, position) in key.iter().zip(positions) {
            match position {
                Some(_) => shared.push(value.to_owned()),
                None => own.push(value.to_owned()),
            }
        }
        by_shared
            .entry(shared)
            .or_default()
            .push((element as u32, own));
    }
    by_shared
}

/// Joins the elements of one more input to `rows`, whose labels are `names`.
fn extend(
    rows: &[Partial],
    names: &[&Arc<str>],
    input: &Input,
    elements: &Elements,
    reader: &Reader<'_>,
) -> Result<Vec<Partial>, String> {
    // Index of each label of the input in the rows, if they have it.
    let positions: Vec<Option<usize>> = input
        .labels
        .iter()
        .map(|label| names.iter().position(|name| *name == label))
        .collect();
    let by_shared = by_shared_values(&positions, input, elements, reader);
    let mut joined = Vec::new();
    for row in rows {
        let shared: Vec<String> = positions
            .iter()
            .flatten()
            .map(|index| row.values[*index].clone())
            .collect();
        for (element, own) in by_shared.get(&shared).into_iter().flatten() {
            if joined.len() == MAX_ROWS {
                return Err(format!("the metrics join to more than {MAX_ROWS} rows"));
            }
            let values = row.values.iter().chain(own).cloned().collect();
            let at = row.at.iter().copied().chain([*element]).collect();
            joined.push(Partial { values, at });
        }
    }
    Ok(joined)
}
